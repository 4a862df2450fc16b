// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IAuditLine, Round} from "../interfaces/IAuditLine.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {DrawLib} from "../libraries/DrawLib.sol";
import {AuditLine} from "./AuditLine.sol";

/// @title AuditRounds
/// @notice What every prover does alike: opens a period's round, finds its draws on the line, keeps their windows and
/// counts misses.
/// @dev A draw of period p, B the period's first block, W the window:
///
///   B ---------- B + W ----------- B + 2 W ---------- B + 3 W <= next B
///   openRound ---^
///   drawn -------answer----------> Answered
///       \------------------------------reportMiss---> Missed      (neither: no pay lost, no bounty)
///
/// Invariants:
/// 1. Who must answer a draw is fixed by the figures and custody at the boundary: nothing done in a period changes its
///    draws.
/// 2. A draw is resolved at most once: one bounty, or one slash.
abstract contract AuditRounds is AuditLine {
    using SafeCast for uint256;

    /// @dev The numbers that rounds depend on.
    struct Terms {
        uint256 targetDraws;
        uint256 windowBlocks;
        uint256 strikeWindowPeriods;
        uint256 reporterBps;
    }

    uint256 internal constant BPS = 10_000;

    /// @dev The ring of strikes is one word of periods.
    uint256 internal constant RING_SIZE = 8;
    uint256 private constant RING_BITS = 32;

    /// @dev Draws whose bits share a slot with the round's bounty, which every answer reads anyway.
    uint256 private constant ROUND_DRAWS = 128;

    IBeacon private immutable _beacon;
    uint256 internal immutable _targetDraws;
    uint256 internal immutable _windowBlocks;
    uint256 internal immutable _strikeWindowPeriods;
    uint256 internal immutable _reporterBps;

    mapping(uint256 period => Round) internal _rounds;
    mapping(uint256 period => mapping(uint256 word => uint256 bits)) private _laterResolved;
    mapping(address provider => uint256 periods) private _strikes;

    constructor(IBeacon beacon, uint256 bucketPeriods, Terms memory terms) AuditLine(beacon, bucketPeriods) {
        require(
            terms.targetDraws != 0 && terms.windowBlocks != 0 && 3 * terms.windowBlocks <= _periodBlocks
                && terms.strikeWindowPeriods != 0 && terms.reporterBps <= BPS / 2,
            InvalidParams()
        );
        _beacon = beacon;
        _targetDraws = terms.targetDraws;
        _windowBlocks = terms.windowBlocks;
        _strikeWindowPeriods = terms.strikeWindowPeriods;
        _reporterBps = terms.reporterBps;
    }

    /// @inheritdoc IAuditLine
    function openRound(uint256 period, bytes calldata headerRlp) external returns (uint256 draws) {
        uint256 current = _currentPeriod();
        require(period == current, NotThisPeriod(period, current));
        require(_rounds[period].seed == 0, RoundAlreadyOpen(period));
        uint256 closesAt = _boundary(period) + _windowBlocks;
        require(block.number < closesAt, PinWindowClosed(period, closesAt));
        _rollFully();
        Present memory present = _now;
        uint64 span = present.end - present.tail;
        draws = DrawLib.count(_targetDraws, span, present.live);
        uint256 bountyWei = _fundRound(period, draws);

        bytes32 seed = _beacon.seedOf(period);
        if (seed == 0) seed = _beacon.pin(period, headerRlp);
        _rounds[period] =
            Round(seed, present.tail, span, present.live, draws.toUint32(), bountyWei.toUint128(), 0);
        emit RoundOpened(period, seed, present.tail, span, present.live, draws, bountyWei, msg.sender);
    }

    /// @inheritdoc IAuditLine
    function round(uint256 period) external view returns (Round memory) {
        return _rounds[period];
    }

    /// @inheritdoc IAuditLine
    function isResolved(uint256 period, uint256 draw) public view returns (bool) {
        if (draw < ROUND_DRAWS) return (_rounds[period].resolved >> draw) & 1 != 0;
        return (_laterResolved[period][draw / 256] >> (draw % 256)) & 1 != 0;
    }

    /// @inheritdoc IAuditLine
    function drawPosition(uint256 period, uint256 draw) public view returns (uint256) {
        Round storage opened = _rounds[period];
        require(opened.seed != 0, RoundNotOpen(period));
        require(draw < opened.draws, DrawOutOfRange(draw, opened.draws));
        return DrawLib.position(opened.seed, draw, opened.tail, opened.span);
    }

    /// @inheritdoc IAuditLine
    function strikesOf(address provider) public view returns (uint256 count) {
        uint256 current = _currentPeriod();
        for (uint256 ring = _strikes[provider]; ring != 0; ring >>= RING_BITS) {
            if ((ring & type(uint32).max) + _strikeWindowPeriods > current) ++count;
        }
    }

    /// @inheritdoc IAuditLine
    function windowsOf(uint256 period)
        external
        view
        returns (uint256 pinCloses, uint256 answerCloses, uint256 reportCloses)
    {
        uint256 boundary = _boundary(period);
        return (boundary + _windowBlocks, boundary + 2 * _windowBlocks, boundary + 3 * _windowBlocks);
    }

    /// @dev Pays the opener and says what each answer will get; reverts when there is nothing to draw.
    function _fundRound(uint256 period, uint256 draws) internal virtual returns (uint256 bountyWei);

    function _requireAnswerWindow(uint256 period) internal view {
        uint256 closesAt = _boundary(period) + 2 * _windowBlocks;
        require(block.number < closesAt, AnswerWindowClosed(period, closesAt));
    }

    function _requireReportWindow(uint256 period) internal view {
        uint256 opensAt = _boundary(period) + 2 * _windowBlocks;
        require(block.number >= opensAt, ReportWindowNotOpen(period, opensAt));
        require(block.number < opensAt + _windowBlocks, ReportWindowClosed(period, opensAt + _windowBlocks));
    }

    /// @dev The thing that an unresolved draw fell on, and where in it.
    function _locate(uint256 period, uint256 draw, uint256 entryIndex)
        internal
        view
        returns (uint256 id, uint256 offset)
    {
        uint256 position = drawPosition(period, draw);
        require(!isResolved(period, draw), DrawAlreadyResolved(period, draw));
        Stretch memory stretch = _stretches[entryIndex];
        require(
            position >= stretch.start && position - stretch.start < stretch.length, NotInEntry(entryIndex, position)
        );
        return (stretch.id, position - stretch.start);
    }

    function _markResolved(uint256 period, uint256 draw) internal {
        if (draw < ROUND_DRAWS) _rounds[period].resolved |= uint128(1 << draw);
        else _laterResolved[period][draw / 256] |= 1 << (draw % 256);
    }

    function _addStrike(address provider, uint256 period) internal {
        _strikes[provider] = (_strikes[provider] << RING_BITS) | period;
    }

    /// @dev What a reporter gets beside its share: both together are at most half of the slash.
    function _reportBounty(uint256 period, uint256 slashedWei) internal view returns (uint256) {
        uint256 restWei = slashedWei * (BPS / 2 - _reporterBps) / BPS;
        uint256 bountyWei = _rounds[period].bountyWei;
        return bountyWei < restWei ? bountyWei : restWei;
    }
}

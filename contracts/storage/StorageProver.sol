// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {IStakedService} from "../interfaces/IStakedService.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {CustodyView} from "../interfaces/IStorageMarket.sol";
import {CustodyProof, IStorageProver, LineEntry, ProverParams, Round} from "../interfaces/IStorageProver.sol";
import {IStorageStreams} from "../interfaces/IStorageStreams.sol";
import {CustodyLib} from "../libraries/CustodyLib.sol";
import {DrawLib} from "../libraries/DrawLib.sol";
import {MerkleLib} from "../libraries/MerkleLib.sol";
import {AuditLine} from "./AuditLine.sol";

/// @title StorageProver
/// @notice Proof of random access. Holds no money. Clock: block numbers, cut into periods by the Beacon.
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
/// 3 to 5: see `AuditLine`.
/// 6. Of a slash at most half comes back to its reporter, bounty included: reporting oneself never pays.
contract StorageProver is AuditLine {
    using SafeCast for uint256;

    uint256 private constant BPS = 10_000;

    /// @dev The ring of strikes is one word of periods.
    uint256 private constant RING_SIZE = 8;
    uint256 private constant RING_BITS = 32;

    /// @dev Draws whose bits share a slot with the round's bounty, which every answer reads anyway.
    uint256 private constant ROUND_DRAWS = 128;

    /// @dev Lowest factor at which dropping data does not pay.
    uint256 private constant MIN_SLASH_FACTOR = 4;

    IBeacon private immutable _beacon;
    IStaking private immutable _staking;
    IStorageStreams private immutable _streams;
    uint256 private immutable _targetDraws;
    uint256 private immutable _windowBlocks;
    uint256 private immutable _slashFactor;
    uint256 private immutable _maxStrikes;
    uint256 private immutable _strikeWindowPeriods;
    uint256 private immutable _reporterBps;

    /// @dev A draw, found on the line and in its deal.
    struct Place {
        uint256 txSeq;
        uint256 shardIndex;
        uint256 sector;
        uint256 shardHeight;
        uint256 pricePerSectorPeriod;
    }

    mapping(uint256 period => Round) private _rounds;
    mapping(uint256 period => mapping(uint256 word => uint256 bits)) private _laterResolved;
    mapping(address provider => uint256 periods) private _strikes;

    constructor(IBeacon beacon, IStaking staking, IStorageStreams streams, ProverParams memory params_)
        AuditLine(beacon, streams.bucketPeriods())
    {
        require(
            params_.targetDraws != 0 && params_.windowBlocks != 0 && 3 * uint256(params_.windowBlocks) <= _periodBlocks
                && params_.slashFactor >= MIN_SLASH_FACTOR && params_.maxStrikes != 0 && params_.maxStrikes <= RING_SIZE
                && params_.strikeWindowPeriods != 0 && params_.reporterBps <= BPS / 2,
            InvalidParams()
        );
        _beacon = beacon;
        _staking = staking;
        _streams = streams;
        _targetDraws = params_.targetDraws;
        _windowBlocks = params_.windowBlocks;
        _slashFactor = params_.slashFactor;
        _maxStrikes = params_.maxStrikes;
        _strikeWindowPeriods = params_.strikeWindowPeriods;
        _reporterBps = params_.reporterBps;
    }

    /// @inheritdoc IStorageProver
    function openRound(uint256 period, bytes calldata headerRlp) external returns (uint256 draws) {
        uint256 current = _currentPeriod();
        require(period == current, NotThisPeriod(period, current));
        require(_rounds[period].seed == 0, RoundAlreadyOpen(period));
        uint256 closesAt = _boundary(period) + _windowBlocks;
        require(block.number < closesAt, PinWindowClosed(period, closesAt));
        _rollFully();
        Present memory present = _now;
        require(present.live != 0, NoLiveSectors(period));

        bytes32 seed = _beacon.seedOf(period);
        if (seed == 0) seed = _beacon.pin(period, headerRlp);
        uint64 span = present.end - present.tail;
        draws = DrawLib.count(_targetDraws, span, present.live);
        uint256 bountyWei = _streams.openRound(period, draws, msg.sender);
        _rounds[period] =
            Round(seed, present.tail, span, present.live, draws.toUint32(), bountyWei.toUint128(), 0);
        emit RoundOpened(period, seed, present.tail, span, present.live, draws, bountyWei, msg.sender);
    }

    /// @inheritdoc IStorageProver
    function answer(
        uint256 period,
        uint256 draw,
        uint256 entryIndex,
        bytes calldata sector,
        bytes32[] calldata path,
        CustodyProof calldata custody
    ) external {
        uint256 closesAt = _boundary(period) + 2 * _windowBlocks;
        require(block.number < closesAt, AnswerWindowClosed(period, closesAt));
        Place memory place = _resolve(period, draw, entryIndex, custody);
        require(sector.length == MerkleLib.SECTOR_BYTES, WrongSectorLength(sector.length));
        require(
            path.length == place.shardHeight
                && MerkleLib.verify(custody.shardRoot, keccak256(sector), place.sector, path),
            WrongSectorProof(place.txSeq, place.shardIndex, place.sector)
        );
        uint256 bountyWei = _streams.isSuspended(custody.provider) ? 0 : _rounds[period].bountyWei;
        emit Answered(period, draw, custody.provider, place.txSeq, place.shardIndex, bountyWei);
        if (bountyWei != 0) _streams.payBounty(custody.provider, bountyWei);
    }

    /// @inheritdoc IStorageProver
    function reportMiss(uint256 period, uint256 draw, uint256 entryIndex, CustodyProof calldata custody) external {
        uint256 opensAt = _boundary(period) + 2 * _windowBlocks;
        require(block.number >= opensAt, ReportWindowNotOpen(period, opensAt));
        require(block.number < opensAt + _windowBlocks, ReportWindowClosed(period, opensAt + _windowBlocks));
        Place memory place = _resolve(period, draw, entryIndex, custody);
        address provider = custody.provider;
        require(!_streams.isSuspended(provider), ProviderAlreadySuspended(provider));

        _strikes[provider] = (_strikes[provider] << RING_BITS) | period;
        _streams.forfeit(provider);
        uint256 slashedWei = _slash(provider, place.pricePerSectorPeriod, period, draw);
        emit Missed(period, draw, provider, place.txSeq, place.shardIndex, slashedWei, msg.sender);
        if (
            strikesOf(provider) >= _maxStrikes
                || _staking.backing(provider, address(this)) < _streams.needOf(provider)
        ) {
            _streams.suspend(provider);
        }
        uint256 bountyWei = Math.min(_rounds[period].bountyWei, slashedWei * (BPS / 2 - _reporterBps) / BPS);
        if (bountyWei != 0) _streams.payBounty(msg.sender, bountyWei);
    }

    /// @inheritdoc IStorageProver
    function reinstate(address provider) external {
        require(msg.sender == provider, NotAuthorized(msg.sender));
        require(_streams.isSuspended(provider), NotSuspended(provider));
        uint256 strikes = strikesOf(provider);
        require(strikes < _maxStrikes, StillStruck(provider, strikes));
        uint256 needWei = _streams.needOf(provider);
        uint256 backingWei = _staking.backing(provider, address(this));
        require(backingWei >= needWei, InsufficientStake(provider, needWei, backingWei));
        _streams.reinstate(provider);
    }

    /// @inheritdoc IStakedService
    function minAllocation(address operator) external view returns (uint256) {
        return _streams.needOf(operator);
    }

    /// @inheritdoc IStorageProver
    function params() external view returns (ProverParams memory) {
        return ProverParams({
            targetDraws: uint16(_targetDraws),
            windowBlocks: uint32(_windowBlocks),
            slashFactor: uint16(_slashFactor),
            maxStrikes: uint8(_maxStrikes),
            strikeWindowPeriods: uint32(_strikeWindowPeriods),
            reporterBps: uint16(_reporterBps)
        });
    }

    /// @inheritdoc IStorageProver
    function round(uint256 period) external view returns (Round memory) {
        return _rounds[period];
    }

    /// @inheritdoc IStorageProver
    function isResolved(uint256 period, uint256 draw) public view returns (bool) {
        if (draw < ROUND_DRAWS) return (_rounds[period].resolved >> draw) & 1 != 0;
        return (_laterResolved[period][draw / 256] >> (draw % 256)) & 1 != 0;
    }

    /// @inheritdoc IStorageProver
    function drawPosition(uint256 period, uint256 draw) public view returns (uint256) {
        Round storage opened = _rounds[period];
        require(opened.seed != 0, RoundNotOpen(period));
        require(draw < opened.draws, DrawOutOfRange(draw, opened.draws));
        return DrawLib.position(opened.seed, draw, opened.tail, opened.span);
    }

    /// @inheritdoc IStorageProver
    function strikesOf(address provider) public view returns (uint256 count) {
        uint256 current = _currentPeriod();
        for (uint256 ring = _strikes[provider]; ring != 0; ring >>= RING_BITS) {
            if ((ring & type(uint32).max) + _strikeWindowPeriods > current) ++count;
        }
    }

    /// @inheritdoc IStorageProver
    function windowsOf(uint256 period)
        external
        view
        returns (uint256 pinCloses, uint256 answerCloses, uint256 reportCloses)
    {
        uint256 boundary = _boundary(period);
        return (boundary + _windowBlocks, boundary + 2 * _windowBlocks, boundary + 3 * _windowBlocks);
    }

    /// @inheritdoc IStorageProver
    function slashWei(uint256 pricePerSectorPeriod, uint256 live) public view returns (uint256) {
        return Math.ceilDiv(_slashFactor * pricePerSectorPeriod * live, _targetDraws);
    }

    /// @dev Finds the draw, checks who had to answer it, and marks it: it is resolved once, whichever way.
    function _resolve(uint256 period, uint256 draw, uint256 entryIndex, CustodyProof calldata custody)
        private
        returns (Place memory place)
    {
        uint256 position = drawPosition(period, draw);
        require(!isResolved(period, draw), DrawAlreadyResolved(period, draw));
        LineEntry memory entry_ = _entries[entryIndex];
        require(
            position >= entry_.start && position - entry_.start < entry_.sectors, NotInEntry(entryIndex, position)
        );
        CustodyView memory held = _market.custodyAt(entry_.txSeq, period);
        require(held.live, DeadRange(entry_.txSeq, period));
        place.txSeq = entry_.txSeq;
        place.shardHeight = held.shardHeight;
        place.pricePerSectorPeriod = held.pricePerSectorPeriod;
        place.shardIndex = (position - entry_.start) >> held.shardHeight;
        place.sector = (position - entry_.start) & ((1 << held.shardHeight) - 1);
        bytes32 leaf = CustodyLib.leaf(place.shardIndex, custody.provider, custody.shardRoot);
        require(
            CustodyLib.verify(held.custodyRoot, held.shards, place.shardIndex, leaf, custody.path),
            WrongCustodyProof(place.txSeq, place.shardIndex)
        );
        _markResolved(period, draw);
    }

    function _markResolved(uint256 period, uint256 draw) private {
        if (draw < ROUND_DRAWS) _rounds[period].resolved |= uint128(1 << draw);
        else _laterResolved[period][draw / 256] |= 1 << (draw % 256);
    }

    /// @dev At most the provider's lock: what it put up for the custody it took.
    function _slash(address provider, uint256 pricePerSectorPeriod, uint256 period, uint256 draw)
        private
        returns (uint256)
    {
        uint256 amountWei =
            Math.min(slashWei(pricePerSectorPeriod, _rounds[period].live), _streams.lockOf(provider));
        address[] memory beneficiaries = new address[](1);
        uint256[] memory bps = new uint256[](1);
        beneficiaries[0] = msg.sender;
        bps[0] = _reporterBps;
        return _staking.slash(provider, amountWei, keccak256(abi.encode("miss", period, draw)), beneficiaries, bps);
    }
}

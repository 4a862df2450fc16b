// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {IDaCommittee} from "../interfaces/IDaCommittee.sol";
import {DaLineEntry, DaProverParams, IDaProver} from "../interfaces/IDaProver.sol";
import {DaAudit, IDataAvailability} from "../interfaces/IDataAvailability.sol";
import {CellTreeLib} from "../libraries/CellTreeLib.sol";
import {AuditLine} from "../staking/AuditLine.sol";
import {AuditRounds} from "../staking/AuditRounds.sol";

/// @title DaProver
/// @notice Audits of retention. Holds no money. Clock: block numbers, cut into periods by the Beacon.
/// @dev The life of a draw, and invariants 1 and 2: see `AuditRounds`. 3 to 5: see `AuditLine`.
/// 6. Of a slash at most half comes back to its reporter, bounty included: reporting oneself never pays.
/// 7. Only who attested a column is slashed for it, and only for periods that began after the attestation was on chain.
/// 8. A round's bounties together never exceed the pot at its opening.
contract DaProver is IDaProver, AuditRounds {
    IDaCommittee private immutable _committee;
    IDataAvailability private immutable _da;
    uint256 private immutable _missSlashBps;
    uint256 private immutable _bountyWei;

    /// @dev A draw, found on the line and in its blob.
    struct Place {
        bytes32 blobId;
        bytes32 cellsRoot;
        uint256 epoch;
        uint256 confirmedAtBlock;
        uint256 blobCount;
        uint256 blobIndex;
        uint256 column;
    }

    constructor(IBeacon beacon, IDaCommittee committee, IDataAvailability da, DaProverParams memory params_)
        AuditRounds(
            beacon,
            da.bucketPeriods(),
            Terms(params_.targetDraws, params_.windowBlocks, params_.strikeWindowPeriods, params_.reporterBps)
        )
    {
        require(params_.missSlashBps != 0 && params_.missSlashBps <= BPS, InvalidParams());
        _committee = committee;
        _da = da;
        _missSlashBps = params_.missSlashBps;
        _bountyWei = params_.bountyWei;
    }

    modifier onlyDa() {
        require(msg.sender == address(_da), NotAuthorized(msg.sender));
        _;
    }

    /// @inheritdoc IDaProver
    function prepare(uint256 endPeriod) external onlyDa {
        _prepare(endPeriod);
    }

    /// @inheritdoc IDaProver
    function append(uint256 blobNumber, uint256 blobCount, uint256 endPeriod)
        external
        onlyDa
        returns (uint256 entryIndex)
    {
        return _append(blobNumber, blobCount * CellTreeLib.COLUMNS, endPeriod);
    }

    /// @inheritdoc IDaProver
    function answer(
        uint256 period,
        uint256 draw,
        uint256 entryIndex,
        bytes calldata cellAndProof,
        bytes32[] calldata path
    ) external {
        Place memory place = _answer(period, draw, entryIndex, cellAndProof, path);
        _pay(place, period, draw, _committee.ownerOf(place.epoch, place.column));
    }

    /// @inheritdoc IDaProver
    function answerAsSuccessor(
        uint256 period,
        uint256 draw,
        uint256 entryIndex,
        bytes calldata cellAndProof,
        bytes32[] calldata path
    ) external {
        Place memory place = _answer(period, draw, entryIndex, cellAndProof, path);
        address attester = _committee.ownerOf(place.epoch, place.column);
        require(_committee.isOut(attester), HolderNotOut(place.blobId, place.column, attester));
        _pay(place, period, draw, _committee.ownerOf(_committee.activeEpoch(), place.column));
    }

    /// @inheritdoc IDaProver
    function reportMiss(uint256 period, uint256 draw, uint256 entryIndex) external {
        _requireReportWindow(period);
        Place memory place = _resolve(period, draw, entryIndex);
        require(place.confirmedAtBlock < _boundary(period), ColumnsNotSettled(place.blobId, period));

        address attester = _committee.ownerOf(place.epoch, place.column);
        uint256 slashedWei = _slash(attester, place.epoch, period, draw);
        require(slashedWei != 0, HolderOut(place.blobId, place.column, attester));
        _addStrike(attester, period);
        _da.forfeit(place.blobId, 1 << place.column);
        uint256 bountyWei = _reportBounty(period, slashedWei);
        if (bountyWei != 0) _da.payFromPot(msg.sender, bountyWei);
        emit Missed(
            period, draw, attester, place.blobId, place.blobIndex, place.column, slashedWei, msg.sender
        );
    }

    /// @inheritdoc IDaProver
    function entry(uint256 entryIndex) external view returns (DaLineEntry memory) {
        Stretch memory stretch = _stretches[entryIndex];
        return DaLineEntry(stretch.start, stretch.length, stretch.id);
    }

    /// @inheritdoc IDaProver
    function params() external view returns (DaProverParams memory) {
        return DaProverParams({
            targetDraws: uint16(_targetDraws),
            windowBlocks: uint32(_windowBlocks),
            missSlashBps: uint16(_missSlashBps),
            strikeWindowPeriods: uint32(_strikeWindowPeriods),
            reporterBps: uint16(_reporterBps),
            bountyWei: uint128(_bountyWei)
        });
    }

    function _answer(
        uint256 period,
        uint256 draw,
        uint256 entryIndex,
        bytes calldata cellAndProof,
        bytes32[] calldata path
    ) private returns (Place memory place) {
        _requireAnswerWindow(period);
        place = _resolve(period, draw, entryIndex);
        _checkCell(place, cellAndProof, path);
    }

    function _pay(Place memory place, uint256 period, uint256 draw, address holder) private {
        uint256 bountyWei = _rounds[period].bountyWei;
        if (bountyWei != 0) bountyWei = _da.payFromPot(holder, bountyWei);
        emit Answered(period, draw, holder, place.blobId, place.blobIndex, place.column, bountyWei);
    }

    /// @dev Finds the draw, checks that somebody had to answer it, and marks it: it is resolved once, whichever way.
    function _resolve(uint256 period, uint256 draw, uint256 entryIndex) private returns (Place memory place) {
        (uint256 blobNumber, uint256 offset) = _locate(period, draw, entryIndex);
        DaAudit memory blob = _da.auditOf(blobNumber);
        require(period < blob.expiresAt, DeadRange(blobNumber, period));
        place.blobId = blob.blobId;
        place.cellsRoot = blob.cellsRoot;
        place.epoch = blob.epoch;
        place.confirmedAtBlock = blob.confirmedAtBlock;
        place.blobCount = blob.blobCount;
        place.column = offset / blob.blobCount;
        place.blobIndex = offset % blob.blobCount;
        require((blob.columns >> place.column) & 1 != 0, ColumnUnsigned(place.blobId, place.column));
        _markResolved(period, draw);
    }

    /// @dev A share of one seat's stake, doubled by each miss that still counts.
    function _slash(address attester, uint256 epoch, uint256 period, uint256 draw) private returns (uint256) {
        uint256 firstWei = Math.ceilDiv(uint256(_committee.epochOf(epoch).seatWei) * _missSlashBps, BPS);
        bytes32 faultId = keccak256(abi.encode("miss", period, draw));
        return _committee.slash(attester, firstWei << strikesOf(attester), faultId, msg.sender, _reporterBps);
    }

    /// @inheritdoc AuditRounds
    function _fundRound(uint256 period, uint256 draws) internal override returns (uint256 bountyWei) {
        require(draws != 0, NoLiveCells(period));
        bountyWei = Math.min(_bountyWei, _da.potWei() / (draws + 1));
        if (bountyWei != 0) _da.payFromPot(msg.sender, bountyWei);
    }

    /// @inheritdoc AuditLine
    function _emitAppended(uint256 entryIndex, uint256 blobNumber, uint256 start, uint256 cells) internal override {
        emit Appended(entryIndex, blobNumber, start, cells);
    }

    /// @inheritdoc AuditLine
    function _endPeriodOf(uint256 blobNumber) internal view override returns (uint256) {
        return _da.expiryOf(blobNumber);
    }

    function _checkCell(Place memory place, bytes calldata cellAndProof, bytes32[] calldata path) private pure {
        require(
            cellAndProof.length == CellTreeLib.CELL_BYTES + CellTreeLib.POINT_BYTES,
            WrongCellLength(cellAndProof.length)
        );
        bytes32 cellHash = keccak256(cellAndProof[:CellTreeLib.CELL_BYTES]);
        require(
            CellTreeLib.verifyCell(
                place.cellsRoot,
                place.blobCount,
                place.blobIndex,
                place.column,
                cellAndProof[CellTreeLib.CELL_BYTES:],
                cellHash,
                path
            ),
            WrongCellProof(place.blobId, place.blobIndex, place.column)
        );
    }
}

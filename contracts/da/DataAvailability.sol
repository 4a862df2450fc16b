// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {IDaCommittee} from "../interfaces/IDaCommittee.sol";
import {IDaProver} from "../interfaces/IDaProver.sol";
import {
    DaAudit,
    DaBlob,
    DaConfirmation,
    DaHeader,
    DaParams,
    DaStatus,
    IDataAvailability
} from "../interfaces/IDataAvailability.sol";
import {IStakedService} from "../interfaces/IStakedService.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {BitmapLib} from "../libraries/BitmapLib.sol";
import {CellTreeLib} from "../libraries/CellTreeLib.sol";
import {BlobFees} from "./BlobFees.sol";
import {BlobHeaders} from "./BlobHeaders.sol";
import {BlobTerms} from "./BlobTerms.sol";

/// @title DataAvailability
/// @notice Blobs from their signed header to the sharing of their fee, and all money of DA. Clock: block numbers.
/// @dev A blob; each arrow is anybody's call:
///
///   unknown --submit--> Submitted --confirm, soft quorum--> Soft --confirm, final quorum--> Final
///                        |      \--------confirm, final quorum---------------------------^
///                        \--not confirmed in time, refund--> Refunded
///   Soft, Final: --dispute window over, claim--> claimed (a mark)       any: --court--> convicted (a mark)
///
/// Invariants:
/// 1. A blob is Final only with signatures of holders of `finalColumns` columns over exactly its header, none of it
///    convicted before. Final never turns back.
/// 2. Columns of a blob only grow; each growth is a confirmation with a valid aggregate.
/// 3. A disperser's bond is locked until the dispute window of its last header is over.
/// 4 and 5: see `BlobTerms`. 6: see `BlobHeaders`. 7 and 8: see `BlobFees`.
contract DataAvailability is BlobTerms, BlobHeaders, BlobFees {
    using SafeCast for uint256;

    address private immutable _deployer;
    IStaking private immutable _staking;
    IDaCommittee private immutable _committee;

    /// @dev Four words and two roots, all of them written at submission: neither a confirmation nor a verdict opens a
    /// new one. `expiryBucket` counts buckets, `confirmedAfter` blocks from submission to the last confirmation.
    struct Blob {
        address disperser;
        uint64 nonce;
        bool claimed;
        address payer;
        uint96 feeWei;
        uint128 columns;
        uint40 submittedAtBlock;
        uint24 confirmedAfter;
        uint24 epoch;
        uint24 expiryBucket;
        uint16 blobCount;
        uint128 forfeited;
        uint40 number;
        uint40 finalAtBlock;
        uint40 convictedAtBlock;
        DaStatus status;
        bytes32 commitmentsRoot;
        bytes32 cellsRoot;
    }

    IDaProver private _prover;
    uint64 private _blobTotal;
    address private _court;
    mapping(bytes32 blobId => Blob) private _blobs;
    mapping(uint256 number => bytes32 blobId) private _blobIds;
    mapping(address disperser => uint256 period) private _lastExpiry;
    mapping(address disperser => bool) private _convicted;

    constructor(IBeacon beacon, IStaking staking, IDaCommittee committee, DaParams memory params_)
        BlobTerms(beacon, staking.exitDelayBlocks(), params_)
    {
        _deployer = msg.sender;
        _staking = staking;
        _committee = committee;
    }

    modifier only(address instructor) {
        require(msg.sender == instructor, NotAuthorized(msg.sender));
        _;
    }

    /// @inheritdoc IDataAvailability
    function wire(address prover, address court) external {
        require(msg.sender == _deployer, NotDeployer(msg.sender));
        require(_court == address(0), AlreadyWired());
        require(prover != address(0) && court != address(0), InvalidParams());
        _prover = IDaProver(prover);
        _court = court;
    }

    /// @inheritdoc IDataAvailability
    function submit(DaHeader calldata header, bytes calldata signature) external payable returns (bytes32 blobId) {
        _checkHeader(header);
        _checkEpoch(header.epoch);
        uint256 periods = _checkExpiry(header.epoch, header.expiresAt);
        blobId = blobIdOf(header);
        require(_blobs[blobId].status == DaStatus.Unknown, AlreadySubmitted(blobId));
        address disperser = header.disperser;
        _checkSignature(disperser, blobId, signature);
        _checkBond(disperser);

        _useNonce(disperser, header.epoch, header.nonce);
        uint256 feeWei = feeOf(header.blobCount, periods);
        _takeFee(msg.sender, feeWei);
        if (header.expiresAt > _lastExpiry[disperser]) _lastExpiry[disperser] = header.expiresAt;
        _record(blobId, header, feeWei);
        emit BlobSubmitted(blobId, disperser, msg.sender, _blobTotal, header, feeWei);
        _prover.prepare(header.expiresAt);
    }

    /// @inheritdoc IDataAvailability
    function confirm(DaConfirmation calldata confirmation) external returns (DaStatus status) {
        bytes32 blobId = confirmation.blobId;
        Blob storage blob = _blobs[blobId];
        _checkConfirmable(confirmation, blob);
        uint256 epoch = confirmation.epoch;
        uint256 columns = _committee.verifyAttestation(
            epoch, attestationDigest(blobId, epoch), confirmation.signers, confirmation.signature
        );
        require(columns != 0, AttestationInvalid(blobId));
        uint256 before = blob.columns;
        require(columns & before == before && columns != before, NothingAdded(columns, before));
        status = _quorumOf(columns);

        if (status != blob.status && status == DaStatus.Final) blob.finalAtBlock = uint40(block.number);
        blob.columns = uint128(columns);
        blob.confirmedAfter = uint24(block.number - blob.submittedAtBlock);
        blob.status = status;
        emit BlobConfirmed(blobId, status, confirmation.signers, columns, confirmation.signature);
        if (before == 0) _prover.append(blob.number, blob.blobCount, _expiryOf(blob));
    }

    /// @inheritdoc IDataAvailability
    function refund(bytes32 blobId) external {
        Blob storage blob = _known(blobId);
        require(blob.status == DaStatus.Submitted, NotConfirmable(blobId, blob.status));
        uint256 closesAt = blob.submittedAtBlock + _confirmBlocks;
        require(block.number >= closesAt, ConfirmationOpen(blobId, closesAt));

        blob.status = DaStatus.Refunded;
        address payer = blob.payer;
        uint256 keptWei = Math.ceilDiv(blob.feeWei * _unconfirmedBps, BPS);
        uint256 refundWei = blob.feeWei - keptWei;
        emit BlobRefunded(blobId, payer, refundWei);
        _releaseToPot(keptWei);
        _release(payer, refundWei);
    }

    /// @inheritdoc IDataAvailability
    function claim(bytes32 blobId) external {
        Blob storage blob = _known(blobId);
        DaStatus status = blob.status;
        require(status == DaStatus.Soft || status == DaStatus.Final, NotClaimable(blobId, status));
        require(!blob.claimed, AlreadyClaimed(blobId));
        uint256 readyAt = _expiryOf(blob) + _disputePeriods;
        require(_currentPeriod() >= readyAt, TooEarly(_currentPeriod(), readyAt));

        blob.claimed = true;
        uint256 feeWei = blob.feeWei;
        uint256 columnWei = feeWei * (BPS - _maintenanceBps) / BPS / CellTreeLib.COLUMNS;
        uint256 signed = blob.columns;
        uint256 earned = signed & ~uint256(blob.forfeited);
        uint256 toMembersWei = columnWei * BitmapLib.count(earned);
        uint256 toPayerWei = columnWei * (CellTreeLib.COLUMNS - BitmapLib.count(signed));
        uint256 toPotWei = feeWei - toMembersWei - toPayerWei;
        emit BlobClaimed(blobId, toMembersWei, toPayerWei, toPotWei);
        _releaseToPot(toPotWei);
        _release(blob.payer, toPayerWei);
        _payMembers(blob.epoch, earned, columnWei);
    }

    /// @inheritdoc IDataAvailability
    function convict(bytes32 blobId, uint256 columns) external only(_court) {
        Blob storage blob = _blobs[blobId];
        require(blob.number != 0, BlobUnknown(blobId));
        if (blob.convictedAtBlock == 0) blob.convictedAtBlock = uint40(block.number);
        blob.forfeited |= uint128(columns);
        emit BlobConvicted(blobId, columns);
    }

    /// @inheritdoc IDataAvailability
    function forfeit(bytes32 blobId, uint256 columns) external only(address(_prover)) {
        Blob storage blob = _blobs[blobId];
        require(blob.number != 0, BlobUnknown(blobId));
        blob.forfeited |= uint128(columns);
        emit ColumnsForfeited(blobId, columns);
    }

    /// @inheritdoc IDataAvailability
    function slashDisperser(address disperser, bytes32 faultId, address reporter, uint256 reporterBps)
        external
        only(_court)
        returns (uint256 slashedWei)
    {
        _convicted[disperser] = true;
        address[] memory beneficiaries = new address[](1);
        uint256[] memory bps = new uint256[](1);
        beneficiaries[0] = reporter;
        bps[0] = reporterBps;
        return _staking.slash(disperser, _bondWei, faultId, beneficiaries, bps);
    }

    /// @inheritdoc IDataAvailability
    function payFromPot(address account, uint256 amountWei) external returns (uint256 paidWei) {
        require(msg.sender == address(_prover) || msg.sender == address(_committee), NotAuthorized(msg.sender));
        return _payFromPot(account, amountWei);
    }

    /// @inheritdoc IStakedService
    function minAllocation(address operator) external view returns (uint256) {
        return _currentPeriod() < _lastExpiry[operator] + _disputePeriods ? _bondWei : 0;
    }

    /// @inheritdoc IDataAvailability
    function blobOf(bytes32 blobId) external view returns (DaBlob memory) {
        Blob storage blob = _blobs[blobId];
        return DaBlob({
            status: blob.status,
            disperser: blob.disperser,
            payer: blob.payer,
            epoch: blob.epoch,
            nonce: blob.nonce,
            number: blob.number,
            blobCount: blob.blobCount,
            submittedAtBlock: blob.submittedAtBlock,
            confirmBy: blob.number == 0 ? 0 : (blob.submittedAtBlock + _confirmBlocks).toUint64(),
            expiresAt: _expiryOf(blob),
            finalAtBlock: blob.finalAtBlock,
            convictedAtBlock: blob.convictedAtBlock,
            confirmedAtBlock: _confirmedAtBlock(blob),
            claimed: blob.claimed,
            feeWei: blob.feeWei,
            columns: blob.columns,
            forfeited: blob.forfeited,
            commitmentsRoot: blob.commitmentsRoot,
            cellsRoot: blob.cellsRoot
        });
    }

    /// @inheritdoc IDataAvailability
    function rootsOf(bytes32 blobId) external view returns (uint256, uint256, bytes32, bytes32) {
        Blob storage blob = _blobs[blobId];
        return (blob.blobCount, _expiryOf(blob), blob.commitmentsRoot, blob.cellsRoot);
    }

    /// @inheritdoc IDataAvailability
    function auditOf(uint256 number) external view returns (DaAudit memory) {
        bytes32 blobId = _blobIds[number];
        Blob storage blob = _blobs[blobId];
        return DaAudit({
            blobId: blobId,
            epoch: blob.epoch,
            confirmedAtBlock: _confirmedAtBlock(blob),
            expiresAt: _expiryOf(blob),
            blobCount: blob.blobCount,
            columns: blob.columns,
            cellsRoot: blob.cellsRoot
        });
    }

    /// @inheritdoc IDataAvailability
    function expiryOf(uint256 number) external view returns (uint256) {
        return _expiryOf(_blobs[_blobIds[number]]);
    }

    /// @inheritdoc IDataAvailability
    function blobAt(uint256 number) external view returns (bytes32) {
        return _blobIds[number];
    }

    /// @inheritdoc IDataAvailability
    function blobTotal() external view returns (uint256) {
        return _blobTotal;
    }

    /// @inheritdoc IDataAvailability
    function isFinal(bytes32 blobId) external view returns (bool) {
        return _blobs[blobId].status == DaStatus.Final;
    }

    /// @inheritdoc IDataAvailability
    function verifyCell(
        bytes32 blobId,
        uint256 blobIndex,
        uint256 column,
        bytes calldata cell,
        bytes calldata proof,
        bytes32[] calldata path
    ) external view returns (bool) {
        Blob storage blob = _blobs[blobId];
        if (blob.columns == 0) return false;
        if (cell.length != CellTreeLib.CELL_BYTES || proof.length != CellTreeLib.POINT_BYTES) return false;
        return CellTreeLib.verifyCell(
            blob.cellsRoot, blob.blobCount, blobIndex, column, proof, keccak256(cell), path
        );
    }

    /// @inheritdoc IDataAvailability
    function versionedHashOf(bytes32 blobId, uint256 blobIndex, bytes calldata commitment, bytes32[] calldata path)
        external
        view
        returns (bytes32)
    {
        Blob storage blob = _known(blobId);
        require(
            commitment.length == CellTreeLib.POINT_BYTES
                && CellTreeLib.verifyCommitment(blob.commitmentsRoot, blob.blobCount, blobIndex, commitment, path),
            WrongCommitmentPath(blobId, blobIndex)
        );
        return bytes32((uint256(sha256(commitment)) << 8 >> 8) | (1 << 248));
    }

    /// @inheritdoc IDataAvailability
    function isConvicted(address disperser) external view returns (bool) {
        return _convicted[disperser];
    }

    function _record(bytes32 blobId, DaHeader calldata header, uint256 feeWei) private {
        uint64 number = ++_blobTotal;
        _blobIds[number] = blobId;
        Blob storage blob = _blobs[blobId];
        blob.disperser = header.disperser;
        blob.nonce = header.nonce;
        blob.expiryBucket = (header.expiresAt / _bucketPeriods).toUint24();
        blob.payer = msg.sender;
        blob.feeWei = feeWei.toUint96();
        blob.submittedAtBlock = block.number.toUint40();
        blob.epoch = uint256(header.epoch).toUint24();
        blob.blobCount = header.blobCount;
        blob.status = DaStatus.Submitted;
        blob.number = uint256(number).toUint40();
        blob.commitmentsRoot = header.commitmentsRoot;
        blob.cellsRoot = header.cellsRoot;
    }

    /// @dev Credits each member what its columns earned, once each: a committee has at most 128 slots.
    function _payMembers(uint256 epoch, uint256 columns, uint256 columnWei) private {
        bytes32[4] memory columnSlots = _committee.epochOf(epoch).columnSlots;
        address[] memory owners = _committee.ownersOf(epoch);
        uint256[] memory earned = new uint256[](CellTreeLib.COLUMNS);
        address[] memory members = new address[](CellTreeLib.COLUMNS);
        for (uint256 k; k < CellTreeLib.COLUMNS; ++k) {
            if ((columns >> k) & 1 == 0) continue;
            uint256 slot = uint8(columnSlots[k / 32][k % 32]);
            members[slot] = owners[k];
            earned[slot] += columnWei;
        }
        for (uint256 slot; slot < CellTreeLib.COLUMNS; ++slot) {
            if (earned[slot] != 0) _release(members[slot], earned[slot]);
        }
    }

    function _checkEpoch(uint256 epoch) private view {
        uint256 active = _committee.activeEpoch();
        require(epoch == active, WrongEpoch(active, epoch));
        // Epoch 0 is also what an unformed committee answers.
        require(active != 0 || _committee.epochOf(0).keySet != address(0), NoCommittee());
    }

    function _checkBond(address disperser) private view {
        require(!_convicted[disperser], DisperserConvicted(disperser));
        uint256 backingWei = _staking.backing(disperser, address(this));
        require(backingWei >= _bondWei, InsufficientBond(disperser, _bondWei, backingWei));
    }

    function _checkConfirmable(DaConfirmation calldata confirmation, Blob storage blob) private view {
        bytes32 blobId = confirmation.blobId;
        require(confirmation.chainId == block.chainid, WrongChain(block.chainid, confirmation.chainId));
        DaStatus status = blob.status;
        require(status != DaStatus.Unknown, BlobUnknown(blobId));
        require(status != DaStatus.Refunded, NotConfirmable(blobId, status));
        require(confirmation.epoch == blob.epoch, WrongEpoch(blob.epoch, confirmation.epoch));
        uint256 closedAt = blob.submittedAtBlock + _confirmBlocks;
        require(block.number < closedAt, ConfirmationClosed(blobId, closedAt));
        require(blob.convictedAtBlock == 0, BlobIsConvicted(blobId));
    }

    function _known(bytes32 blobId) private view returns (Blob storage blob) {
        blob = _blobs[blobId];
        require(blob.number != 0, BlobUnknown(blobId));
    }

    function _expiryOf(Blob storage blob) private view returns (uint64) {
        return uint64(blob.expiryBucket * _bucketPeriods);
    }

    function _confirmedAtBlock(Blob storage blob) private view returns (uint64) {
        return blob.columns == 0 ? 0 : uint64(blob.submittedAtBlock) + blob.confirmedAfter;
    }
}

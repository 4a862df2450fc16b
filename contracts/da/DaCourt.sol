// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {
    DaCellEvidence,
    DaCommitmentLeaf,
    DaCourtParams,
    DaDoubleAttestation,
    DaLeaf,
    DaPointFault,
    IDaCourt
} from "../interfaces/IDaCourt.sol";
import {IDaCommittee} from "../interfaces/IDaCommittee.sol";
import {DaHeader, IDataAvailability} from "../interfaces/IDataAvailability.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {BlsLib} from "../libraries/BlsLib.sol";
import {CellTreeLib} from "../libraries/CellTreeLib.sol";
import {ClockLib} from "../libraries/ClockLib.sol";
import {CellClaim, KzgLib} from "../libraries/KzgLib.sol";
import {PrecompileCheckLib} from "../libraries/PrecompileCheckLib.sol";
import {ScalarLib} from "../libraries/ScalarLib.sol";
import {DaVerdicts} from "./DaVerdicts.sol";

/// @title DaCourt
/// @notice Convicts dispersers and attesters on proof. Holds no money. Clock: block numbers, through the Beacon.
/// @dev A fault; each arrow is anybody's call:
///
///   unknown --dispute*--> convicted --punish--> partly punished --punish--> punished
///
/// Invariants:
/// 1. A verdict rests on something computed: a pairing that returned 0, arithmetic on published bytes, or two valid
///    signatures. A call that fails, for want of gas or of a precompile too, reverts and convicts nobody.
/// 2 to 4: see `DaVerdicts`.
contract DaCourt is DaVerdicts {
    uint256 private constant ELEMENTS_PER_CELL = 64;

    bytes32 private constant HEADERS_TAG = keccak256("two headers");
    bytes32 private constant ATTESTATIONS_TAG = keccak256("two attestations");

    /// @dev What a blob's leaves are proved against.
    struct Roots {
        uint256 blobCount;
        uint256 expiresAt;
        bytes32 commitmentsRoot;
        bytes32 cellsRoot;
    }

    uint256 private immutable _startBlock;
    uint256 private immutable _periodBlocks;
    uint256 private immutable _disputePeriods;

    constructor(
        IBeacon beacon,
        IStaking staking,
        IDaCommittee committee,
        IDataAvailability da,
        DaCourtParams memory params_
    ) DaVerdicts(staking, committee, da, params_) {
        PrecompileCheckLib.selfTest();
        _startBlock = beacon.startBlock();
        _periodBlocks = beacon.periodBlocks();
        _disputePeriods = da.params().disputePeriods;
    }

    /// @inheritdoc IDaCourt
    function disputeCell(DaLeaf calldata leaf, DaCommitmentLeaf calldata commitment, DaCellEvidence calldata evidence)
        external
        returns (bytes32 faultId)
    {
        Roots memory roots = _rootsOfOpen(leaf.blobId);
        require(!_fits(roots, leaf, commitment, evidence), CellIsValid(leaf.blobId, leaf.blobIndex, leaf.column));
        return _convictBlob(leaf.blobId, leaf.column);
    }

    /// @inheritdoc IDaCourt
    function disputeScalar(DaLeaf calldata leaf, uint256 element) external returns (bytes32 faultId) {
        _checkLeaf(_rootsOfOpen(leaf.blobId), leaf, leaf.proof, keccak256(leaf.cell));
        if (leaf.cell.length == CellTreeLib.CELL_BYTES) {
            require(element < ELEMENTS_PER_CELL, ScalarIsCanonical(element));
            uint256 scalar = uint256(bytes32(leaf.cell[32 * element:32 * element + 32]));
            require(!ScalarLib.isCanonical(scalar), ScalarIsCanonical(element));
        }
        return _convictBlob(leaf.blobId, leaf.column);
    }

    /// @inheritdoc IDaCourt
    function disputeProofPoint(DaLeaf calldata leaf, DaPointFault fault, bytes calldata y)
        external
        returns (bytes32 faultId)
    {
        _checkLeaf(_rootsOfOpen(leaf.blobId), leaf, leaf.proof, keccak256(leaf.cell));
        require(_isFaulty(leaf.proof, fault, y), PointIsValid());
        return _convictBlob(leaf.blobId, leaf.column);
    }

    /// @inheritdoc IDaCourt
    function disputeCommitmentPoint(
        bytes32 blobId,
        uint256 blobIndex,
        DaCommitmentLeaf calldata commitment,
        DaPointFault fault,
        bytes calldata y
    ) external returns (bytes32 faultId) {
        _checkCommitment(_rootsOfOpen(blobId), blobId, blobIndex, commitment.commitment, commitment.path);
        require(_isFaulty(commitment.commitment, fault, y), PointIsValid());
        return _convictBlob(blobId, CellTreeLib.COLUMNS);
    }

    /// @inheritdoc IDaCourt
    function disputeHeaders(
        DaHeader calldata headerA,
        bytes calldata signatureA,
        DaHeader calldata headerB,
        bytes calldata signatureB
    ) external returns (bytes32 faultId) {
        (bytes32 blobA, bytes32 blobB) = _rivals(headerA, headerB);
        address disperser = headerA.disperser;
        _checkHeaderSignature(disperser, blobA, signatureA);
        _checkHeaderSignature(disperser, blobB, signatureB);
        (uint64 epoch, uint64 nonce) = (headerA.epoch, headerA.nonce);
        faultId = keccak256(abi.encode(HEADERS_TAG, disperser, epoch, nonce));
        _convictSigners(faultId, faultId, disperser, epoch, 0);
        emit DisperserEquivocated(faultId, disperser, msg.sender, epoch, nonce);
    }

    /// @inheritdoc IDaCourt
    function disputeAttestations(DaDoubleAttestation calldata evidence) external returns (bytes32 faultId) {
        (bytes32 blobA, bytes32 blobB) = _rivals(evidence.headerA, evidence.headerB);
        DaHeader calldata header = evidence.headerA;
        uint256 signers = evidence.signersA & evidence.signersB & type(uint128).max;
        require(signers != 0, NobodySignedBoth());
        _checkAttestation(header.epoch, blobA, evidence.signersA, evidence.signatureA);
        _checkAttestation(header.epoch, blobB, evidence.signersB, evidence.signatureB);
        bytes32 scope = keccak256(abi.encode(ATTESTATIONS_TAG, header.disperser, header.epoch, header.nonce));
        // Further signers of the same nonce are another fault; who is in both is slashed once.
        faultId = keccak256(abi.encode(scope, signers));
        _convictSigners(faultId, scope, header.disperser, header.epoch, signers);
        emit AttestersEquivocated(faultId, header.epoch, msg.sender, signers);
    }

    /// @inheritdoc IDaCourt
    function verifyCell(
        DaLeaf calldata leaf,
        DaCommitmentLeaf calldata commitment,
        DaCellEvidence calldata evidence
    ) external view returns (bool) {
        return _fits(_rootsOf(leaf.blobId), leaf, commitment, evidence);
    }

    function _rootsOf(bytes32 blobId) private view returns (Roots memory roots) {
        (roots.blobCount, roots.expiresAt, roots.commitmentsRoot, roots.cellsRoot) = _da.rootsOf(blobId);
        require(roots.blobCount != 0, BlobUnknown(blobId));
    }

    /// @dev While faults of the blob can be proved: the last period of its window is left for punishing.
    function _rootsOfOpen(bytes32 blobId) private view returns (Roots memory roots) {
        roots = _rootsOf(blobId);
        uint256 closedAtPeriod = roots.expiresAt + _disputePeriods - 1;
        uint256 period = ClockLib.periodAt(_startBlock, _periodBlocks, block.number);
        require(period < closedAtPeriod, DisputeClosed(blobId, closedAtPeriod));
    }

    /// @dev Whether a published cell fits its published commitment; reverts unless the evidence decides it.
    function _fits(
        Roots memory roots,
        DaLeaf calldata leaf,
        DaCommitmentLeaf calldata commitment,
        DaCellEvidence calldata evidence
    ) private view returns (bool) {
        CellClaim memory claim;
        claim.blobId = leaf.blobId;
        claim.blobIndex = leaf.blobIndex;
        claim.column = leaf.column;
        claim.commitment = commitment.commitment;
        claim.proof = leaf.proof;
        bytes memory cell = leaf.cell;
        bytes32 cellHash = keccak256(cell);
        _checkLeaf(roots, leaf, claim.proof, cellHash);
        _checkCommitment(roots, claim.blobId, claim.blobIndex, claim.commitment, commitment.path);
        claim.commitmentY = evidence.commitmentY;
        claim.proofY = evidence.proofY;
        claim.interpolant = evidence.interpolant;
        claim.opening = evidence.opening;
        return KzgLib.fits(claim, cell, cellHash);
    }

    function _checkLeaf(Roots memory roots, DaLeaf calldata leaf, bytes memory proof, bytes32 cellHash) private pure {
        require(
            CellTreeLib.verifyCell(
                roots.cellsRoot, roots.blobCount, leaf.blobIndex, leaf.column, proof, cellHash, leaf.path
            ),
            WrongLeaf(leaf.blobId, leaf.blobIndex, leaf.column)
        );
    }

    function _checkCommitment(
        Roots memory roots,
        bytes32 blobId,
        uint256 blobIndex,
        bytes memory commitment,
        bytes32[] calldata path
    ) private pure {
        require(
            CellTreeLib.verifyCommitment(roots.commitmentsRoot, roots.blobCount, blobIndex, commitment, path),
            WrongCommitmentLeaf(blobId, blobIndex)
        );
    }

    /// @dev Whether these 48 bytes have this fault; each is computed, none is read from a call that failed.
    function _isFaulty(bytes memory point, DaPointFault fault, bytes calldata y) private view returns (bool) {
        bool canonical = BlsLib.isCanonicalCompressed(point);
        if (fault == DaPointFault.NotCanonical) return !canonical;
        require(canonical, PointIsValid());
        if (fault == DaPointFault.NotOnCurve) return !BlsLib.hasPoint(point);
        return !BlsLib.isInG1Subgroup(BlsLib.g1Decompress(point, y));
    }

    /// @dev The ids of two different headers for one nonce.
    function _rivals(DaHeader calldata headerA, DaHeader calldata headerB)
        private
        view
        returns (bytes32 blobA, bytes32 blobB)
    {
        require(
            headerA.disperser == headerB.disperser && headerA.epoch == headerB.epoch && headerA.nonce == headerB.nonce,
            NotSameNonce()
        );
        blobA = _da.blobIdOf(headerA);
        blobB = _da.blobIdOf(headerB);
        require(blobA != blobB, SameHeader());
    }

    function _checkAttestation(uint256 epoch, bytes32 blobId, uint256 signers, bytes calldata signature) private view {
        bytes32 digest = _da.attestationDigest(blobId, epoch);
        require(
            _committee.verifyAttestation(epoch, digest, signers, signature) != 0, AttestationInvalid(blobId)
        );
    }

    function _checkHeaderSignature(address disperser, bytes32 blobId, bytes calldata signature) private pure {
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(blobId, signature);
        require(
            failure == ECDSA.RecoverError.NoError && recovered == disperser, HeaderSignatureInvalid(disperser)
        );
    }
}

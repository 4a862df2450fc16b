// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {DaHeader} from "./IDataAvailability.sol";

/// @notice A published leaf: cell (`blobIndex`, `column`) with its proof, under the header's `cellsRoot`.
/// @param proof compressed, 48 bytes, as the leaf has it
struct DaLeaf {
    bytes32 blobId;
    uint256 blobIndex;
    uint256 column;
    bytes cell;
    bytes proof;
    bytes32[] path;
}

/// @notice A published commitment, compressed, under the header's `commitmentsRoot`.
struct DaCommitmentLeaf {
    bytes commitment;
    bytes32[] path;
}

/// @notice What shows that a leaf's cell does not fit its commitment (variant B).
/// @param commitmentY y of the commitment, 64 bytes
/// @param proofY y of the proof, 64 bytes
/// @param interpolant R: commitment to the cell's interpolant, 128 bytes
/// @param opening W: opening of R at the Fiat-Shamir point, compressed, 48 bytes
struct DaCellEvidence {
    bytes commitmentY;
    bytes proofY;
    bytes interpolant;
    bytes opening;
}

/// @notice What can be wrong with a compressed point.
enum DaPointFault {
    NotCanonical,
    NotOnCurve,
    NotInSubgroup
}

/// @notice Two attestations of one member set for two headers of the same (disperser, epoch, nonce).
struct DaDoubleAttestation {
    DaHeader headerA;
    DaHeader headerB;
    uint256 signersA;
    uint256 signersB;
    bytes signatureA;
    bytes signatureB;
}

/// @notice Numbers of a network.
/// @param attesterSlashBps share of a member's stake of the epoch that a conviction costs
/// @param reporterBps reporter's share of each slash, at most half
struct DaCourtParams {
    uint16 attesterSlashBps;
    uint16 reporterBps;
}

/// @notice A recorded verdict.
/// @param due whether `punish` has still something to do
/// @param reporter who proved it; zero if the fault is unknown
/// @param opened whether the guilty are known already: from the first `punish`, for faults of leaves
/// @param guilty bit i: the member in slot i of `epoch` has still to be slashed
struct DaVerdict {
    bool due;
    bool opened;
    address reporter;
    address disperser;
    uint64 epoch;
    uint128 guilty;
}

/// @title IDaCourt
/// @notice Convicts on proof, never on failure: of cells that do not fit their commitment, of malformed leaves, and of
/// double signatures. A verdict is recorded first; `punish` carries it out.
/// @dev Evidence may come while `currentPeriod < expiresAt + disputePeriods - 1`: the last period is for punishing.
/// A disperser loses its bond once per blob or nonce, a member its share once per blob or nonce.
interface IDaCourt {
    /// @notice Fault `faultId` of `blobId` is proved; `columns` are those whose attesters are guilty too.
    event Convicted(bytes32 indexed faultId, bytes32 indexed blobId, address indexed reporter, uint256 columns);
    event DisperserEquivocated(
        bytes32 indexed faultId, address indexed disperser, address indexed reporter, uint256 epoch, uint256 nonce
    );
    event AttestersEquivocated(
        bytes32 indexed faultId, uint256 indexed epoch, address indexed reporter, uint256 signers
    );
    event Punished(bytes32 indexed faultId, address indexed operator, uint256 slashedWei);

    error AlreadyConvicted(bytes32 faultId);
    error FaultUnknown(bytes32 faultId);
    error NothingToPunish(bytes32 faultId);
    error BlobUnknown(bytes32 blobId);
    /// @notice Faults of the blob can no longer be proved.
    error DisputeClosed(bytes32 blobId, uint256 closedAtPeriod);
    error WrongLeaf(bytes32 blobId, uint256 blobIndex, uint256 column);
    error WrongCommitmentLeaf(bytes32 blobId, uint256 blobIndex);
    /// @notice The evidence does not show a fault: the cell fits.
    error CellIsValid(bytes32 blobId, uint256 blobIndex, uint256 column);
    error PointIsValid();
    error ScalarIsCanonical(uint256 element);
    error NotSameNonce();
    error SameHeader();
    error HeaderSignatureInvalid(address disperser);
    error AttestationInvalid(bytes32 blobId);
    error NobodySignedBoth();
    error InvalidParams();

    /// @notice Convicts a cell that does not fit its commitment. Only a pairing that returns 0 convicts.
    function disputeCell(DaLeaf calldata leaf, DaCommitmentLeaf calldata commitment, DaCellEvidence calldata evidence)
        external
        returns (bytes32 faultId);

    /// @notice Convicts a cell that has not 2,048 bytes, or with an element that is no canonical scalar.
    /// @param element 0 … 63; anything where the length is wrong
    function disputeScalar(DaLeaf calldata leaf, uint256 element) external returns (bytes32 faultId);

    /// @notice Convicts a leaf whose proof is no point of the group.
    /// @param y 64 bytes for NotInSubgroup, else empty
    function disputeProofPoint(DaLeaf calldata leaf, DaPointFault fault, bytes calldata y)
        external
        returns (bytes32 faultId);

    /// @notice Convicts a header with a commitment that is no point of the group, and all that attested it.
    /// @param y 64 bytes for NotInSubgroup, else empty
    function disputeCommitmentPoint(
        bytes32 blobId,
        uint256 blobIndex,
        DaCommitmentLeaf calldata commitment,
        DaPointFault fault,
        bytes calldata y
    ) external returns (bytes32 faultId);

    /// @notice Convicts a disperser that signed two headers for one nonce.
    function disputeHeaders(
        DaHeader calldata headerA,
        bytes calldata signatureA,
        DaHeader calldata headerB,
        bytes calldata signatureB
    ) external returns (bytes32 faultId);

    /// @notice Convicts the members that attested two headers of one nonce.
    function disputeAttestations(DaDoubleAttestation calldata evidence) external returns (bytes32 faultId);

    /// @notice Carries a verdict out for at most `maxOperators` of the guilty. Anyone; the rest stays due.
    function punish(bytes32 faultId, uint256 maxOperators) external returns (uint256 punished);

    /// @notice Whether the leaf's cell fits its commitment, with the same evidence as a dispute. For dApps.
    function verifyCell(
        DaLeaf calldata leaf,
        DaCommitmentLeaf calldata commitment,
        DaCellEvidence calldata evidence
    ) external view returns (bool);

    /// @notice The fault of a wrong leaf: blobId ^ (column + 1); of a wrong commitment with `column` 128.
    function faultIdOf(bytes32 blobId, uint256 column) external pure returns (bytes32 faultId);

    /// @notice A verdict and what is left of it.
    function verdictOf(bytes32 faultId) external view returns (DaVerdict memory);

    function params() external view returns (DaCourtParams memory);
}

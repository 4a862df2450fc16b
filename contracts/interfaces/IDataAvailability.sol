// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {IStakedService} from "./IStakedService.sol";

/// @notice What a disperser signs: everything that fixes a blob. Its EIP-712 digest is the blob id.
/// @param chainId this chain
/// @param da this contract
/// @param nonce never used by the disperser for another header of the same epoch
/// @param blobCount M, KZG blobs under this header, 1..256
/// @param payloadBytes length of the payload; a claim, like `payloadHash`: attesters hold columns and cannot check it
/// @param commitmentsRoot tree over the KZG commitments
/// @param cellsRoot tree over all cells with their proofs, column by column
/// @param expiresAt first period in which nobody needs to hold the data any more
struct DaHeader {
    uint8 version;
    uint64 chainId;
    address da;
    address disperser;
    uint64 epoch;
    uint64 nonce;
    uint16 blobCount;
    uint64 payloadBytes;
    bytes32 payloadHash;
    bytes32 commitmentsRoot;
    bytes32 cellsRoot;
    uint64 expiresAt;
}

/// @notice A quorum's signature for one blob.
/// @param signers bit i: the member in slot i signed
/// @param signature aggregate of 256 bytes (G2) over the digest of Attestation{blobId, epoch}
struct DaConfirmation {
    uint256 chainId;
    uint256 epoch;
    bytes32 blobId;
    uint256 signers;
    bytes signature;
}

/// @notice How far a blob is.
enum DaStatus {
    Unknown,
    Submitted,
    Soft,
    Final,
    Refunded
}

/// @notice A blob as the other contracts and agents read it.
/// @param number blobs are numbered from 1 in the order of submission
/// @param confirmBy first block in which it can no longer be confirmed
/// @param columns bit k: the holder of column k attested
/// @param forfeited bit k: the pay of column k is lost (missed audit or conviction)
/// @param convictedAtBlock when the court convicted it, 0 if never
/// @param finalAtBlock when it became FINAL, 0 if it is not
/// @param confirmedAtBlock when it was last confirmed, 0 if never
/// @param claimed whether its fee has been shared
struct DaBlob {
    DaStatus status;
    address disperser;
    address payer;
    uint64 epoch;
    uint64 nonce;
    uint64 number;
    uint16 blobCount;
    uint64 submittedAtBlock;
    uint64 confirmBy;
    uint64 expiresAt;
    uint64 finalAtBlock;
    uint64 convictedAtBlock;
    uint64 confirmedAtBlock;
    bool claimed;
    uint128 feeWei;
    uint128 columns;
    uint128 forfeited;
    bytes32 commitmentsRoot;
    bytes32 cellsRoot;
}

/// @notice What an audit needs of a blob. `confirmedAtBlock`: when columns were last added, 0 if never confirmed.
struct DaAudit {
    bytes32 blobId;
    uint64 epoch;
    uint64 confirmedAtBlock;
    uint64 expiresAt;
    uint16 blobCount;
    uint128 columns;
    bytes32 cellsRoot;
}

/// @notice Numbers of a network. Data is there if the columns signed reach `adversary + 64`: checked at deployment.
/// @param pricePerBlobPeriodWei fee per KZG blob and period
/// @param bondWei what a disperser must keep allocated
/// @param softColumns quorum of SOFT, with `softAdversary` columns in bad hands
/// @param finalColumns quorum of FINAL, with `finalAdversary` columns in bad hands
/// @param confirmBlocks blocks after submission within which a blob may be confirmed
/// @param minRetentionPeriods least and `maxRetentionPeriods` most time from submission to expiry
/// @param bucketPeriods expiries fall on multiples of this
/// @param disputePeriods how long after expiry faults may still be proved
/// @param maintenanceBps share of a fee that goes to the pot (bounties, forming committees)
/// @param unconfirmedBps share of the fee kept when a blob is not confirmed
struct DaParams {
    uint128 pricePerBlobPeriodWei;
    uint128 bondWei;
    uint8 softColumns;
    uint8 softAdversary;
    uint8 finalColumns;
    uint8 finalAdversary;
    uint32 confirmBlocks;
    uint32 minRetentionPeriods;
    uint32 maxRetentionPeriods;
    uint32 bucketPeriods;
    uint32 disputePeriods;
    uint16 maintenanceBps;
    uint16 unconfirmedBps;
}

/// @title IDataAvailability
/// @notice Blobs: paid headers, attested by the committee, final, expired. Holds all money of DA; also the service
/// "disperser" of Staking, whose bond a convicted disperser loses.
interface IDataAvailability is IStakedService {
    event BlobSubmitted(
        bytes32 indexed blobId,
        address indexed disperser,
        address indexed payer,
        uint64 number,
        DaHeader header,
        uint256 feeWei
    );
    /// @notice `columns` are all columns attested so far.
    event BlobConfirmed(
        bytes32 indexed blobId, DaStatus indexed status, uint256 signers, uint256 columns, bytes signature
    );
    event BlobRefunded(bytes32 indexed blobId, address indexed payer, uint256 refundWei);
    /// @notice The court convicted the blob; `columns` lose their pay.
    event BlobConvicted(bytes32 indexed blobId, uint256 columns);
    /// @notice Pay of `columns` was lost to the pot.
    event ColumnsForfeited(bytes32 indexed blobId, uint256 columns);
    event BlobClaimed(bytes32 indexed blobId, uint256 toMembersWei, uint256 toPayerWei, uint256 toPotWei);
    /// @notice `account` was credited from a fee, or with what it had paid too much.
    event Credited(address indexed account, uint256 amountWei);
    event Withdrawn(address indexed account, address indexed to, uint256 amountWei);
    /// @notice `account` was credited from the pot.
    event PotPaid(address indexed account, uint256 amountWei);

    error AlreadyWired();
    error NotDeployer(address caller);
    error NotAuthorized(address caller);
    error InvalidParams();
    /// @notice Stake could leave before the last fault that it answers for can be proved.
    error ExitDelayTooShort(uint256 neededPeriods, uint256 exitDelayPeriods);
    /// @notice `quorum >= adversary + 64` does not hold.
    error UnsafeQuorum(uint256 quorumColumns, uint256 adversaryColumns);
    error WrongVersion(uint256 version);
    error WrongChain(uint256 expected, uint256 got);
    error WrongContract(address expected, address got);
    error WrongEpoch(uint256 expected, uint256 got);
    /// @notice No committee has been formed yet.
    error NoCommittee();
    error NonceUsed(address disperser, uint256 epoch, uint256 nonce);
    error BlobCountMismatch(uint256 blobCount, uint256 payloadBytes);
    /// @notice An expiry lies in this range, on a bucket, and early enough that who attests now can still be slashed.
    error WrongExpiry(uint256 expiresAt, uint256 earliest, uint256 latest);
    error DisperserSignatureInvalid(address disperser);
    error InsufficientBond(address disperser, uint256 neededWei, uint256 backingWei);
    error DisperserConvicted(address disperser);
    error Underpaid(uint256 feeWei, uint256 paidWei);
    error AlreadySubmitted(bytes32 blobId);
    error BlobUnknown(bytes32 blobId);
    error NotConfirmable(bytes32 blobId, DaStatus status);
    error NotClaimable(bytes32 blobId, DaStatus status);
    error ConfirmationClosed(bytes32 blobId, uint256 closedAtBlock);
    error ConfirmationOpen(bytes32 blobId, uint256 closesAtBlock);
    error BlobIsConvicted(bytes32 blobId);
    error AttestationInvalid(bytes32 blobId);
    error TooFewColumns(uint256 columns, uint256 needed);
    /// @notice A later confirmation must keep all columns and add some.
    error NothingAdded(uint256 columns, uint256 before);
    error TooEarly(uint256 period, uint256 readyAtPeriod);
    error AlreadyClaimed(bytes32 blobId);
    error WrongCommitmentPath(bytes32 blobId, uint256 blobIndex);
    error ZeroAddress();
    error NothingToWithdraw(address account);
    error TransferFailed(address to, uint256 amountWei);

    /// @notice Connects the ledger to the contracts that may instruct it, once, by the deployer.
    function wire(address prover, address court) external;

    /// @notice Puts a signed header on chain and pays for it: `feeOf`. Anyone; what is paid too much is credited.
    function submit(DaHeader calldata header, bytes calldata signature) external payable returns (bytes32 blobId);

    /// @notice Confirms a blob with a quorum's signature, or adds columns to it. Anyone.
    function confirm(DaConfirmation calldata confirmation) external returns (DaStatus status);

    /// @notice Gives the fee of a blob that was not confirmed in time back, less a share. Anyone.
    function refund(bytes32 blobId) external;

    /// @notice Shares the fee of an expired blob among those who attested and kept it. Anyone, once per blob.
    function claim(bytes32 blobId) external;

    /// @notice Opens the storage of an account, so that to credit it is cheap from the first time on. Anyone.
    function openAccount(address account) external;

    /// @notice Sends all that the sender may withdraw to `to`.
    function withdraw(address to) external returns (uint256 amountWei);

    /// @notice Convicts a blob: never FINAL from now on; `columns` lose their pay. Only the court.
    function convict(bytes32 blobId, uint256 columns) external;

    /// @notice The pay of `columns` goes to the pot. Only the prover.
    function forfeit(bytes32 blobId, uint256 columns) external;

    /// @notice Takes the bond of a convicted disperser. Only the court.
    function slashDisperser(address disperser, bytes32 faultId, address reporter, uint256 reporterBps)
        external
        returns (uint256 slashedWei);

    /// @notice Credits `account` from the pot, as far as it reaches. Only committee and prover.
    function payFromPot(address account, uint256 amountWei) external returns (uint256 paidWei);

    /// @notice EIP-712 digest of a header: the blob id.
    function blobIdOf(DaHeader calldata header) external view returns (bytes32);

    /// @notice What the members sign for a blob.
    function attestationDigest(bytes32 blobId, uint256 epoch) external view returns (bytes32);

    /// @notice What a blob costs for so many periods, the present one included.
    function feeOf(uint256 blobCount, uint256 retentionPeriods) external view returns (uint256);

    function blobOf(bytes32 blobId) external view returns (DaBlob memory);

    /// @notice What a blob's leaves are proved against, and until when; `blobCount` is 0 if the blob is unknown.
    function rootsOf(bytes32 blobId)
        external
        view
        returns (uint256 blobCount, uint256 expiresAt, bytes32 commitmentsRoot, bytes32 cellsRoot);

    /// @notice What the prover needs of blob `number`, in one read.
    function auditOf(uint256 number) external view returns (DaAudit memory);

    /// @notice First period in which nobody needs to hold blob `number` any more.
    function expiryOf(uint256 number) external view returns (uint256 period);

    /// @notice The id of blob `number` (from 1); zero if there is none.
    function blobAt(uint256 number) external view returns (bytes32 blobId);

    function blobTotal() external view returns (uint256);

    /// @notice FINAL quorum reached, and not convicted before it. Never turns back.
    function isFinal(bytes32 blobId) external view returns (bool);

    /// @notice Whether `cell` with its proof is cell (`blobIndex`, `column`) of a confirmed blob. Merkle only; the KZG
    /// check is the court's.
    function verifyCell(
        bytes32 blobId,
        uint256 blobIndex,
        uint256 column,
        bytes calldata cell,
        bytes calldata proof,
        bytes32[] calldata path
    ) external view returns (bool);

    /// @notice The EIP-4844 versioned hash of commitment `blobIndex`, proved against the header.
    function versionedHashOf(bytes32 blobId, uint256 blobIndex, bytes calldata commitment, bytes32[] calldata path)
        external
        view
        returns (bytes32);

    /// @notice Whether a disperser has lost its bond to the court: it cannot submit any more.
    function isConvicted(address disperser) external view returns (bool);

    function isNonceUsed(address disperser, uint256 epoch, uint256 nonce) external view returns (bool);

    function potWei() external view returns (uint256);

    function creditOf(address account) external view returns (uint256);

    /// @notice Fees in escrow, pot and credits: all that this contract owes.
    function accountedWei() external view returns (uint256);

    /// @notice Expiries fall on multiples of this.
    function bucketPeriods() external view returns (uint256);

    function params() external view returns (DaParams memory);
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

/// @notice Parameters of `InferenceServing`.
/// @param minProviderStakeWei stake behind a service
/// @param faultSlashWei what one refuted settlement costs its provider; at most the stake
/// @param defaultDailyCapWei most that open mode may take from a new account on one UTC day
/// @param lockSec how long money asked back stays chargeable; also the grace: how old a receipt may be
/// when it is settled
/// @param noticeSec from the announcement of a dearer or otherwise changed service to its beginning
/// @param challengeSec how long a fee of open mode is held and its receipts may be demanded
/// @param answerSec from a demand to the last moment for the receipts
/// @param userBps the user's part of a slash, at most half
struct InferenceParams {
    uint256 minProviderStakeWei;
    uint256 faultSlashWei;
    uint256 defaultDailyCapWei;
    uint32 lockSec;
    uint32 noticeSec;
    uint32 challengeSec;
    uint32 answerSec;
    uint16 userBps;
}

/// @notice What a provider announces. Prices in wei per unit: token, image or second, as the type says.
struct ServiceParams {
    string serviceType;
    string url;
    string model;
    string verifiability;
    uint256 inputPrice;
    uint256 outputPrice;
    string additionalInfo;
    address teeSignerAddress;
}

/// @notice A service. `teeSignerAcknowledged`: listed, staked, and not revoked by the owner.
struct Service {
    address provider;
    string serviceType;
    string url;
    uint256 inputPrice;
    uint256 outputPrice;
    uint256 updatedAt;
    string model;
    string verifiability;
    string additionalInfo;
    address teeSignerAddress;
    bool teeSignerAcknowledged;
}

/// @notice Money asked back, free `lockTime` after `createdAt` (seconds). `processed` is always false: what has been
/// paid back leaves the list.
struct Refund {
    uint256 index;
    uint256 amount;
    uint256 createdAt;
    bool processed;
}

/// @notice A sub-account. `balance` includes `pendingRefund`. Nonce, generation and bitmap outlive it.
struct Account {
    address user;
    address provider;
    uint256 nonce;
    uint256 balance;
    uint256 pendingRefund;
    Refund[] refunds;
    string additionalInfo;
    bool acknowledged;
    uint256 validRefundsLength;
    uint256 generation;
    uint256 revokedBitmap;
}

/// @notice A fee that the service's signer claims from a user; `requestsHash` is that of `ReceiptLib`.
struct TEESettlementData {
    address user;
    address provider;
    uint256 totalFee;
    bytes32 requestsHash;
    uint256 nonce;
    bytes signature;
}

/// @notice A user's promise: all that `provider` ever takes from it stays within `ceilingWei`, which counts from the
/// first wei ever settled between the two (`settledOf`).
/// @param inputPriceWei and outputPriceWei the dearest unit prices at which the user buys
/// @param modelRoot manifest root of the model the user asked for; zero for any
struct Voucher {
    address user;
    address provider;
    uint256 ceilingWei;
    uint256 inputPriceWei;
    uint256 outputPriceWei;
    bytes32 modelRoot;
    uint256 validUntilSec;
}

/// @notice A provider's consent that `user` takes `amountWei` back at once. Nonces increase per user and provider.
struct Release {
    address user;
    uint256 amountWei;
    uint256 nonce;
    uint256 validUntilSec;
}

/// @notice A fee of open mode: `Held` until the challenge window is over, or demanded; in the end one of the others.
enum HeldState {
    Unknown,
    Held,
    Demanded,
    Released,
    Returned
}

/// @notice Why a held fee went back to its user.
enum ReceiptFault {
    None,
    Unanswered,
    /// The leaves do not add up to the fee claimed.
    Sum,
    /// A nonce repeats, falls, or lies outside this settlement.
    Nonce,
    /// A price epoch that had not begun at the settlement, or had ended longer than the grace before it.
    Epoch,
    /// A fee above units times the lesser of the epoch's price and the user's maximum.
    Price
}

/// @notice A held fee and what its receipts are held against.
/// @param amountWei what was taken; less than `totalFeeWei` where a limit cut it
/// @param earlierNonce nonce of the pair's settlement before; receipts lie above it, up to `nonce`
/// @param lastEpoch the price epoch in force at the settlement
/// @param maxInputPriceWei and maxOutputPriceWei the greatest maxima of the user in force within the grace before it
struct HeldFee {
    address user;
    uint40 heldAtSec;
    HeldState state;
    uint32 lastEpoch;
    address provider;
    uint40 demandedAtSec;
    uint96 amountWei;
    uint96 totalFeeWei;
    uint64 earlierNonce;
    bytes32 requestsHash;
    uint96 maxInputPriceWei;
    uint96 maxOutputPriceWei;
    uint64 nonce;
}

/// @title IInferenceEvents
/// @notice What both halves of `IInferenceServing` emit and refuse.
interface IInferenceEvents {
    event AccountDeleted(address indexed user, address indexed provider, uint256 refundedAmount);
    event AllTokensRevoked(address indexed user, address indexed provider, uint256 newGeneration);
    event BalanceUpdated(address indexed user, address indexed provider, uint256 amount, uint256 pendingRefund);
    event BatchBalanceUpdated(address[] users, uint256[] balances, uint256[] pendingRefunds);
    event ContractInitialized(address indexed owner, uint256 lockTime, address ledgerAddress);
    /// @notice Once, with 1, when deployed.
    event Initialized(uint8 version);
    event LockTimeUpdated(uint256 oldLockTime, uint256 newLockTime);
    /// @notice Part of the public ABI, never emitted: stake moves in `Staking`.
    event ProviderStakeReturned(address indexed provider, uint256 amount);
    /// @notice Part of the public ABI, never emitted: stake moves in `Staking`.
    event ProviderStaked(address indexed provider, uint256 amount);
    event ProviderTEESignerAcknowledged(address indexed provider, address indexed teeSignerAddress, bool acknowledged);
    event RefundRequested(address indexed user, address indexed provider, uint256 indexed index, uint256 timestamp);
    event ServiceRemoved(address indexed service);
    /// @notice What the provider announced; what of it counts only later is in `ServiceChangeScheduled`.
    event ServiceUpdated(
        address indexed service,
        string serviceType,
        string url,
        uint256 inputPrice,
        uint256 outputPrice,
        uint256 updatedAt,
        string model,
        string verifiability
    );
    event TEESettlementResult(address indexed user, uint8 status, uint256 unsettledAmount);
    event TokenRevoked(address indexed user, address indexed provider, uint8 tokenId);
    event TokensRevoked(address indexed user, address indexed provider, uint8[] tokenIds);

    /// @notice An epoch that has not begun may be replaced, by an event with the same number.
    event PriceEpochSet(
        address indexed provider,
        uint256 indexed priceEpoch,
        uint256 inputPriceWei,
        uint256 outputPriceWei,
        uint256 fromSec
    );
    event ServiceChangeScheduled(address indexed provider, uint256 fromSec, string model, address teeSignerAddress);
    event MaxPriceSet(address indexed user, address indexed provider, uint256 inputPriceWei, uint256 outputPriceWei);
    event DailyCapSet(address indexed user, address indexed provider, uint256 capWei);
    event CeilingRaised(address indexed user, address indexed provider, uint256 ceilingWei, bytes32 modelRoot);
    event RefundReleased(address indexed user, address indexed provider, uint256 amountWei, uint256 nonce);
    event FeeSettled(
        address indexed user, address indexed provider, uint256 nonce, bytes32 requestsHash, uint256 paidWei
    );
    event FeeHeld(uint256 indexed heldId, address indexed user, address indexed provider, uint256 amountWei);
    event ReceiptsDemanded(
        uint256 indexed heldId, address indexed user, address indexed provider, uint256 answerBySec
    );
    event HeldFeeReleased(uint256 indexed heldId, address indexed provider, uint256 amountWei);
    event HeldFeeReturned(
        uint256 indexed heldId, address indexed user, ReceiptFault fault, uint256 amountWei, uint256 slashedWei
    );
    event EarningsWithdrawn(address indexed provider, address indexed to, uint256 amountWei);

    error AccountExists(address user, address provider);
    error AccountNotExists(address user, address provider);
    error AdditionalInfoTooLong();
    error AlreadyInitialized();
    error BatchSizeTooLarge(uint256 size, uint256 max);
    error CallerNotLedger(address caller);
    /// @notice Stake lies in `Staking`: nothing may be sent with a service.
    error CannotAddStakeWhenUpdating();
    error CannotRevokeWithNonZeroBalance(address user, address provider, uint256 balance);
    error DirectDepositsDisabled();
    error InsufficientStake(uint256 provided, uint256 required);
    error InvalidAddress(address addr);
    error InvalidTEESignature(string reason);
    error LimitTooLarge(uint256 limit, uint256 max);
    error LockTimeOutOfRange(uint256 lockTime, uint256 min, uint256 max);
    error NoSettlementsProvided();
    error ProviderCannotBeUser();
    error ServiceNotExist(address provider);
    /// @notice Part of the public ABI, never thrown: a sixth request joins the fifth.
    error TooManyRefunds(address user, address provider);
    error TooManySettlements(uint256 count, uint256 max);
    error TransferFailed();
    error InvalidParams();
    error OwnershipNotRenounceable();
    error AccountNotEmpty(address user, address provider, uint256 balanceWei);
    error TextTooLong(uint256 length, uint256 max);
    error PriceTooHigh(uint256 priceWei, uint256 max);
    /// @notice The owner of the model asks for more.
    error PriceBelowFloor(
        uint256 inputPriceWei, uint256 outputPriceWei, uint256 inputFloorWei, uint256 outputFloorWei
    );
    error PriceEpochUnknown(address provider, uint256 priceEpoch);
    /// @notice 255 marks tokens that expire by themselves.
    error TokenIdReserved(uint8 tokenId);
    error NotVoucherProvider(address caller, address provider);
    error SignatureExpired(uint256 nowSec, uint256 validUntilSec);
    error SignatureInvalid(address signer);
    error CeilingNotRaised(uint256 ceilingWei, uint256 currentWei);
    error PriceAboveVoucher(uint256 inputPriceWei, uint256 outputPriceWei);
    error NotReleaseUser(address caller, address user);
    error NonceUsed(uint256 nonce, uint256 lastNonce);
    error NothingToWithdraw(address account);
    error NotHeldUser(uint256 heldId, address caller);
    error WrongHeldState(uint256 heldId, HeldState state);
    error WindowClosed(uint256 heldId, uint256 closedAtSec);
    error WindowOpen(uint256 heldId, uint256 closesAtSec);
    error TooManyReceipts(uint256 count, uint256 max);
    /// @notice These are not the receipts that the settlement committed to.
    error ReceiptsMismatch(uint256 heldId, bytes32 requestsHash);
}

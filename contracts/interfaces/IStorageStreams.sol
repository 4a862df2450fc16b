// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

/// @dev Why money was credited: the indexed `reason` of `Credited`.
bytes32 constant REASON_BOND = "bond";
bytes32 constant REASON_BOUNTY = "bounty";
bytes32 constant REASON_PIN = "pin";
bytes32 constant REASON_REFUND = "refund";
bytes32 constant REASON_REMAINDER = "remainder";

/// @notice One custodian's share of a deal's stream.
struct ProviderRate {
    address provider;
    uint96 ratePerPeriod;
}

/// @notice Money side of a seal.
/// @param txSeq Deal.
/// @param owner Gets the rounding remainder.
/// @param startPeriod First period paid.
/// @param endPeriod First period not paid; a multiple of bucketPeriods.
/// @param grossPerPeriod What the deal spends per period: the custodians' rates and the pot's.
/// @param slashNeedWei One slash at the live count of this seal: the least stake a custodian needs.
struct OpenDeal {
    uint256 txSeq;
    address owner;
    uint32 startPeriod;
    uint32 endPeriod;
    uint96 grossPerPeriod;
    uint128 slashNeedWei;
}

/// @title All money of the storage layer.
/// @notice Escrow of submissions, streams of deals to custodians, the pot of bounties, parity bonds. Other storage
/// contracts hold none.
interface IStorageStreams {
    event Deposited(uint256 indexed txSeq, uint256 amountWei);
    event DealOpened(uint256 indexed txSeq, uint256 grossPerPeriod, uint256 remainderWei);
    /// @notice Money became withdrawable, other than by a settled stream (`Claimed`). `reason` is one of the REASON_*
    /// constants.
    event Credited(address indexed to, uint256 amountWei, bytes32 indexed reason);
    /// @notice A provider's stream was settled up to (not including) `throughPeriod`: `paidWei` became withdrawable,
    /// `forfeitedWei` (periods unopened, forfeited or suspended) went to the pot.
    event Claimed(address indexed provider, uint256 throughPeriod, uint256 paidWei, uint256 forfeitedWei);
    event Forfeited(address indexed provider, uint256 indexed period);
    event Suspended(address indexed provider, uint256 indexed fromPeriod);
    event Reinstated(address indexed provider, uint256 indexed fromPeriod);
    event RateMoved(address indexed from, address indexed to, uint256 ratePerPeriod, uint256 fromPeriod);
    event RoundFunded(uint256 indexed period, uint256 potWei, uint256 bountyWei);
    event Withdrawn(address indexed account, address indexed to, uint256 amountWei);

    error AlreadyWired();
    error NotDeployer(address caller);
    error NotAuthorized(address caller);
    error ZeroAddress();
    error NothingToWithdraw(address account);
    error TransferFailed(address to, uint256 amountWei);
    error EscrowTooLow(uint256 txSeq, uint256 neededWei, uint256 escrowWei);
    /// @notice The account's stream lags more than 64 buckets behind: call `claim` for it first, or `advancePot` when
    /// the account is this contract.
    error StreamBehind(address account, uint256 reachedPeriod);
    error PotTooLow(uint256 neededWei, uint256 potWei);
    error RoundAlreadyOpen(uint256 period);
    error InvalidParams();

    /// @notice Connects the vault to the contracts that instruct it, once, by the deployer.
    function wire(address flow_, address market_, address prover_) external;

    /// @notice Takes the fee of a submission (or a top-up of it) into escrow. Only flow and market.
    function deposit(uint256 txSeq) external payable;

    /// @notice Starts a deal's streams from the next period on; value is the parity bond. Only market.
    /// The rounding remainder is credited to the owner.
    /// @return needsWei What each custodian needs with this deal, in the order of `rates`: its `needOf`.
    function openDeal(OpenDeal calldata opening, ProviderRate[] calldata rates)
        external
        payable
        returns (uint256[] memory needsWei);

    /// @notice Credits the escrow of an unsealed submission to its owner. Only market.
    function refund(uint256 txSeq, address owner) external returns (uint256 amountWei);

    /// @notice Credits a parity bond back. Only market.
    function releaseBond(address to, uint256 amountWei) external;

    /// @notice Moves a rate between providers from the next boundary on. Only market.
    /// @return needWei What `to` needs with this custody: its `needOf`.
    function moveRate(address from, address to, uint96 ratePerPeriod, uint32 endPeriod, uint128 slashNeedWei)
        external
        returns (uint256 needWei);

    /// @notice Opens a round: marks the period as paid and says what each bounty is; credits the pinner one. Only
    /// prover.
    function openRound(uint256 period, uint256 draws, address pinner) external returns (uint256 bountyWei);

    /// @notice Pays a bounty from the pot. Only prover.
    function payBounty(address to, uint256 amountWei) external;

    /// @notice Sends the provider's pay of the present period to the pot. Only prover.
    function forfeit(address provider) external;

    /// @notice Stops the provider's pay from the present period on. Only prover.
    function suspend(address provider) external;

    /// @notice Resumes the provider's pay from the next period on. Only prover.
    function reinstate(address provider) external;

    /// @notice Settles a provider's stream over closed periods, at most `maxBuckets` expiry buckets; repeatable, by
    /// anyone.
    /// @return throughPeriod First period not settled yet.
    function claim(address provider, uint256 maxBuckets) external returns (uint256 throughPeriod, uint256 paidWei);

    /// @notice Settles the pot's stream likewise; needed only after a long silence.
    function advancePot(uint256 maxBuckets) external returns (uint256 throughPeriod);

    /// @notice Sends everything credited to the caller.
    function withdraw(address to) external returns (uint256 amountWei);

    /// @notice Expiries fall on multiples of this many periods.
    function bucketPeriods() external view returns (uint256);

    /// @notice K: how many periods' pay backs a custody.
    function lockPeriods() external view returns (uint256);

    function escrowOf(uint256 txSeq) external view returns (uint256);
    function creditOf(address account) external view returns (uint256);
    function potWei() external view returns (uint256);

    /// @notice Money of sealed deals that no period has used yet.
    function streamingWei() external view returns (uint256);
    function bondsWei() external view returns (uint256);
    function escrowWei() external view returns (uint256);
    function creditsWei() external view returns (uint256);
    function isRoundOpen(uint256 period) external view returns (bool);
    function isSuspended(address provider) external view returns (bool);

    /// @notice Rate in force in the present period and in the next.
    function rateOf(address provider) external view returns (uint256 nowWei, uint256 nextWei);

    /// @notice What a call of `claim` over 64 buckets would credit now, and the first period it would leave.
    function claimable(address provider) external view returns (uint256 paidWei, uint256 throughPeriod);

    /// @notice K x the provider's rate: what backs its custody.
    function lockOf(address provider) external view returns (uint256);

    /// @notice The greater of its lock and one slash at the live count of its latest seal; 0 without custody.
    function needOf(address provider) external view returns (uint256);
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

/// @notice The two pools of an operator: its own stake, and what others delegate to it.
enum Pool {
    Self,
    Delegated
}

/// @notice Parameters of `Staking`; only the treasury may change after deployment.
/// @param exitDelayEpochs whole epochs between asking for stake and getting it
/// @param maxCommissionStepBps most that a commission may move within one epoch
/// @param treasury receives what a slash leaves after its beneficiaries; the zero address burns it
struct StakingParams {
    uint32 exitDelayEpochs;
    uint16 maxCommissionStepBps;
    address treasury;
}

/// @title IStaking
/// @notice One contract holds all stake. Each operator has two pools with their own shares, allocations and exits;
/// services are slashers registered on one of the two, and a slash touches that pool alone.
/// @dev Self pool: only the operator stakes; a service protects what it counts on through `minAllocation`.
/// Delegated pool: anyone delegates; a service is protected by the exit delay, so stake that has asked to leave no
/// longer counts as `backing`, and no service can hold a delegator's exit back.
interface IStaking {
    /// @notice A registered service.
    /// @param pool the pool it slashes; `registered` tells "Self" from "unknown"
    struct Service {
        bool registered;
        Pool pool;
        uint64 faultWindowBlocks;
        bytes32 kind;
    }

    /// @notice A pool in its present generation. Slashed to (nearly) nothing, it starts the next one with no shares.
    struct PoolView {
        uint256 tokensWei;
        uint256 shares;
        uint256 allocatedWei;
        uint256 exitingShares;
        uint256 generation;
    }

    /// @notice An exit waiting for release.
    struct Exit {
        address owner;
        uint64 releasableAtBlock;
        Pool pool;
        address operator;
        uint64 generation;
        uint256 shares;
    }

    event ServiceRegistered(address indexed service, Pool indexed pool, bytes32 indexed kind, uint64 faultWindowBlocks);
    event TreasurySet(address indexed treasury);
    event Deposited(
        address indexed operator, Pool indexed pool, address indexed owner, uint256 amountWei, uint256 shares
    );
    event Allocated(address indexed operator, address indexed service, uint256 amountWei, uint256 allocatedWei);
    event DeallocationRequested(
        address indexed operator,
        address indexed service,
        uint256 amountWei,
        uint256 pendingWei,
        uint256 completableAtBlock
    );
    event DeallocationCancelled(address indexed operator, address indexed service, uint256 amountWei);
    event DeallocationCompleted(
        address indexed operator, address indexed service, uint256 amountWei, uint256 allocatedWei
    );
    event ExitRequested(
        uint256 indexed exitId,
        address indexed operator,
        address indexed owner,
        Pool pool,
        uint256 shares,
        uint256 releasableAtBlock
    );
    event ExitCancelled(uint256 indexed exitId, address indexed operator, address indexed owner, uint256 shares);
    event ExitReleased(
        uint256 indexed exitId, address indexed operator, address indexed owner, uint256 shares, uint256 amountWei
    );
    /// @notice A release took `amountWei` from what was allocated to `service`.
    event AllocationReleased(
        address indexed operator, address indexed service, uint256 amountWei, uint256 allocatedWei
    );
    event Slashed(
        address indexed operator,
        address indexed service,
        bytes32 indexed faultId,
        uint256 requestedWei,
        uint256 slashedWei,
        uint256 allocatedWei
    );
    /// @notice A slash left a pool (nearly) empty: its shares are void and `generation` begins.
    event PoolWiped(address indexed operator, Pool indexed pool, uint256 generation);
    event Credited(address indexed account, uint256 amountWei);
    event Withdrawn(address indexed account, address indexed to, uint256 amountWei);
    event Burned(uint256 amountWei);
    event RewardAdded(address indexed operator, Pool indexed pool, uint256 amountWei, uint256 commissionWei);
    event CommissionSet(address indexed operator, uint256 bps);

    error ZeroAmount();
    error ZeroAddress();
    /// @notice Somebody must be able to register services and to set the treasury.
    error OwnershipNotRenounceable();
    /// @notice The amount is too small to buy one share.
    error ZeroShares(uint256 amountWei);
    error NotOperator(address account);
    error NotAContract(address service);
    error ServiceAlreadyRegistered(address service);
    error ServiceUnknown(address service);
    error TooManyServices(Pool pool, uint256 max);
    /// @notice A service on the delegated pool must find its faults within the exit delay.
    error FaultWindowTooLong(uint256 faultWindowBlocks, uint256 exitDelayBlocks);
    /// @notice Less is free (neither allocated nor asked back by an exit) than was asked for.
    error InsufficientFree(uint256 neededWei, uint256 freeWei);
    error InsufficientAllocation(uint256 neededWei, uint256 allocatedWei);
    error InsufficientShares(uint256 needed, uint256 held);
    error NothingPending(address operator, address service);
    error TooEarly(uint256 blockNumber, uint256 readyAtBlock);
    /// @notice The service still needs `minWei`, and only `remainingWei` would be left.
    error AllocationLocked(uint256 minWei, uint256 remainingWei);
    /// @notice `minAllocation` of the service failed or did not return exactly 32 bytes.
    error MinAllocationUnreadable(address service);
    /// @notice The exit needs more than services without a minimum can give now: retry later.
    error StakeLocked(uint256 neededWei, uint256 freeWei);
    error ExitUnknown(uint256 exitId);
    error NotExitOwner(uint256 exitId, address caller);
    error FaultAlreadyPunished(address service, bytes32 faultId);
    error TooManyBeneficiaries(uint256 count, uint256 max);
    error LengthMismatch(uint256 beneficiaries, uint256 bps);
    /// @notice Beneficiaries would get more than half.
    error HalfRule(uint256 sumBps, uint256 maxBps);
    error NothingToWithdraw(address account);
    error TransferFailed(address to, uint256 amountWei);
    error PoolEmpty(address operator, Pool pool);
    error CommissionTooHigh(uint256 bps);
    error CommissionStepTooLarge(uint256 fromBps, uint256 toBps, uint256 maxStepBps);
    error EpochNotStarted(uint256 epoch, uint256 currentEpoch);
    error InvalidParams();

    /// @notice Registers a slasher on one pool. Owner only; at most 8 per pool, for ever.
    /// @param service a contract; on the self pool it must implement `IStakedService`
    /// @param kind keccak256 of the service's noun
    /// @param faultWindowBlocks a slash for anything promised on stake falls less than this many blocks after the
    /// request to take that stake away; a service that counts on epoch snapshots includes the rest of the epoch
    function registerService(address service, Pool pool, bytes32 kind, uint64 faultWindowBlocks) external;

    /// @notice Sets who receives the rest of slashes; the zero address burns it. Owner only.
    function setTreasury(address treasury_) external;

    /// @notice Adds the value to the sender's own self pool; the sender must be an operator.
    function stake() external payable returns (uint256 shares);

    /// @notice Adds the value to the operator's delegated pool for the sender.
    function delegate(address operator) external payable returns (uint256 shares);

    /// @notice Puts free stake of the sender's pool behind `service`.
    function allocate(address service, uint256 amountWei) external;

    /// @notice Asks `amountWei` back from `service`. It stays slashable; a further request restarts the delay for all.
    function requestDeallocation(address service, uint256 amountWei) external;

    /// @notice Puts all that is pending at `service` behind it again.
    function cancelDeallocation(address service) external;

    /// @notice Frees what is pending, after the delay and, on the self pool, if the service's minimum stays covered.
    /// @dev Anyone may call it.
    function completeDeallocation(address operator, address service) external;

    /// @notice Asks the sender's `shares` back. They stay in the pool, rewarded and slashable, until release.
    function requestExit(address operator, Pool pool, uint256 shares) external returns (uint256 exitId);

    /// @notice Takes the sender's exit back.
    function cancelExit(uint256 exitId) external;

    /// @notice After the delay, moves the exit's worth at this moment's share price to its owner's claimable. Anyone.
    /// @dev Unallocated stake first, then pro rata from services without a minimum; `StakeLocked` if it is not enough.
    function release(uint256 exitId) external returns (uint256 amountWei);

    /// @notice Sends all that the sender may claim to `to`.
    function withdraw(address to) external returns (uint256 amountWei);

    /// @notice Sends what slashes left to burn to 0x…dEaD. Anyone.
    function burn() external returns (uint256 amountWei);

    /// @notice Slashes the operator's allocation to the calling service, pending de-allocation included.
    /// @param amountWei wanted; the slash takes the lesser of it and the allocation, and there is no debt
    /// @param faultId works once per service
    /// @param beneficiaries at most 4; each gets floor(slashed * bps / 10_000) as claimable
    /// @param bps sum at most 5,000: never more than half of a slash
    function slash(
        address operator,
        uint256 amountWei,
        bytes32 faultId,
        address[] calldata beneficiaries,
        uint256[] calldata bps
    ) external returns (uint256 slashedWei);

    /// @notice Adds the value to a pool that has shares; anyone may.
    /// @dev On the delegated pool the commission goes to the operator's claimable and the rest compounds.
    function addReward(address operator, Pool pool) external payable;

    /// @notice Sets the sender's commission on delegated rewards, within the step allowed per epoch.
    function setCommission(uint256 bps) external;

    /// @notice The allocation of `operator` to `service`, pending de-allocation included, and the pending part.
    function allocationOf(address operator, address service)
        external
        view
        returns (uint256 allocatedWei, uint256 pendingWei);

    /// @notice The block from which the pending de-allocation may be completed; 0 if none is pending.
    function completableAt(address operator, address service) external view returns (uint256 blockNumber);

    /// @notice What a service may count on now: allocation less pending and, on the delegated pool, the exits' part.
    function backing(address operator, address service) external view returns (uint256);

    /// @notice `backing` at the start of `epoch` (not in the future).
    function allocationAt(address operator, address service, uint256 epoch) external view returns (uint256);

    /// @notice Sum of `backing` over all operators now.
    function totalBacking(address service) external view returns (uint256);

    /// @notice Sum of `allocationAt` over all operators.
    function totalAllocationAt(address service, uint256 epoch) external view returns (uint256);

    /// @notice A pool of `operator`.
    function poolOf(address operator, Pool pool) external view returns (PoolView memory);

    /// @notice Shares of `owner` in a pool's present generation, those in exits left out.
    function sharesOf(address operator, Pool pool, address owner) external view returns (uint256);

    /// @notice What `shares` of a pool are worth now, rounded down.
    function worth(address operator, Pool pool, uint256 shares) external view returns (uint256 amountWei);

    /// @notice What `allocate` may take now: neither allocated nor asked back by an exit.
    function freeOf(address operator, Pool pool) external view returns (uint256);

    /// @notice An exit; all zero when unknown, cancelled or released.
    function exitOf(uint256 exitId) external view returns (Exit memory);

    /// @notice The number of exits ever asked for; ids are 1 … exitCount.
    function exitCount() external view returns (uint256);

    /// @notice What `account` may withdraw.
    function claimable(address account) external view returns (uint256);

    /// @notice What `burn` would send.
    function burnableWei() external view returns (uint256);

    /// @notice All that this contract owes: pools, claimable, burnable. Coins forced on it are not counted.
    function accountedWei() external view returns (uint256);

    /// @notice The commission of `operator` on delegated rewards.
    function commissionOf(address operator) external view returns (uint256 bps);

    /// @notice How a service is registered.
    function serviceOf(address service) external view returns (Service memory);

    /// @notice The services of a pool, at most 8.
    function servicesOf(Pool pool) external view returns (address[] memory);

    /// @notice Whether this service has already punished `faultId`.
    function isPunished(address service, bytes32 faultId) external view returns (bool);

    /// @notice The delay of exits and de-allocations in blocks.
    function exitDelayBlocks() external view returns (uint256);

    /// @notice Who receives the rest of slashes; zero means burn.
    function treasury() external view returns (address);

    /// @notice Most that a commission may move within one epoch.
    function maxCommissionStepBps() external view returns (uint256);
}

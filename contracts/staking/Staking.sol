// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {IOperatorRegistry} from "../interfaces/IOperatorRegistry.sol";
import {IStakedService} from "../interfaces/IStakedService.sol";
import {IStaking, Pool, StakingParams} from "../interfaces/IStaking.sol";
import {BoundedCallLib} from "../libraries/BoundedCallLib.sol";
import {ClockLib} from "../libraries/ClockLib.sol";
import {ShareLib} from "../libraries/ShareLib.sol";

/// @title Staking
/// @notice Holds all stake: two pools per operator, allocations to services, exits, slashes and rewards.
/// @dev
///   stake:  free --allocate--> allocated --requestDeallocation--> pending --delay, minimum covered--> free
///                                  ^-----------cancelDeallocation----/
///   shares: held --requestExit--> exiting --delay--> released (claimable) --withdraw--> paid
///             ^----cancelExit-------/
///   slash:  allocated or pending --> claimable of at most 4 beneficiaries (at most half) + treasury or burnable
///
/// Time is block numbers. Coins forced on this contract are never counted.
///
/// Invariants
/// 1. Sum of pools' tokens + claimable + burnable = accountedWei <= balance. (Exits lie in the pools until release.)
/// 2. The price of a share, (tokens + 1) / (shares + 1e6), falls only by slashing, within a generation.
/// 3. Per pool: sum of allocations = allocatedWei <= tokensWei; pending <= allocation. No wei is allocated twice.
/// 4. A slash takes exactly min(asked, allocation) from one pool and credits exactly that; a fault id works once.
/// 5. At most half of a slash goes to its beneficiaries.
/// 6. Nobody exits ahead of a fault: shares asked back stay slashable until release, and what a service counted on
///    before the request cannot leave within the delay.
/// 7. The snapshot of an epoch that has begun never changes, and the total of a service is the sum of its operators.
contract Staking is IStaking, Ownable2Step {
    using Checkpoints for Checkpoints.Trace208;
    using SafeCast for uint256;

    uint256 private constant BPS = 10_000;
    uint256 private constant MAX_BENEFICIARY_BPS = 5_000;
    uint256 private constant MAX_BENEFICIARIES = 4;
    /// @dev Bounds every loop over the services of a pool.
    uint256 private constant MAX_SERVICES = 8;
    uint256 private constant MIN_ALLOCATION_GAS = 500_000;
    address private constant BURN_ADDRESS = 0x000000000000000000000000000000000000dEaD;

    struct PoolState {
        uint128 tokensWei;
        uint128 allocatedWei;
        uint256 shares;
        uint256 exitingShares;
        uint64 generation;
    }

    struct Allocation {
        uint128 allocatedWei;
        uint128 pendingWei;
        uint64 completableAtBlock;
    }

    /// @dev `baseBps` is what the commission was when `epoch` began: the step is measured from there.
    struct Commission {
        uint16 bps;
        uint16 baseBps;
        uint64 epoch;
    }

    IOperatorRegistry private immutable _registry;
    uint256 private immutable _startBlock;
    uint256 private immutable _epochBlocks;
    uint256 private immutable _exitDelayBlocks;
    uint256 private immutable _maxCommissionStepBps;

    address private _treasury;
    uint256 private _accountedWei;
    uint256 private _burnableWei;
    uint256 private _exitCount;
    mapping(address service => Service) private _services;
    mapping(Pool pool => address[]) private _servicesOf;
    mapping(address operator => mapping(Pool pool => PoolState)) private _pools;
    /// @dev Held shares, those in exits left out, by pool generation: a wiped pool voids them all at once.
    mapping(address operator => mapping(Pool pool => mapping(uint256 generation => mapping(address owner => uint256))))
        private _shares;
    mapping(address operator => mapping(address service => Allocation)) private _allocations;
    mapping(address operator => mapping(address service => Checkpoints.Trace208)) private _backings;
    mapping(address service => Checkpoints.Trace208) private _totals;
    mapping(uint256 exitId => Exit) private _exits;
    mapping(address account => uint256) private _claimable;
    mapping(address operator => Commission) private _commissions;
    mapping(address service => mapping(bytes32 faultId => bool)) private _punished;

    constructor(address owner_, IOperatorRegistry registry, IBeacon beacon, StakingParams memory params)
        Ownable(owner_)
    {
        require(params.exitDelayEpochs != 0 && params.maxCommissionStepBps <= BPS, InvalidParams());
        _registry = registry;
        _startBlock = beacon.startBlock();
        _epochBlocks = beacon.periodBlocks() * beacon.epochPeriods();
        _exitDelayBlocks = params.exitDelayEpochs * _epochBlocks;
        _maxCommissionStepBps = params.maxCommissionStepBps;
        _treasury = params.treasury;
        emit TreasurySet(params.treasury);
    }

    modifier onlyOperator(address operator) {
        require(_registry.isOperator(operator), NotOperator(operator));
        _;
    }

    /// @inheritdoc IStaking
    function registerService(address service, Pool pool, bytes32 kind, uint64 faultWindowBlocks) external onlyOwner {
        require(service.code.length != 0, NotAContract(service));
        require(!_services[service].registered, ServiceAlreadyRegistered(service));
        require(_servicesOf[pool].length < MAX_SERVICES, TooManyServices(pool, MAX_SERVICES));
        require(
            pool == Pool.Self || faultWindowBlocks <= _exitDelayBlocks,
            FaultWindowTooLong(faultWindowBlocks, _exitDelayBlocks)
        );
        _services[service] = Service(true, pool, faultWindowBlocks, kind);
        _servicesOf[pool].push(service);
        emit ServiceRegistered(service, pool, kind, faultWindowBlocks);
    }

    /// @inheritdoc IStaking
    function setTreasury(address treasury_) external onlyOwner {
        _treasury = treasury_;
        emit TreasurySet(treasury_);
    }

    /// @inheritdoc IStaking
    function stake() external payable returns (uint256 shares) {
        return _deposit(msg.sender, Pool.Self);
    }

    /// @inheritdoc IStaking
    function delegate(address operator) external payable returns (uint256 shares) {
        return _deposit(operator, Pool.Delegated);
    }

    /// @inheritdoc IStaking
    function allocate(address service, uint256 amountWei) external {
        Pool pool = _poolOfService(service);
        require(amountWei != 0, ZeroAmount());
        uint256 freeWei = freeOf(msg.sender, pool);
        require(amountWei <= freeWei, InsufficientFree(amountWei, freeWei));

        Allocation storage allocation = _allocations[msg.sender][service];
        allocation.allocatedWei += amountWei.toUint128();
        _pools[msg.sender][pool].allocatedWei += amountWei.toUint128();
        _snapshot(msg.sender, pool, service);
        emit Allocated(msg.sender, service, amountWei, allocation.allocatedWei);
    }

    /// @inheritdoc IStaking
    function requestDeallocation(address service, uint256 amountWei) external {
        Pool pool = _poolOfService(service);
        require(amountWei != 0, ZeroAmount());
        Allocation storage allocation = _allocations[msg.sender][service];
        uint256 activeWei = allocation.allocatedWei - allocation.pendingWei;
        require(amountWei <= activeWei, InsufficientAllocation(amountWei, activeWei));

        allocation.pendingWei += uint128(amountWei);
        allocation.completableAtBlock = uint64(block.number + _exitDelayBlocks);
        _snapshot(msg.sender, pool, service);
        emit DeallocationRequested(
            msg.sender, service, amountWei, allocation.pendingWei, allocation.completableAtBlock
        );
    }

    /// @inheritdoc IStaking
    function cancelDeallocation(address service) external {
        Pool pool = _poolOfService(service);
        Allocation storage allocation = _allocations[msg.sender][service];
        uint256 amountWei = allocation.pendingWei;
        require(amountWei != 0, NothingPending(msg.sender, service));

        allocation.pendingWei = 0;
        allocation.completableAtBlock = 0;
        _snapshot(msg.sender, pool, service);
        emit DeallocationCancelled(msg.sender, service, amountWei);
    }

    /// @inheritdoc IStaking
    function completeDeallocation(address operator, address service) external {
        Pool pool = _poolOfService(service);
        Allocation storage allocation = _allocations[operator][service];
        uint256 amountWei = allocation.pendingWei;
        require(amountWei != 0, NothingPending(operator, service));
        require(
            block.number >= allocation.completableAtBlock, TooEarly(block.number, allocation.completableAtBlock)
        );
        uint256 remainingWei = allocation.allocatedWei - amountWei;
        if (pool == Pool.Self) {
            (bool ok, uint256 minWei) = _minAllocation(service, operator);
            require(ok, MinAllocationUnreadable(service));
            require(remainingWei >= minWei, AllocationLocked(minWei, remainingWei));
        }

        allocation.allocatedWei = uint128(remainingWei);
        allocation.pendingWei = 0;
        allocation.completableAtBlock = 0;
        _pools[operator][pool].allocatedWei -= uint128(amountWei);
        _snapshot(operator, pool, service);
        emit DeallocationCompleted(operator, service, amountWei, remainingWei);
    }

    /// @inheritdoc IStaking
    function requestExit(address operator, Pool pool, uint256 shares) external returns (uint256 exitId) {
        require(shares != 0, ZeroAmount());
        PoolState storage state = _pools[operator][pool];
        mapping(address owner => uint256) storage held = _shares[operator][pool][state.generation];
        require(shares <= held[msg.sender], InsufficientShares(shares, held[msg.sender]));

        exitId = ++_exitCount;
        uint64 releasableAtBlock = uint64(block.number + _exitDelayBlocks);
        held[msg.sender] -= shares;
        state.exitingShares += shares;
        _exits[exitId] = Exit(msg.sender, releasableAtBlock, pool, operator, state.generation, shares);
        _snapshotPool(operator, pool);
        emit ExitRequested(exitId, operator, msg.sender, pool, shares, releasableAtBlock);
    }

    /// @inheritdoc IStaking
    function cancelExit(uint256 exitId) external {
        Exit memory exit = _exits[exitId];
        require(exit.owner != address(0), ExitUnknown(exitId));
        require(exit.owner == msg.sender, NotExitOwner(exitId, msg.sender));

        delete _exits[exitId];
        PoolState storage state = _pools[exit.operator][exit.pool];
        // Shares of an earlier generation are void: there is nothing to give back.
        if (exit.generation == state.generation) {
            state.exitingShares -= exit.shares;
            _shares[exit.operator][exit.pool][exit.generation][msg.sender] += exit.shares;
            _snapshotPool(exit.operator, exit.pool);
        }
        emit ExitCancelled(exitId, exit.operator, msg.sender, exit.shares);
    }

    /// @inheritdoc IStaking
    function release(uint256 exitId) external returns (uint256 amountWei) {
        Exit memory exit = _exits[exitId];
        require(exit.owner != address(0), ExitUnknown(exitId));
        require(block.number >= exit.releasableAtBlock, TooEarly(block.number, exit.releasableAtBlock));

        delete _exits[exitId];
        PoolState storage state = _pools[exit.operator][exit.pool];
        if (exit.generation == state.generation) {
            amountWei = ShareLib.toWeiDown(exit.shares, state.tokensWei, state.shares);
            uint256 freeWei = state.tokensWei - state.allocatedWei;
            if (amountWei > freeWei) _takeAllocated(exit.operator, exit.pool, amountWei, freeWei);
            state.tokensWei -= uint128(amountWei);
            state.shares -= exit.shares;
            state.exitingShares -= exit.shares;
            _snapshotPool(exit.operator, exit.pool);
            _credit(exit.owner, amountWei);
        }
        emit ExitReleased(exitId, exit.operator, exit.owner, exit.shares, amountWei);
    }

    /// @inheritdoc IStaking
    function withdraw(address to) external returns (uint256 amountWei) {
        require(to != address(0), ZeroAddress());
        amountWei = _claimable[msg.sender];
        require(amountWei != 0, NothingToWithdraw(msg.sender));

        _claimable[msg.sender] = 0;
        _accountedWei -= amountWei;
        emit Withdrawn(msg.sender, to, amountWei);
        _send(to, amountWei);
    }

    /// @inheritdoc IStaking
    function burn() external returns (uint256 amountWei) {
        amountWei = _burnableWei;
        if (amountWei == 0) return 0;

        _burnableWei = 0;
        _accountedWei -= amountWei;
        emit Burned(amountWei);
        _send(BURN_ADDRESS, amountWei);
    }

    /// @inheritdoc IStaking
    function slash(
        address operator,
        uint256 amountWei,
        bytes32 faultId,
        address[] calldata beneficiaries,
        uint256[] calldata bps
    ) external returns (uint256 slashedWei) {
        _poolOfService(msg.sender);
        require(!_punished[msg.sender][faultId], FaultAlreadyPunished(msg.sender, faultId));
        _punished[msg.sender][faultId] = true;
        slashedWei = _slashPool(operator, amountWei, faultId);
        _share(slashedWei, beneficiaries, bps);
    }

    /// @inheritdoc IStaking
    function addReward(address operator, Pool pool) external payable {
        PoolState storage state = _pools[operator][pool];
        require(msg.value != 0, ZeroAmount());
        require(state.shares != 0, PoolEmpty(operator, pool));

        // The whole self pool is the operator's own: a commission on it would be one on himself.
        uint256 commissionWei = pool == Pool.Self ? 0 : Math.mulDiv(msg.value, _commissions[operator].bps, BPS);
        _accountedWei += msg.value;
        state.tokensWei += (msg.value - commissionWei).toUint128();
        _snapshotExits(operator, pool);
        _credit(operator, commissionWei);
        emit RewardAdded(operator, pool, msg.value, commissionWei);
    }

    /// @inheritdoc IStaking
    function setCommission(uint256 bps) external onlyOperator(msg.sender) {
        require(bps <= BPS, CommissionTooHigh(bps));
        Commission storage commission = _commissions[msg.sender];
        uint64 nextEpoch = _nextEpoch();
        // Epochs are stored plus one, so that the first change, even in epoch 0, sets the base too.
        if (commission.epoch != nextEpoch + 1) {
            commission.epoch = nextEpoch + 1;
            commission.baseBps = commission.bps;
        }
        uint256 fromBps = commission.baseBps;
        uint256 stepBps = bps > fromBps ? bps - fromBps : fromBps - bps;
        require(stepBps <= _maxCommissionStepBps, CommissionStepTooLarge(fromBps, bps, _maxCommissionStepBps));

        commission.bps = uint16(bps);
        emit CommissionSet(msg.sender, bps);
    }

    /// @inheritdoc IStaking
    function allocationOf(address operator, address service)
        external
        view
        returns (uint256 allocatedWei, uint256 pendingWei)
    {
        Allocation storage allocation = _allocations[operator][service];
        return (allocation.allocatedWei, allocation.pendingWei);
    }

    /// @inheritdoc IStaking
    function completableAt(address operator, address service) external view returns (uint256) {
        return _allocations[operator][service].completableAtBlock;
    }

    /// @inheritdoc IStaking
    function backing(address operator, address service) external view returns (uint256) {
        return _backing(operator, _services[service].pool, service);
    }

    /// @inheritdoc IStaking
    function allocationAt(address operator, address service, uint256 epoch) external view returns (uint256) {
        return _backings[operator][service].upperLookupRecent(_begunEpoch(epoch));
    }

    /// @inheritdoc IStaking
    function totalBacking(address service) external view returns (uint256) {
        return _totals[service].latest();
    }

    /// @inheritdoc IStaking
    function totalAllocationAt(address service, uint256 epoch) external view returns (uint256) {
        return _totals[service].upperLookupRecent(_begunEpoch(epoch));
    }

    /// @inheritdoc IStaking
    function poolOf(address operator, Pool pool) external view returns (PoolView memory) {
        PoolState storage state = _pools[operator][pool];
        return PoolView(state.tokensWei, state.shares, state.allocatedWei, state.exitingShares, state.generation);
    }

    /// @inheritdoc IStaking
    function sharesOf(address operator, Pool pool, address owner_) external view returns (uint256) {
        return _shares[operator][pool][_pools[operator][pool].generation][owner_];
    }

    /// @inheritdoc IStaking
    function worth(address operator, Pool pool, uint256 shares) external view returns (uint256) {
        PoolState storage state = _pools[operator][pool];
        return ShareLib.toWeiDown(shares, state.tokensWei, state.shares);
    }

    /// @inheritdoc IStaking
    function exitOf(uint256 exitId) external view returns (Exit memory) {
        return _exits[exitId];
    }

    /// @inheritdoc IStaking
    function exitCount() external view returns (uint256) {
        return _exitCount;
    }

    /// @inheritdoc IStaking
    function claimable(address account) external view returns (uint256) {
        return _claimable[account];
    }

    /// @inheritdoc IStaking
    function burnableWei() external view returns (uint256) {
        return _burnableWei;
    }

    /// @inheritdoc IStaking
    function accountedWei() external view returns (uint256) {
        return _accountedWei;
    }

    /// @inheritdoc IStaking
    function commissionOf(address operator) external view returns (uint256) {
        return _commissions[operator].bps;
    }

    /// @inheritdoc IStaking
    function serviceOf(address service) external view returns (Service memory) {
        return _services[service];
    }

    /// @inheritdoc IStaking
    function servicesOf(Pool pool) external view returns (address[] memory) {
        return _servicesOf[pool];
    }

    /// @inheritdoc IStaking
    function isPunished(address service, bytes32 faultId) external view returns (bool) {
        return _punished[service][faultId];
    }

    /// @inheritdoc IStaking
    function exitDelayBlocks() external view returns (uint256) {
        return _exitDelayBlocks;
    }

    /// @inheritdoc IStaking
    function treasury() external view returns (address) {
        return _treasury;
    }

    /// @inheritdoc IStaking
    function maxCommissionStepBps() external view returns (uint256) {
        return _maxCommissionStepBps;
    }

    /// @inheritdoc IStaking
    function freeOf(address operator, Pool pool) public view returns (uint256) {
        PoolState storage state = _pools[operator][pool];
        return Math.saturatingSub(state.tokensWei - state.allocatedWei, _exitingWei(state));
    }

    function _deposit(address operator, Pool pool) private onlyOperator(operator) returns (uint256 shares) {
        require(msg.value != 0, ZeroAmount());
        PoolState storage state = _pools[operator][pool];
        shares = ShareLib.toSharesDown(msg.value, state.tokensWei, state.shares);
        require(shares != 0, ZeroShares(msg.value));

        _accountedWei += msg.value;
        state.tokensWei += msg.value.toUint128();
        state.shares += shares;
        _shares[operator][pool][state.generation][msg.sender] += shares;
        _snapshotExits(operator, pool);
        emit Deposited(operator, pool, msg.sender, msg.value, shares);
    }

    /// @dev Takes `amountWei - freeWei` pro rata from the services of the pool that have no minimum. Within a service the
    /// pending part goes first: it no longer backs anything.
    function _takeAllocated(address operator, Pool pool, uint256 amountWei, uint256 freeWei) private {
        address[] storage services = _servicesOf[pool];
        uint256[] memory openWei = new uint256[](services.length);
        uint256 sumWei = 0;
        for (uint256 i = 0; i < openWei.length; i++) {
            openWei[i] = _openAllocation(operator, pool, services[i]);
            sumWei += openWei[i];
        }
        uint256 neededWei = amountWei - freeWei;
        require(neededWei <= sumWei, StakeLocked(amountWei, freeWei + sumWei));

        _pools[operator][pool].allocatedWei -= uint128(neededWei);
        uint256 leftWei = neededWei;
        for (uint256 i = 0; leftWei != 0; i++) {
            if (openWei[i] == 0) continue;
            // Rounded up, so that the parts reach the whole; never above openWei[i], since neededWei <= sumWei.
            uint256 partWei = Math.min(leftWei, Math.mulDiv(neededWei, openWei[i], sumWei, Math.Rounding.Ceil));
            leftWei -= partWei;
            uint256 allocatedWei = _reduce(operator, services[i], partWei);
            emit AllocationReleased(operator, services[i], partWei, allocatedWei);
        }
    }

    /// @dev What a release may take from a service: all, or nothing where it has or may have a minimum.
    function _openAllocation(address operator, Pool pool, address service) private view returns (uint256) {
        uint256 allocatedWei = _allocations[operator][service].allocatedWei;
        if (allocatedWei == 0 || pool == Pool.Delegated) return allocatedWei;
        (bool ok, uint256 minWei) = _minAllocation(service, operator);
        return ok && minWei == 0 ? allocatedWei : 0;
    }

    /// @dev Slashes the operator's allocation to the caller, a registered service.
    function _slashPool(address operator, uint256 amountWei, bytes32 faultId) private returns (uint256 slashedWei) {
        Pool pool = _services[msg.sender].pool;
        PoolState storage state = _pools[operator][pool];
        slashedWei = Math.min(amountWei, _allocations[operator][msg.sender].allocatedWei);
        bool exitsCount = _exitsCount(operator, pool);
        uint256 allocatedWei = _reduce(operator, msg.sender, slashedWei);
        state.allocatedWei -= uint128(slashedWei);
        state.tokensWei -= uint128(slashedWei);
        emit Slashed(operator, msg.sender, faultId, amountWei, slashedWei, allocatedWei);
        if (slashedWei != 0 && ShareLib.isWiped(state.tokensWei, state.shares)) {
            state.shares = 0;
            state.exitingShares = 0;
            state.generation += 1;
            emit PoolWiped(operator, pool, state.generation);
        }
        if (exitsCount) _snapshotPool(operator, pool);
        else _push(operator, pool, msg.sender);
    }

    /// @dev Lowers an allocation, its pending part first; the pool's sum is the caller's business.
    function _reduce(address operator, address service, uint256 amountWei) private returns (uint256 allocatedWei) {
        Allocation storage allocation = _allocations[operator][service];
        allocatedWei = allocation.allocatedWei - amountWei;
        allocation.allocatedWei = uint128(allocatedWei);
        uint256 pendingWei = Math.saturatingSub(allocation.pendingWei, amountWei);
        allocation.pendingWei = uint128(pendingWei);
        if (pendingWei == 0) allocation.completableAtBlock = 0;
    }

    /// @dev Credits what a slash took: at most half to the beneficiaries, the rest to the treasury or the burn.
    function _share(uint256 slashedWei, address[] calldata beneficiaries, uint256[] calldata bps) private {
        uint256 count = beneficiaries.length;
        require(count <= MAX_BENEFICIARIES, TooManyBeneficiaries(count, MAX_BENEFICIARIES));
        require(count == bps.length, LengthMismatch(count, bps.length));
        uint256 sumBps = 0;
        uint256 restWei = slashedWei;
        for (uint256 i = 0; i < count; i++) {
            require(beneficiaries[i] != address(0), ZeroAddress());
            require(bps[i] <= MAX_BENEFICIARY_BPS, HalfRule(bps[i], MAX_BENEFICIARY_BPS));
            sumBps += bps[i];
            require(sumBps <= MAX_BENEFICIARY_BPS, HalfRule(sumBps, MAX_BENEFICIARY_BPS));
            uint256 partWei = Math.mulDiv(slashedWei, bps[i], BPS);
            restWei -= partWei;
            _credit(beneficiaries[i], partWei);
        }
        if (_treasury == address(0)) _burnableWei += restWei;
        else _credit(_treasury, restWei);
    }

    function _credit(address account, uint256 amountWei) private {
        if (amountWei == 0) return;
        _claimable[account] += amountWei;
        emit Credited(account, amountWei);
    }

    function _send(address to, uint256 amountWei) private {
        (bool ok,) = to.call{value: amountWei}("");
        require(ok, TransferFailed(to, amountWei));
    }

    /// @dev A deposit or reward changes backing only where exits claim a part of it.
    function _snapshotExits(address operator, Pool pool) private {
        if (_exitsCount(operator, pool)) _snapshotPool(operator, pool);
    }

    /// @dev One service changed; with exits waiting, the others' parts of them change too.
    function _snapshot(address operator, Pool pool, address service) private {
        if (_exitsCount(operator, pool)) _snapshotPool(operator, pool);
        else _push(operator, pool, service);
    }

    /// @dev Only on the delegated pool do exits lower backing; on the self pool services have their minimum instead.
    function _exitsCount(address operator, Pool pool) private view returns (bool) {
        return pool == Pool.Delegated && _pools[operator][pool].exitingShares != 0;
    }

    function _snapshotPool(address operator, Pool pool) private {
        address[] storage services = _servicesOf[pool];
        uint256 count = services.length;
        for (uint256 i = 0; i < count; i++) {
            _push(operator, pool, services[i]);
        }
    }

    /// @dev Writes what counts from the start of the next epoch, and keeps the total of the service equal to the sum.
    function _push(address operator, Pool pool, address service) private {
        Checkpoints.Trace208 storage trace = _backings[operator][service];
        uint208 oldWei = trace.latest();
        uint208 newWei = uint208(_backing(operator, pool, service));
        if (oldWei == newWei) return;
        uint48 key = uint48(_nextEpoch());
        trace.push(key, newWei);
        Checkpoints.Trace208 storage total = _totals[service];
        total.push(key, total.latest() - oldWei + newWei);
    }

    function _backing(address operator, Pool pool, address service) private view returns (uint256) {
        Allocation storage allocation = _allocations[operator][service];
        uint256 allocatedWei = allocation.allocatedWei;
        uint256 activeWei = allocatedWei - allocation.pendingWei;
        PoolState storage state = _pools[operator][pool];
        if (activeWei == 0 || pool == Pool.Self || state.exitingShares == 0) return activeWei;
        uint256 sumWei = state.allocatedWei;
        uint256 leavingWei = Math.saturatingSub(_exitingWei(state), state.tokensWei - sumWei);
        uint256 partWei = Math.mulDiv(leavingWei, allocatedWei, sumWei, Math.Rounding.Ceil);
        return Math.saturatingSub(activeWei, partWei);
    }

    function _exitingWei(PoolState storage state) private view returns (uint256) {
        if (state.exitingShares == 0) return 0;
        return ShareLib.toWeiUp(state.exitingShares, state.tokensWei, state.shares);
    }

    function _minAllocation(address service, address operator) private view returns (bool ok, uint256 minWei) {
        return BoundedCallLib.readWord(
            service, MIN_ALLOCATION_GAS, abi.encodeCall(IStakedService.minAllocation, (operator))
        );
    }

    function _poolOfService(address service) private view returns (Pool) {
        Service storage registered = _services[service];
        require(registered.registered, ServiceUnknown(service));
        return registered.pool;
    }

    /// @dev The first epoch that has not begun.
    function _nextEpoch() private view returns (uint64) {
        if (block.number < _startBlock) return 0;
        return uint64(ClockLib.periodAt(_startBlock, _epochBlocks, block.number) + 1);
    }

    function _begunEpoch(uint256 epoch) private view returns (uint48) {
        uint256 current = ClockLib.periodAt(_startBlock, _epochBlocks, block.number);
        require(epoch <= current, EpochNotStarted(epoch, current));
        return uint48(epoch);
    }
}

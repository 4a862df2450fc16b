// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {IStakedService} from "../interfaces/IStakedService.sol";
import {IStaking, Pool} from "../interfaces/IStaking.sol";
import {BoundedCallLib} from "../libraries/BoundedCallLib.sol";
import {ClockLib} from "../libraries/ClockLib.sol";
import {ShareLib} from "../libraries/ShareLib.sol";

/// @title StakeAllocations
/// @notice The part of `Staking` that moves no money: services, what an operator puts behind them, and the snapshots.
/// @dev
///   stake:  free --allocate--> allocated --requestDeallocation--> pending --delay, minimum covered--> free
///                                  ^-----------cancelDeallocation----/
///
/// The invariants are numbered in `Staking`.
abstract contract StakeAllocations is IStaking, Ownable2Step {
    using Checkpoints for Checkpoints.Trace208;
    using SafeCast for uint256;

    /// @dev Bounds every loop over the services of a pool.
    uint256 private constant MAX_SERVICES = 8;
    uint256 private constant MIN_ALLOCATION_GAS = 500_000;

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

    uint256 private immutable _startBlock;
    uint256 private immutable _epochBlocks;
    uint256 internal immutable _exitDelayBlocks;

    mapping(address operator => mapping(Pool pool => PoolState)) internal _pools;
    mapping(address operator => mapping(address service => Allocation)) internal _allocations;
    mapping(address service => Service) internal _services;
    mapping(Pool pool => address[]) private _servicesOf;
    mapping(address operator => mapping(address service => Checkpoints.Trace208)) private _backings;
    mapping(address service => Checkpoints.Trace208) private _totals;

    constructor(IBeacon beacon, uint256 exitDelayEpochs) {
        require(exitDelayEpochs != 0, InvalidParams());
        _startBlock = beacon.startBlock();
        _epochBlocks = beacon.periodBlocks() * beacon.epochPeriods();
        _exitDelayBlocks = exitDelayEpochs * _epochBlocks;
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
        if (pool == Pool.Self) {
            // A service that cannot say its minimum would lock every allocation to it for ever.
            (bool ok,) = _minAllocation(service, address(this));
            require(ok, MinAllocationUnreadable(service));
        }
        _services[service] = Service(true, pool, faultWindowBlocks, kind);
        _servicesOf[pool].push(service);
        emit ServiceRegistered(service, pool, kind, faultWindowBlocks);
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
            msg.sender,
            service,
            amountWei,
            allocation.pendingWei,
            allocation.completableAtBlock
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
        uint256 readyAtBlock = allocation.completableAtBlock;
        require(block.number >= readyAtBlock, TooEarly(block.number, readyAtBlock));
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
    function serviceOf(address service) external view returns (Service memory) {
        return _services[service];
    }

    /// @inheritdoc IStaking
    function servicesOf(Pool pool) external view returns (address[] memory) {
        return _servicesOf[pool];
    }

    /// @inheritdoc IStaking
    function exitDelayBlocks() external view returns (uint256) {
        return _exitDelayBlocks;
    }

    /// @inheritdoc IStaking
    function freeOf(address operator, Pool pool) public view returns (uint256) {
        PoolState storage state = _pools[operator][pool];
        return Math.saturatingSub(state.tokensWei - state.allocatedWei, _exitingWei(state));
    }

    /// @dev Takes `amountWei - freeWei` pro rata from the services of the pool that have no minimum. Within a service
    /// the pending part goes first: it no longer backs anything.
    function _takeAllocated(address operator, Pool pool, uint256 amountWei, uint256 freeWei) internal {
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

    /// @dev Lowers an allocation, its pending part first; the pool's sum is the caller's business.
    function _reduce(address operator, address service, uint256 amountWei) internal returns (uint256 allocatedWei) {
        Allocation storage allocation = _allocations[operator][service];
        allocatedWei = allocation.allocatedWei - amountWei;
        allocation.allocatedWei = uint128(allocatedWei);
        uint256 pendingWei = Math.saturatingSub(allocation.pendingWei, amountWei);
        allocation.pendingWei = uint128(pendingWei);
        if (pendingWei == 0) allocation.completableAtBlock = 0;
    }

    /// @dev A deposit or reward changes backing only where exits claim a part of it.
    function _snapshotExits(address operator, Pool pool) internal {
        if (_exitsCount(operator, pool)) _snapshotPool(operator, pool);
    }

    /// @dev One service changed; with exits waiting, the others' parts of them change too.
    function _snapshot(address operator, Pool pool, address service) private {
        if (_exitsCount(operator, pool)) _snapshotPool(operator, pool);
        else _push(operator, pool, service);
    }

    /// @dev Only on the delegated pool do exits lower backing; on the self pool services have their minimum instead.
    function _exitsCount(address operator, Pool pool) internal view returns (bool) {
        return pool == Pool.Delegated && _pools[operator][pool].exitingShares != 0;
    }

    function _snapshotPool(address operator, Pool pool) internal {
        address[] storage services = _servicesOf[pool];
        uint256 count = services.length;
        for (uint256 i = 0; i < count; i++) {
            _push(operator, pool, services[i]);
        }
    }

    /// @dev Writes what counts from the start of the next epoch, and keeps the total of the service equal to the sum.
    function _push(address operator, Pool pool, address service) internal {
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
        bytes memory data = abi.encodeCall(IStakedService.minAllocation, (operator));
        return BoundedCallLib.readWord(service, MIN_ALLOCATION_GAS, data);
    }

    function _poolOfService(address service) internal view returns (Pool) {
        Service storage registered = _services[service];
        require(registered.registered, ServiceUnknown(service));
        return registered.pool;
    }

    /// @dev The first epoch that has not begun.
    function _nextEpoch() internal view returns (uint64) {
        if (block.number < _startBlock) return 0;
        return uint64(ClockLib.periodAt(_startBlock, _epochBlocks, block.number) + 1);
    }

    function _begunEpoch(uint256 epoch) private view returns (uint48) {
        uint256 current = ClockLib.periodAt(_startBlock, _epochBlocks, block.number);
        require(epoch <= current, EpochNotStarted(epoch, current));
        return uint48(epoch);
    }
}

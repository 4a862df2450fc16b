// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Beacon} from "../../../contracts/staking/Beacon.sol";
import {OperatorRegistry} from "../../../contracts/staking/OperatorRegistry.sol";
import {Staking} from "../../../contracts/staking/Staking.sol";
import {IStaking, Pool, StakingParams} from "../../../contracts/interfaces/IStaking.sol";
import {StakedServiceMock} from "../../../contracts/mocks/StakedServiceMock.sol";
import {Cheating} from "../storage/Cheats.sol";

/// @title StakingHandler
/// @notice Does to `Staking` what operators, delegators, services and strangers may do, and remembers what must hold.
/// @dev Four accounts, of which the first two are operators; services 0 and 1 are on the self pool, 2 and 3 on the
/// delegated one. Every action is bounded to what is allowed at that moment, so that a revert is a failure.
abstract contract StakingHandler is Cheating {
    uint256 internal constant DELAY_BLOCKS = 10;
    uint256 internal constant EPOCH_BLOCKS = 5;
    uint256 internal constant VIRTUAL_SHARES = 1e6;
    uint256 internal constant SNAPSHOTS = 12;
    address internal constant REPORTER = address(0xBEEF);
    address internal constant TREASURY = address(0x7EA5);

    struct PoolState {
        uint256 tokensWei;
        uint256 shares;
        uint256 generation;
    }

    /// @dev What a service could count on in some block, and what it had slashed until then.
    struct Counted {
        uint256 blockNumber;
        uint256 backingWei;
        uint256 slashedWei;
    }

    struct Snapshot {
        address operator;
        address service;
        uint256 epoch;
        uint256 backingWei;
    }

    Staking internal _staking;
    address[4] internal _accounts;
    StakedServiceMock[4] internal _services;
    uint256 internal _faults;
    uint256[] internal _exits;
    mapping(address operator => mapping(address service => Counted[])) internal _counted;
    mapping(address operator => mapping(address service => uint256)) internal _slashedWei;
    Snapshot[SNAPSHOTS] internal _snapshots;
    uint256 internal _snapshotCount;
    /// @dev By number of the invariant in `Staking`: what only the action itself can see.
    bool[8] internal _violated;
    PoolState[4] internal _before;
    /// @dev How often each thing really happened, so that a campaign of nothing cannot pass.
    mapping(bytes32 deed => uint256) internal _done;
    uint256 internal _startBlock;

    constructor() {
        _startBlock = block.number;
        Beacon beacon = new Beacon(uint64(block.number), uint32(EPOCH_BLOCKS), 1, false);
        OperatorRegistry registry = new OperatorRegistry(beacon);
        _staking = new Staking(address(this), registry, beacon, StakingParams(2, 1_000, address(0)));
        for (uint256 i = 0; i < 4; i++) {
            _accounts[i] = address(uint160(0xA000 + i));
            vm.deal(_accounts[i], 1e32);
            _services[i] = new StakedServiceMock(_staking);
            _staking.registerService(address(_services[i]), _poolOfService(i), bytes32(i), uint64(DELAY_BLOCKS));
        }
        for (uint256 i = 0; i < 2; i++) {
            vm.prank(_accounts[i]);
            registry.register("");
        }
    }

    /// @dev Around every action but a slash: a little time passes, and no share price may fall.
    modifier watched(uint256 seed) {
        _pass(seed % 3);
        _count();
        for (uint256 i = 0; i < 4; i++) _before[i] = _poolState(i);
        _;
        for (uint256 i = 0; i < 4; i++) {
            PoolState memory was = _before[i];
            PoolState memory pool = _poolState(i);
            bool fell = (pool.tokensWei + 1) * (was.shares + VIRTUAL_SHARES)
                < (was.tokensWei + 1) * (pool.shares + VIRTUAL_SHARES);
            if (fell || pool.generation != was.generation) _violated[2] = true;
        }
        _count();
    }

    function stake(uint256 seed, uint256 amountWei) external watched(seed) {
        address operator = _operator(seed);
        amountWei = 1e12 + amountWei % 1e22;
        if (!_buysShares(operator, Pool.Self, amountWei)) return;
        vm.prank(operator);
        _staking.stake{value: amountWei}();
        _done["stake"]++;
    }

    function delegate(uint256 seed, uint256 amountWei) external watched(seed) {
        amountWei = 1e12 + amountWei % 1e22;
        if (!_buysShares(_operator(seed), Pool.Delegated, amountWei)) return;
        vm.prank(_accounts[seed / 2 % 4]);
        _staking.delegate{value: amountWei}(_operator(seed));
        _done["delegate"]++;
    }

    function reward(uint256 seed, uint256 amountWei) external watched(seed) {
        Pool pool = Pool(seed / 2 % 2);
        if (_staking.poolOf(_operator(seed), pool).shares == 0) return;
        vm.prank(_accounts[3]);
        _staking.addReward{value: 1 + amountWei % 1e21}(_operator(seed), pool);
        _done["reward"]++;
    }

    function setCommission(uint256 seed, uint256 bps) external watched(seed) {
        vm.prank(_operator(seed));
        // Between 0 and one step, every move is within a step of where the epoch began.
        _staking.setCommission(bps % 1_001);
        _done["commission"]++;
    }

    function allocate(uint256 seed, uint256 amountWei) external watched(seed) {
        (address operator, uint256 service) = (_operator(seed), seed / 2 % 4);
        uint256 freeWei = _staking.freeOf(operator, _poolOfService(service));
        if (freeWei == 0) return;
        vm.prank(operator);
        _staking.allocate(address(_services[service]), seed % 3 == 0 ? freeWei : _upTo(amountWei, freeWei));
        _done["allocate"]++;
    }

    function requestDeallocation(uint256 seed, uint256 amountWei) external watched(seed) {
        (address operator, uint256 service) = (_operator(seed), seed / 2 % 4);
        (uint256 allocatedWei, uint256 pendingWei) = _staking.allocationOf(operator, address(_services[service]));
        if (allocatedWei == pendingWei) return;
        // The service has just promised on all of it, so that only a part of what is asked back can be had, if any.
        if (service < 2 && seed % 5 == 0) _services[service].setMin(operator, allocatedWei - pendingWei);
        vm.prank(operator);
        _staking.requestDeallocation(address(_services[service]), _upTo(amountWei, allocatedWei - pendingWei));
        _done["requestDeallocation"]++;
    }

    function cancelDeallocation(uint256 seed) external watched(seed) {
        (address operator, address service) = (_operator(seed), address(_services[seed / 2 % 4]));
        (, uint256 pendingWei) = _staking.allocationOf(operator, service);
        if (pendingWei == 0) return;
        vm.prank(operator);
        _staking.cancelDeallocation(service);
        _done["cancelDeallocation"]++;
    }

    function completeDeallocation(uint256 seed) external watched(seed) {
        (address operator, uint256 service) = (_operator(seed), seed / 2 % 4);
        (uint256 allocatedWei, uint256 pendingWei) = _staking.allocationOf(operator, address(_services[service]));
        if (pendingWei == 0) return;
        uint256 minWei = _services[service].minAllocation(operator);
        bool ready = block.number >= _staking.completableAt(operator, address(_services[service]));
        bool covered = service >= 2 || allocatedWei - pendingWei >= minWei;
        try _staking.completeDeallocation(operator, address(_services[service])) {
            if (!ready || !covered) _violated[6] = true;
            _done["completeDeallocation"]++;
        } catch {
            if (ready) _done["deallocationLocked"]++;
            require(!ready || !covered, "completeDeallocation was refused");
        }
    }

    /// @dev A service promises on at most what backs it.
    function setMin(uint256 seed, uint256 minWei) external watched(seed) {
        (address operator, uint256 service) = (_operator(seed), seed / 2 % 2);
        uint256 backingWei = _staking.backing(operator, address(_services[service]));
        _services[service].setMin(operator, [0, backingWei, minWei % (backingWei + 1)][seed % 3]);
    }

    function requestExit(uint256 seed, uint256 shares) external watched(seed) {
        (address account, address operator, Pool pool) =
            (_accounts[seed / 4 % 4], _operator(seed), Pool(seed / 2 % 2));
        uint256 held = _staking.sharesOf(operator, pool, account);
        if (held == 0) return;
        vm.prank(account);
        _exits.push(_staking.requestExit(operator, pool, seed % 3 == 0 ? held : _upTo(shares, held)));
        _done["requestExit"]++;
    }

    function cancelExit(uint256 seed) external watched(seed) {
        if (_exits.length == 0) return;
        uint256 index = seed / 3 % _exits.length;
        // Few, so that most exits live until they are released.
        if (seed % 2 != 0) return;
        vm.prank(_staking.exitOf(_exits[index]).owner);
        _staking.cancelExit(_exits[index]);
        _forget(index);
        _done["cancelExit"]++;
    }

    function release(uint256 seed) external watched(seed) {
        if (_exits.length == 0) return;
        uint256 index = seed / 3 % _exits.length;
        for (uint256 i = 0; i < _exits.length && block.number < _staking.exitOf(_exits[index]).releasableAtBlock; i++) {
            index = (index + 1) % _exits.length;
        }
        IStaking.Exit memory exit = _staking.exitOf(_exits[index]);
        bool ready = block.number >= exit.releasableAtBlock;
        uint256 heldWei = _heldByMinimum(exit.operator);
        uint256 allocatedWei = _staking.poolOf(exit.operator, exit.pool).allocatedWei;
        try _staking.release(_exits[index]) {
            _forget(index);
            if (!ready || _heldByMinimum(exit.operator) != heldWei) _violated[6] = true;
            bool fromServices = _staking.poolOf(exit.operator, exit.pool).allocatedWei != allocatedWei;
            _done[fromServices ? bytes32("releaseAllocated") : bytes32("releaseFree")]++;
        } catch {
            require(!ready || exit.pool == Pool.Self, "release was refused");
            if (ready) _done["releaseLocked"]++;
        }
    }

    function withdraw(uint256 seed) external watched(seed) {
        address account = _accounts[seed / 3 % 4];
        if (_staking.claimable(account) == 0) return;
        vm.prank(account);
        _staking.withdraw(account);
        _done["withdraw"]++;
    }

    function burn(uint256 seed) external watched(seed) {
        _staking.burn();
    }

    function setTreasury(uint256 seed) external watched(seed) {
        _staking.setTreasury(seed / 3 % 2 == 0 ? TREASURY : address(0));
    }

    function forceCoins(uint256 seed, uint256 amountWei) external watched(seed) {
        vm.deal(address(_staking), address(_staking).balance + amountWei % 1e24);
    }

    function passTime(uint256 seed) external {
        _pass(seed % (2 * DELAY_BLOCKS));
        _count();
    }

    function slash(uint256 seed, uint256 amountWei, uint256 bps) external {
        _pass(seed % 2);
        (address operator, uint256 service) = (_operator(seed), seed / 2 % 4);
        (uint256 allocatedWei,) = _staking.allocationOf(operator, address(_services[service]));
        if (seed % 5 == 0) amountWei = allocatedWei;
        else amountWei = amountWei % (allocatedWei / 2 + 2);
        uint256 tokensWei = _staking.poolOf(operator, _poolOfService(service)).tokensWei;
        uint256 reporterWei = _staking.claimable(REPORTER);
        uint256 restWei = _staking.claimable(TREASURY) + _staking.burnableWei();
        uint256 slashedWei = _slash(service, operator, amountWei, bps % 5_001);
        _slashedWei[operator][address(_services[service])] += slashedWei;

        (uint256 leftWei,) = _staking.allocationOf(operator, address(_services[service]));
        reporterWei = _staking.claimable(REPORTER) - reporterWei;
        restWei = _staking.claimable(TREASURY) + _staking.burnableWei() - restWei;
        tokensWei -= _staking.poolOf(operator, _poolOfService(service)).tokensWei;
        if (slashedWei != Math.min(amountWei, allocatedWei)) _violated[4] = true;
        if (tokensWei != slashedWei || allocatedWei - leftWei != slashedWei) _violated[4] = true;
        if (reporterWei + restWei != slashedWei) _violated[4] = true;
        if (reporterWei > slashedWei / 2) _violated[5] = true;
        _count();
        if (slashedWei != 0) _done["slash"]++;
    }

    /// @dev All that an operator can put at stake in a pool is put there, and lost.
    function ruin(uint256 seed) external {
        if (seed % 7 != 0) return;
        (address operator, uint256 service) = (_operator(seed), seed / 2 % 2 * 2);
        Pool pool = _poolOfService(service);
        uint256 generation = _staking.poolOf(operator, pool).generation;
        uint256 freeWei = _staking.freeOf(operator, pool);
        if (freeWei != 0) {
            vm.prank(operator);
            _staking.allocate(address(_services[service]), freeWei);
        }
        for (uint256 i = service; i < service + 2; i++) {
            (uint256 allocatedWei,) = _staking.allocationOf(operator, address(_services[i]));
            _slashedWei[operator][address(_services[i])] += _slash(i, operator, allocatedWei, 0);
        }
        _count();
        if (_staking.poolOf(operator, pool).generation != generation) _done["wipe"]++;
    }

    function _slash(uint256 service, address operator, uint256 amountWei, uint256 bps) internal returns (uint256) {
        address[] memory beneficiaries = new address[](1);
        uint256[] memory parts = new uint256[](1);
        (beneficiaries[0], parts[0]) = (REPORTER, bps);
        bytes32 faultId = bytes32(++_faults);
        uint256 slashedWei = _services[service].slash(operator, amountWei, faultId, beneficiaries, parts);
        try _services[service].slash(operator, amountWei, faultId, beneficiaries, parts) {
            _violated[4] = true;
        } catch {}
        return slashedWei;
    }

    /// @dev Moves on; when an epoch begins meanwhile, its snapshot must be the backing of this moment.
    function _pass(uint256 blocks) internal {
        uint256 next = block.number + blocks;
        uint256[4] memory backingWei;
        for (uint256 i = 0; i < 4; i++) backingWei[i] = _staking.backing(_accounts[i % 2], address(_services[i]));
        vm.roll(next);
        uint256 epoch = (next - _startBlock) / EPOCH_BLOCKS;
        if (epoch == (next - blocks - _startBlock) / EPOCH_BLOCKS) return;
        for (uint256 i = 0; i < 4; i++) {
            (address operator, address service) = (_accounts[i % 2], address(_services[i]));
            if (_staking.allocationAt(operator, service, epoch) != backingWei[i]) _violated[7] = true;
            _snapshots[_snapshotCount++ % SNAPSHOTS] = Snapshot(operator, service, epoch, backingWei[i]);
        }
    }

    /// @dev Writes down what each service counts on in this block.
    function _count() internal {
        for (uint256 i = 0; i < 8; i++) {
            (address operator, address service) = (_accounts[i % 2], address(_services[i / 2]));
            Counted[] storage all = _counted[operator][service];
            uint256 backingWei = _staking.backing(operator, service);
            uint256 slashedWei = _slashedWei[operator][service];
            Counted storage last = all.length == 0 ? all.push() : all[all.length - 1];
            if (last.backingWei != backingWei || last.slashedWei != slashedWei) last = all.push();
            (last.blockNumber, last.backingWei, last.slashedWei) = (block.number, backingWei, slashedWei);
        }
    }

    function _forget(uint256 index) internal {
        _exits[index] = _exits[_exits.length - 1];
        _exits.pop();
    }

    /// @dev Allocations of the operator to self services that have a minimum: no exit may touch them.
    function _heldByMinimum(address operator) internal view returns (uint256 sumWei) {
        for (uint256 i = 0; i < 2; i++) {
            if (_services[i].minAllocation(operator) == 0) continue;
            (uint256 allocatedWei,) = _staking.allocationOf(operator, address(_services[i]));
            sumWei += allocatedWei;
        }
    }

    function _poolState(uint256 i) internal view returns (PoolState memory) {
        IStaking.PoolView memory pool = _staking.poolOf(_accounts[i / 2], Pool(i % 2));
        return PoolState(pool.tokensWei, pool.shares, pool.generation);
    }

    function _buysShares(address operator, Pool pool, uint256 amountWei) internal view returns (bool) {
        IStaking.PoolView memory state = _staking.poolOf(operator, pool);
        return amountWei * (state.shares + VIRTUAL_SHARES) / (state.tokensWei + 1) != 0;
    }

    function _operator(uint256 seed) internal view returns (address) {
        return _accounts[seed % 2];
    }

    function _poolOfService(uint256 i) internal pure returns (Pool) {
        return i < 2 ? Pool.Self : Pool.Delegated;
    }

    /// @dev 1 … most
    function _upTo(uint256 value, uint256 most) internal pure returns (uint256) {
        return 1 + value % most;
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IStaking, Pool} from "../../../contracts/interfaces/IStaking.sol";
import {StakingHandler} from "./StakingHandler.sol";

/// @dev Declared here because the fuzzer knows only the contracts of the file it runs.
contract StakingDeeds is StakingHandler {
    /// @dev Index of the violated law + 1, or 0; and the two figures that differ.
    function broken() external view returns (uint256 law, uint256 left, uint256 right) {
        for (uint256 i = 0; i < _violated.length; i++) if (_violated[i]) return (i, 0, 0);
        (left, right) = _conserved();
        if (left != right || address(_staking).balance < right) return (1, left, right);
        for (uint256 i = 0; i < 4; i++) {
            (left, right) = _allocatedAndShares(_accounts[i / 2], Pool(i % 2));
            if (left != right) return (3, left, right);
        }
        for (uint256 i = 0; i < 8; i++) {
            (left, right) = _shortfall(_accounts[i % 2], address(_services[i / 2]));
            if (left > right && i >= 4) return (6, left, right);
        }
        for (uint256 i = 0; i < 4; i++) {
            (left, right) = _total(address(_services[i]));
            if (left != right) return (7, left, right);
        }
        for (uint256 i = 0; i < SNAPSHOTS; i++) {
            Snapshot memory seen = _snapshots[i];
            if (seen.operator == address(0)) continue;
            left = _staking.allocationAt(seen.operator, seen.service, seen.epoch);
            if (left != seen.backingWei) return (7, left, seen.backingWei);
        }
        return (0, 0, 0);
    }

    function done(bytes32 deed) external view returns (uint256) {
        return _done[deed];
    }

    /// @dev 1: pools + claimable + burnable, and what is accounted.
    function _conserved() internal view returns (uint256 sumWei, uint256 accountedWei) {
        sumWei = _staking.burnableWei() + _staking.claimable(REPORTER) + _staking.claimable(TREASURY);
        for (uint256 i = 0; i < 4; i++) {
            sumWei += _staking.claimable(_accounts[i]);
            sumWei += _staking.poolOf(_accounts[i], Pool.Self).tokensWei;
            sumWei += _staking.poolOf(_accounts[i], Pool.Delegated).tokensWei;
        }
        accountedWei = _staking.accountedWei();
    }

    /// @dev 3: allocations add up and fit, pending parts fit, and shares are those held and those in exits.
    function _allocatedAndShares(address operator, Pool pool) internal view returns (uint256 left, uint256 right) {
        IStaking.PoolView memory state = _staking.poolOf(operator, pool);
        for (uint256 i = 0; i < 4; i++) {
            if (_poolOfService(i) != pool) continue;
            (uint256 allocatedWei, uint256 pendingWei) = _staking.allocationOf(operator, address(_services[i]));
            if (pendingWei > allocatedWei) return (pendingWei, allocatedWei);
            left += allocatedWei;
        }
        if (left != state.allocatedWei) return (left, state.allocatedWei);
        if (left > state.tokensWei) return (left, state.tokensWei);
        left = state.exitingShares;
        for (uint256 i = 0; i < 4; i++) left += _staking.sharesOf(operator, pool, _accounts[i]);
        if (left != state.shares) return (left, state.shares);
        for (uint256 i = 0; i < _exits.length; i++) {
            IStaking.Exit memory exit = _staking.exitOf(_exits[i]);
            bool counts = exit.operator == operator && exit.pool == pool && exit.generation == state.generation;
            if (counts) right += exit.shares;
        }
        left = state.exitingShares;
    }

    /// @dev 6: what a service counted on within the delay, and what is there for it, slashed since or slashable.
    function _shortfall(address operator, address service) internal view returns (uint256 most, uint256 there) {
        Counted[] storage all = _counted[operator][service];
        (uint256 allocatedWei,) = _staking.allocationOf(operator, service);
        for (uint256 i = all.length; i > 0; i--) {
            Counted memory entry = all[i - 1];
            if (entry.blockNumber + DELAY_BLOCKS <= block.number) break;
            there = allocatedWei + _slashedWei[operator][service] - entry.slashedWei;
            if (entry.backingWei > there) return (entry.backingWei, there);
        }
        return (0, 0);
    }

    /// @dev 7: the sum over operators, and the total that `Staking` keeps.
    function _total(address service) internal view returns (uint256 sumWei, uint256 totalWei) {
        for (uint256 i = 0; i < 2; i++) sumWei += _staking.backing(_accounts[i], service);
        totalWei = _staking.totalBacking(service);
    }
}

/// @title StakingInvariant
/// @notice The numbered invariants of `Staking` under random deeds of operators, delegators, services and strangers.
contract StakingInvariant {
    error Broken(uint256 law, uint256 left, uint256 right);
    error NeverHappened(bytes32 deed);

    uint256 private constant LIVELY_DEEDS = 60;

    StakingDeeds private _deeds;

    function setUp() external {
        _deeds = new StakingDeeds();
        // A lively state to begin from: a campaign is too short to reach one and break it.
        for (uint256 i = 0; i < LIVELY_DEEDS; i++) _deed(uint256(keccak256(abi.encode(i))));
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_deeds);
    }

    /// @notice Invariants 1 to 7, each after every deed.
    function invariant_staking() external view {
        _hold();
    }

    /// @notice One long random walk keeps the invariants, and every deed really happens in it, refusals included.
    function test_every_deed_happens() external {
        for (uint256 i = LIVELY_DEEDS; i < 400; i++) {
            _deed(uint256(keccak256(abi.encode(i))));
            if (i % 100 == 0) _hold();
        }
        bytes32[17] memory names = [
            bytes32("stake"),
            "delegate",
            "reward",
            "commission",
            "allocate",
            "requestDeallocation",
            "cancelDeallocation",
            "completeDeallocation",
            "deallocationLocked",
            "requestExit",
            "cancelExit",
            "releaseFree",
            "releaseAllocated",
            "releaseLocked",
            "withdraw",
            "slash",
            "wipe"
        ];
        for (uint256 i = 0; i < names.length; i++) {
            require(_deeds.done(names[i]) != 0, NeverHappened(names[i]));
        }
    }

    function _deed(uint256 random) private {
        (uint256 kind, uint256 seed, uint256 amount) = (random % 24, (random >> 8) % 1e12, random >> 64);
        if (kind == 0) _deeds.stake(seed, amount);
        else if (kind == 1) _deeds.delegate(seed, amount);
        else if (kind == 2) _deeds.reward(seed, amount);
        else if (kind == 3) _deeds.setCommission(seed, amount);
        else if (kind < 7) _deeds.allocate(seed, amount);
        else if (kind < 9) _deeds.requestDeallocation(seed, amount);
        else if (kind == 9) _deeds.cancelDeallocation(seed);
        else if (kind < 12) _deeds.completeDeallocation(seed);
        else if (kind == 12) _deeds.setMin(seed, amount);
        else if (kind < 15) _deeds.requestExit(seed, amount);
        else if (kind == 15) _deeds.cancelExit(seed);
        else if (kind < 18) _deeds.release(seed);
        else if (kind == 18) _deeds.withdraw(seed);
        else if (kind == 19) _deeds.slash(seed, amount, random >> 128);
        else if (kind == 20) _deeds.ruin(seed);
        else if (kind == 21) _deeds.passTime(seed);
        else if (seed % 3 == 0) _deeds.burn(seed);
        else if (seed % 3 == 1) _deeds.setTreasury(seed);
        else _deeds.forceCoins(seed, amount);
    }

    function _hold() private view {
        (uint256 law, uint256 left, uint256 right) = _deeds.broken();
        require(law == 0, Broken(law, left, right));
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Account, HeldFee, HeldState} from "../../../contracts/interfaces/IInferenceEvents.sol";
import {ComputeHandler} from "./ComputeHandler.sol";

/// @dev Declared here because the fuzzer knows only the contracts of the file it runs.
contract ComputeDeeds is ComputeHandler {
    /// @dev Number of the violated law, or 0; and the two figures that differ.
    function broken() external view returns (uint256 law, uint256 left, uint256 right) {
        for (uint256 i = 0; i < _violated.length; i++) if (_violated[i]) return (i, 0, 0);
        uint256 availableWei;
        uint256 balancesWei;
        for (uint256 i = 0; i < USERS; i++) {
            address user = _users[i];
            availableWei += _availableOf(user);
            uint256 ownWei = _availableOf(user) + _heldWei(user);
            for (uint256 j = 0; j < PROVIDERS; j++) {
                if (!_serving.accountExists(user, _providers[j])) continue;
                Account memory account = _serving.getAccount(user, _providers[j]);
                (left, right) = _pendingOf(account);
                if (left != right || right > account.balance) return (2, left, right);
                ownWei += account.balance;
                balancesWei += account.balance;
                (law, left, right) = _limits(user, _providers[j]);
                if (law != 0) return (law, left, right);
            }
            if (ownWei != _totalOf(user)) return (1, ownWei, _totalOf(user));
            left = _books[user].inWei;
            right = ownWei + _books[user].paidWei + _books[user].outWei;
            if (left != right) return (1, left, right);
        }
        uint256 earningsWei;
        for (uint256 j = 0; j < PROVIDERS; j++) {
            (left, right) = (_serving.earningsOf(_providers[j]), _earnedWei[_providers[j]]);
            if (left != right) return (1, left, right);
            earningsWei += left;
        }
        (left, right) = (_serving.accountedWei(), balancesWei + earningsWei + _openHeldWei);
        if (left != right || address(_core).balance < right) return (1, left, right);
        (left, right) = (_ledger.accountedWei(), availableWei);
        if (left != right || address(_ledger).balance < right) return (1, left, right);
        return (0, 0, 0);
    }

    function done(bytes32 deed) external view returns (uint256) {
        return _done[deed];
    }

    /// @dev 3, 4, 5 and 7 for one pair.
    function _limits(address user, address provider) private view returns (uint256 law, uint256 left, uint256 right) {
        (left, right) = (_serving.settledOf(user, provider), _mostSettledWei[user][provider]);
        if (_serving.ceilingOf(user, provider) != 0 && left > right) return (3, left, right);
        uint256 day = block.timestamp / 1 days;
        (left, right) = (_takenOnDayWei[user][provider][day], _capOfDayWei[user][provider][day]);
        if (left > right) return (4, left, right);
        (left, right) = (_serving.getAccount(user, provider).nonce, _lastNonce[user][provider]);
        if (left != right) return (5, left, right);
        if (_core.minAllocation(provider) != STAKE) return (7, _core.minAllocation(provider), STAKE);
        return (0, 0, 0);
    }

    function _heldWei(address user) private view returns (uint256 sumWei) {
        for (uint256 id = _serving.heldCount(); id != 0; id--) {
            HeldFee memory fee = _serving.heldOf(id);
            bool isOpen = fee.state == HeldState.Held || fee.state == HeldState.Demanded;
            if (fee.user == user && isOpen) sumWei += fee.amountWei;
        }
    }

    function _totalOf(address user) private view returns (uint256) {
        if (_availableOf(user) != 0) return _ledger.getLedger(user).totalBalance;
        (bool ok,) = address(_ledger).staticcall(abi.encodeCall(_ledger.getLedger, (user)));
        return ok ? _ledger.getLedger(user).totalBalance : 0;
    }

    function _pendingOf(Account memory account) private pure returns (uint256 sumWei, uint256 pendingWei) {
        for (uint256 i = 0; i < account.refunds.length; i++) sumWei += account.refunds[i].amount;
        pendingWei = account.pendingRefund;
    }
}

/// @title ComputeInvariant
/// @notice The numbered invariants of `InferenceServing` and `LedgerManager` under random deeds.
contract ComputeInvariant {
    error Broken(uint256 law, uint256 left, uint256 right);
    error NeverHappened(bytes32 deed);

    uint256 private constant LIVELY_DEEDS = 60;

    ComputeDeeds private _deeds;

    function setUp() external {
        _deeds = new ComputeDeeds();
        // A lively state to begin from: a campaign is too short to reach one and break it.
        for (uint256 i = 0; i < LIVELY_DEEDS; i++) _deed(uint256(keccak256(abi.encode(i))));
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_deeds);
    }

    /// @notice Invariants 1 to 5, 7 and 8, each after every deed; 6 has its own tests.
    function invariant_compute() external view {
        _hold();
    }

    /// @notice One long random walk keeps the invariants, and every deed really happens in it.
    function test_every_deed_happens() external {
        for (uint256 i = LIVELY_DEEDS; i < 900; i++) {
            _deed(uint256(keccak256(abi.encode(i))));
            if (i % 100 == 0) _hold();
        }
        bytes32[22] memory names = [
            bytes32("deposit"),
            "open",
            "transfer",
            "retrieve",
            "refund",
            "open0",
            "open1",
            "voucher",
            "raise",
            "release",
            "demand",
            "convicted",
            "acquitted",
            "unanswered",
            "releaseHeld",
            "setDailyCap",
            "setMaxPrice",
            "announce",
            "restake",
            "withdraw",
            "passTime",
            "forceCoins"
        ];
        for (uint256 i = 0; i < names.length; i++) {
            require(_deeds.done(names[i]) != 0, NeverHappened(names[i]));
        }
    }

    function _deed(uint256 random) private {
        (uint256 kind, uint256 seed, uint256 amount) = (random % 28, (random >> 8) % 1e12, random >> 64);
        if (kind < 2) _deeds.deposit(seed, amount);
        else if (kind < 5) _deeds.transfer(seed, amount);
        else if (kind < 7) _deeds.retrieve(seed);
        else if (kind == 7) _deeds.refund(seed, amount);
        else if (kind < 13) _deeds.settle(seed, amount);
        else if (kind == 13) _deeds.raise(seed, amount);
        else if (kind == 14) _deeds.release(seed, amount);
        else if (kind < 17) _deeds.demand(seed);
        else if (kind < 19) _deeds.post(seed);
        else if (kind == 19) _deeds.returnUnanswered(seed);
        else if (kind == 20) _deeds.releaseHeld(seed);
        else if (kind == 21) _deeds.setDailyCap(seed, amount);
        else if (kind == 22) _deeds.setMaxPrice(seed, amount);
        else if (kind == 23) _deeds.announce(seed, amount);
        else if (kind == 24) _deeds.restake(seed);
        else if (kind == 25) _deeds.withdraw(seed);
        else if (kind == 26) _deeds.passTime(seed);
        else _deeds.forceCoins(seed, amount);
    }

    function _hold() private view {
        (uint256 law, uint256 left, uint256 right) = _deeds.broken();
        require(law == 0, Broken(law, left, right));
    }
}

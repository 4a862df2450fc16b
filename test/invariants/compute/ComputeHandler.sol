// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {
    HeldFee,
    HeldState,
    Release,
    TEESettlementData,
    Voucher
} from "../../../contracts/interfaces/IInferenceEvents.sol";
import {Receipt, ReceiptLib} from "../../../contracts/libraries/ReceiptLib.sol";
import {ComputeSystem} from "./ComputeSystem.sol";

/// @title ComputeHandler
/// @notice Does to ledger and inference what users, providers and strangers may do, and keeps books of its own.
/// @dev Every action is bounded to what is allowed at that moment, so that a revert is a failure.
abstract contract ComputeHandler is ComputeSystem {
    /// @dev A user's own books: what went in, what came out, what was earned by providers for good.
    struct Books {
        uint256 inWei;
        uint256 outWei;
        uint256 paidWei;
    }

    mapping(address user => Books) internal _books;
    mapping(address provider => uint256) internal _earnedWei;
    /// @dev What may be settled in voucher mode: the ceiling, or what was settled before it.
    mapping(address user => mapping(address provider => uint256)) internal _mostSettledWei;
    mapping(address user => mapping(address provider => mapping(uint256 day => uint256))) internal _takenOnDayWei;
    mapping(address user => mapping(address provider => mapping(uint256 day => uint256))) internal _capOfDayWei;
    mapping(address user => mapping(address provider => uint256)) internal _lastNonce;
    mapping(uint256 heldId => Receipt[]) internal _receipts;
    mapping(uint256 heldId => bool) internal _isWrong;
    uint256 internal _openHeldWei;
    /// @dev By number of the invariant in `InferenceServing`: what only the action itself can see.
    bool[9] internal _violated;
    /// @dev How often each thing really happened, so that a campaign of nothing cannot pass.
    mapping(bytes32 deed => uint256) internal _done;

    function deposit(uint256 seed, uint256 amountWei) external {
        address user = _users[seed % USERS];
        amountWei = 1_000 + amountWei % 1e12;
        vm.prank(user);
        _ledger.depositFund{value: amountWei}();
        _books[user].inWei += amountWei;
        _done["deposit"]++;
    }

    function transfer(uint256 seed, uint256 amountWei) external {
        (address user, address provider) = _pair(seed);
        uint256 availableWei = _availableOf(user);
        bool isNew = !_serving.accountExists(user, provider);
        if (availableWei < (isNew ? 10 : 1)) return;
        amountWei = (isNew ? 10 : 1) + amountWei % (availableWei - (isNew ? 9 : 0));
        vm.prank(user);
        _ledger.transferFund(provider, NAME, amountWei);
        _capNow(user, provider);
        _done[isNew ? bytes32("open") : bytes32("transfer")]++;
    }

    function retrieve(uint256 seed) external {
        (address user, address provider) = _pair(seed);
        if (!_serving.accountExists(user, provider)) return;
        address[] memory providers = new address[](1);
        providers[0] = provider;
        uint256 beforeWei = _availableOf(user);
        vm.prank(user);
        _ledger.retrieveFund(providers, NAME);
        if (_availableOf(user) != beforeWei) _done["retrieve"]++;
        if (_serving.getAccount(user, provider).refunds.length > 5) _violated[2] = true;
    }

    function refund(uint256 seed, uint256 amountWei) external {
        address user = _users[seed % USERS];
        uint256 availableWei = _availableOf(user);
        if (availableWei == 0) return;
        amountWei = seed % 4 == 0 ? availableWei : 1 + amountWei % availableWei;
        uint256 leftWei = availableWei - amountWei;
        if (leftWei != 0 && leftWei < 1_000) return;
        vm.prank(user);
        _ledger.refund(amountWei);
        _books[user].outWei += amountWei;
        _done["refund"]++;
    }

    function settle(uint256 seed, uint256 amount) external {
        (address user, address provider) = _pair(seed);
        uint256 epoch = _serving.priceEpochOf(provider);
        (uint256 inputWei, uint256 outputWei,) = _serving.priceAt(provider, epoch);
        uint256 nonce = _lastNonce[user][provider];
        Receipt[] memory receipts = new Receipt[](1 + seed % 3);
        for (uint256 i = 0; i < receipts.length; i++) {
            receipts[i].nonce = uint64(++nonce);
            receipts[i].priceEpoch = uint32(epoch);
            receipts[i].inputUnits = uint64(amount % 1e6);
            receipts[i].outputUnits = uint64((amount >> 32) % 1e6);
            receipts[i].feeWei = uint128(
                receipts[i].inputUnits * _least(inputWei, user, provider, true)
                    + receipts[i].outputUnits * _least(outputWei, user, provider, false)
            );
        }
        // One in four bills too much, one in eight twice.
        bool isWrong = seed % 4 == 0;
        if (isWrong) receipts[0].feeWei += 1e8;
        if (seed % 8 == 1 && receipts.length > 1) (receipts[1].nonce, isWrong) = (receipts[0].nonce, true);
        _claim(seed, receipts, nonce, isWrong);
    }

    function raise(uint256 seed, uint256 amountWei) external {
        (address user, address provider) = _pair(seed);
        // The third user stays in open mode for ever.
        if (user == _users[2] || !_serving.accountExists(user, provider)) return;
        uint256 settledWei = _serving.settledOf(user, provider);
        uint256 ceilingWei = _serving.ceilingOf(user, provider) + 1 + amountWei % 1e10;
        Voucher memory voucher =
            Voucher(user, provider, ceilingWei, 1e12, 1e12, bytes32(0), block.timestamp + seed % 100);
        bytes memory signature = _signVoucher(_userKey(seed % USERS), voucher);
        vm.prank(provider);
        _serving.raiseCeiling(voucher, signature);
        _mostSettledWei[user][provider] = ceilingWei > settledWei ? ceilingWei : settledWei;
        _done["raise"]++;
    }

    function release(uint256 seed, uint256 amountWei) external {
        (address user, address provider) = _pair(seed);
        if (!_serving.accountExists(user, provider)) return;
        Release memory given =
            Release(user, amountWei % 1e12, _serving.releaseNonceOf(user, provider) + 1, block.timestamp);
        bytes memory signature = _signRelease(_providerKey(seed / USERS % PROVIDERS), given);
        vm.prank(user);
        _serving.releaseRefund(provider, given, signature);
        _done["release"]++;
    }

    function demand(uint256 seed) external {
        (uint256 heldId, HeldFee memory fee) = _heldIn(seed, HeldState.Held);
        if (fee.state != HeldState.Held || block.timestamp >= fee.heldAtSec + 200) return;
        vm.prank(fee.user);
        _serving.demandReceipts(heldId);
        _done["demand"]++;
    }

    function post(uint256 seed) external {
        (uint256 heldId, HeldFee memory fee) = _heldIn(seed, HeldState.Demanded);
        if (fee.state != HeldState.Demanded || block.timestamp >= fee.demandedAtSec + 100) return;
        uint256 availableWei = _availableOf(fee.user);
        _serving.postReceipts(heldId, _receipts[heldId]);
        HeldState state = _serving.heldOf(heldId).state;
        if ((state == HeldState.Returned) != _isWrong[heldId]) _violated[8] = true;
        _close(fee, availableWei, state);
        _done[_isWrong[heldId] ? bytes32("convicted") : bytes32("acquitted")]++;
    }

    function returnUnanswered(uint256 seed) external {
        (uint256 heldId, HeldFee memory fee) = _heldIn(seed, HeldState.Demanded);
        if (fee.state != HeldState.Demanded || block.timestamp < fee.demandedAtSec + 100) return;
        uint256 availableWei = _availableOf(fee.user);
        _serving.returnUnanswered(heldId);
        _close(fee, availableWei, HeldState.Returned);
        _done["unanswered"]++;
    }

    function releaseHeld(uint256 seed) external {
        uint256[] memory ids = new uint256[](3);
        HeldFee[] memory fees = new HeldFee[](3);
        for (uint256 i = 0; i < 3; i++) (ids[i], fees[i]) = _heldOf(seed >> (8 * i));
        _serving.releaseHeld(ids);
        for (uint256 i = 0; i < 3; i++) {
            bool isRepeated = (i > 0 && ids[0] == ids[i]) || (i > 1 && ids[1] == ids[i]);
            if (isRepeated || fees[i].state != HeldState.Held) continue;
            if (_serving.heldOf(ids[i]).state != HeldState.Released) continue;
            _close(fees[i], _availableOf(fees[i].user), HeldState.Released);
            _done["releaseHeld"]++;
        }
    }

    function setDailyCap(uint256 seed, uint256 capWei) external {
        (address user, address provider) = _pair(seed);
        if (!_serving.accountExists(user, provider)) return;
        vm.prank(user);
        _serving.setDailyCap(provider, capWei % 1e11);
        _capNow(user, provider);
        _done["setDailyCap"]++;
    }

    function setMaxPrice(uint256 seed, uint256 priceWei) external {
        (address user, address provider) = _pair(seed);
        if (!_serving.accountExists(user, provider)) return;
        vm.prank(user);
        _serving.setMaxPrice(provider, 1 + priceWei % 20, 1 + (priceWei >> 32) % 20);
        _done["setMaxPrice"]++;
    }

    function announce(uint256 seed, uint256 priceWei) external {
        uint256 provider = seed % PROVIDERS;
        if (_staking.backing(_providers[provider], address(_core)) < STAKE) return;
        if (seed % 5 == 0 && _serving.serviceExists(_providers[provider])) {
            vm.prank(_providers[provider]);
            _serving.removeService();
        }
        _announce(provider, 1 + priceWei % 20, 1 + (priceWei >> 32) % 20);
        _done["announce"]++;
    }

    function restake(uint256 seed) external {
        uint256 backingWei = _staking.backing(_providers[seed % PROVIDERS], address(_core));
        if (backingWei >= STAKE) return;
        _restake(seed % PROVIDERS, STAKE - backingWei);
        _done["restake"]++;
    }

    function withdraw(uint256 seed) external {
        address provider = _providers[seed % PROVIDERS];
        uint256 amountWei = _serving.earningsOf(provider);
        if (amountWei == 0) return;
        vm.prank(provider);
        if (_serving.withdrawEarnings(address(0xBEEF)) != amountWei) _violated[1] = true;
        _earnedWei[provider] -= amountWei;
        _done["withdraw"]++;
    }

    function passTime(uint256 seed) external {
        vm.warp(block.timestamp + (seed % 10 == 0 ? 30_000 : seed % 150));
        for (uint256 i = 0; i < USERS * PROVIDERS; i++) _capNow(_users[i % USERS], _providers[i / USERS]);
        _done["passTime"]++;
    }

    function forceCoins(uint256 seed, uint256 amountWei) external {
        address target = seed % 2 == 0 ? address(_core) : address(_ledger);
        vm.deal(target, target.balance + amountWei % 1e9);
        _done["forceCoins"]++;
    }

    /// @dev Settles, in its own frame, and books what was taken.
    function _claim(uint256 seed, Receipt[] memory receipts, uint256 nonce, bool isWrong) private {
        (address user, address provider) = _pair(seed);
        (bytes32 hash, uint256 sumWei) = ReceiptLib.requestsHash(receipts);
        TEESettlementData[] memory items = new TEESettlementData[](2);
        items[0] = _settlement(seed / USERS % PROVIDERS, user, sumWei, hash, nonce);
        // The same claim once more in the same call is never taken.
        items[1] = items[0];
        uint256 settledWei = _serving.settledOf(user, provider);
        uint256 count = _serving.heldCount();
        bool isOpen = _serving.ceilingOf(user, provider) == 0;
        vm.prank(provider);
        uint8[] memory statuses = _serving.settleFeesWithTEE(items);
        if (statuses[1] < 2) _violated[5] = true;
        if (statuses[0] > 1) return;
        _lastNonce[user][provider] = nonce;
        uint256 takenWei = _serving.settledOf(user, provider) - settledWei;
        if (isOpen) {
            _takenOnDayWei[user][provider][block.timestamp / 1 days] += takenWei;
            if (_serving.heldCount() != count + (takenWei == 0 ? 0 : 1)) _violated[4] = true;
            _openHeldWei += takenWei;
            _isWrong[count + 1] = isWrong;
            for (uint256 i = 0; takenWei != 0 && i < receipts.length; i++) _receipts[count + 1].push(receipts[i]);
        } else {
            _books[user].paidWei += takenWei;
            _earnedWei[provider] += takenWei;
        }
        _done[isOpen ? (statuses[0] == 0 ? bytes32("open0") : bytes32("open1")) : bytes32("voucher")]++;
    }

    function _close(HeldFee memory fee, uint256 availableWei, HeldState state) private {
        _openHeldWei -= fee.amountWei;
        uint256 backWei = state == HeldState.Returned ? fee.amountWei : 0;
        if (_availableOf(fee.user) != availableWei + backWei) _violated[8] = true;
        _books[fee.user].paidWei += fee.amountWei - backWei;
        _earnedWei[fee.provider] += fee.amountWei - backWei;
    }

    /// @dev The greatest cap that was in force on this day, as the handler saw it.
    function _capNow(address user, address provider) private {
        (uint256 capWei,) = _serving.dailyCapOf(user, provider);
        uint256 day = block.timestamp / 1 days;
        if (capWei > _capOfDayWei[user][provider][day]) _capOfDayWei[user][provider][day] = capWei;
    }

    /// @dev What an honest receipt asks: the lesser of price and present maximum.
    function _least(uint256 priceWei, address user, address provider, bool isInput) private view returns (uint256) {
        (uint256 inputWei, uint256 outputWei) = _serving.maxPriceOf(user, provider);
        uint256 maxWei = isInput ? inputWei : outputWei;
        return priceWei < maxWei ? priceWei : maxWei;
    }

    function _heldOf(uint256 seed) private view returns (uint256 heldId, HeldFee memory fee) {
        uint256 count = _serving.heldCount();
        // One of the last ten: the older ones are settled.
        if (count != 0) heldId = count - seed % (count < 10 ? count : 10);
        fee = _serving.heldOf(heldId);
    }

    /// @dev One in this state, if any of the last ten is.
    function _heldIn(uint256 seed, HeldState state) private view returns (uint256 heldId, HeldFee memory fee) {
        for (uint256 i = 0; i < 10 && fee.state != state; i++) (heldId, fee) = _heldOf(seed % 10 + i);
    }

    function _pair(uint256 seed) internal view returns (address user, address provider) {
        return (_users[seed % USERS], _providers[seed / USERS % PROVIDERS]);
    }

    function _availableOf(address user) internal view returns (uint256) {
        (bool ok, bytes memory answer) = address(_ledger).staticcall(abi.encodeCall(_ledger.getLedger, (user)));
        if (!ok) return 0;
        (, uint256 availableWei) = abi.decode(_tail(answer), (address, uint256));
        return availableWei;
    }

    /// @dev The tuple behind its offset word.
    function _tail(bytes memory answer) private pure returns (bytes memory tail) {
        tail = new bytes(64);
        for (uint256 i = 0; i < 64; i++) tail[i] = answer[32 + i];
    }
}

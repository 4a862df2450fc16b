// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {IInferenceSettlement} from "../interfaces/IInferenceSettlement.sol";
import {ILedgerManager} from "../interfaces/ILedgerManager.sol";
import {IServing} from "../interfaces/IServing.sol";
import {InferenceState} from "./InferenceState.sol";

/// @title InferenceAccounts
/// @notice The part of `InferenceServing` that knows users: sub-accounts and refunds.
/// @dev
///   none --addAccount--> open --deleteAccount, empty--> none; what stands in `Pair` stays for ever
///   refund: asked back (chargeable) --lockTime--> free --processRefund--> ledger; charged or re-used: newest first
///
/// The invariants are numbered in `InferenceServing`.
abstract contract InferenceAccounts is IInferenceSettlement, InferenceState {
    using EnumerableSet for EnumerableSet.AddressSet;
    using EnumerableSet for EnumerableSet.Bytes32Set;
    using SafeCast for uint256;

    uint256 private constant MAX_REFUNDS = 5;

    ILedgerManager internal immutable _ledger;

    constructor(ILedgerManager ledger) {
        require(address(ledger) != address(0), InvalidAddress(address(0)));
        _ledger = ledger;
    }

    modifier onlyLedger() {
        require(msg.sender == address(_ledger), CallerNotLedger(msg.sender));
        _;
    }

    /// @inheritdoc IServing
    function addAccount(address user, address provider, string calldata additionalInfo) external payable onlyLedger {
        require(user != provider, ProviderCannotBeUser());
        AccountState storage account = _accounts[user][provider];
        require(!account.exists, AccountExists(user, provider));
        uint256 epoch = _epochNow(provider);

        account.exists = true;
        account.acknowledged = true;
        account.balanceWei = msg.value.toUint112();
        account.additionalInfo = additionalInfo;
        _accountedWei += msg.value;
        _openPair(_pairs[user][provider], provider, epoch);
        bytes32 key = keccak256(abi.encode(user, provider));
        _keys.add(key);
        _pairOf[key] = [user, provider];
        _providersOf[user].add(provider);
        _usersOf[provider].add(user);
        emit BalanceUpdated(user, provider, msg.value, 0);
    }

    /// @inheritdoc IServing
    function depositFund(address user, address provider, uint256 cancelRetrievingAmount) external payable onlyLedger {
        AccountState storage account = _existing(user, provider);
        _cancelRefunds(account, Math.min(cancelRetrievingAmount, account.pendingWei));
        account.balanceWei += msg.value.toUint112();
        account.acknowledged = true;
        _accountedWei += msg.value;
        emit BalanceUpdated(user, provider, account.balanceWei, account.pendingWei);
    }

    /// @inheritdoc IServing
    function requestRefundAll(address user, address provider) external onlyLedger {
        AccountState storage account = _existing(user, provider);
        uint112 amountWei = account.balanceWei - account.pendingWei;
        if (amountWei == 0) return;

        account.pendingWei += amountWei;
        RefundState[] storage refunds = account.refunds;
        uint256 count = refunds.length;
        if (count < MAX_REFUNDS) {
            refunds.push(RefundState(amountWei, uint64(block.timestamp)));
        } else {
            // The lock of the newest begins anew with what joins it; the older ones keep theirs.
            count -= 1;
            refunds[count].amountWei += amountWei;
            refunds[count].createdAtSec = uint64(block.timestamp);
        }
        emit RefundRequested(user, provider, count, block.timestamp);
    }

    /// @inheritdoc IServing
    function processRefund(address user, address provider)
        external
        onlyLedger
        returns (uint256 totalAmount, uint256 balance, uint256 pendingRefund)
    {
        AccountState storage account = _existing(user, provider);
        RefundState[] storage refunds = account.refunds;
        uint256 count = refunds.length;
        uint256 kept;
        for (uint256 i; i < count; ++i) {
            RefundState memory one = refunds[i];
            if (one.createdAtSec + _lockSec <= block.timestamp) totalAmount += one.amountWei;
            else refunds[kept++] = one;
        }
        for (; count > kept; --count) {
            refunds.pop();
        }
        account.balanceWei -= uint112(totalAmount);
        account.pendingWei -= uint112(totalAmount);
        (balance, pendingRefund) = (account.balanceWei, account.pendingWei);
        _accountedWei -= totalAmount;
        emit BalanceUpdated(user, provider, balance, pendingRefund);
        if (totalAmount != 0) {
            (bool ok,) = msg.sender.call{value: totalAmount}("");
            require(ok, TransferFailed());
        }
    }

    /// @inheritdoc IServing
    function deleteAccount(address user, address provider) external onlyLedger {
        uint256 balanceWei = _existing(user, provider).balanceWei;
        require(balanceWei == 0, AccountNotEmpty(user, provider, balanceWei));

        delete _accounts[user][provider];
        bytes32 key = keccak256(abi.encode(user, provider));
        _keys.remove(key);
        delete _pairOf[key];
        _providersOf[user].remove(provider);
        _usersOf[provider].remove(user);
        emit AccountDeleted(user, provider, 0);
    }

    /// @inheritdoc IServing
    function accountExists(address user, address provider) external view returns (bool) {
        return _accounts[user][provider].exists;
    }

    /// @inheritdoc IServing
    function getPendingRefund(address user, address provider) external view returns (uint256) {
        return _existing(user, provider).pendingWei;
    }

    /// @inheritdoc IInferenceSettlement
    function ledgerAddress() external view returns (address) {
        return address(_ledger);
    }

    /// @dev Takes money that is not asked back first, then cancels refunds from the newest on.
    function _charge(AccountState storage account, uint256 amountWei) internal {
        uint256 balanceWei = account.balanceWei - amountWei;
        account.balanceWei = uint112(balanceWei);
        uint256 pendingWei = account.pendingWei;
        if (pendingWei > balanceWei) _cancelRefunds(account, pendingWei - balanceWei);
    }

    /// @dev At most `pendingWei`; from the newest on, so that what was asked back first is free first.
    function _cancelRefunds(AccountState storage account, uint256 amountWei) private {
        if (amountWei == 0) return;
        account.pendingWei -= uint112(amountWei);
        RefundState[] storage refunds = account.refunds;
        while (amountWei != 0) {
            RefundState storage newest = refunds[refunds.length - 1];
            uint256 partWei = newest.amountWei;
            if (partWei > amountWei) {
                newest.amountWei = uint128(partWei - amountWei);
                return;
            }
            amountWei -= partWei;
            refunds.pop();
        }
    }

    /// @dev A new account begins with the prices it sees; the cap is the default until the user sets one.
    function _openPair(Pair storage pair, address provider, uint256 epoch) private {
        (uint96 inputPriceWei, uint96 outputPriceWei) = _pricesAt(provider, epoch);
        if (!pair.known) {
            pair.known = true;
            pair.capWei = uint96(_defaultDailyCapWei);
        }
        _setMaxPrice(pair, inputPriceWei, outputPriceWei);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {HeldFee, HeldState, ReceiptFault, TEESettlementData} from "../interfaces/IInferenceEvents.sol";
import {IInferenceSettlement} from "../interfaces/IInferenceSettlement.sol";
import {IStakedService} from "../interfaces/IStakedService.sol";
import {Receipt, ReceiptLib} from "../libraries/ReceiptLib.sol";
import {InferenceAccounts} from "./InferenceAccounts.sol";

/// @title HeldFees
/// @notice The part of `InferenceServing` that holds fees of open mode, judges their receipts, and slashes.
/// @dev
///   Held --challengeSec, releaseHeld--> Released
///     \--demandReceipts--> Demanded --postReceipts, right--> Released
///                              \--postReceipts, wrong; answerSec, returnUnanswered--> Returned, slashed
///
/// The invariants are numbered in `InferenceServing`.
abstract contract HeldFees is InferenceAccounts, IStakedService {
    using EnumerableSet for EnumerableSet.AddressSet;
    using SafeCast for uint256;

    uint256 private constant MAX_RECEIPTS = 64;

    /// @inheritdoc IInferenceSettlement
    function demandReceipts(uint256 heldId) external {
        HeldFee storage fee = _inState(heldId, HeldState.Held);
        require(fee.user == msg.sender, NotHeldUser(heldId, msg.sender));
        uint256 closesAtSec = fee.heldAtSec + _challengeSec;
        require(block.timestamp < closesAtSec, WindowClosed(heldId, closesAtSec));

        fee.state = HeldState.Demanded;
        fee.demandedAtSec = uint40(block.timestamp);
        emit ReceiptsDemanded(heldId, msg.sender, fee.provider, block.timestamp + _answerSec);
    }

    /// @inheritdoc IInferenceSettlement
    function postReceipts(uint256 heldId, Receipt[] calldata receipts) external {
        HeldFee storage fee = _inState(heldId, HeldState.Demanded);
        uint256 closesAtSec = fee.demandedAtSec + _answerSec;
        require(block.timestamp < closesAtSec, WindowClosed(heldId, closesAtSec));
        require(receipts.length <= MAX_RECEIPTS, TooManyReceipts(receipts.length, MAX_RECEIPTS));
        (bytes32 hash, uint256 sumWei) = ReceiptLib.requestsHash(receipts);
        require(hash == fee.requestsHash, ReceiptsMismatch(heldId, hash));

        ReceiptFault fault = sumWei == fee.totalFeeWei ? _faultOf(fee, receipts) : ReceiptFault.Sum;
        if (fault == ReceiptFault.None) _release(heldId, fee);
        else _return(heldId, fee, fault);
    }

    /// @inheritdoc IInferenceSettlement
    function returnUnanswered(uint256 heldId) external {
        HeldFee storage fee = _inState(heldId, HeldState.Demanded);
        uint256 closesAtSec = fee.demandedAtSec + _answerSec;
        require(block.timestamp >= closesAtSec, WindowOpen(heldId, closesAtSec));
        _return(heldId, fee, ReceiptFault.Unanswered);
    }

    /// @inheritdoc IInferenceSettlement
    function releaseHeld(uint256[] calldata heldIds) external {
        for (uint256 i; i < heldIds.length; ++i) {
            HeldFee storage fee = _held[heldIds[i]];
            if (fee.state == HeldState.Held && block.timestamp >= fee.heldAtSec + _challengeSec) {
                _release(heldIds[i], fee);
            }
        }
    }

    /// @inheritdoc IInferenceSettlement
    function withdrawEarnings(address to) external returns (uint256 amountWei) {
        require(to != address(0), InvalidAddress(to));
        amountWei = _earnings[msg.sender];
        require(amountWei != 0, NothingToWithdraw(msg.sender));

        _earnings[msg.sender] = 0;
        _accountedWei -= amountWei;
        emit EarningsWithdrawn(msg.sender, to, amountWei);
        (bool ok,) = to.call{value: amountWei}("");
        require(ok, TransferFailed());
    }

    /// @inheritdoc IStakedService
    function minAllocation(address operator) external view returns (uint256) {
        return _listed.contains(operator) || _openCount[operator] != 0 ? _minStakeWei : 0;
    }

    /// @dev Holds `amountWei` of a settlement of the caller; `pair` is still as before it.
    function _hold(TEESettlementData calldata item, Pair storage pair, uint256 amountWei, uint256 epoch) internal {
        uint256 heldId = ++_heldCount;
        ++_openCount[msg.sender];
        HeldFee storage fee = _held[heldId];
        fee.user = item.user;
        fee.heldAtSec = uint40(block.timestamp);
        fee.state = HeldState.Held;
        fee.provider = msg.sender;
        fee.amountWei = amountWei.toUint96();
        // No honest fee is above 2^96 wei, and no receipts add up to the clamped one: it goes back on demand.
        fee.totalFeeWei = uint96(Math.min(item.totalFee, type(uint96).max));
        fee.earlierNonce = pair.nonce;
        fee.requestsHash = item.requestsHash;
        (fee.maxInputPriceWei, fee.maxOutputPriceWei) = _boundOf(pair);
        fee.lastEpoch = uint32(epoch);
        fee.nonce = uint64(item.nonce);
        emit FeeHeld(heldId, item.user, msg.sender, amountWei);
    }

    function _release(uint256 heldId, HeldFee storage fee) private {
        fee.state = HeldState.Released;
        (address provider, uint256 amountWei) = (fee.provider, fee.amountWei);
        --_openCount[provider];
        _earnings[provider] += amountWei;
        emit HeldFeeReleased(heldId, provider, amountWei);
        _ledger.spendFund(fee.user, amountWei);
    }

    function _return(uint256 heldId, HeldFee storage fee, ReceiptFault fault) private {
        fee.state = HeldState.Returned;
        (address user, address provider, uint256 amountWei) = (fee.user, fee.provider, fee.amountWei);
        --_openCount[provider];
        _accountedWei -= amountWei;
        address[] memory beneficiaries = new address[](1);
        beneficiaries[0] = user;
        uint256[] memory bps = new uint256[](1);
        bps[0] = _userBps;
        uint256 slashedWei = _staking.slash(provider, _faultSlashWei, bytes32(heldId), beneficiaries, bps);
        emit HeldFeeReturned(heldId, user, fault, amountWei, slashedWei);
        _ledger.returnFund{value: amountWei}(user);
    }

    /// @dev The first fault of receipts that are the committed ones and add up.
    function _faultOf(HeldFee storage fee, Receipt[] calldata receipts) private view returns (ReceiptFault) {
        uint256 lastNonce = fee.earlierNonce;
        for (uint256 i; i < receipts.length; ++i) {
            Receipt calldata receipt = receipts[i];
            if (receipt.nonce <= lastNonce || receipt.nonce > fee.nonce) return ReceiptFault.Nonce;
            lastNonce = receipt.nonce;
            if (!_isEpochOf(fee, receipt.priceEpoch)) return ReceiptFault.Epoch;
            (uint256 inputWei, uint256 outputWei) = _pricesAt(fee.provider, receipt.priceEpoch);
            uint256 mostWei = receipt.inputUnits * Math.min(inputWei, fee.maxInputPriceWei)
                + receipt.outputUnits * Math.min(outputWei, fee.maxOutputPriceWei);
            if (receipt.feeWei > mostWei) return ReceiptFault.Price;
        }
        return ReceiptFault.None;
    }

    /// @dev In force at the settlement, or until less than the grace before it.
    function _isEpochOf(HeldFee storage fee, uint256 priceEpoch) private view returns (bool) {
        if (priceEpoch >= fee.lastEpoch) return priceEpoch == fee.lastEpoch;
        return _prices[fee.provider][priceEpoch + 1].fromSec + _graceSec > fee.heldAtSec;
    }

    function _inState(uint256 heldId, HeldState state) private view returns (HeldFee storage fee) {
        fee = _held[heldId];
        require(fee.state == state, WrongHeldState(heldId, fee.state));
    }
}

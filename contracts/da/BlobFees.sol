// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IDataAvailability} from "../interfaces/IDataAvailability.sol";

/// @title BlobFees
/// @notice The part of DataAvailability that holds the money.
/// @dev Where a wei may lie, and how it moves:
///
///   submit --> escrow --claim, refund--> credits --withdraw--> out
///      |          \--------------------> pot --payFromPot--^
///      \--what is paid too much----------> credits
///
/// Invariants (numbered with DataAvailability's):
/// 7. escrow + pot + credits = everything paid in - everything withdrawn <= this contract's balance.
/// 8. escrow = fees of all blobs that are neither refunded nor claimed.
abstract contract BlobFees is IDataAvailability {
    using SafeCast for uint256;

    uint128 private _potWei;
    uint128 private _creditsWei;
    uint256 private _escrowWei;
    /// @dev One more than the credit once opened: an account that is emptied stays open, and to credit it stays cheap.
    mapping(address account => uint256) private _accounts;

    /// @inheritdoc IDataAvailability
    function openAccount(address account) external {
        if (_accounts[account] == 0) _accounts[account] = 1;
    }

    /// @inheritdoc IDataAvailability
    function withdraw(address to) external returns (uint256 amountWei) {
        require(to != address(0), ZeroAddress());
        amountWei = creditOf(msg.sender);
        require(amountWei != 0, NothingToWithdraw(msg.sender));
        _accounts[msg.sender] = 1;
        _creditsWei -= amountWei.toUint128();
        emit Withdrawn(msg.sender, to, amountWei);
        (bool sent,) = to.call{value: amountWei}("");
        require(sent, TransferFailed(to, amountWei));
    }

    /// @inheritdoc IDataAvailability
    function potWei() external view returns (uint256) {
        return _potWei;
    }

    /// @inheritdoc IDataAvailability
    function creditOf(address account) public view returns (uint256) {
        uint256 account_ = _accounts[account];
        return account_ == 0 ? 0 : account_ - 1;
    }

    /// @inheritdoc IDataAvailability
    function accountedWei() external view returns (uint256) {
        return _escrowWei + _potWei + _creditsWei;
    }

    /// @dev Takes the fee out of what was sent; the rest is the payer's.
    function _takeFee(address payer, uint256 feeWei) internal {
        require(msg.value >= feeWei, Underpaid(feeWei, msg.value));
        _escrowWei += feeWei;
        _creditAndTell(payer, msg.value - feeWei);
    }

    /// @dev Moves `amountWei` of a fee to an account.
    function _release(address to, uint256 amountWei) internal {
        _escrowWei -= amountWei;
        _creditAndTell(to, amountWei);
    }

    /// @dev Moves `amountWei` of a fee to the pot.
    function _releaseToPot(uint256 amountWei) internal {
        _escrowWei -= amountWei;
        _potWei += amountWei.toUint128();
    }

    function _payFromPot(address account, uint256 amountWei) internal returns (uint256 paidWei) {
        paidWei = Math.min(amountWei, _potWei);
        if (paidWei == 0) return 0;
        _potWei -= uint128(paidWei);
        _credit(account, paidWei);
        emit PotPaid(account, paidWei);
    }

    function _creditAndTell(address account, uint256 amountWei) private {
        if (amountWei == 0) return;
        _credit(account, amountWei);
        emit Credited(account, amountWei);
    }

    function _credit(address account, uint256 amountWei) private {
        uint256 account_ = _accounts[account];
        _accounts[account] = (account_ == 0 ? 1 : account_) + amountWei;
        _creditsWei += amountWei.toUint128();
    }
}

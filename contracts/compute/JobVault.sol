// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IJobEscrow} from "../interfaces/IJobEscrow.sol";

/// @title JobVault
/// @notice The part of `JobEscrow` that holds the money: what jobs lock, and what accounts may withdraw.
/// @dev deposit --_lock--> locked --_credit--> credits --withdraw--> paid out. The invariants are in `JobEscrow`.
abstract contract JobVault is IJobEscrow, ReentrancyGuardTransient {
    using SafeCast for uint256;

    uint128 private _lockedWei;
    uint128 private _creditsWei;
    mapping(address account => uint256) private _creditOf;

    /// @inheritdoc IJobEscrow
    function withdraw(address to) external nonReentrant returns (uint256 amountWei) {
        require(to != address(0), ZeroAddress());
        amountWei = _creditOf[msg.sender];
        require(amountWei != 0, NothingToWithdraw(msg.sender));

        _creditOf[msg.sender] = 0;
        _creditsWei -= amountWei.toUint128();
        emit Withdrawn(msg.sender, to, amountWei);
        (bool ok,) = to.call{value: amountWei}("");
        require(ok, TransferFailed(to, amountWei));
    }

    /// @inheritdoc IJobEscrow
    function creditOf(address account) external view returns (uint256) {
        return _creditOf[account];
    }

    /// @inheritdoc IJobEscrow
    function vault() external view returns (uint256 lockedWei, uint256 creditsWei) {
        return (_lockedWei, _creditsWei);
    }

    /// @dev The value of this call now belongs to a job.
    function _lock() internal {
        _lockedWei += msg.value.toUint128();
    }

    /// @dev Moves what a job held to somebody's credit.
    function _credit(address account, uint256 amountWei) internal {
        if (amountWei == 0) return;
        _lockedWei -= amountWei.toUint128();
        _creditsWei += amountWei.toUint128();
        _creditOf[account] += amountWei;
    }
}

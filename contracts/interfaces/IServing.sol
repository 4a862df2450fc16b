// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

/// @title IServing
/// @notice What `LedgerManager` asks of a service that keeps sub-accounts of its users, one per provider.
/// @dev Its ERC-165 id (the XOR of exactly these seven selectors) is what public deployments check.
interface IServing {
    /// @notice Whether `user` has a sub-account at `provider`.
    function accountExists(address user, address provider) external view returns (bool);

    /// @notice The part of the sub-account's balance that the user has asked back.
    function getPendingRefund(address user, address provider) external view returns (uint256);

    /// @notice Makes a sub-account with the value. Ledger only.
    function addAccount(address user, address provider, string calldata additionalInfo) external payable;

    /// @notice Adds the value, and takes `cancelRetrievingAmount` of what was asked back into use again. Ledger only.
    function depositFund(address user, address provider, uint256 cancelRetrievingAmount) external payable;

    /// @notice Asks all back that is not asked back yet; it stays chargeable until its lock is over. Ledger only.
    function requestRefundAll(address user, address provider) external;

    /// @notice Sends the ledger what was asked back and whose lock is over. Ledger only.
    function processRefund(address user, address provider)
        external
        returns (uint256 totalAmount, uint256 balance, uint256 pendingRefund);

    /// @notice Deletes an empty sub-account. Ledger only.
    function deleteAccount(address user, address provider) external;
}

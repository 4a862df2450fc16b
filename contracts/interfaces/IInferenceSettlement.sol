// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {Receipt} from "../libraries/ReceiptLib.sol";
import {IInferenceEvents, Release, TEESettlementData, Voucher} from "./IInferenceEvents.sol";
import {IServing} from "./IServing.sol";

/// @title IInferenceSettlement
/// @notice The half of `IInferenceServing` that moves money: sub-accounts, vouchers, settlement, held fees, earnings.
interface IInferenceSettlement is IServing, IInferenceEvents {
    /// @notice Raises the ceiling by the user's signature (EIP-712, or ERC-1271); the provider posts it. From then on
    /// the pair is in voucher mode.
    function raiseCeiling(Voucher calldata voucher, bytes calldata signature) external;

    /// @notice The sender takes back at once what `provider` signed to release, as far as the balance reaches.
    function releaseRefund(address provider, Release calldata release, bytes calldata signature) external;

    /// @notice Claims fees of at most 50 users of the sender; one bad item never spoils the others.
    /// @return statuses 0 paid, 1 paid in part (balance, ceiling or cap; the rest is lost), 2 not the sender's, 3
    /// signer not acknowledged, 4 nonce used, 5 wrong signature
    function settleFeesWithTEE(TEESettlementData[] calldata settlements) external returns (uint8[] memory statuses);

    /// @notice Demands the receipts of a held fee. Its user only, while the challenge window is open.
    function demandReceipts(uint256 heldId) external;

    /// @notice Shows the receipts of a demanded fee, at most 64: it is the provider's if they are right, and goes back,
    /// with a slash, if not. Anybody, until the answer window closes.
    function postReceipts(uint256 heldId, Receipt[] calldata receipts) external;

    /// @notice Gives a fee back whose demand was not answered in time, and slashes. Anybody.
    function returnUnanswered(uint256 heldId) external;

    /// @notice Credits held fees whose window is over to their providers; others are passed over. Anybody.
    function releaseHeld(uint256[] calldata heldIds) external;

    /// @notice Sends all that the sender has earned to `to`.
    function withdrawEarnings(address to) external returns (uint256 amountWei);

    /// @notice What each settlement, by itself, would come to if the caller sent it now.
    function previewSettlementResults(TEESettlementData[] calldata settlements)
        external
        view
        returns (
            address[] memory failedUsers,
            uint8[] memory failureReasons,
            address[] memory partialUsers,
            uint256[] memory partialAmounts
        );

    function ledgerAddress() external view returns (address);
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Receipt, ReceiptLib} from "../libraries/ReceiptLib.sol";

/// @title ReceiptHarness
/// @notice Opens ReceiptLib to the tests that hold it against its TypeScript twin.
contract ReceiptHarness {
    function leafHash(Receipt calldata receipt) external pure returns (bytes32) {
        return ReceiptLib.leafHash(receipt);
    }

    function requestsHash(Receipt[] calldata receipts) external pure returns (bytes32 hash, uint256 sumWei) {
        return ReceiptLib.requestsHash(receipts);
    }
}

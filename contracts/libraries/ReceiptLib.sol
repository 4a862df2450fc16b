// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

/// @notice What one response cost, bound to its exact bytes.
/// @param requestHash sha256 of the request body
/// @param responseHash sha256 of the response body; of a stream, of all its raw bytes
/// @param modelHash keccak256 of the model id
/// @param inputUnits tokens, images or seconds, as the service's type counts
/// @param feeWei at most inputUnits and outputUnits times the prices of `priceEpoch`
/// @param nonce strictly increasing per user and provider, for ever
/// @param traceRoot commitment to a trace of the computation; zero where there is none
struct Receipt {
    bytes32 requestHash;
    bytes32 responseHash;
    bytes32 modelHash;
    uint64 inputUnits;
    uint64 outputUnits;
    uint128 feeWei;
    uint32 priceEpoch;
    uint64 nonce;
    bytes32 traceRoot;
}

/// @title ReceiptLib
/// @notice The Merkle-sum tree over the receipts of a settlement: its root commits to every receipt and to their sum.
/// @dev Twin: sdk/protocol/receipt.ts. Leaf = (keccak256(abi.encode(receipt)), feeWei); parent = (keccak256(abi.encode(
/// leftHash, leftSum, rightHash, rightSum)), leftSum + rightSum); an odd last node pairs with (0, 0);
/// requestsHash = keccak256(abi.encode(rootHash, rootSum, count)).
library ReceiptLib {
    /// @notice The root and sum of `receipts`, and what a settlement signs for them.
    /// @dev No receipts give root and sum zero. The number of receipts is the caller's to bound.
    function requestsHash(Receipt[] memory receipts) internal pure returns (bytes32 hash, uint256 sumWei) {
        uint256 count = receipts.length;
        bytes32[] memory hashes = new bytes32[](count);
        uint256[] memory sums = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            hashes[i] = leafHash(receipts[i]);
            sums[i] = receipts[i].feeWei;
        }
        bytes32 root;
        if (count != 0) (root, sumWei) = _fold(hashes, sums);
        hash = keccak256(abi.encode(root, sumWei, count));
    }

    /// @notice The leaf of one receipt.
    function leafHash(Receipt memory receipt) internal pure returns (bytes32) {
        return keccak256(abi.encode(receipt));
    }

    /// @dev Folds level by level in place.
    function _fold(bytes32[] memory hashes, uint256[] memory sums) private pure returns (bytes32, uint256) {
        for (uint256 width = hashes.length; width > 1; width = (width + 1) / 2) {
            for (uint256 i; i < width; i += 2) {
                bool isPair = i + 1 < width;
                bytes32 rightHash = isPair ? hashes[i + 1] : bytes32(0);
                uint256 rightSum = isPair ? sums[i + 1] : 0;
                hashes[i / 2] = keccak256(abi.encode(hashes[i], sums[i], rightHash, rightSum));
                sums[i / 2] = sums[i] + rightSum;
            }
        }
        return (hashes[0], sums[0]);
    }
}

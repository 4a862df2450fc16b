// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CellTreeLib} from "../libraries/CellTreeLib.sol";

/// @title CellTreeHarness
/// @notice Opens CellTreeLib to the tests that hold it against its TypeScript twin.
contract CellTreeHarness {
    function blobDepth(uint256 blobCount) external pure returns (uint256) {
        return CellTreeLib.blobDepth(blobCount);
    }

    function cellDepth(uint256 blobCount) external pure returns (uint256) {
        return CellTreeLib.cellDepth(blobCount);
    }

    function commitmentLeaf(uint256 blobIndex, bytes calldata commitment) external pure returns (bytes32) {
        return CellTreeLib.commitmentLeaf(blobIndex, commitment);
    }

    function cellLeaf(uint256 blobIndex, uint256 column, bytes calldata proof, bytes32 cellHash)
        external
        pure
        returns (bytes32)
    {
        return CellTreeLib.cellLeaf(blobIndex, column, proof, cellHash);
    }

    function verifyCommitment(
        bytes32 root,
        uint256 blobCount,
        uint256 blobIndex,
        bytes calldata commitment,
        bytes32[] calldata path
    ) external pure returns (bool) {
        return CellTreeLib.verifyCommitment(root, blobCount, blobIndex, commitment, path);
    }

    function verifyCell(
        bytes32 root,
        uint256 blobCount,
        uint256 blobIndex,
        uint256 column,
        bytes calldata proof,
        bytes32 cellHash,
        bytes32[] calldata path
    ) external pure returns (bool) {
        return CellTreeLib.verifyCell(root, blobCount, blobIndex, column, proof, cellHash, path);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MerkleLib} from "../libraries/MerkleLib.sol";

/// @title MerkleHarness
/// @notice Opens MerkleLib to the tests that hold it against its TypeScript twin.
contract MerkleHarness {
    function sectorHash(bytes calldata sector) external pure returns (bytes32) {
        return MerkleLib.sectorHash(sector);
    }

    function verify(bytes32 root, bytes32 leaf, uint256 index, bytes32[] calldata path) external pure returns (bool) {
        return MerkleLib.verify(root, leaf, index, path);
    }

    function foldsToNodes(
        bytes32[] calldata shardRoots,
        uint256 shardHeight,
        bytes32[] calldata nodeRoots,
        uint256[] calldata nodeHeights
    ) external pure returns (bool) {
        return MerkleLib.foldsToNodes(shardRoots, shardHeight, nodeRoots, nodeHeights);
    }
}

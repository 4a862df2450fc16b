// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @title MerkleLib
/// @notice Perfect keccak256 trees over sectors, as 0G builds them. Twin: `sdk/protocol/merkle.ts`.
/// @dev Leaf = keccak256(sector), inner node = keccak256(left ‖ right), without a domain tag between the two.
/// So a caller must fix the depth: it compares `path.length` with the height it expects before it calls `verify`.
library MerkleLib {
    /// @notice Bytes of a sector.
    uint256 internal constant SECTOR_BYTES = 256;

    /// @notice A sector has exactly 256 bytes.
    error NotASector(uint256 byteLength);

    /// @notice Leaf hash of one sector.
    function sectorHash(bytes calldata sector) internal pure returns (bytes32) {
        require(sector.length == SECTOR_BYTES, NotASector(sector.length));
        return keccak256(sector);
    }

    /// @notice Whether `leaf` stands at `index` of the perfect tree of height `path.length` under `root`.
    /// @dev Warning: the height is whatever the path says. Check `path.length` first.
    /// @param path siblings from the leaf upwards
    function verify(bytes32 root, bytes32 leaf, uint256 index, bytes32[] calldata path) internal pure returns (bool) {
        if (path.length > 255 || index >> path.length != 0) return false;
        bytes32 node = leaf;
        for (uint256 level; level < path.length; ++level) {
            node = (index >> level) & 1 == 0
                ? Hashes.efficientKeccak256(node, path[level])
                : Hashes.efficientKeccak256(path[level], node);
        }
        return node == root;
    }

    /// @notice Whether shard roots, left to right, hash up to exactly the given submission nodes.
    /// @param shardRoots roots of the data shards in file order
    /// @param shardHeight log2 of the sectors of one shard
    /// @param nodeRoots roots of the submission's nodes, biggest first
    /// @param nodeHeights log2 of the sectors of each node
    function foldsToNodes(
        bytes32[] calldata shardRoots,
        uint256 shardHeight,
        bytes32[] memory nodeRoots,
        uint256[] memory nodeHeights
    ) internal pure returns (bool) {
        if (nodeRoots.length == 0 || nodeRoots.length != nodeHeights.length) return false;
        uint256 used;
        for (uint256 i; i < nodeRoots.length; ++i) {
            if (nodeHeights[i] < shardHeight || nodeHeights[i] - shardHeight > 255) return false;
            uint256 count = 1 << (nodeHeights[i] - shardHeight);
            if (count > shardRoots.length - used) return false;
            if (_perfectRoot(shardRoots[used:used + count]) != nodeRoots[i]) return false;
            used += count;
        }
        return used == shardRoots.length;
    }

    /// @notice Writes the parents of the first `count` nodes of `from` to `to`, which may be the same array. An odd
    /// last node has no parent.
    function hashPairs(bytes32[] memory from, uint256 count, bytes32[] memory to) internal pure {
        assert(count <= from.length && count / 2 <= to.length);
        // Two neighbours in an array already are the 64 bytes to hash: nothing is copied.
        assembly ("memory-safe") {
            let pair := add(from, 0x20)
            let parent := add(to, 0x20)
            let past := add(parent, shl(5, shr(1, count)))
            for {} lt(parent, past) { parent := add(parent, 0x20) } {
                mstore(parent, keccak256(pair, 0x40))
                pair := add(pair, 0x40)
            }
        }
    }

    /// @dev Root over a power of two of nodes.
    function _perfectRoot(bytes32[] calldata nodes) private pure returns (bytes32) {
        bytes32[] memory level = nodes;
        for (uint256 width = level.length; width > 1; width /= 2) {
            hashPairs(level, width, level);
        }
        return level[0];
    }
}

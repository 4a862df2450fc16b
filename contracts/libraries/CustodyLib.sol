// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {MerkleLib} from "./MerkleLib.sol";

/// @title CustodyLib
/// @notice The tree that says who holds which shard of a deal. Twin: `sdk/protocol/custody.ts`.
/// @dev Leaves are paired left to right; an odd last node moves up unchanged (0G's rule). A leaf hashes 96 bytes and
/// an inner node 64, so neither can pass for the other.
library CustodyLib {
    /// @notice A deal has at least one shard.
    error NoCustody();

    /// @notice Leaf of shard `index`, held by `provider`.
    function leaf(uint256 index, address provider, bytes32 shardRoot) internal pure returns (bytes32) {
        return keccak256(abi.encode(index, provider, shardRoot));
    }

    /// @notice Root over the leaves of all shards, in shard order. Does not change `leaves`.
    function root(bytes32[] memory leaves) internal pure returns (bytes32) {
        uint256 count = leaves.length;
        require(count != 0, NoCustody());
        if (count == 1) return leaves[0];
        bytes32[] memory level = new bytes32[]((count + 1) / 2);
        _pairUp(leaves, count, level);
        count = level.length;
        while (count > 1) {
            _pairUp(level, count, level);
            count = (count + 1) / 2;
        }
        return level[0];
    }

    /// @notice Whether `leaf_` is number `index` of the `count` leaves under `root_`.
    /// @param path siblings from the leaf upwards; a level where the node is the odd last one has none
    function verify(bytes32 root_, uint256 count, uint256 index, bytes32 leaf_, bytes32[] calldata path)
        internal
        pure
        returns (bool)
    {
        if (index >= count) return false;
        bytes32 node = leaf_;
        uint256 used;
        while (count > 1) {
            if (index ^ 1 < count) {
                if (used == path.length) return false;
                bytes32 sibling = path[used++];
                node = index & 1 == 0
                    ? Hashes.efficientKeccak256(node, sibling)
                    : Hashes.efficientKeccak256(sibling, node);
            }
            index /= 2;
            count = count / 2 + (count & 1);
        }
        return used == path.length && node == root_;
    }

    /// @dev Writes the parents of the first `count` nodes of `from` to `to`, which may be the same array.
    function _pairUp(bytes32[] memory from, uint256 count, bytes32[] memory to) private pure {
        MerkleLib.hashPairs(from, count, to);
        if (count & 1 == 1) to[count / 2] = from[count - 1];
    }
}

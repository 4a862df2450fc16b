// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

/// @title CellTreeLib
/// @notice The two trees of a DA header: over its blobs' commitments, and over all their cells.
/// Twin: `sdk/protocol/cell-tree.ts`.
/// @dev Leaves carry their place and the tag 0x00, inner nodes the tag 0x01, so neither passes for the other.
/// Blobs are filled up to a power of two with zero hashes. The tree of cells is column-major (index = column * padded
/// blobs + blob): each column is one perfect subtree. Depths follow from the blob count and are checked.
library CellTreeLib {
    /// @notice Columns of an extended blob (EIP-7594).
    uint256 internal constant COLUMNS = 128;

    /// @notice log2 of the columns.
    uint256 internal constant COLUMN_DEPTH = 7;

    /// @notice Most KZG blobs under one header.
    uint256 internal constant MAX_BLOBS = 256;

    /// @notice Bytes of one cell.
    uint256 internal constant CELL_BYTES = 2048;

    /// @notice Bytes of a compressed G1 point: a commitment or a proof.
    uint256 internal constant POINT_BYTES = 48;

    /// @notice A header has 1 … 256 blobs.
    error BlobCountInvalid(uint256 blobCount);

    /// @notice The blob or the column is not one of the header's.
    error CellOutOfRange(uint256 blobIndex, uint256 column);

    /// @notice A commitment and a proof have exactly 48 bytes.
    error PointLengthInvalid(uint256 byteLength);

    /// @notice log2 of the blobs, filled up to a power of two.
    function blobDepth(uint256 blobCount) internal pure returns (uint256 depth) {
        require(blobCount != 0 && blobCount <= MAX_BLOBS, BlobCountInvalid(blobCount));
        unchecked {
            for (uint256 rest = blobCount - 1; rest != 0; rest >>= 1) {
                ++depth;
            }
        }
    }

    /// @notice Depth of a cell in the tree of `blobCount` blobs.
    function cellDepth(uint256 blobCount) internal pure returns (uint256) {
        return COLUMN_DEPTH + blobDepth(blobCount);
    }

    /// @notice keccak256(0x00 ‖ uint16 blob index ‖ commitment).
    function commitmentLeaf(uint256 blobIndex, bytes memory commitment) internal pure returns (bytes32) {
        require(commitment.length == POINT_BYTES, PointLengthInvalid(commitment.length));
        require(blobIndex < MAX_BLOBS, CellOutOfRange(blobIndex, 0));
        return keccak256(abi.encodePacked(uint8(0), uint16(blobIndex), commitment));
    }

    /// @notice keccak256(0x00 ‖ uint16 blob index ‖ uint8 column ‖ proof ‖ cellHash).
    /// @param cellHash keccak256 of the cell's 2048 bytes
    function cellLeaf(uint256 blobIndex, uint256 column, bytes memory proof, bytes32 cellHash)
        internal
        pure
        returns (bytes32)
    {
        require(proof.length == POINT_BYTES, PointLengthInvalid(proof.length));
        require(blobIndex < MAX_BLOBS && column < COLUMNS, CellOutOfRange(blobIndex, column));
        return keccak256(abi.encodePacked(uint8(0), uint16(blobIndex), uint8(column), proof, cellHash));
    }

    /// @notice Whether `commitment` is that of blob `blobIndex` under `root`.
    /// @param path siblings from the leaf upwards; false unless there are exactly `blobDepth`
    function verifyCommitment(
        bytes32 root,
        uint256 blobCount,
        uint256 blobIndex,
        bytes memory commitment,
        bytes32[] calldata path
    ) internal pure returns (bool) {
        if (path.length != blobDepth(blobCount) || blobIndex >= blobCount) return false;
        return _fold(commitmentLeaf(blobIndex, commitment), blobIndex, path) == root;
    }

    /// @notice Whether this cell and proof stand at (blob, column) under `root`.
    /// @param path siblings from the leaf upwards; false unless there are exactly `cellDepth`
    function verifyCell(
        bytes32 root,
        uint256 blobCount,
        uint256 blobIndex,
        uint256 column,
        bytes memory proof,
        bytes32 cellHash,
        bytes32[] calldata path
    ) internal pure returns (bool) {
        uint256 depth = blobDepth(blobCount);
        if (path.length != COLUMN_DEPTH + depth || blobIndex >= blobCount || column >= COLUMNS) return false;
        return _fold(cellLeaf(blobIndex, column, proof, cellHash), (column << depth) | blobIndex, path) == root;
    }

    /// @dev The root that `leaf` at `index` and its siblings give.
    function _fold(bytes32 leaf, uint256 index, bytes32[] calldata path) private pure returns (bytes32 node) {
        node = leaf;
        // The 65 bytes of a node are built behind the free memory pointer, which stays where it is.
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore8(buffer, 0x01)
            let first := add(buffer, 0x01)
            let past := add(path.offset, shl(5, path.length))
            for { let at := path.offset } lt(at, past) { at := add(at, 0x20) } {
                // An odd node is the right child: it goes 32 bytes further and its sibling before it.
                let right := shl(5, and(index, 1))
                mstore(add(first, right), node)
                mstore(add(first, xor(right, 0x20)), calldataload(at))
                node := keccak256(buffer, 0x41)
                index := shr(1, index)
            }
        }
    }
}

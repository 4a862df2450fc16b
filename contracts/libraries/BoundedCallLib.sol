// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

/// @title BoundedCallLib
/// @notice Reads one word from a contract that is not trusted to answer.
library BoundedCallLib {
    /// @notice Static call with a gas limit that counts only when it succeeds and returns exactly 32 bytes.
    /// @dev On an account without code a call "succeeds" with nothing: that is not an answer.
    function readWord(address target, uint256 gasLimit, bytes memory data)
        internal
        view
        returns (bool ok, uint256 word)
    {
        // Assembly, because Solidity would copy all return data, of any size, at our cost. Memory-safe: the answer goes
        // to scratch space (bytes 0..31) and nothing else is written.
        assembly ("memory-safe") {
            ok := staticcall(gasLimit, target, add(data, 0x20), mload(data), 0x00, 0x20)
            ok := and(ok, eq(returndatasize(), 0x20))
            if ok { word := mload(0x00) }
        }
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

/// @title CodeStoreLib
/// @notice Data that never changes, kept as the code of a contract: one cold access reads any length of it.
/// @dev The code is STOP ‖ data: whoever calls it runs nothing.
library CodeStoreLib {
    error StoreNotCreated();

    /// @notice Keeps `data`, at most 24,575 bytes.
    function write(bytes memory data) internal returns (address store) {
        // PUSH2 size, DUP1, PUSH1 10, RETURNDATASIZE, CODECOPY, RETURNDATASIZE, RETURN: deploys what follows.
        bytes memory initCode = abi.encodePacked(hex"61", uint16(data.length + 1), hex"80600a3d393df300", data);
        assembly ("memory-safe") {
            store := create(0, add(initCode, 0x20), mload(initCode))
        }
        require(store != address(0), StoreNotCreated());
    }

    /// @notice Bytes `offset` to `offset + length` of what was kept; what lies behind the end is zero.
    function read(address store, uint256 offset, uint256 length) internal view returns (bytes memory data) {
        data = new bytes(length);
        assembly ("memory-safe") {
            extcodecopy(store, add(data, 0x20), add(offset, 1), length)
        }
    }
}

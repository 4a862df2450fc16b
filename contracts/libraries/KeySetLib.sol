// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {BlsLib} from "./BlsLib.sol";
import {PrecompileLib} from "./PrecompileLib.sol";

/// @title KeySetLib
/// @notice A committee's BLS keys as contract code: one cold access reads all of them.
/// @dev Code: STOP ‖ aggregate key (128 B) ‖ 128 x (key (128 B) ‖ operator (20 B)). An empty slot is all zeros, which
/// is also EIP-2537's point at infinity. The aggregate is the sum of all slots. STOP keeps the code from ever running.
/// Keys are points of the group: whoever writes a set has checked them.
library KeySetLib {
    /// @notice Slots of a set.
    uint256 internal constant SLOTS = 128;

    /// @notice Bytes of a key: a G1 point of EIP-2537.
    uint256 internal constant KEY_BYTES = 128;

    // Plain numbers, because assembly takes no other constants.
    uint256 private constant AGGREGATE_AT = 1;
    /// @dev AGGREGATE_AT + KEY_BYTES.
    uint256 private constant ENTRIES_AT = 129;
    /// @dev A key and an address.
    uint256 private constant ENTRY_BYTES = 148;
    uint256 private constant CODE_BYTES = ENTRIES_AT + SLOTS * ENTRY_BYTES;

    error KeySetNotCreated();

    /// @notice Deploys a key set; `code` is as `load` gave it, with changes by `put`.
    function write(bytes memory code) internal returns (address keySet) {
        // PUSH2 size, DUP1, PUSH1 10, RETURNDATASIZE, CODECOPY, RETURNDATASIZE, RETURN: deploys what follows.
        bytes memory initCode = abi.encodePacked(hex"61", uint16(CODE_BYTES), hex"80600a3d393df3", code);
        assembly ("memory-safe") {
            keySet := create(0, add(initCode, 0x20), mload(initCode))
        }
        require(keySet != address(0), KeySetNotCreated());
    }

    /// @notice The code of a key set; an empty one for the zero address.
    function load(address keySet) internal view returns (bytes memory code) {
        code = new bytes(CODE_BYTES);
        if (keySet != address(0)) _copy(keySet, 0, code);
    }

    /// @notice Puts a key (128 B) and its holder into `slot`, zeros to empty it, and keeps the aggregate their sum.
    function put(bytes memory code, uint256 slot, bytes memory key, address operator) internal view {
        uint256 start = ENTRIES_AT + slot * ENTRY_BYTES;
        bytes memory others = BlsLib.g1Add(_read(code, AGGREGATE_AT), BlsLib.g1Negate(_read(code, start)));
        _overwrite(code, AGGREGATE_AT, BlsLib.g1Add(others, key));
        _overwrite(code, start, abi.encodePacked(key, operator));
    }

    /// @notice Sum of the keys in `slots` (a bitmap) of a key set, 128 bytes; zeros are infinity.
    function sum(address keySet, uint256 slots) internal view returns (bytes memory total) {
        // The second half takes the next key: the precompile adds both halves and writes to the first.
        total = new bytes(2 * KEY_BYTES);
        uint256 g1Add = PrecompileLib.G1_ADD;
        uint256 gasLimit = PrecompileLib.G1_ADD_GAS;
        bool ok = true;
        assembly ("memory-safe") {
            let left := add(total, 0x20)
            let right := add(left, KEY_BYTES)
            let entry := ENTRIES_AT
            for { let rest := slots } rest { rest := shr(1, rest) } {
                if and(rest, 1) {
                    extcodecopy(keySet, right, entry, KEY_BYTES)
                    let done := staticcall(gasLimit, g1Add, left, 0x100, left, KEY_BYTES)
                    ok := and(ok, and(done, eq(returndatasize(), KEY_BYTES)))
                }
                entry := add(entry, ENTRY_BYTES)
            }
            mstore(total, KEY_BYTES)
        }
        require(ok, PrecompileLib.PrecompileFailed(g1Add));
    }

    /// @notice Sum of all keys of a key set.
    function aggregateOf(address keySet) internal view returns (bytes memory total) {
        total = new bytes(KEY_BYTES);
        _copy(keySet, AGGREGATE_AT, total);
    }

    /// @notice Who holds `slot` of loaded code; zero if nobody.
    function operatorIn(bytes memory code, uint256 slot) internal pure returns (address operator) {
        uint256 start = ENTRIES_AT + slot * ENTRY_BYTES + KEY_BYTES;
        assembly ("memory-safe") {
            operator := shr(96, mload(add(add(code, 0x20), start)))
        }
    }

    /// @notice Who holds `slot` of a key set; zero if nobody.
    function operatorAt(address keySet, uint256 slot) internal view returns (address operator) {
        bytes memory raw = new bytes(20);
        _copy(keySet, ENTRIES_AT + slot * ENTRY_BYTES + KEY_BYTES, raw);
        return address(bytes20(raw));
    }

    /// @notice The key in `slot` of a key set; zeros if none.
    function keyAt(address keySet, uint256 slot) internal view returns (bytes memory key) {
        key = new bytes(KEY_BYTES);
        _copy(keySet, ENTRIES_AT + slot * ENTRY_BYTES, key);
    }

    /// @dev 128 bytes of loaded code.
    function _read(bytes memory code, uint256 start) private pure returns (bytes memory point) {
        point = new bytes(KEY_BYTES);
        assembly ("memory-safe") {
            mcopy(add(point, 0x20), add(add(code, 0x20), start), KEY_BYTES)
        }
    }

    function _overwrite(bytes memory code, uint256 start, bytes memory part) private pure {
        assembly ("memory-safe") {
            mcopy(add(add(code, 0x20), start), add(part, 0x20), mload(part))
        }
    }

    /// @dev Fills `target` from the code of `keySet`; what lies behind the end reads as zero.
    function _copy(address keySet, uint256 offset, bytes memory target) private view {
        assembly ("memory-safe") {
            extcodecopy(keySet, add(target, 0x20), offset, mload(target))
        }
    }
}

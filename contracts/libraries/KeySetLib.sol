// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {BlsLib} from "./BlsLib.sol";
import {CodeStoreLib} from "./CodeStoreLib.sol";
import {PrecompileLib} from "./PrecompileLib.sol";

/// @title KeySetLib
/// @notice A committee's BLS keys as contract code: one cold access reads all of them.
/// @dev Code: STOP ‖ aggregate key (128 B) ‖ 128 x (key (128 B) ‖ operator (20 B)). An empty slot is all zeros, which
/// is also EIP-2537's point at infinity. The aggregate is the sum of all slots. Keys are points of the group: whoever
/// writes a set has checked them.
library KeySetLib {
    /// @notice Slots of a set.
    uint256 internal constant SLOTS = 128;

    /// @notice Bytes of a key: a G1 point of EIP-2537.
    uint256 internal constant KEY_BYTES = 128;

    // Offsets behind STOP; plain numbers, because assembly takes no other constants.
    uint256 private constant AGGREGATE_AT = 0;
    /// @dev AGGREGATE_AT + KEY_BYTES.
    uint256 private constant ENTRIES_AT = 128;
    /// @dev A key and an address.
    uint256 private constant ENTRY_BYTES = 148;
    uint256 private constant SET_BYTES = ENTRIES_AT + SLOTS * ENTRY_BYTES;

    /// @notice Writes a loaded set, with what was put into it.
    function write(bytes memory set) internal returns (address keySet) {
        return CodeStoreLib.write(set);
    }

    /// @notice All of a key set; an empty one for the zero address.
    function load(address keySet) internal view returns (bytes memory set) {
        return keySet == address(0) ? new bytes(SET_BYTES) : CodeStoreLib.read(keySet, 0, SET_BYTES);
    }

    /// @notice Puts a key (128 B) and its holder into `slot`, zeros to empty it, and keeps the aggregate their sum.
    function put(bytes memory set, uint256 slot, bytes memory key, address operator) internal view {
        uint256 start = ENTRIES_AT + slot * ENTRY_BYTES;
        bytes memory others = BlsLib.g1Add(_read(set, AGGREGATE_AT), BlsLib.g1Negate(_read(set, start)));
        _overwrite(set, AGGREGATE_AT, BlsLib.g1Add(others, key));
        _overwrite(set, start, abi.encodePacked(key, operator));
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
            // Behind STOP.
            let entry := add(ENTRIES_AT, 1)
            for { let rest := slots } rest { rest := shr(1, rest) } {
                if and(rest, 1) {
                    extcodecopy(keySet, right, entry, KEY_BYTES)
                    // A call that fails returns nothing, and so does one to a precompile that is missing.
                    pop(staticcall(gasLimit, g1Add, left, 0x100, left, KEY_BYTES))
                    ok := and(ok, eq(returndatasize(), KEY_BYTES))
                }
                entry := add(entry, ENTRY_BYTES)
            }
            mstore(total, KEY_BYTES)
        }
        require(ok, PrecompileLib.PrecompileFailed(g1Add));
    }

    /// @notice Sum of all keys of a key set.
    function aggregateOf(address keySet) internal view returns (bytes memory total) {
        return CodeStoreLib.read(keySet, AGGREGATE_AT, KEY_BYTES);
    }

    /// @notice Who holds `slot` of a loaded set; zero if nobody.
    function operatorIn(bytes memory set, uint256 slot) internal pure returns (address operator) {
        uint256 start = ENTRIES_AT + slot * ENTRY_BYTES + KEY_BYTES;
        assembly ("memory-safe") {
            operator := shr(96, mload(add(add(set, 0x20), start)))
        }
    }

    /// @notice Who holds `slot` of a key set; zero if nobody.
    function operatorAt(address keySet, uint256 slot) internal view returns (address operator) {
        return address(bytes20(CodeStoreLib.read(keySet, ENTRIES_AT + slot * ENTRY_BYTES + KEY_BYTES, 20)));
    }

    /// @notice The key in `slot` of a key set; zeros if none.
    function keyAt(address keySet, uint256 slot) internal view returns (bytes memory key) {
        return CodeStoreLib.read(keySet, ENTRIES_AT + slot * ENTRY_BYTES, KEY_BYTES);
    }

    /// @dev 128 bytes of a loaded set.
    function _read(bytes memory set, uint256 start) private pure returns (bytes memory point) {
        point = new bytes(KEY_BYTES);
        assembly ("memory-safe") {
            mcopy(add(point, 0x20), add(add(set, 0x20), start), KEY_BYTES)
        }
    }

    function _overwrite(bytes memory set, uint256 start, bytes memory part) private pure {
        assembly ("memory-safe") {
            mcopy(add(add(set, 0x20), start), add(part, 0x20), mload(part))
        }
    }
}

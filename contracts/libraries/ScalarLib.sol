// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {PrecompileLib} from "./PrecompileLib.sol";

/// @title ScalarLib
/// @notice The scalar field of BLS12-381, whose elements blobs are made of. Twin: `sdk/protocol/scalar-field.ts`.
library ScalarLib {
    /// @notice The order r of the groups.
    uint256 internal constant R = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;

    /// @dev Twice the price of EIP-7883, the dearest so far: 16 * 254.
    uint256 private constant INVERSE_GAS = 8200;

    /// @notice Zero has no inverse.
    error ZeroHasNoInverse();

    /// @notice Whether the word is an element: below r.
    function isCanonical(uint256 a) internal pure returns (bool) {
        return a < R;
    }

    /// @notice 1/a mod r.
    function inverse(uint256 a) internal view returns (uint256) {
        require(a % R != 0, ZeroHasNoInverse());
        bytes memory input = abi.encodePacked(uint256(32), uint256(32), uint256(32), a, R - 2, R);
        return uint256(bytes32(PrecompileLib.modexp(input, 32, INVERSE_GAS)));
    }

    /// @notice a^64 mod r.
    function pow64(uint256 a) internal pure returns (uint256 power) {
        power = a % R;
        for (uint256 i; i < 6; ++i) {
            power = mulmod(power, power, R);
        }
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title BitmapLib
/// @notice Counts and finds the bits of a word.
library BitmapLib {
    /// @notice How many bits are set.
    /// @dev Unchecked on purpose: the classic sum of bit fields, whose parts cannot leave their fields.
    function count(uint256 bits) internal pure returns (uint256) {
        if (bits == 0) return 0;
        if (bits == type(uint256).max) return 256;
        unchecked {
            bits -= (bits >> 1) & (type(uint256).max / 3);
            bits = (bits & (type(uint256).max / 5)) + ((bits >> 2) & (type(uint256).max / 5));
            bits = (bits + (bits >> 4)) & (type(uint256).max / 17);
            return (bits * (type(uint256).max / 255)) >> 248;
        }
    }

    /// @notice The place of the lowest bit that is set; 0 also when none is.
    function lowest(uint256 bits) internal pure returns (uint256) {
        unchecked {
            return Math.log2(bits & (~bits + 1));
        }
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ScalarLib} from "../libraries/ScalarLib.sol";

/// @title ScalarHarness
/// @notice Opens ScalarLib to the tests that hold it against its TypeScript twin.
contract ScalarHarness {
    function isCanonical(uint256 a) external pure returns (bool) {
        return ScalarLib.isCanonical(a);
    }

    function inverse(uint256 a) external view returns (uint256) {
        return ScalarLib.inverse(a);
    }

    function pow64(uint256 a) external pure returns (uint256) {
        return ScalarLib.pow64(a);
    }
}

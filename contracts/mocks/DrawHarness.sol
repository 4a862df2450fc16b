// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DrawLib} from "../libraries/DrawLib.sol";

/// @title DrawHarness
/// @notice Opens DrawLib to the tests that hold it against its TypeScript twin.
contract DrawHarness {
    function count(uint256 target, uint256 span, uint256 live) external pure returns (uint256) {
        return DrawLib.count(target, span, live);
    }

    function position(bytes32 seed, uint256 j, uint256 tail, uint256 span) external pure returns (uint256) {
        return DrawLib.position(seed, j, tail, span);
    }
}

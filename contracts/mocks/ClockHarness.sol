// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ClockLib} from "../libraries/ClockLib.sol";

/// @title ClockHarness
/// @notice Opens ClockLib to the tests that hold it against its TypeScript twin.
contract ClockHarness {
    function periodAt(uint256 startBlock, uint256 periodBlocks, uint256 blockNumber) external pure returns (uint256) {
        return ClockLib.periodAt(startBlock, periodBlocks, blockNumber);
    }

    function periodStart(uint256 startBlock, uint256 periodBlocks, uint256 period) external pure returns (uint256) {
        return ClockLib.periodStart(startBlock, periodBlocks, period);
    }
}

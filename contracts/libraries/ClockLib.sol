// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

/// @title ClockLib
/// @notice The one clock: period p begins at block `startBlock + p * periodBlocks`. Block numbers, never seconds.
/// @dev Twin: `sdk/protocol/clock.ts`. `periodBlocks` must not be zero.
library ClockLib {
    /// @notice The period that `blockNumber` belongs to; 0 before the start.
    function periodAt(uint256 startBlock, uint256 periodBlocks, uint256 blockNumber) internal pure returns (uint256) {
        if (blockNumber < startBlock) return 0;
        return (blockNumber - startBlock) / periodBlocks;
    }

    /// @notice The first block of `period`.
    function periodStart(uint256 startBlock, uint256 periodBlocks, uint256 period) internal pure returns (uint256) {
        return startBlock + period * periodBlocks;
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {LayoutLib} from "../libraries/LayoutLib.sol";

/// @title LayoutHarness
/// @notice Opens LayoutLib to the tests that hold it against its TypeScript twin.
contract LayoutHarness {
    function geometry(uint256 paddedSectors) external pure returns (uint256 shardSectors, uint256 dataShards) {
        return LayoutLib.geometry(paddedSectors);
    }
}

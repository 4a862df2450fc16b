// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SeatLib} from "../libraries/SeatLib.sol";

/// @title SeatHarness
/// @notice Opens SeatLib to the tests that hold it against its TypeScript twin.
contract SeatHarness {
    function assign(uint256[] memory weights, bytes32 seed) external pure returns (bytes32[4] memory) {
        return SeatLib.assign(weights, seed);
    }

    function apportion(uint256[] memory weights, uint64 fraction) external pure returns (bytes memory) {
        return SeatLib.apportion(weights, fraction);
    }

    function shuffle(bytes memory items, bytes32 seed) external pure returns (bytes memory) {
        SeatLib.shuffle(items, seed);
        return items;
    }

    function ownerOf(bytes32[4] memory columnOwners, uint256 column) external pure returns (uint256) {
        return SeatLib.ownerOf(columnOwners, column);
    }

    function columnsOf(bytes32[4] memory columnOwners, uint256 owners) external pure returns (uint256) {
        return SeatLib.columnsOf(columnOwners, owners);
    }

    function seatedIn(bytes32[4] memory columnOwners) external pure returns (uint256) {
        return SeatLib.seatedIn(columnOwners);
    }
}

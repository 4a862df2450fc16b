// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title DrawLib
/// @notice How many challenges a period has and where on the audit line they fall. Twin: `sdk/protocol/draw.ts`.
library DrawLib {
    /// @notice However much of the line is dead, a period has at most this many times the target of draws.
    uint256 internal constant MAX_STRETCH = 8;

    /// @notice Draws of a period: min(8 x target, ceil(target x span / live)), none when nothing is live.
    /// @param target draws that should fall on live sectors
    /// @param span sectors of the audit line from tail to end, live and dead
    /// @param live live sectors among them
    function count(uint256 target, uint256 span, uint256 live) internal pure returns (uint256) {
        if (live == 0) return 0;
        return Math.min(MAX_STRETCH * target, Math.ceilDiv(target * span, live));
    }

    /// @notice Position of draw `j` on the audit line.
    /// @param span must not be 0
    function position(bytes32 seed, uint256 j, uint256 tail, uint256 span) internal pure returns (uint256) {
        return tail + uint256(keccak256(abi.encode(seed, j))) % span;
    }
}

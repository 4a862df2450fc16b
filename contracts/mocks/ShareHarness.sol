// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ShareLib} from "../libraries/ShareLib.sol";

/// @title ShareHarness
/// @notice Opens `ShareLib` to tests.
contract ShareHarness {
    function toSharesDown(uint256 amountWei, uint256 tokensWei, uint256 shares) external pure returns (uint256) {
        return ShareLib.toSharesDown(amountWei, tokensWei, shares);
    }

    function toWeiDown(uint256 part, uint256 tokensWei, uint256 shares) external pure returns (uint256) {
        return ShareLib.toWeiDown(part, tokensWei, shares);
    }

    function toWeiUp(uint256 part, uint256 tokensWei, uint256 shares) external pure returns (uint256) {
        return ShareLib.toWeiUp(part, tokensWei, shares);
    }

    function isWiped(uint256 tokensWei, uint256 shares) external pure returns (bool) {
        return ShareLib.isWiped(tokensWei, shares);
    }
}

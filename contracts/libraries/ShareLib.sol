// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title ShareLib
/// @notice Shares over tokens, with virtual shares so that a first depositor cannot profit from inflating the price.
/// @dev Twin: `sdk/protocol/shares.ts`. The price of a share is (tokens + 1) / (shares + 1e6) wei.
library ShareLib {
    /// @dev Shares that nobody owns: a donation to an empty pool is lost to them, not won by the first holder.
    uint256 internal constant VIRTUAL_SHARES = 1e6;
    uint256 internal constant VIRTUAL_WEI = 1;
    /// @dev Below 1e-12 of the first price a pool counts as wiped, so that shares per wei stay below 1e18 and no
    /// series of slashes and deposits can overflow.
    uint256 internal constant MAX_SHARES_PER_WEI = 1e18;

    /// @notice Shares that `amountWei` buys, rounded for the pool.
    function toSharesDown(uint256 amountWei, uint256 tokensWei, uint256 shares) internal pure returns (uint256) {
        return Math.mulDiv(amountWei, shares + VIRTUAL_SHARES, tokensWei + VIRTUAL_WEI);
    }

    /// @notice What `part` of the shares is worth, rounded for the pool.
    function toWeiDown(uint256 part, uint256 tokensWei, uint256 shares) internal pure returns (uint256) {
        return Math.mulDiv(part, tokensWei + VIRTUAL_WEI, shares + VIRTUAL_SHARES);
    }

    /// @notice What `part` of the shares is worth, rounded against its owner.
    function toWeiUp(uint256 part, uint256 tokensWei, uint256 shares) internal pure returns (uint256) {
        return Math.mulDiv(part, tokensWei + VIRTUAL_WEI, shares + VIRTUAL_SHARES, Math.Rounding.Ceil);
    }

    /// @notice Whether a slash has left so little that the shares are void.
    function isWiped(uint256 tokensWei, uint256 shares) internal pure returns (bool) {
        return shares / MAX_SHARES_PER_WEI >= tokensWei && shares != 0;
    }
}

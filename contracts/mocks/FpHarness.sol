// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FpLib} from "../libraries/FpLib.sol";

/// @title FpHarness
/// @notice Opens FpLib to the tests that hold it against its TypeScript twin.
contract FpHarness {
    function isCanonical(uint256 hi, uint256 lo) external pure returns (bool) {
        return FpLib.isCanonical(hi, lo);
    }

    function isLarger(uint256 hi, uint256 lo) external pure returns (bool) {
        return FpLib.isLarger(hi, lo);
    }

    function negate(uint256 hi, uint256 lo) external pure returns (uint256, uint256) {
        return FpLib.negate(hi, lo);
    }

    function addSmall(uint256 hi, uint256 lo, uint256 small) external pure returns (uint256, uint256) {
        return FpLib.addSmall(hi, lo, small);
    }

    function reduce(uint256 hi, uint256 lo) external view returns (uint256, uint256) {
        bytes memory number = abi.encodePacked(hi, lo);
        FpLib.reduceAll(number);
        return abi.decode(number, (uint256, uint256));
    }

    function square(uint256 hi, uint256 lo) external view returns (uint256, uint256) {
        return FpLib.square(hi, lo);
    }

    function curveSide(uint256 hi, uint256 lo) external view returns (uint256, uint256) {
        return FpLib.curveSide(hi, lo);
    }

    function isOnCurve(uint256 xHi, uint256 xLo, uint256 yHi, uint256 yLo) external view returns (bool) {
        return FpLib.isOnCurve(xHi, xLo, yHi, yLo);
    }

    function isSquare(uint256 hi, uint256 lo) external view returns (bool) {
        return FpLib.isSquare(hi, lo);
    }
}

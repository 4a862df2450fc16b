// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {PrecompileLib} from "./PrecompileLib.sol";

/// @title FpLib
/// @notice The base field of BLS12-381: an element is two words, hi * 2^256 + lo. Twin: `sdk/protocol/fp.ts`.
library FpLib {
    /// @notice The modulus p.
    uint256 internal constant P_HI = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 internal constant P_LO = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;

    /// @notice (p - 1) / 2: the exponent of Euler's criterion, and the largest of the smaller half.
    uint256 internal constant HALF_HI = 0x0d0088f51cbff34d258dd3db21a5d66b;
    uint256 internal constant HALF_LO = 0xb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fffffffd555;

    /// @dev Twice the price of EIP-7883, the dearest so far: 500 for short exponents, 64 * 380 * 2 for a full one.
    uint256 private constant SHORT_POWER_GAS = 1200;
    uint256 private constant FULL_POWER_GAS = 98_000;

    /// @notice Whether the words are an element: below p.
    function isCanonical(uint256 hi, uint256 lo) internal pure returns (bool) {
        return hi < P_HI || (hi == P_HI && lo < P_LO);
    }

    /// @notice Whether a canonical element is larger than its negative: the sign bit of compressed points.
    function isLarger(uint256 hi, uint256 lo) internal pure returns (bool) {
        return hi > HALF_HI || (hi == HALF_HI && lo > HALF_LO);
    }

    /// @notice -a mod p of a canonical element.
    function negate(uint256 hi, uint256 lo) internal pure returns (uint256, uint256) {
        if (hi | lo == 0) return (0, 0);
        unchecked {
            // Canonical, so p - a does not underflow as a whole; the borrow of the low word is subtracted by hand.
            return (P_HI - hi - (lo > P_LO ? 1 : 0), P_LO - lo);
        }
    }

    /// @notice a + small mod p of a canonical element and a number below p's low word.
    function addSmall(uint256 hi, uint256 lo, uint256 small) internal pure returns (uint256 sumHi, uint256 sumLo) {
        unchecked {
            // p has 381 bits: the carry cannot overflow the high word.
            sumLo = lo + small;
            sumHi = hi + (sumLo < lo ? 1 : 0);
            if (!isCanonical(sumHi, sumLo)) {
                (sumHi, sumLo) = (sumHi - P_HI - (sumLo < P_LO ? 1 : 0), sumLo - P_LO);
            }
        }
    }

    /// @notice Replaces each number of 64 bytes by itself mod p.
    function reduceAll(bytes memory numbers) internal view {
        bytes memory input =
            abi.encodePacked(uint256(64), uint256(1), uint256(64), uint256(0), uint256(0), uint8(1), P_HI, P_LO);
        uint256 start;
        uint256 base;
        assembly ("memory-safe") {
            start := add(input, 0x20)
            base := add(input, 0x80)
        }
        for (uint256 offset = 0x20; offset <= numbers.length; offset += 64) {
            uint256 place;
            assembly ("memory-safe") {
                place := add(numbers, offset)
                mcopy(base, place, 64)
            }
            PrecompileLib.callBetween(PrecompileLib.MODEXP, start, 225, place, 64, SHORT_POWER_GAS);
        }
    }

    /// @notice a^2 mod p.
    function square(uint256 hi, uint256 lo) internal view returns (uint256, uint256) {
        return _shortPower(hi, lo, 2);
    }

    /// @notice x^3 + 4 mod p: the right side of the equation of G1.
    function curveSide(uint256 xHi, uint256 xLo) internal view returns (uint256, uint256) {
        (uint256 hi, uint256 lo) = _shortPower(xHi, xLo, 3);
        return addSmall(hi, lo, 4);
    }

    /// @notice Whether both coordinates are canonical and y^2 = x^3 + 4. Infinity is not on the curve by this check.
    function isOnCurve(uint256 xHi, uint256 xLo, uint256 yHi, uint256 yLo) internal view returns (bool) {
        if (!isCanonical(xHi, xLo) || !isCanonical(yHi, yLo)) return false;
        (uint256 leftHi, uint256 leftLo) = square(yHi, yLo);
        (uint256 rightHi, uint256 rightLo) = curveSide(xHi, xLo);
        return leftHi == rightHi && leftLo == rightLo;
    }

    /// @notice Whether some element squares to `a` (Euler's criterion); zero is a square.
    function isSquare(uint256 hi, uint256 lo) internal view returns (bool) {
        bytes memory input =
            abi.encodePacked(uint256(64), uint256(64), uint256(64), hi, lo, HALF_HI, HALF_LO, P_HI, P_LO);
        (hi, lo) = _element(PrecompileLib.modexp(input, 64, FULL_POWER_GAS));
        return hi == 0 && lo < 2;
    }

    /// @dev a^exponent mod p for an exponent of one byte.
    function _shortPower(uint256 hi, uint256 lo, uint256 exponent) private view returns (uint256 rHi, uint256 rLo) {
        PrecompileLib.requireGas(PrecompileLib.MODEXP, SHORT_POWER_GAS);
        bool ok;
        // Built behind the free memory pointer, which stays where it is: curve checks come in numbers.
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore(input, 64)
            mstore(add(input, 0x20), 1)
            mstore(add(input, 0x40), 64)
            mstore(add(input, 0x60), hi)
            mstore(add(input, 0x80), lo)
            mstore8(add(input, 0xa0), exponent)
            mstore(add(input, 0xa1), P_HI)
            mstore(add(input, 0xc1), P_LO)
            ok := staticcall(SHORT_POWER_GAS, 0x05, input, 0xe1, input, 0x40)
            ok := and(ok, eq(returndatasize(), 0x40))
            rHi := mload(input)
            rLo := mload(add(input, 0x20))
        }
        require(ok, PrecompileLib.PrecompileFailed(PrecompileLib.MODEXP));
    }

    function _element(bytes memory words) private pure returns (uint256 hi, uint256 lo) {
        assembly ("memory-safe") {
            hi := mload(add(words, 0x20))
            lo := mload(add(words, 0x40))
        }
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {FpLib} from "./FpLib.sol";
import {PrecompileLib} from "./PrecompileLib.sol";

/// @title BlsLib
/// @notice Points of BLS12-381 and signatures over it, min-pk: keys in G1, signatures in G2.
/// Twin: `sdk/protocol/bls.ts`.
/// @dev Points are uncompressed as in EIP-2537: Fp 64 bytes big-endian, G1 = x ‖ y, G2 = x.c0 ‖ x.c1 ‖ y.c0 ‖ y.c1,
/// infinity all zeros. Subgroups: `g1Add` and `g2Add` do not check them; the pairing refuses any point outside, so a
/// point that went through additions alone is checked once it is paired.
library BlsLib {
    uint256 internal constant G1_BYTES = 128;
    uint256 internal constant G2_BYTES = 256;
    uint256 internal constant COMPRESSED_G1_BYTES = 48;

    /// @notice Domain of every signature of ours (the Ethereum ciphersuite); typed messages keep purposes apart.
    string internal constant SIGNATURE_DOMAIN = "BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

    /// @notice The generator of G1 and its negative; the generator of G2.
    bytes internal constant G1_GENERATOR =
        hex"0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb0000000000000000000000000000000008b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1"; // solhint-disable-line max-line-length
    bytes internal constant NEGATIVE_G1_GENERATOR =
        hex"0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb00000000000000000000000000000000114d1d6855d545a8aa7d76c8cf2e21f267816aef1db507c96655b9d5caac42364e6f38ba0ecb751bad54dcd6b939c2ca"; // solhint-disable-line max-line-length
    bytes internal constant G2_GENERATOR =
        hex"00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb80000000000000000000000000000000013e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e000000000000000000000000000000000ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801000000000000000000000000000000000606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be"; // solhint-disable-line max-line-length

    /// @dev |x| of BLS12-381, x being its negative parameter; r = x^4 - x^2 + 1.
    uint256 private constant CURVE_PARAMETER = 0xd201000000010000;

    /// @dev The sign bit, the infinity bit and the compression bit in the first word of a compressed point.
    uint256 private constant SIGN_FLAG = 1 << 253;
    uint256 private constant INFINITY_FLAG = 1 << 254;
    uint256 private constant COMPRESSED_FLAG = 1 << 255;

    /// @dev Far more than SHA-256 of some 300 bytes costs: 60, and 12 a word.
    uint256 private constant SHA256_GAS = 2000;

    /// @notice A G1 point has 128 bytes, 48 when compressed; a G2 point has 256.
    error WrongPointLength(uint256 byteLength);

    /// @notice The point at infinity is no key: it would agree to every message.
    error InfinityKey();

    /// @notice The coordinates are not canonical or not on the curve.
    error PointNotOnCurve();

    /// @notice This y is not the one that the compressed point stands for.
    error PointMismatch();

    /// @notice Whether all bytes of a point are zero.
    function isInfinity(bytes memory point) internal pure returns (bool) {
        uint256 any;
        assembly ("memory-safe") {
            let past := add(add(point, 0x20), mload(point))
            for { let word := add(point, 0x20) } lt(word, past) { word := add(word, 0x20) } {
                any := or(any, mload(word))
            }
        }
        return any == 0;
    }

    /// @notice Whether a G1 point is canonical and on the curve; infinity is not.
    function isG1OnCurve(bytes memory point) internal view returns (bool) {
        (uint256 xHi, uint256 xLo, uint256 yHi, uint256 yLo) = _coordinates(point);
        return FpLib.isOnCurve(xHi, xLo, yHi, yLo);
    }

    /// @notice Sum of two G1 points; the subgroup is not checked.
    function g1Add(bytes memory a, bytes memory b) internal view returns (bytes memory) {
        return PrecompileLib.g1Add(a, b);
    }

    /// @notice Sum of two G2 points; the subgroup is not checked.
    function g2Add(bytes memory a, bytes memory b) internal view returns (bytes memory) {
        return PrecompileLib.g2Add(a, b);
    }

    /// @notice The negative of a canonical G1 point.
    function g1Negate(bytes memory point) internal pure returns (bytes memory negative) {
        (,, uint256 yHi, uint256 yLo) = _coordinates(point);
        (yHi, yLo) = FpLib.negate(yHi, yLo);
        negative = bytes.concat(point);
        assembly ("memory-safe") {
            mstore(add(negative, 0x60), yHi)
            mstore(add(negative, 0x80), yLo)
        }
    }

    /// @notice The 48 bytes of a canonical G1 point: x with the flags compressed, infinity, larger y in its first bits.
    function g1Compress(bytes memory point) internal pure returns (bytes memory) {
        (uint256 xHi, uint256 xLo, uint256 yHi, uint256 yLo) = _coordinates(point);
        uint256 first = (xHi << 128) | COMPRESSED_FLAG;
        if (xHi | xLo | yHi | yLo == 0) first |= INFINITY_FLAG;
        if (FpLib.isLarger(yHi, yLo)) first |= SIGN_FLAG;
        return abi.encodePacked(bytes16(bytes32(first)), xLo);
    }

    /// @notice The point that `compressed` stands for, given its y (64 bytes): the y is checked, not computed.
    /// @dev On the curve, but not necessarily in the subgroup.
    function g1Decompress(bytes memory compressed, bytes memory y) internal view returns (bytes memory point) {
        (uint256 first, uint256 xHi, uint256 xLo) = _compressedWords(compressed);
        (uint256 yHi, uint256 yLo) = _ordinate(y);
        if (first & INFINITY_FLAG != 0) {
            require(first == COMPRESSED_FLAG | INFINITY_FLAG && xLo | yHi | yLo == 0, PointMismatch());
            return new bytes(G1_BYTES);
        }
        require(FpLib.isOnCurve(xHi, xLo, yHi, yLo), PointNotOnCurve());
        uint256 flags = FpLib.isLarger(yHi, yLo) ? COMPRESSED_FLAG | SIGN_FLAG : COMPRESSED_FLAG;
        require(first & (COMPRESSED_FLAG | SIGN_FLAG) == flags, PointMismatch());
        return abi.encodePacked(xHi, xLo, yHi, yLo);
    }

    /// @notice Whether 48 bytes are a well-formed encoding: flags as they must be and x below p.
    function isCanonicalCompressed(bytes memory compressed) internal pure returns (bool) {
        (uint256 first, uint256 xHi, uint256 xLo) = _compressedWords(compressed);
        if (first & COMPRESSED_FLAG == 0) return false;
        if (first & INFINITY_FLAG != 0) return first & SIGN_FLAG == 0 && xHi | xLo == 0;
        return FpLib.isCanonical(xHi, xLo);
    }

    /// @notice Whether some point has the x of this well-formed encoding.
    function hasPoint(bytes memory compressed) internal view returns (bool) {
        (uint256 first, uint256 xHi, uint256 xLo) = _compressedWords(compressed);
        if (first & INFINITY_FLAG != 0) return true;
        (uint256 hi, uint256 lo) = FpLib.curveSide(xHi, xLo);
        return FpLib.isSquare(hi, lo);
    }

    /// @notice Whether a G1 point, canonical and on the curve, is in the subgroup: r times it is infinity.
    /// @dev By additions alone, which do not check the subgroup: the answer is computed and no failure is read as one.
    function isInG1Subgroup(bytes memory point) internal view returns (bool) {
        // r = x^4 - x^2 + 1, so r * P is infinity exactly when x^4 * P + P = x^2 * P.
        bytes memory square = _timesParameter(_timesParameter(point));
        bytes memory fourth = _timesParameter(_timesParameter(square));
        return isInfinity(g1Add(g1Add(fourth, point), g1Negate(square)));
    }

    /// @notice Hashes a digest to G2 under our signature domain.
    function hashToG2(bytes32 message) internal view returns (bytes memory) {
        return hashToG2(abi.encodePacked(message), bytes(SIGNATURE_DOMAIN));
    }

    /// @notice hash_to_curve of RFC 9380, suite BLS12381G2_XMD:SHA-256_SSWU_RO_.
    function hashToG2(bytes memory message, bytes memory domain) internal view returns (bytes memory point) {
        bytes memory elements = expandMessage(message, domain);
        FpLib.reduceAll(elements);
        bytes memory points = new bytes(2 * G2_BYTES);
        point = new bytes(G2_BYTES);
        uint256 from;
        uint256 mapped;
        uint256 sum;
        assembly ("memory-safe") {
            from := add(elements, 0x20)
            mapped := add(points, 0x20)
            sum := add(point, 0x20)
        }
        uint256 map = PrecompileLib.MAP_FP2_TO_G2;
        PrecompileLib.callBetween(map, from, 128, mapped, G2_BYTES, PrecompileLib.MAP_FP2_GAS);
        PrecompileLib.callBetween(map, from + 128, 128, mapped + G2_BYTES, G2_BYTES, PrecompileLib.MAP_FP2_GAS);
        PrecompileLib.callBetween(
            PrecompileLib.G2_ADD, mapped, 2 * G2_BYTES, sum, G2_BYTES, PrecompileLib.G2_ADD_GAS
        );
    }

    /// @notice expand_message_xmd of RFC 9380 with SHA-256, for the 256 bytes that a point of G2 takes.
    /// @param domain at most 255 bytes
    function expandMessage(bytes memory message, bytes memory domain) internal view returns (bytes memory uniform) {
        require(domain.length < 256, WrongPointLength(domain.length));
        bytes memory suffix = abi.encodePacked(domain, uint8(domain.length));
        bytes32 seed =
            sha256(abi.encodePacked(bytes32(0), bytes32(0), message, uint16(G2_BYTES), uint8(0), suffix));
        uniform = new bytes(G2_BYTES);
        // Every chunk hashes (seed ^ the last chunk) ‖ its number ‖ suffix: one input, changed in place.
        bytes memory input = abi.encodePacked(bytes32(0), uint8(0), suffix);
        bool ok = true;
        assembly ("memory-safe") {
            let start := add(input, 0x20)
            let chunk := 0
            for { let i := 1 } lt(i, 9) { i := add(i, 1) } {
                mstore(start, xor(seed, chunk))
                mstore8(add(start, 0x20), i)
                let out := add(uniform, shl(5, i))
                ok := and(ok, staticcall(SHA256_GAS, 0x02, start, mload(input), out, 0x20))
                ok := and(ok, eq(returndatasize(), 0x20))
                chunk := mload(out)
            }
        }
        require(ok, PrecompileLib.PrecompileFailed(0x02));
    }

    /// @notice Whether e(a, b) = e(c, d), for a and c in G1, b and d in G2.
    function pairingsEqual(bytes memory a, bytes memory b, bytes memory c, bytes memory d)
        internal
        view
        returns (bool)
    {
        return PrecompileLib.pairing(bytes.concat(a, b, g1Negate(c), d));
    }

    /// @notice Whether `signature` is one of `publicKey` over `message`. Reverts for malformed points, an infinite key.
    /// @dev The pairing checks that both are in their subgroups.
    function verify(bytes memory publicKey, bytes32 message, bytes memory signature) internal view returns (bool) {
        require(publicKey.length == G1_BYTES, WrongPointLength(publicKey.length));
        require(signature.length == G2_BYTES, WrongPointLength(signature.length));
        require(!isInfinity(publicKey), InfinityKey());
        return PrecompileLib.pairing(
            bytes.concat(publicKey, hashToG2(message), NEGATIVE_G1_GENERATOR, signature)
        );
    }

    /// @dev |x| times a point, by doubling and adding; x^2 and x^4 do not care for the sign of x.
    function _timesParameter(bytes memory point) private view returns (bytes memory product) {
        product = new bytes(G1_BYTES);
        // The first half is the running product, the second the other summand; each sum overwrites the first half.
        bytes memory pair = bytes.concat(point, point);
        bool ok = true;
        assembly ("memory-safe") {
            let running := add(pair, 0x20)
            let other := add(pair, 0xa0)
            let base := add(point, 0x20)
            for { let bit := 62 } 1 { bit := sub(bit, 1) } {
                mcopy(other, running, 0x80)
                // 563 gas: see G1_ADD_GAS. Starved of it, the call fails and with it everything.
                ok := and(ok, staticcall(563, 0x0b, running, 0x100, running, 0x80))
                ok := and(ok, eq(returndatasize(), 0x80))
                if and(shr(bit, CURVE_PARAMETER), 1) {
                    mcopy(other, base, 0x80)
                    ok := and(ok, staticcall(563, 0x0b, running, 0x100, running, 0x80))
                    ok := and(ok, eq(returndatasize(), 0x80))
                }
                if iszero(bit) { break }
            }
            mcopy(add(product, 0x20), running, 0x80)
        }
        require(ok, PrecompileLib.PrecompileFailed(PrecompileLib.G1_ADD));
    }

    function _coordinates(bytes memory point)
        private
        pure
        returns (uint256 xHi, uint256 xLo, uint256 yHi, uint256 yLo)
    {
        require(point.length == G1_BYTES, WrongPointLength(point.length));
        assembly ("memory-safe") {
            xHi := mload(add(point, 0x20))
            xLo := mload(add(point, 0x40))
            yHi := mload(add(point, 0x60))
            yLo := mload(add(point, 0x80))
        }
    }

    function _ordinate(bytes memory y) private pure returns (uint256 hi, uint256 lo) {
        require(y.length == 64, WrongPointLength(y.length));
        assembly ("memory-safe") {
            hi := mload(add(y, 0x20))
            lo := mload(add(y, 0x40))
        }
    }

    /// @dev The first word of a compressed point with its flags, and its x without them.
    function _compressedWords(bytes memory compressed)
        private
        pure
        returns (uint256 first, uint256 xHi, uint256 xLo)
    {
        require(compressed.length == COMPRESSED_G1_BYTES, WrongPointLength(compressed.length));
        assembly ("memory-safe") {
            first := mload(add(compressed, 0x20))
            xLo := mload(add(compressed, 0x30))
        }
        xHi = (first << 3) >> 131;
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BlsLib} from "../libraries/BlsLib.sol";

/// @title BlsHarness
/// @notice Opens BlsLib to the tests that hold it against its TypeScript twin.
contract BlsHarness {
    function isInfinity(bytes memory point) external pure returns (bool) {
        return BlsLib.isInfinity(point);
    }

    function isG1OnCurve(bytes memory point) external view returns (bool) {
        return BlsLib.isG1OnCurve(point);
    }

    function g1Add(bytes memory a, bytes memory b) external view returns (bytes memory) {
        return BlsLib.g1Add(a, b);
    }

    function g2Add(bytes memory a, bytes memory b) external view returns (bytes memory) {
        return BlsLib.g2Add(a, b);
    }

    function g1Negate(bytes memory point) external pure returns (bytes memory) {
        return BlsLib.g1Negate(point);
    }

    function g1Compress(bytes memory point) external pure returns (bytes memory) {
        return BlsLib.g1Compress(point);
    }

    function g1Decompress(bytes memory compressed, bytes memory y) external view returns (bytes memory) {
        return BlsLib.g1Decompress(compressed, y);
    }

    function isCanonicalCompressed(bytes memory compressed) external pure returns (bool) {
        return BlsLib.isCanonicalCompressed(compressed);
    }

    function hasPoint(bytes memory compressed) external view returns (bool) {
        return BlsLib.hasPoint(compressed);
    }

    function isInG1Subgroup(bytes memory point) external view returns (bool) {
        return BlsLib.isInG1Subgroup(point);
    }

    function expandMessage(bytes memory message, bytes memory domain) external view returns (bytes memory) {
        return BlsLib.expandMessage(message, domain);
    }

    function hashToG2(bytes memory message, bytes memory domain) external view returns (bytes memory) {
        return BlsLib.hashToG2(message, domain);
    }

    function hashDigestToG2(bytes32 message) external view returns (bytes memory) {
        return BlsLib.hashToG2(message);
    }

    function pairingsEqual(bytes memory a, bytes memory b, bytes memory c, bytes memory d)
        external
        view
        returns (bool)
    {
        return BlsLib.pairingsEqual(a, b, c, d);
    }

    function verify(bytes memory publicKey, bytes32 message, bytes memory signature) external view returns (bool) {
        return BlsLib.verify(publicKey, message, signature);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

/// @title PrecompileLib
/// @notice Calls to the precompiles of EIP-198, EIP-4844 and EIP-2537 that are never read wrongly.
/// @dev A failing precompile burns all gas it was given, so each call names its limit: half again the Prague price,
/// which leaves room for a repricing. The gas must be there beforehand, so a caller cannot make a call fail by sending
/// too little. On a chain without the precompile a call succeeds and returns nothing, so the size is part of success.
library PrecompileLib {
    uint256 internal constant MODEXP = 0x05;
    uint256 internal constant POINT_EVALUATION = 0x0a;
    uint256 internal constant G1_ADD = 0x0b;
    uint256 internal constant G1_MSM = 0x0c;
    uint256 internal constant G2_ADD = 0x0d;
    uint256 internal constant G2_MSM = 0x0e;
    uint256 internal constant PAIRING = 0x0f;
    uint256 internal constant MAP_FP_TO_G1 = 0x10;
    uint256 internal constant MAP_FP2_TO_G2 = 0x11;

    uint256 internal constant G1_ADD_GAS = 563;
    uint256 internal constant G1_MUL_GAS = 18_000;
    uint256 internal constant G2_ADD_GAS = 900;
    uint256 internal constant G2_MUL_GAS = 33_750;
    uint256 internal constant PAIRING_BASE_GAS = 56_550;
    uint256 internal constant PAIRING_PAIR_GAS = 48_900;
    uint256 internal constant MAP_FP_GAS = 8250;
    uint256 internal constant MAP_FP2_GAS = 35_700;
    uint256 internal constant POINT_EVALUATION_GAS = 75_000;

    /// @notice What the call itself costs, with room to spare.
    uint256 private constant CALL_OVERHEAD_GAS = 5000;

    /// @notice Bytes of one pair of a pairing: a G1 and a G2 point.
    uint256 private constant PAIR_BYTES = 384;

    /// @notice keccak256 of what an accepted point evaluation returns: 4096 and the order of the scalar field.
    bytes32 private constant EVALUATION_ACCEPTED =
        keccak256(
            abi.encode(uint256(4096), uint256(0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001))
        );

    /// @notice The precompile refused its input, or this chain has none at this address.
    error PrecompileFailed(uint256 precompile);

    /// @notice Less gas is left than the call may need: send more.
    error PrecompileStarved(uint256 precompile, uint256 neededGas, uint256 gasLeft);

    /// @notice The point evaluation precompile does not accept the opening.
    error OpeningRefused();

    /// @notice Calls a precompile and reverts unless it succeeds and returns exactly `outBytes`.
    function call(uint256 precompile, bytes memory input, uint256 outBytes, uint256 gasLimit)
        internal
        view
        returns (bytes memory output)
    {
        requireGas(precompile, gasLimit);
        output = new bytes(outBytes);
        (bool ok, uint256 returned) = _staticcall(precompile, input, output, gasLimit);
        require(ok && returned == outBytes, PrecompileFailed(precompile));
    }

    /// @notice As `call`, between pointers into memory that is there already.
    function callBetween(
        uint256 precompile,
        uint256 input,
        uint256 inBytes,
        uint256 output,
        uint256 outBytes,
        uint256 gasLimit
    ) internal view {
        requireGas(precompile, gasLimit);
        bool ok;
        assembly ("memory-safe") {
            ok := staticcall(gasLimit, precompile, input, inBytes, output, outBytes)
            ok := and(ok, eq(returndatasize(), outBytes))
        }
        require(ok, PrecompileFailed(precompile));
    }

    /// @notice base^exponent mod modulus (EIP-198); `input` as the precompile takes it.
    function modexp(bytes memory input, uint256 outBytes, uint256 gasLimit) internal view returns (bytes memory) {
        return call(MODEXP, input, outBytes, gasLimit);
    }

    /// @notice Sum of two G1 points. It checks the curve equation but NOT the subgroup.
    function g1Add(bytes memory a, bytes memory b) internal view returns (bytes memory) {
        return call(G1_ADD, bytes.concat(a, b), 128, G1_ADD_GAS);
    }

    /// @notice `scalar` times a G1 point, which must be in the subgroup.
    function g1Mul(bytes memory point, uint256 scalar) internal view returns (bytes memory) {
        return call(G1_MSM, abi.encodePacked(point, scalar), 128, G1_MUL_GAS);
    }

    /// @notice Sum of two G2 points. It checks the curve equation but NOT the subgroup.
    function g2Add(bytes memory a, bytes memory b) internal view returns (bytes memory) {
        return call(G2_ADD, bytes.concat(a, b), 256, G2_ADD_GAS);
    }

    /// @notice `scalar` times a G2 point, which must be in the subgroup.
    function g2Mul(bytes memory point, uint256 scalar) internal view returns (bytes memory) {
        return call(G2_MSM, abi.encodePacked(point, scalar), 256, G2_MUL_GAS);
    }

    /// @notice Maps an element of Fp (64 bytes) to the G1 subgroup.
    function mapToG1(bytes memory element) internal view returns (bytes memory) {
        return call(MAP_FP_TO_G1, element, 128, MAP_FP_GAS);
    }

    /// @notice Maps an element of Fp2 (c0 ‖ c1, 128 bytes) to the G2 subgroup.
    function mapToG2(bytes memory element) internal view returns (bytes memory) {
        return call(MAP_FP2_TO_G2, element, 256, MAP_FP2_GAS);
    }

    /// @notice Whether the product of the pairings is one. All points must be in their subgroups.
    /// @param pairs G1 ‖ G2 points, 384 bytes a pair
    function pairing(bytes memory pairs) internal view returns (bool) {
        uint256 gasLimit = PAIRING_BASE_GAS + (pairs.length / PAIR_BYTES) * PAIRING_PAIR_GAS;
        uint256 answer = uint256(bytes32(call(PAIRING, pairs, 32, gasLimit)));
        require(answer < 2, PrecompileFailed(PAIRING));
        return answer == 1;
    }

    /// @notice Reverts unless the polynomial behind `commitment` is `y` at `z` (EIP-4844).
    /// @dev It decompresses both points and checks their subgroup.
    function requireOpening(bytes memory commitment, uint256 z, uint256 y, bytes memory opening) internal view {
        requireGas(POINT_EVALUATION, POINT_EVALUATION_GAS);
        bytes memory output = new bytes(64);
        bytes memory input = abi.encodePacked(versionedHash(commitment), z, y, commitment, opening);
        (bool ok, uint256 returned) = _staticcall(POINT_EVALUATION, input, output, POINT_EVALUATION_GAS);
        // A call that fails is a refusal; one that succeeds with another answer met no precompile.
        require(ok, OpeningRefused());
        require(returned == 64 && keccak256(output) == EVALUATION_ACCEPTED, PrecompileFailed(POINT_EVALUATION));
    }

    /// @notice 0x01 ‖ sha256(commitment)[1:] (EIP-4844).
    function versionedHash(bytes memory commitment) internal pure returns (bytes32) {
        return bytes32((uint256(sha256(commitment)) & (type(uint256).max >> 8)) | (1 << 248));
    }

    /// @notice Reverts unless a call with `gasLimit` is certain to get all of it.
    function requireGas(uint256 precompile, uint256 gasLimit) internal view {
        unchecked {
            // A call gets at most 63/64 of what is left (EIP-150), silently less than was asked for. Limits are small.
            uint256 needed = (gasLimit * 64) / 63 + CALL_OVERHEAD_GAS;
            require(gasleft() >= needed, PrecompileStarved(precompile, needed, gasleft()));
        }
    }

    function _staticcall(uint256 precompile, bytes memory input, bytes memory output, uint256 gasLimit)
        private
        view
        returns (bool ok, uint256 returned)
    {
        assembly ("memory-safe") {
            ok := staticcall(gasLimit, precompile, add(input, 0x20), mload(input), add(output, 0x20), mload(output))
            returned := returndatasize()
        }
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {BlsLib} from "./BlsLib.sol";
import {FpLib} from "./FpLib.sol";
import {PrecompileLib} from "./PrecompileLib.sol";
import {ScalarLib} from "./ScalarLib.sol";

/// @title PrecompileCheckLib
/// @notice Known answers for the precompiles that data availability rests on, wrong ones included. Constructors call
/// it, so that nothing is deployed on a chain that lacks one of them, or has one that always agrees.
library PrecompileCheckLib {
    /// @dev keccak256 of 2 * G1, 2 * G2 and of where the maps take 1.
    bytes32 private constant TWICE_G1 = 0xd2b0d7b43ce993a817a069205ed3d7a139117befb9c0865d520f91ba88ac133b;
    bytes32 private constant TWICE_G2 = 0xca1308ad7babea380be417af0920e37dad333649603f01c9f44687ede587e7f9;
    bytes32 private constant MAPPED_G1 = 0x9ac8949dc0f430c817214cedce245bb027db3b6619be3698a316f245aecd6f59;
    bytes32 private constant MAPPED_G2 = 0xd40c07b9f254bfcfa08e2e18778237bd7fa446320fef5fb96464d6abd07c2f4d;

    /// @dev A point of the curve that is not in the subgroup: x = 0.
    bytes private constant OUTSIDE_G1 = hex"00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaa9"; // solhint-disable-line max-line-length

    /// @dev [tau] of the trusted setup and G1's generator, compressed: X opens to z at z with the constant 1.
    bytes private constant TAU_G1 =
        hex"ad3eb50121139aa34db1d545093ac9374ab7bca2c0f3bf28e27c8dcd8fc7cb42d25926fc0c97b336e9f0fb35e5a04c81";
    bytes private constant OPENING =
        hex"97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb";

    /// @notice This precompile answers wrongly.
    error WrongAnswer(uint256 precompile);

    /// @notice Reverts unless every precompile gives its known answers.
    function selfTest() internal view {
        _arithmetic();
        _groups();
        _pairing();
        _pointEvaluation();
    }

    function _arithmetic() private view {
        uint256 half = ScalarLib.inverse(2);
        require(half != 0 && addmod(half, half, ScalarLib.R) == 1, WrongAnswer(PrecompileLib.MODEXP));
        (uint256 hi, uint256 lo) = FpLib.square(FpLib.P_HI, FpLib.P_LO - 3);
        require(hi == 0 && lo == 9, WrongAnswer(PrecompileLib.MODEXP));
        require(FpLib.isSquare(0, 4) && !FpLib.isSquare(0, 2), WrongAnswer(PrecompileLib.MODEXP));
    }

    function _groups() private view {
        bytes memory g1 = BlsLib.G1_GENERATOR;
        bytes memory g2 = BlsLib.G2_GENERATOR;
        bytes memory one = abi.encodePacked(uint256(0), uint256(1));
        _expect(PrecompileLib.G1_ADD, PrecompileLib.g1Add(g1, g1), TWICE_G1);
        _expect(PrecompileLib.G1_MSM, PrecompileLib.g1Mul(g1, 2), TWICE_G1);
        _expect(PrecompileLib.G2_ADD, PrecompileLib.g2Add(g2, g2), TWICE_G2);
        _expect(PrecompileLib.G2_MSM, PrecompileLib.g2Mul(g2, 2), TWICE_G2);
        _expect(PrecompileLib.MAP_FP_TO_G1, PrecompileLib.mapToG1(one), MAPPED_G1);
        _expect(PrecompileLib.MAP_FP2_TO_G2, PrecompileLib.mapToG2(bytes.concat(one, new bytes(64))), MAPPED_G2);
        // (1, 1) is off the curve; outside the subgroup, multiplication must see it.
        bytes memory off = abi.encodePacked(bytes.concat(one, one), g1);
        _expectRefusal(PrecompileLib.G1_ADD, off, PrecompileLib.G1_ADD_GAS);
        bytes memory outside = abi.encodePacked(OUTSIDE_G1, uint256(1));
        _expectRefusal(PrecompileLib.G1_MSM, outside, PrecompileLib.G1_MUL_GAS);
    }

    function _pairing() private view {
        bytes memory g1 = BlsLib.G1_GENERATOR;
        bytes memory g2 = BlsLib.G2_GENERATOR;
        bytes memory pair = bytes.concat(g1, g2);
        bytes memory negative = bytes.concat(BlsLib.NEGATIVE_G1_GENERATOR, g2);
        require(PrecompileLib.pairing(bytes.concat(pair, negative)), WrongAnswer(PrecompileLib.PAIRING));
        require(!PrecompileLib.pairing(bytes.concat(pair, pair)), WrongAnswer(PrecompileLib.PAIRING));
        uint256 gasLimit = PrecompileLib.PAIRING_BASE_GAS + PrecompileLib.PAIRING_PAIR_GAS;
        _expectRefusal(PrecompileLib.PAIRING, bytes.concat(OUTSIDE_G1, g2), gasLimit);
    }

    function _pointEvaluation() private view {
        PrecompileLib.requireOpening(TAU_G1, 5, 5, OPENING);
        bytes memory wrong = abi.encodePacked(
            PrecompileLib.versionedHash(TAU_G1), uint256(5), uint256(6), TAU_G1, OPENING
        );
        _expectRefusal(PrecompileLib.POINT_EVALUATION, wrong, PrecompileLib.POINT_EVALUATION_GAS);
    }

    function _expect(uint256 precompile, bytes memory answer, bytes32 expected) private pure {
        require(keccak256(answer) == expected, WrongAnswer(precompile));
    }

    /// @dev Bad input must make the call fail, though it had gas enough for good input.
    function _expectRefusal(uint256 precompile, bytes memory input, uint256 gasLimit) private view {
        PrecompileLib.requireGas(precompile, gasLimit);
        (bool ok,) = address(uint160(precompile)).staticcall{gas: gasLimit}(input);
        require(!ok, WrongAnswer(precompile));
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BlsLib} from "../libraries/BlsLib.sol";
import {PrecompileCheckLib} from "../libraries/PrecompileCheckLib.sol";
import {PrecompileLib} from "../libraries/PrecompileLib.sol";

/// @title PrecompileHarness
/// @notice Deploys only where all precompiles answer right, and opens them to the tests.
contract PrecompileHarness {
    constructor() {
        PrecompileCheckLib.selfTest();
    }

    function call(uint256 precompile, bytes memory input, uint256 outBytes, uint256 gasLimit)
        external
        view
        returns (bytes memory)
    {
        return PrecompileLib.call(precompile, input, outBytes, gasLimit);
    }

    function requireOpening(bytes memory commitment, uint256 z, uint256 y, bytes memory opening) external view {
        PrecompileLib.requireOpening(commitment, z, y, opening);
    }

    function pairing(bytes memory pairs) external view returns (bool) {
        return PrecompileLib.pairing(pairs);
    }

    function generators() external pure returns (bytes memory, bytes memory, bytes memory) {
        return (BlsLib.G1_GENERATOR, BlsLib.NEGATIVE_G1_GENERATOR, BlsLib.G2_GENERATOR);
    }
}

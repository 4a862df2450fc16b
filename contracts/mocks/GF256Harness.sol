// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {GF256Lib} from "../libraries/GF256Lib.sol";

/// @title GF256Harness
/// @notice Opens GF256Lib to the tests that hold it against its TypeScript twin.
contract GF256Harness {
    function mul(uint256 a, uint256 b) external pure returns (uint256) {
        return GF256Lib.mul(a, b);
    }

    function coefficient(uint256 parity, uint256 data) external pure returns (uint256) {
        return GF256Lib.coefficient(parity, data);
    }

    function inverses() external pure returns (bytes memory) {
        return GF256Lib.INVERSES;
    }

    function paritySector(bytes[] calldata dataSectors, uint256 parity) external pure returns (bytes memory) {
        return GF256Lib.paritySector(dataSectors, parity);
    }
}

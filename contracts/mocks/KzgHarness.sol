// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CellClaim, KzgLib} from "../libraries/KzgLib.sol";

/// @title KzgHarness
/// @notice Opens KzgLib to the tests that hold it against its TypeScript twin and other implementations.
contract KzgHarness {
    function fits(CellClaim memory claim, bytes memory cell) external view returns (bool) {
        return KzgLib.fits(claim, cell, keccak256(cell));
    }

    function challengePoint(CellClaim memory claim, bytes memory interpolant, bytes32 cellHash)
        external
        pure
        returns (uint256)
    {
        return KzgLib.challengePoint(claim, interpolant, cellHash);
    }

    function cosetPower(uint256 column) external pure returns (uint256) {
        return KzgLib.cosetPower(column);
    }

    function evaluateCell(bytes memory cell, uint256 column, uint256 z) external pure returns (uint256) {
        return KzgLib.evaluateCell(cell, column, z);
    }
}

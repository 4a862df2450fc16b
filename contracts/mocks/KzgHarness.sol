// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CellClaim, KzgLib} from "../libraries/KzgLib.sol";

/// @title KzgHarness
/// @notice Opens KzgLib to the tests that hold it against its TypeScript twin and other implementations.
contract KzgHarness {
    function fits(CellClaim memory claim, bytes calldata cell) external view returns (bool) {
        return KzgLib.fits(claim, cell);
    }

    function challengePoint(CellClaim memory claim, bytes memory interpolant, bytes32 cellHash)
        external
        pure
        returns (uint256)
    {
        return KzgLib.challengePoint(claim, interpolant, cellHash);
    }

    function cosetFactor(uint256 column) external pure returns (uint256) {
        return KzgLib.cosetFactor(column);
    }

    function evaluateCell(bytes calldata cell, uint256 column, uint256 z) external view returns (uint256) {
        return KzgLib.evaluateCell(cell, column, z);
    }

    function cellPoints(uint256 column) external pure returns (uint256[] memory) {
        return KzgLib.cellPoints(column);
    }
}

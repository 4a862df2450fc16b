// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FlowTreeLib} from "../libraries/FlowTreeLib.sol";

/// @title FlowTreeHarness
/// @notice Opens FlowTreeLib to the tests that hold it against its TypeScript twin.
contract FlowTreeHarness {
    using FlowTreeLib for FlowTreeLib.Tree;

    FlowTreeLib.Tree private _tree;

    event Appended(uint256 startPos);

    constructor() {
        _tree.initialize();
    }

    function initialize() external {
        _tree.initialize();
    }

    function submit(uint256[] calldata heights, bytes32[] calldata roots) external {
        uint256 sectors;
        for (uint256 i; i < heights.length; ++i) sectors += 1 << heights[i];
        uint256 startPos = _tree.pad(heights[0], sectors);
        for (uint256 i; i < heights.length; ++i) _tree.append(heights[i], roots[i]);
        emit Appended(startPos);
    }

    /// @dev Same call without the tree, to measure what the tree costs.
    function submitNothing(uint256[] calldata heights, bytes32[] calldata roots) external {
        uint256 sectors;
        for (uint256 i; i < heights.length; ++i) sectors += 1 << heights[i];
        emit Appended(sectors + uint256(roots[0]));
    }

    function append(uint256 height, bytes32 nodeRoot) external {
        emit Appended(_tree.append(height, nodeRoot));
    }

    function root() external view returns (bytes32) {
        return _tree.root();
    }

    function length() external view returns (uint256) {
        return _tree.length;
    }
}

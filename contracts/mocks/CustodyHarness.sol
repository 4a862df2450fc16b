// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CustodyLib} from "../libraries/CustodyLib.sol";

/// @title CustodyHarness
/// @notice Opens CustodyLib to the tests that hold it against its TypeScript twin.
contract CustodyHarness {
    function leaf(uint256 index, address provider, bytes32 shardRoot) external pure returns (bytes32) {
        return CustodyLib.leaf(index, provider, shardRoot);
    }

    function root(bytes32[] calldata leaves) external pure returns (bytes32) {
        return CustodyLib.root(leaves);
    }

    function verify(bytes32 root_, uint256 count, uint256 index, bytes32 leaf_, bytes32[] calldata path)
        external
        pure
        returns (bool)
    {
        return CustodyLib.verify(root_, count, index, leaf_, path);
    }
}

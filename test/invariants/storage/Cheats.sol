// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @dev The cheat codes that these tests use.
interface Cheats {
    function roll(uint256 blockNumber) external;
    function warp(uint256 timestampSec) external;
    function prank(address sender) external;
    function deal(address account, uint256 balanceWei) external;
    function addr(uint256 privateKey) external pure returns (address);
    function sign(uint256 privateKey, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function setBlockhash(uint256 blockNumber, bytes32 blockHash) external;
}

/// @dev Base of everything here: the cheat codes, and a plain way to fail.
abstract contract Cheating {
    Cheats internal constant vm = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));

    error Broken(string law, uint256 left, uint256 right);

    function _same(string memory law, uint256 left, uint256 right) internal pure {
        require(left == right, Broken(law, left, right));
    }

    function _atMost(string memory law, uint256 left, uint256 right) internal pure {
        require(left <= right, Broken(law, left, right));
    }
}

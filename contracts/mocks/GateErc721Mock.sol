// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";

/// @title GateErc721Mock
/// @notice A collection that anybody mints.
contract GateErc721Mock is ERC721("Gate pass", "PASS") {
    function mint(address to, uint256 tokenId) external {
        _mint(to, tokenId);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title GateErc20Mock
/// @notice A fungible token that anybody mints.
contract GateErc20Mock is ERC20("Gate coin", "GATE") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

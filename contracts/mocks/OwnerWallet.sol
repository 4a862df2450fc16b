// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title OwnerWallet
/// @notice A contract account of one key: calls whatever its owner says and signs by ERC-1271.
contract OwnerWallet is IERC1271 {
    address private immutable _owner;

    error NotOwner(address caller);

    constructor(address owner_) {
        _owner = owner_;
    }

    receive() external payable {}

    function execute(address target, uint256 value, bytes calldata data)
        external
        payable
        returns (bytes memory result)
    {
        require(msg.sender == _owner, NotOwner(msg.sender));
        bool success;
        (success, result) = target.call{value: value}(data);
        if (success) return result;
        // Hands the callee's error on as it is.
        assembly ("memory-safe") {
            revert(add(result, 32), mload(result))
        }
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        (address signer, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(hash, signature);
        bool valid = failure == ECDSA.RecoverError.NoError && signer == _owner;
        return valid ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title RefundReceiver
/// @notice Forwards calls, and does with the first money that comes back what it was told: take it, refuse it, or call
/// again.
contract RefundReceiver {
    address private _target;
    bytes private _again;
    uint256 private _againWei;
    bool private _refuses;

    error Refused();

    receive() external payable {
        require(!_refuses, Refused());
        bytes memory again = _again;
        if (again.length == 0) return;
        delete _again;
        _call(_target, _againWei, again);
    }

    /// @notice From now on money is refused.
    function refuse() external {
        _refuses = true;
    }

    /// @notice The next money that comes in makes this contract call `target` with `value` and `data`.
    function callAgain(address target, uint256 value, bytes calldata data) external payable {
        (_target, _againWei, _again) = (target, value, data);
    }

    /// @notice Calls `target` with `value` of this contract's money.
    function forward(address target, uint256 value, bytes calldata data) external payable {
        _call(target, value, data);
    }

    function _call(address target, uint256 value, bytes memory data) private {
        (bool success, bytes memory result) = target.call{value: value}(data);
        if (success) return;
        // Hands the callee's error on as it is.
        assembly ("memory-safe") {
            revert(add(result, 32), mload(result))
        }
    }
}

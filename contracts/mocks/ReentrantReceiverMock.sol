// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IStaking} from "../interfaces/IStaking.sol";

/// @title ReentrantReceiverMock
/// @notice Delegates, and on being paid makes one more call into `Staking`; or refuses to be paid.
contract ReentrantReceiverMock {
    error Refused();

    IStaking private immutable _staking;
    bytes private _attack;
    bool private _refuses;
    bool private _attacked;
    bool private _attackSucceeded;
    bytes private _attackAnswer;

    constructor(IStaking staking) {
        _staking = staking;
    }

    receive() external payable {
        require(!_refuses, Refused());
        if (_attack.length == 0 || _attacked) return;
        _attacked = true;
        (_attackSucceeded, _attackAnswer) = address(_staking).call(_attack);
    }

    function arm(bytes calldata attack, bool refuses) external {
        _attack = attack;
        _refuses = refuses;
        _attacked = false;
    }

    function call(bytes calldata data) external payable returns (bytes memory answer) {
        bool ok;
        (ok, answer) = address(_staking).call{value: msg.value}(data);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(answer, 0x20), mload(answer))
            }
        }
    }

    function outcome() external view returns (bool attacked, bool succeeded, bytes memory answer) {
        return (_attacked, _attackSucceeded, _attackAnswer);
    }
}

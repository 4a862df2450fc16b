// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IDaCommittee} from "../interfaces/IDaCommittee.sol";

/// @title CommitteeUserMock
/// @notice Stands for the contracts that use DaCommittee: a pot that pays, or refuses, and a meter of verification.
contract CommitteeUserMock {
    error Refused();

    IDaCommittee private immutable _committee;
    bool private _refuses;
    uint256 private _potWei;
    mapping(address account => uint256) private _creditWei;

    constructor(IDaCommittee committee) {
        _committee = committee;
    }

    function openAccount(address) external {}

    function setPot(uint256 potWei, bool refuses) external {
        _potWei = potWei;
        _refuses = refuses;
    }

    function payFromPot(address account, uint256 amountWei) external returns (uint256 paidWei) {
        require(msg.sender == address(_committee) && !_refuses, Refused());
        paidWei = amountWei < _potWei ? amountWei : _potWei;
        _potWei -= paidWei;
        _creditWei[account] += paidWei;
    }

    function creditOf(address account) external view returns (uint256) {
        return _creditWei[account];
    }

    function meter(uint256 epoch, bytes32 digest, uint256 signers, bytes calldata signature)
        external
        view
        returns (uint256 columns, uint256 gasUsed)
    {
        uint256 before = gasleft();
        columns = _committee.verifyAttestation(epoch, digest, signers, signature);
        gasUsed = before - gasleft();
    }
}

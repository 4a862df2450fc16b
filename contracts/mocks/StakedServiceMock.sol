// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IStaking} from "../interfaces/IStaking.sol";

/// @title StakedServiceMock
/// @notice A slasher whose minimum the test sets, and which may answer as badly as a broken service can.
contract StakedServiceMock {
    enum Answer {
        Word,
        Revert,
        BurnGas,
        Nothing,
        TwoWords,
        HugeData
    }

    error Refused();

    IStaking private immutable _staking;
    Answer private _answer;
    mapping(address operator => uint256) private _minWei;

    constructor(IStaking staking) {
        _staking = staking;
    }

    function setMin(address operator, uint256 minWei) external {
        _minWei[operator] = minWei;
    }

    function setAnswer(Answer answer) external {
        _answer = answer;
    }

    function slash(
        address operator,
        uint256 amountWei,
        bytes32 faultId,
        address[] calldata beneficiaries,
        uint256[] calldata bps
    ) external returns (uint256) {
        return _staking.slash(operator, amountWei, faultId, beneficiaries, bps);
    }

    function minAllocation(address operator) external view returns (uint256) {
        Answer answer = _answer;
        if (answer == Answer.Word) return _minWei[operator];
        require(answer != Answer.Revert, Refused());
        if (answer == Answer.BurnGas) {
            uint256 i = 0;
            while (true) i++;
        }
        uint256 size = answer == Answer.Nothing ? 0 : answer == Answer.TwoWords ? 64 : 30_000;
        assembly ("memory-safe") {
            let start := mload(0x40)
            calldatacopy(start, calldatasize(), size)
            return(start, size)
        }
    }
}

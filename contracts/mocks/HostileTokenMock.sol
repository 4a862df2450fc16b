// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title HostileTokenMock
/// @notice A token that answers every question as badly as a contract can.
contract HostileTokenMock {
    enum Answer {
        Word,
        Revert,
        RevertHuge,
        BurnGas,
        Nothing,
        HalfWord,
        TwoWords,
        HugeData
    }

    error Refused();

    uint256 private constant HUGE_BYTES = 100_000;

    Answer private _answer;

    function setAnswer(Answer answer) external {
        _answer = answer;
    }

    fallback() external {
        Answer answer = _answer;
        if (answer == Answer.Revert) revert Refused();
        if (answer == Answer.Nothing) return;
        uint256 size = 32;
        if (answer == Answer.HalfWord) size = 16;
        if (answer == Answer.TwoWords) size = 64;
        if (answer == Answer.HugeData || answer == Answer.RevertHuge) size = HUGE_BYTES;
        bool isBurning = answer == Answer.BurnGas;
        bool isRefusing = answer == Answer.RevertHuge;
        // Assembly, because Solidity cannot return bytes of any shape. Memory-safe: it never returns to Solidity.
        assembly ("memory-safe") {
            for {} isBurning {} {}
            mstore(0, 1000)
            if isRefusing { revert(0, size) }
            return(0, size)
        }
    }
}

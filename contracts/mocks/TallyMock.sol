// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Counts calls in numbered events, for tests of what sends transactions and follows logs.
contract TallyMock {
    uint256 public count;

    /// @notice The `number`-th call was made; numbers start at 1 and have no gaps.
    event Counted(uint256 indexed number, address by);

    /// @notice The next number is `next`, not `given`.
    error WrongNumber(uint256 next, uint256 given);

    /// @notice Counts one.
    function bump() external payable {
        _count();
    }

    /// @notice Counts one if the next number is `number`.
    function bumpTo(uint256 number) external {
        require(number == count + 1, WrongNumber(count + 1, number));
        _count();
    }

    function _count() internal {
        count += 1;
        emit Counted(count, msg.sender);
    }
}

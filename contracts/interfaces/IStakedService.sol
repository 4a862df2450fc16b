// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

/// @title IStakedService
/// @notice What a service on the self pool tells `Staking` before an allocation to it may fall.
interface IStakedService {
    /// @notice The least allocation, in wei, that `operator` must keep for what it has already promised.
    /// @dev Called by static call with 500,000 gas; it must return exactly 32 bytes. Anything else counts as "locked".
    function minAllocation(address operator) external view returns (uint256);
}

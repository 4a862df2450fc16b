// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

/// @title IBeacon
/// @notice The clock of the protocol and its one source of randomness: a seed per period, of a block fixed beforehand.
/// @dev The seed of period p comes from block `periodStart(p)`. Anyone pins it, once, while that block's hash is
/// reachable: 256 blocks through `blockhash`, 8191 through EIP-2935. Later the period stays unpinned for ever.
/// Warning: the proposer of the boundary block may withhold it, and where the block hash serves (`usesBlockHash`) may
/// grind it. The beacon holds no money and pays no bounty.
interface IBeacon {
    /// @notice The seed of `period` was pinned by `pinner` from block `boundaryBlock`.
    event SeedPinned(uint256 indexed period, bytes32 seed, address indexed pinner, uint256 boundaryBlock);

    /// @notice A period or an epoch has no length.
    error ZeroLength();
    /// @notice The boundary block of `period` is not in the past of block `blockNumber`.
    error PeriodNotStarted(uint256 period, uint256 blockNumber, uint256 boundary);
    /// @notice The hash of the boundary block cannot be read (any more) on this chain.
    error BoundaryUnreachable(uint256 period, uint256 boundary);
    /// @notice The header does not hash to the boundary block's hash.
    error HeaderMismatch(bytes32 expected, bytes32 got);
    /// @notice The header is of another block than the boundary.
    error HeaderNumberMismatch(uint256 expected, uint256 got);
    /// @notice The boundary block carries no randomness (prevRandao is zero): this network needs `usesBlockHash`.
    error SeedZero(uint256 period);

    /// @notice Pins the seed of `period`; a pinned seed is returned unchanged, with no event.
    /// @param headerRlp RLP of block `periodStart(period)`; ignored (may be empty) where `usesBlockHash`
    /// @return seed prevRandao of the boundary block, or keccak256(abi.encode(blockHash, period)) where `usesBlockHash`
    function pin(uint256 period, bytes calldata headerRlp) external returns (bytes32 seed);

    /// @notice The seed of `period`, 0 while unpinned.
    function seedOf(uint256 period) external view returns (bytes32 seed);

    /// @notice The block in which the seed of `period` was pinned, 0 while unpinned.
    function pinnedAt(uint256 period) external view returns (uint256 blockNumber);

    /// @notice Who pinned the seed of `period`, 0 while unpinned.
    function pinnedBy(uint256 period) external view returns (address pinner);

    /// @notice First block of period 0.
    function startBlock() external view returns (uint256);

    /// @notice Length of a period in blocks.
    function periodBlocks() external view returns (uint256);

    /// @notice Length of an epoch in periods.
    function epochPeriods() external view returns (uint256);

    /// @notice Whether seeds come from block hashes because prevRandao is constant on this network.
    function usesBlockHash() external view returns (bool);

    /// @notice The period of the current block; 0 before the start.
    function currentPeriod() external view returns (uint256);

    /// @notice The epoch of the current block; 0 before the start.
    function currentEpoch() external view returns (uint256);

    /// @notice The first block of `period`, whose randomness is the period's seed.
    function periodStart(uint256 period) external view returns (uint256);
}

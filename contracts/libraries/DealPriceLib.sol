// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

/// @title DealPriceLib
/// @notice What a submission pays, what a seal freezes, and when a deal ends. Twin: `sdk/protocol/deal-price.ts`.
/// @dev A "sector-period" is one stored sector (data or parity) for one period. Prices round down, needs are exact.
library DealPriceLib {
    /// @notice Stored sectors that the public fee buys per padded sector. A file of 9 to 16 data shards and 8 parity
    /// shards stores at most 17/9 of its padded sectors.
    uint256 internal constant EXPANSION = 2;

    /// @notice Parity shards that the public fee buys.
    uint256 internal constant DEFAULT_PARITY = 8;

    /// @notice Fewest and most parity shards of a deal.
    uint256 internal constant MIN_PARITY = 4;
    uint256 internal constant MAX_PARITY = 64;

    uint256 private constant BPS = 10_000;

    /// @notice What the public ABI charges per padded sector.
    function paddedSectorPrice(uint256 pricePerSectorPeriod, uint256 defaultTermPeriods)
        internal
        pure
        returns (uint256)
    {
        return pricePerSectorPeriod * defaultTermPeriods * EXPANSION;
    }

    /// @notice `period` rounded up to a multiple of `bucketPeriods`.
    function bucketCeil(uint256 period, uint256 bucketPeriods) internal pure returns (uint256) {
        return (period + bucketPeriods - 1) / bucketPeriods * bucketPeriods;
    }

    /// @notice First period a deal does not cover: whatever period it is sealed in, it runs for at least `termPeriods`.
    /// @param deadlinePeriod period of the last block in which it may be sealed
    function expiry(uint256 deadlinePeriod, uint256 termPeriods, uint256 bucketPeriods)
        internal
        pure
        returns (uint256)
    {
        return bucketCeil(deadlinePeriod + 1 + termPeriods, bucketPeriods);
    }

    /// @notice Escrow that pays `storedSectors` for `periods` at the list price.
    function escrowNeeded(uint256 storedSectors, uint256 periods, uint256 pricePerSectorPeriod)
        internal
        pure
        returns (uint256)
    {
        return storedSectors * periods * pricePerSectorPeriod;
    }

    /// @notice Price per sector-period that an escrow pays for, rounded down; 0 when it is too small.
    /// @param storedSectors sectors of all shards together; not 0
    /// @param periods periods from the deal's start to its end; not 0
    function sectorPrice(uint256 escrowWei, uint256 storedSectors, uint256 periods) internal pure returns (uint256) {
        return escrowWei / (storedSectors * periods);
    }

    /// @notice Net rate per period of one shard: the pot's share is rounded up.
    function shardRate(uint256 sectorPriceWei, uint256 shardSectors, uint256 potBps) internal pure returns (uint256) {
        return sectorPriceWei * shardSectors * (BPS - potBps) / BPS;
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title LayoutLib
/// @notice How a padded file falls apart into data shards. Twin: `sdk/protocol/layout.ts`.
/// @dev Everything follows from the padded sector count, because 0G pads a file to a multiple of P/16 sectors
/// (P: the next power of two). Every node of a submission is then a whole number of shards.
library LayoutLib {
    /// @notice Bytes of a sector, the leaf of every tree.
    uint256 internal constant SECTOR_BYTES = 256;

    /// @notice Sectors of a segment (256 KiB), the unit of transfer.
    uint256 internal constant SEGMENT_SECTORS = 1024;

    /// @notice Most data shards a file can have.
    uint256 internal constant MAX_DATA_SHARDS = 16;

    /// @notice No padded file has this many sectors.
    error NotPaddedLength(uint256 paddedSectors);

    /// @notice The shards of a padded file.
    /// @param paddedSectors sectors of all nodes of the submission together
    /// @return shardSectors sectors of one shard: a power of two
    /// @return dataShards whole shards in the padded file, 1 to 16
    function geometry(uint256 paddedSectors) internal pure returns (uint256 shardSectors, uint256 dataShards) {
        require(paddedSectors != 0 && paddedSectors <= 1 << 64, NotPaddedLength(paddedSectors));
        uint256 fullSectors = 1 << Math.log2(paddedSectors, Math.Rounding.Ceil);
        shardSectors = fullSectors < MAX_DATA_SHARDS ? 1 : fullSectors / MAX_DATA_SHARDS;
        dataShards = paddedSectors / shardSectors;
        require(dataShards * shardSectors == paddedSectors, NotPaddedLength(paddedSectors));
    }
}

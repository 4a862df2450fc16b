// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DealPriceLib} from "../libraries/DealPriceLib.sol";

/// @title DealPriceHarness
/// @notice Opens DealPriceLib to the tests that hold it against its TypeScript twin.
contract DealPriceHarness {
    function constants() external pure returns (uint256 expansion, uint256 parity, uint256 least, uint256 most) {
        return (
            DealPriceLib.EXPANSION, DealPriceLib.DEFAULT_PARITY, DealPriceLib.MIN_PARITY, DealPriceLib.MAX_PARITY
        );
    }

    function paddedSectorPrice(uint256 price, uint256 defaultTermPeriods) external pure returns (uint256) {
        return DealPriceLib.paddedSectorPrice(price, defaultTermPeriods);
    }

    function bucketCeil(uint256 period, uint256 bucketPeriods) external pure returns (uint256) {
        return DealPriceLib.bucketCeil(period, bucketPeriods);
    }

    function expiry(uint256 deadlinePeriod, uint256 termPeriods, uint256 bucketPeriods)
        external
        pure
        returns (uint256)
    {
        return DealPriceLib.expiry(deadlinePeriod, termPeriods, bucketPeriods);
    }

    function escrowNeeded(uint256 stored, uint256 periods, uint256 price) external pure returns (uint256) {
        return DealPriceLib.escrowNeeded(stored, periods, price);
    }

    function sectorPrice(uint256 escrowWei, uint256 stored, uint256 periods) external pure returns (uint256) {
        return DealPriceLib.sectorPrice(escrowWei, stored, periods);
    }

    function shardRate(uint256 price, uint256 shardSectors, uint256 potBps) external pure returns (uint256) {
        return DealPriceLib.shardRate(price, shardSectors, potBps);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {BitmapLib} from "./BitmapLib.sol";
import {SignedMath} from "@openzeppelin/contracts/utils/math/SignedMath.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title RateLib
/// @notice Pay per period as a rate, settled lazily: however many deals make up a rate, one word per account and one
/// per expiry bucket hold it, and settling costs the buckets passed, not the deals.
/// @dev Invariant: rate + pending = sum of `ending[x]` over all x > period. So a stream of rate 0 with nothing pending
/// has no ending before it, and jumps over any stretch of time at once.
library RateLib {
    using SafeCast for uint256;
    using SafeCast for int256;

    /// @notice Whether the periods from `period` on are paid: all, all but `period` itself, or none.
    enum Pay {
        Due,
        Forfeited,
        Suspended
    }

    /// @dev A need is kept in whole gwei, rounded up, so that a stream is one word.
    uint256 private constant NEED_UNIT_WEI = 1e9;

    /// @notice A stream. Everything before `period` is settled.
    /// @param rate wei per period in force in `period`
    /// @param pending change of the rate when `period` + 1 begins
    /// @param period first period not settled
    /// @param slashNeedGwei one slash at the live count of the account's latest deal, rounded up
    /// @param ending what the rate falls by when a period begins: only multiples of the bucket length have any
    struct Stream {
        uint80 rate;
        int80 pending;
        uint32 period;
        Pay pay;
        uint56 slashNeedGwei;
        mapping(uint256 period => uint96 rate) ending;
    }

    /// @notice Where a stream stands after a walk, and what the walk passed.
    /// @param paidWei earned: opened periods that were not forfeited
    /// @param restWei not earned: everything else
    struct Walk {
        uint256 period;
        uint256 rate;
        int256 pending;
        uint256 paidWei;
        uint256 restWei;
    }

    /// @notice Walks a stream towards `toPeriod` over at most `maxBuckets` bucket boundaries, without changing it.
    /// @param opened bit p % 256 of word p / 256: period p had a round, so it is paid
    function walk(
        Stream storage stream,
        mapping(uint256 word => uint256 bits) storage opened,
        uint256 toPeriod,
        uint256 bucketPeriods,
        uint256 maxBuckets
    ) internal view returns (Walk memory here) {
        here.period = stream.period;
        here.rate = stream.rate;
        here.pending = stream.pending;
        if (here.period >= toPeriod) return here;
        if (here.rate == 0 && here.pending == 0) {
            here.period = toPeriod;
            return here;
        }
        bool unpaid = stream.pay != Pay.Due;
        bool suspended = stream.pay == Pay.Suspended;
        uint256 next = here.period + 1;
        while (maxBuckets != 0) {
            uint256 open = unpaid ? 0 : openedIn(opened, here.period, next);
            here.paidWei += here.rate * open;
            here.restWei += here.rate * (next - here.period - open);
            here.rate = here.pending < 0 ? here.rate - uint256(-here.pending) : here.rate + uint256(here.pending);
            here.pending = 0;
            here.period = next;
            unpaid = suspended;
            if (next % bucketPeriods == 0) {
                here.rate -= stream.ending[next];
                --maxBuckets;
            }
            if (here.rate == 0) here.period = toPeriod;
            if (here.period == toPeriod) return here;
            next = Math.min(toPeriod, next - (next % bucketPeriods) + bucketPeriods);
        }
    }

    /// @notice Walks and keeps where the walk came to.
    function settle(
        Stream storage stream,
        mapping(uint256 word => uint256 bits) storage opened,
        uint256 toPeriod,
        uint256 bucketPeriods,
        uint256 maxBuckets
    ) internal returns (Walk memory here) {
        here = walk(stream, opened, toPeriod, bucketPeriods, maxBuckets);
        if (here.period == stream.period) return here;
        stream.rate = here.rate.toUint80();
        stream.pending = 0;
        stream.period = here.period.toUint32();
        if (stream.pay == Pay.Forfeited) stream.pay = Pay.Due;
    }

    /// @notice Adds `rate` from the period after `stream.period` until `endPeriod`. The stream must be settled.
    /// Reverts when the sum would leave its field: a stream that cannot be settled must never come about.
    function add(Stream storage stream, uint96 rate, uint256 endPeriod) internal {
        int256 pending = int256(stream.pending) + int256(uint256(rate));
        uint256(int256(uint256(stream.rate)) + pending).toUint80();
        stream.pending = pending.toInt80();
        stream.ending[endPeriod] += rate;
    }

    /// @notice Takes `rate` away from the period after `stream.period` on, and from what ends in `endPeriod`.
    function remove(Stream storage stream, uint96 rate, uint256 endPeriod) internal {
        stream.pending = (int256(stream.pending) - int256(uint256(rate))).toInt80();
        stream.ending[endPeriod] -= rate;
    }

    /// @notice One slash that the account must be able to pay, as its latest deal says.
    function slashNeed(Stream storage stream) internal view returns (uint256) {
        return stream.slashNeedGwei * NEED_UNIT_WEI;
    }

    /// @notice Sets the need to `needWei`, up or down: kept as a maximum, one deal at a huge price would bind a stake
    /// for as long as the account has any deal. A slash is never above the lock, so it stays covered.
    function setSlashNeed(Stream storage stream, uint256 needWei) internal {
        stream.slashNeedGwei = Math.ceilDiv(needWei, NEED_UNIT_WEI).toUint56();
    }

    /// @notice The greater of the rate in force and the rate after the pending change. The stream must be settled.
    function peakRate(Stream storage stream) internal view returns (uint256) {
        int256 rate = int256(uint256(stream.rate));
        return uint256(SignedMath.max(rate, rate + stream.pending));
    }

    /// @notice The same where a walk came to.
    function peakRate(Walk memory here) internal pure returns (uint256) {
        return here.pending > 0 ? here.rate + uint256(here.pending) : here.rate;
    }

    /// @notice How many periods of [from, to) are set in the bitmap.
    function openedIn(mapping(uint256 word => uint256 bits) storage opened, uint256 from, uint256 to)
        internal
        view
        returns (uint256 count)
    {
        while (from < to) {
            uint256 shift = from % 256;
            uint256 width = Math.min(to - from, 256 - shift);
            count += BitmapLib.count((opened[from / 256] >> shift) & (type(uint256).max >> (256 - width)));
            from += width;
        }
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {RateLib} from "../libraries/RateLib.sol";

/// @title RateHarness
/// @notice Runs a whole life of one stream in one call, so that a test may hold each step against a naive model.
contract RateHarness {
    using RateLib for RateLib.Stream;
    using RateLib for RateLib.Walk;

    enum Kind {
        Claim,
        Add,
        Remove,
        Open,
        Forfeit,
        Suspend,
        Reinstate
    }

    /// @param period the present period: never falls from one step to the next
    /// @param maxBuckets of a `Claim`; every other kind but `Open` settles fully first, as StorageStreams does
    struct Step {
        Kind kind;
        uint32 period;
        uint96 rate;
        uint32 endPeriod;
        uint32 maxBuckets;
    }

    struct State {
        uint256 settledTo;
        uint256 rate;
        uint256 peakRate;
        uint256 paidWei;
        uint256 restWei;
    }

    RateLib.Stream private _stream;
    mapping(uint256 word => uint256 bits) private _opened;
    uint256 private _paidWei;
    uint256 private _restWei;

    /// @notice State after each step. Meant for static calls: each starts from an empty stream.
    function run(uint256 bucketPeriods, Step[] calldata steps) external returns (State[] memory states) {
        states = new State[](steps.length);
        for (uint256 i; i < steps.length; ++i) {
            _apply(bucketPeriods, steps[i]);
            states[i] = _state(bucketPeriods);
        }
    }

    /// @notice Bits set in [from, to) of two neighbouring words.
    function openedIn(uint256 first, uint256 second, uint256 from, uint256 to) external returns (uint256) {
        _opened[0] = first;
        _opened[1] = second;
        return RateLib.openedIn(_opened, from, to);
    }

    function _apply(uint256 bucketPeriods, Step calldata step) private {
        if (step.kind == Kind.Open) {
            _opened[step.period / 256] |= 1 << (step.period % 256);
            return;
        }
        uint256 maxBuckets = step.kind == Kind.Claim ? step.maxBuckets : type(uint256).max;
        RateLib.Walk memory seen = _stream.walk(_opened, step.period, bucketPeriods, maxBuckets);
        RateLib.Walk memory done = _stream.settle(_opened, step.period, bucketPeriods, maxBuckets);
        assert(keccak256(abi.encode(seen)) == keccak256(abi.encode(done)));
        _paidWei += done.paidWei;
        _restWei += done.restWei;
        if (step.kind == Kind.Add) _stream.add(step.rate, step.endPeriod);
        if (step.kind == Kind.Remove) _stream.remove(step.rate, step.endPeriod);
        if (step.kind == Kind.Forfeit) _stream.pay = RateLib.Pay.Forfeited;
        if (step.kind == Kind.Suspend) _stream.pay = RateLib.Pay.Suspended;
        if (step.kind == Kind.Reinstate) _stream.pay = RateLib.Pay.Forfeited;
    }

    function _state(uint256 bucketPeriods) private view returns (State memory) {
        RateLib.Walk memory here = _stream.walk(_opened, 0, bucketPeriods, 1);
        return State(_stream.period, _stream.rate, here.peakRate(), _paidWei, _restWei);
    }
}

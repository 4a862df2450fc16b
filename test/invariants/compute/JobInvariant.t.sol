// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Job, JobState} from "../../../contracts/interfaces/IJobEscrow.sol";
import {JobHandler} from "./JobHandler.sol";

/// @dev Declared here because the fuzzer knows only the contracts of the file it runs.
contract JobDeeds is JobHandler {
    /// @dev Number of the violated law, or 0; and the two figures that differ.
    function broken() external view returns (uint256 law, uint256 left, uint256 right) {
        for (uint256 i = 0; i < _violated.length; i++) if (_violated[i]) return (i, 0, 0);
        uint256 heldWei;
        for (uint256 jobId = _escrow.jobCount(); jobId != 0; jobId--) {
            Job memory job = _escrow.jobOf(jobId);
            if (job.state != _states[jobId]) return (4, uint256(job.state), uint256(_states[jobId]));
            if (job.termsHash != _termsHashes[jobId]) return (4, jobId, 0);
            if (job.priceWei > job.terms.maxPriceWei) return (5, job.priceWei, job.terms.maxPriceWei);
            if (job.state >= JobState.Settled) {
                if (keccak256(abi.encode(job)) != _final[jobId]) return (3, jobId, 0);
                continue;
            }
            heldWei += uint256(job.terms.maxPriceWei) + job.bondWei;
            if (job.state != JobState.Open) heldWei += job.bondWei;
        }
        (uint256 lockedWei, uint256 creditsWei) = _escrow.vault();
        if (lockedWei != heldWei) return (2, lockedWei, heldWei);
        uint256 sumWei;
        for (uint256 i = 0; i < ACTORS; i++) {
            (left, right) = (_escrow.creditOf(_actors[i]), _owedWei[_actors[i]]);
            if (left != right) return (3, left, right);
            sumWei += left;
        }
        if (sumWei != creditsWei) return (1, sumWei, creditsWei);
        (left, right) = (_inWei, lockedWei + creditsWei + _outWei);
        if (left != right) return (1, left, right);
        if (address(_escrow).balance < lockedWei + creditsWei) return (1, address(_escrow).balance, 0);
        return (0, 0, 0);
    }

    function done(bytes32 deed) external view returns (uint256) {
        return _done[deed];
    }
}

/// @title JobInvariant
/// @notice The numbered invariants of `JobEscrow` under random deeds.
contract JobInvariant {
    error Broken(uint256 law, uint256 left, uint256 right);
    error NeverHappened(bytes32 deed);

    uint256 private constant LIVELY_DEEDS = 60;

    JobDeeds private _deeds;

    function setUp() external {
        _deeds = new JobDeeds();
        // A lively state to begin from: a campaign is too short to reach one and break it.
        for (uint256 i = 0; i < LIVELY_DEEDS; i++) _deed(uint256(keccak256(abi.encode(i))));
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_deeds);
    }

    /// @notice Invariants 1 to 7, each after every deed.
    function invariant_jobs() external view {
        _hold();
    }

    /// @notice One long random walk keeps the invariants, and every deed really happens in it.
    function test_every_deed_happens() external {
        for (uint256 i = LIVELY_DEEDS; i < 2_000; i++) {
            _deed(uint256(keccak256(abi.encode(i))));
            if (i % 100 == 0) _hold();
        }
        _hold();
        bytes32[21] memory names = [
            bytes32("open"),
            "bid",
            "outbid",
            "refused bid",
            "cancel",
            "give up",
            "deliver",
            "refused output",
            "accept",
            "dispute",
            "for provider",
            "for client",
            "untaken",
            "late",
            "unchallenged",
            "silent",
            "intrude",
            "withdraw",
            "announce",
            "pass time",
            "force coins"
        ];
        for (uint256 i = 0; i < names.length; i++) {
            require(_deeds.done(names[i]) != 0, NeverHappened(names[i]));
        }
    }

    function _deed(uint256 random) private {
        (uint256 kind, uint256 seed, uint256 amount) = (random % 40, (random >> 8) % 1e12, random >> 64);
        if (kind < 4) _deeds.open(seed, amount);
        else if (kind < 11) _deeds.bid(seed);
        else if (kind == 11) _deeds.cancel(seed);
        else if (kind == 12) _deeds.giveUp(seed);
        else if (kind < 19) _deeds.deliver(seed);
        else if (kind == 19) _deeds.accept(seed);
        else if (kind < 22) _deeds.dispute(seed);
        else if (kind < 24) _deeds.rule(seed);
        else if (kind < 28) _deeds.close(seed);
        else if (kind < 31) _deeds.intrude(seed);
        else if (kind == 31) _deeds.withdraw(seed);
        else if (kind == 32) _deeds.announce(seed, amount);
        else if (kind < 39) _deeds.passTime(seed);
        else _deeds.forceCoins(amount);
    }

    function _hold() private view {
        (uint256 law, uint256 left, uint256 right) = _deeds.broken();
        require(law == 0, Broken(law, left, right));
    }
}

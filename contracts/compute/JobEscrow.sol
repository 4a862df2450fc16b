// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IBeacon} from "../interfaces/IBeacon.sol";
import {IFlow} from "../interfaces/IFlow.sol";
import {IInferenceServing} from "../interfaces/IInferenceServing.sol";
import {IJobEscrow, Job, JobDelivery, JobOutcome, JobParams, JobState, JobTerms} from "../interfaces/IJobEscrow.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {IStorageMarket} from "../interfaces/IStorageMarket.sol";
import {JobOutputLib} from "../libraries/JobOutputLib.sol";
import {MerkleLib} from "../libraries/MerkleLib.sol";
import {JobBids} from "./JobBids.sol";

/// @title JobEscrow
/// @notice Long work for a fixed price, with bonds on both sides, delivered as a sealed file. Clock: seconds; storage
/// counts in periods of the Beacon.
/// @dev Opening and bids are in `JobBids`, the money in `JobVault`.
///
///   Open --bid--> Assigned --deliver--> Delivered --accept; challengeSec--> Settled
///    |  \           \                       \--dispute--> Disputed --rule--> Settled | Refunded
///    |   \           \--deadline, giveUp--> TimedOut          \--arbiterSec--> TimedOut (split)
///    |    \--deadline--> TimedOut
///    \--cancel--> Refunded
///
/// Invariants
/// 1. Deposits = locked + credits + paid out, and locked + credits <= balance. Coins forced on this contract are never
///    counted.
/// 2. locked = sum over all jobs that are not over of: maximum price + client's bond + bond of who is assigned.
/// 3. A job is over once: what it credits then is exactly what it held, and nothing of it changes afterwards.
/// 4. States only move along the arrows; a job never has another client, arbiter or terms.
/// 5. The provider is never paid more than the price of its bid, that is at most the maximum price, and each bid that
///    replaces another is cheaper.
/// 6. Whoever is replaced gets its bond back at once; whoever is late loses it to the client; a bond goes to the other
///    side of a dispute only by a ruling, and the arbiter never gets more than half of it.
/// 7. An output that was delivered was sealed, in time, and names its job: no output counts for two.
contract JobEscrow is JobBids {
    IBeacon private immutable _beacon;

    constructor(
        address owner_,
        IBeacon beacon,
        IStorageMarket market,
        IStaking staking,
        IInferenceServing inference,
        JobParams memory given,
        address arbiter
    ) JobBids(owner_, market, staking, inference, given, arbiter) {
        require(address(beacon) != address(0), ZeroAddress());
        _beacon = beacon;
    }

    /// @inheritdoc IJobEscrow
    function giveUp(uint256 jobId) external {
        _firmOf(jobId);
        _end(jobId, JobState.TimedOut, JobOutcome.Late, 0, 0);
    }

    /// @inheritdoc IJobEscrow
    function deliver(uint256 jobId, JobDelivery calldata delivery) external nonReentrant {
        Job storage job = _firmOf(jobId);
        require(block.timestamp < job.untilSec, WindowClosed(jobId, job.untilSec));
        _checkStored(delivery, job.terms.minStoragePeriods);
        uint256 units = _checkHeader(delivery, job.terms, outputKeyOf(jobId, msg.sender));

        uint256 untilSec = block.timestamp + _challengeSec;
        job.state = JobState.Delivered;
        job.untilSec = uint40(untilSec);
        // Below 2^64: the Flow counts submissions and bounds their length, and the units are within the terms'.
        job.outputTxSeq = uint64(delivery.txSeq);
        job.outputUnits = uint64(units);
        job.outputBytes = uint64(delivery.byteLength);
        job.outputRoot = JobOutputLib.fileRoot(delivery.nodes);
        emit JobDelivered(
            jobId, msg.sender, job.client, delivery.txSeq, job.outputRoot, units, delivery.byteLength, untilSec
        );
    }

    /// @inheritdoc IJobEscrow
    function accept(uint256 jobId, bytes32 outputRoot) external {
        Job storage job = _clientsDelivered(jobId);
        require(outputRoot == job.outputRoot, OutputRootMismatch(jobId, job.outputRoot));
        _pay(jobId, JobOutcome.Accepted);
    }

    /// @inheritdoc IJobEscrow
    function dispute(uint256 jobId, bytes32 evidenceRoot) external {
        Job storage job = _clientsDelivered(jobId);
        require(block.timestamp < job.untilSec, WindowClosed(jobId, job.untilSec));

        uint256 untilSec = block.timestamp + _arbiterSec;
        job.state = JobState.Disputed;
        job.untilSec = uint40(untilSec);
        emit JobDisputed(jobId, job.provider, job.arbiter, evidenceRoot, untilSec);
    }

    /// @inheritdoc IJobEscrow
    function answerDispute(uint256 jobId, bytes32 evidenceRoot) external {
        Job storage job = _undecided(jobId);
        require(msg.sender == job.provider, NotProvider(jobId, msg.sender));
        emit DisputeAnswered(jobId, msg.sender, evidenceRoot);
    }

    /// @inheritdoc IJobEscrow
    function rule(uint256 jobId, bool forProvider) external {
        Job storage job = _undecided(jobId);
        require(msg.sender == job.arbiter, NotArbiter(jobId, msg.sender));
        uint256 bondWei = job.bondWei;
        uint256 arbiterWei = bondWei * _arbiterBps / BPS;
        if (forProvider) {
            uint256 providerWei = job.priceWei + 2 * bondWei - arbiterWei;
            _end(jobId, JobState.Settled, JobOutcome.ForProvider, providerWei, arbiterWei);
        } else {
            _end(jobId, JobState.Refunded, JobOutcome.ForClient, 0, arbiterWei);
        }
    }

    /// @inheritdoc IJobEscrow
    function close(uint256 jobId) external {
        Job storage job = _jobAt(jobId);
        JobState state = job.state;
        require(state >= JobState.Open && state <= JobState.Disputed, WrongState(jobId, state));
        require(block.timestamp >= job.untilSec, WindowOpen(jobId, job.untilSec));
        if (state == JobState.Open) {
            _end(jobId, JobState.TimedOut, JobOutcome.Untaken, 0, 0);
        } else if (state == JobState.Assigned) {
            _end(jobId, JobState.TimedOut, JobOutcome.Late, 0, 0);
        } else if (state == JobState.Delivered) {
            _pay(jobId, JobOutcome.Unchallenged);
        } else {
            _end(jobId, JobState.TimedOut, JobOutcome.ArbiterSilent, job.priceWei / 2 + uint256(job.bondWei), 0);
        }
    }

    /// @inheritdoc IJobEscrow
    function outputKeyOf(uint256 jobId, address provider) public view returns (bytes32) {
        return JobOutputLib.key(address(this), jobId, provider);
    }

    /// @dev The provider gets price and bond, the client the rest.
    function _pay(uint256 jobId, JobOutcome outcome) private {
        Job storage job = _jobAt(jobId);
        _end(jobId, JobState.Settled, outcome, uint256(job.priceWei) + job.bondWei, 0);
    }

    /// @dev A job that is the caller's to do: nobody can outbid it any more.
    function _firmOf(uint256 jobId) private view returns (Job storage job) {
        job = _jobIn(jobId, JobState.Assigned);
        require(msg.sender == job.provider, NotProvider(jobId, msg.sender));
        require(block.timestamp >= job.bidsUntilSec, BidWindowOpen(jobId, job.bidsUntilSec));
    }

    function _clientsDelivered(uint256 jobId) private view returns (Job storage job) {
        job = _jobIn(jobId, JobState.Delivered);
        require(msg.sender == job.client, NotClient(jobId, msg.sender));
    }

    /// @dev A dispute that the arbiter may yet decide.
    function _undecided(uint256 jobId) private view returns (Job storage job) {
        job = _jobIn(jobId, JobState.Disputed);
        require(block.timestamp < job.untilSec, WindowClosed(jobId, job.untilSec));
    }

    /// @dev The output is a sealed file, of this length and these nodes, and stays stored.
    function _checkStored(JobDelivery calldata delivery, uint256 minPeriods) private view {
        uint256 txSeq = delivery.txSeq;
        IStorageMarket.State state = _market.stateOf(txSeq);
        require(state == IStorageMarket.State.Sealed, OutputNotSealed(txSeq, uint8(state)));
        // A deal whose term is over stays `Sealed` until somebody ends it.
        uint256 endPeriod = _market.endPeriodOf(txSeq);
        uint256 neededPeriod = _beacon.currentPeriod() + 1 + minPeriods;
        require(endPeriod >= neededPeriod, OutputStoredTooShort(txSeq, endPeriod, neededPeriod));
        bytes32 expected = IFlow(_market.flow()).submission(txSeq).digest;
        bytes32 digest = keccak256(abi.encode(delivery.byteLength, delivery.nodes));
        require(digest == expected, OutputMismatch(txSeq, expected, digest));
    }

    /// @dev The header is the file's first sector and says what it must; returns the units it states.
    function _checkHeader(JobDelivery calldata delivery, JobTerms storage terms, bytes32 key)
        private
        view
        returns (uint256 units)
    {
        uint256 length = delivery.byteLength;
        bytes calldata header = delivery.header;
        require(length <= terms.maxOutputBytes, OutputTooLong(length, terms.maxOutputBytes));
        require(length > JobOutputLib.HEADER_BYTES, OutputTooShort(length, JobOutputLib.HEADER_BYTES));
        bytes32 leaf = MerkleLib.sectorHash(header);
        // The digest is the submission's, so there is a first node, and it holds the first sector.
        require(
            delivery.path.length == delivery.nodes[0].height
                && MerkleLib.verify(delivery.nodes[0].root, leaf, 0, delivery.path),
            HeaderNotOfOutput(delivery.txSeq)
        );
        _checkWord(header, 0, JobOutputLib.MAGIC);
        _checkWord(header, 1, key);
        _checkWord(header, 2, terms.modelRoot);
        _checkWord(header, 3, terms.inputRoot);
        _checkWord(header, 4, terms.kind);
        _checkWord(header, 6, bytes32(length - JobOutputLib.HEADER_BYTES));
        units = uint256(JobOutputLib.word(header, 5));
        require(
            units >= terms.minUnits && units <= terms.maxUnits,
            UnitsOutOfRange(units, terms.minUnits, terms.maxUnits)
        );
    }

    function _checkWord(bytes calldata header, uint256 index, bytes32 expected) private pure {
        bytes32 got = JobOutputLib.word(header, index);
        require(got == expected, HeaderMalformed(index, expected, got));
    }
}

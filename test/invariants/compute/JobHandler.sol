// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {JobEscrow} from "../../../contracts/compute/JobEscrow.sol";
import {Submission, SubmissionData, SubmissionNode} from "../../../contracts/interfaces/IFlow.sol";
import {ServiceParams} from "../../../contracts/interfaces/IInferenceEvents.sol";
import {IInferenceServing} from "../../../contracts/interfaces/IInferenceServing.sol";
import {Job, JobDelivery, JobState, JobTerms} from "../../../contracts/interfaces/IJobEscrow.sol";
import {Custodian, IStorageMarket, SealRequest} from "../../../contracts/interfaces/IStorageMarket.sol";
import {JobOutputLib} from "../../../contracts/libraries/JobOutputLib.sol";
import {OperatorRegistry} from "../../../contracts/staking/OperatorRegistry.sol";
import {Staking} from "../../../contracts/staking/Staking.sol";
import {Cheating} from "../storage/Cheats.sol";
import {JobKeeper, JobSystem} from "./JobSystem.sol";

/// @title JobHandler
/// @notice Does to the escrow what clients, providers, arbiters and strangers may do, and some of what they may not,
/// and keeps books of its own.
/// @dev Every deed is bounded to what is allowed at that moment, so that a revert is a failure; what is not allowed is
/// tried apart, and must be refused.
abstract contract JobHandler is Cheating {
    uint256 internal constant CLIENTS = 2;
    uint256 internal constant PROVIDERS = 3;
    uint256 internal constant ACTORS = CLIENTS + PROVIDERS + 3;
    uint256 private constant ARBITER_BPS = 3_331;
    uint256 private constant SECTOR = 256;
    uint256 private constant OUTPUT_BYTES = 2 * SECTOR;
    bytes32 private constant MODEL = keccak256("m");
    /// @dev How far back deeds look: older jobs are mostly over.
    uint256 private constant RECENT = 12;

    JobSystem internal immutable _system;
    JobEscrow internal immutable _escrow;
    IInferenceServing private immutable _serving;
    /// @dev Clients, then providers, two arbiters, a stranger.
    address[ACTORS] internal _actors;
    address[2] private _keepers;

    /// @dev The handler's own books.
    mapping(address account => uint256) internal _owedWei;
    uint256 internal _inWei;
    uint256 internal _outWei;
    mapping(uint256 jobId => JobState) internal _states;
    /// @dev All of a job that is over, as it was then.
    mapping(uint256 jobId => bytes32) internal _final;
    mapping(uint256 jobId => bytes32) internal _termsHashes;
    mapping(uint256 txSeq => uint256) private _jobOfOutput;
    JobDelivery private _lastOutput;
    /// @dev By number of the invariant in `JobEscrow`: what only the deed itself can see.
    bool[8] internal _violated;
    /// @dev How often each thing really happened, so that a campaign of nothing cannot pass.
    mapping(bytes32 deed => uint256) internal _done;

    constructor() {
        vm.warp(1_700_000_000);
        _system = new JobSystem();
        (_escrow, _serving) = (_system.escrow(), _system.serving());
        for (uint256 i = 0; i < ACTORS; i++) {
            _actors[i] = address(uint160(0xAC0000 + i));
            vm.deal(_actors[i], 1e32);
        }
        _actors[CLIENTS + PROVIDERS] = _system.ARBITER();
        vm.deal(address(this), 1e32);
        for (uint256 i = 0; i < 2; i++) _keepers[i] = address(new JobKeeper{value: 1e24}(_system));
        if (_keepers[0] > _keepers[1]) (_keepers[0], _keepers[1]) = (_keepers[1], _keepers[0]);
        for (uint256 i = 0; i < PROVIDERS; i++) _enlist(_actors[CLIENTS + i], 1 + i, 2 + i);
    }

    receive() external payable {}

    function open(uint256 seed, uint256 amountWei) external {
        address client = _actors[seed % CLIENTS];
        JobTerms memory terms = _terms(seed);
        uint256 quoteWei = _postedPrice(terms.provider == address(0) ? _provider(seed) : terms.provider, terms);
        terms.maxPriceWei = uint96(quoteWei + amountWei % (quoteWei + 1));
        // Now and then so little that nobody can bid.
        if (terms.provider == address(0) && seed % 7 == 0) terms.maxPriceWei = uint96(1 + amountWei % 100);
        uint256 valueWei = terms.maxPriceWei + _escrow.bondFor(terms.maxPriceWei);
        vm.prank(client);
        uint256 jobId = _escrow.open{value: valueWei}(terms);
        _inWei += valueWei;
        _states[jobId] = JobState.Open;
        _termsHashes[jobId] = _escrow.jobOf(jobId).termsHash;
        _done["open"]++;
    }

    function bid(uint256 seed) external {
        (uint256 jobId, Job memory job) = _pick(seed, JobState.Open, JobState.Assigned);
        address provider = _provider(seed / RECENT);
        if (jobId == 0) return;
        try _escrow.bidOf(jobId, provider) returns (uint256 priceWei, uint256 bondWei) {
            if (priceWei > job.terms.maxPriceWei || bondWei != job.bondWei) _violated[5] = true;
            if (job.provider != address(0) && priceWei >= job.priceWei) _violated[5] = true;
            if (job.provider != address(0)) _owedWei[job.provider] += bondWei;
            _done[job.provider == address(0) ? bytes32("bid") : bytes32("outbid")]++;
            vm.prank(provider);
            _escrow.bid{value: bondWei}(jobId, job.termsHash);
            _inWei += bondWei;
            _states[jobId] = JobState.Assigned;
        } catch {
            vm.prank(provider);
            (bool ok,) = address(_escrow).call{value: job.bondWei}(
                abi.encodeCall(_escrow.bid, (jobId, job.termsHash))
            );
            if (ok) _violated[4] = true;
            _done["refused bid"]++;
        }
    }

    function cancel(uint256 seed) external {
        (uint256 jobId, Job memory job) = _pick(seed, JobState.Open, JobState.Open);
        if (jobId == 0 || seed % 4 != 0) return;
        vm.prank(job.client);
        _escrow.cancel(jobId);
        _over(jobId, job, JobState.Refunded, 0, 0);
        _done["cancel"]++;
    }

    function giveUp(uint256 seed) external {
        (uint256 jobId, Job memory job) = _pick(seed, JobState.Assigned, JobState.Assigned);
        if (jobId == 0 || seed % 4 != 0 || block.timestamp < job.bidsUntilSec) return;
        vm.prank(job.provider);
        _escrow.giveUp(jobId);
        _over(jobId, job, JobState.TimedOut, 0, 0);
        _done["give up"]++;
    }

    function deliver(uint256 seed) external {
        (uint256 jobId, Job memory job) = _pick(seed, JobState.Assigned, JobState.Assigned);
        if (jobId == 0) return;
        JobDelivery memory delivery = _store(jobId, job, seed % 5 != 0);
        bool isRefused = seed % 5 == 0 || block.timestamp < job.bidsUntilSec || block.timestamp >= job.untilSec;
        // Another fault: an output that has been delivered already.
        if (!isRefused && seed % 5 == 1 && _lastOutput.byteLength != 0) (delivery, isRefused) = (_lastOutput, true);
        vm.prank(job.provider);
        (bool ok,) = address(_escrow).call(abi.encodeCall(_escrow.deliver, (jobId, delivery)));
        if (ok == isRefused) _violated[7] = true;
        _done[ok ? bytes32("deliver") : bytes32("refused output")]++;
        if (!ok) return;
        if (_jobOfOutput[delivery.txSeq] != 0) _violated[7] = true;
        if (_system.market().stateOf(delivery.txSeq) != IStorageMarket.State.Sealed) _violated[7] = true;
        _jobOfOutput[delivery.txSeq] = jobId;
        _states[jobId] = JobState.Delivered;
        _keep(delivery);
    }

    function accept(uint256 seed) external {
        (uint256 jobId, Job memory job) = _pick(seed, JobState.Delivered, JobState.Delivered);
        if (jobId == 0 || seed % 2 == 0) return;
        vm.prank(job.client);
        _escrow.accept(jobId, job.outputRoot);
        _over(jobId, job, JobState.Settled, uint256(job.priceWei) + job.bondWei, 0);
        _done["accept"]++;
    }

    function dispute(uint256 seed) external {
        (uint256 jobId, Job memory job) = _pick(seed, JobState.Delivered, JobState.Delivered);
        if (jobId == 0 || seed % 2 == 0 || block.timestamp >= job.untilSec) return;
        vm.prank(job.client);
        _escrow.dispute(jobId, bytes32(seed));
        _states[jobId] = JobState.Disputed;
        _done["dispute"]++;
    }

    function rule(uint256 seed) external {
        (uint256 jobId, Job memory job) = _pick(seed, JobState.Disputed, JobState.Disputed);
        if (jobId == 0 || block.timestamp >= job.untilSec) return;
        bool forProvider = (seed / RECENT) % 2 == 0;
        vm.prank(job.arbiter);
        _escrow.rule(jobId, forProvider);
        uint256 arbiterWei = uint256(job.bondWei) * ARBITER_BPS / 10_000;
        if (2 * arbiterWei > job.bondWei) _violated[6] = true;
        uint256 providerWei = forProvider ? uint256(job.priceWei) + 2 * uint256(job.bondWei) - arbiterWei : 0;
        _over(jobId, job, forProvider ? JobState.Settled : JobState.Refunded, providerWei, arbiterWei);
        _done[forProvider ? bytes32("for provider") : bytes32("for client")]++;
    }

    function close(uint256 seed) external {
        (uint256 jobId, Job memory job) = _pick(seed, JobState.Open, JobState.Disputed);
        if (jobId == 0) return;
        vm.prank(_actors[seed % ACTORS]);
        (bool ok,) = address(_escrow).call(abi.encodeCall(_escrow.close, (jobId)));
        if (ok != (block.timestamp >= job.untilSec)) _violated[4] = true;
        if (!ok) return;
        uint256 bondWei = job.bondWei;
        if (job.state == JobState.Open) _over(jobId, job, JobState.TimedOut, 0, 0);
        else if (job.state == JobState.Assigned) _over(jobId, job, JobState.TimedOut, 0, 0);
        else if (job.state == JobState.Delivered) _over(jobId, job, JobState.Settled, job.priceWei + bondWei, 0);
        else _over(jobId, job, JobState.TimedOut, job.priceWei / 2 + bondWei, 0);
        bytes32[4] memory names = [bytes32("untaken"), "late", "unchallenged", "silent"];
        _done[names[uint256(job.state) - 1]]++;
    }

    /// @dev Somebody who may not, or too late, or on a job that is over: always refused.
    function intrude(uint256 seed) external {
        uint256 count = _escrow.jobCount();
        if (count == 0) return;
        uint256 jobId = 1 + seed % count;
        Job memory job = _escrow.jobOf(jobId);
        address actor = _actors[(seed >> 16) % ACTORS];
        bool isOver = job.state >= JobState.Settled;
        bytes[8] memory calls = [
            abi.encodeCall(_escrow.cancel, (jobId)),
            abi.encodeCall(_escrow.giveUp, (jobId)),
            abi.encodeCall(_escrow.accept, (jobId, job.outputRoot)),
            abi.encodeCall(_escrow.dispute, (jobId, bytes32(0))),
            abi.encodeCall(_escrow.rule, (jobId, seed % 2 == 0)),
            abi.encodeCall(_escrow.answerDispute, (jobId, bytes32(0))),
            abi.encodeCall(_escrow.close, (jobId)),
            abi.encodeCall(_escrow.bid, (jobId, job.termsHash))
        ];
        uint256 kind = (seed >> 32) % 8;
        if (!isOver) {
            if (kind > 5 || actor == job.client || actor == job.provider || actor == job.arbiter) return;
        }
        vm.prank(actor);
        (bool ok,) = address(_escrow).call{value: kind == 7 ? job.bondWei : 0}(calls[kind]);
        if (ok) _violated[isOver ? 3 : 4] = true;
        _done["intrude"]++;
    }

    function withdraw(uint256 seed) external {
        address actor = _actors[seed % ACTORS];
        uint256 owedWei = _owedWei[actor];
        if (owedWei == 0) return;
        address to = address(uint160(0xF00D));
        uint256 beforeWei = to.balance;
        vm.prank(actor);
        if (_escrow.withdraw(to) != owedWei || to.balance - beforeWei != owedWei) _violated[1] = true;
        _owedWei[actor] = 0;
        _outWei += owedWei;
        _done["withdraw"]++;
    }

    function announce(uint256 seed, uint256 price) external {
        _announce(_provider(seed), 1 + price % 9, 1 + (price >> 32) % 9);
        _done["announce"]++;
    }

    function passTime(uint256 seed) external {
        vm.warp(block.timestamp + (seed % 8 == 0 ? 400 : seed % 30));
        vm.roll(block.number + 1);
        _done["pass time"]++;
    }

    function forceCoins(uint256 amountWei) external {
        vm.deal(address(_escrow), address(_escrow).balance + amountWei % 1e9);
        _done["force coins"]++;
    }

    function _over(uint256 jobId, Job memory job, JobState state, uint256 providerWei, uint256 arbiterWei) private {
        uint256 heldWei = uint256(job.terms.maxPriceWei) + job.bondWei;
        if (job.provider != address(0)) heldWei += job.bondWei;
        _owedWei[job.client] += heldWei - providerWei - arbiterWei;
        _owedWei[job.provider] += providerWei;
        _owedWei[job.arbiter] += arbiterWei;
        if (providerWei > uint256(job.priceWei) + 2 * uint256(job.bondWei)) _violated[5] = true;
        _states[jobId] = state;
        _final[jobId] = keccak256(abi.encode(_escrow.jobOf(jobId)));
    }

    /// @dev One of the last jobs in one of these states, or 0.
    function _pick(uint256 seed, JobState from, JobState to) private view returns (uint256 jobId, Job memory job) {
        uint256 count = _escrow.jobCount();
        uint256 window = count < RECENT ? count : RECENT;
        for (uint256 i = 0; i < window; i++) {
            jobId = count - (seed % window + i) % window;
            JobState state = _states[jobId];
            if (state >= from && state <= to) return (jobId, _escrow.jobOf(jobId));
        }
        jobId = 0;
    }

    function _terms(uint256 seed) private view returns (JobTerms memory terms) {
        if (seed % 3 != 0) terms.provider = _provider(seed / 3);
        terms.modelHash = MODEL;
        terms.modelRoot = keccak256("model");
        terms.inputRoot = bytes32(seed);
        terms.kind = keccak256("batch-inference");
        if (seed % 5 == 0) terms.arbiter = _actors[CLIENTS + PROVIDERS + 1];
        terms.bidWindowSec = seed % 4 == 0 ? 0 : uint40(seed % 60);
        terms.deadlineSec = uint40(block.timestamp + terms.bidWindowSec + 20 + seed % 900);
        terms.inputUnits = uint64(seed % 1e6);
        terms.minUnits = 1;
        terms.maxUnits = uint64(1 + (seed >> 16) % 1e6);
        terms.maxOutputBytes = uint64(OUTPUT_BYTES);
        terms.minStoragePeriods = 2;
    }

    /// @dev Submits and, if asked, seals an output of two sectors.
    function _store(uint256 jobId, Job memory job, bool isSealed) private returns (JobDelivery memory delivery) {
        bytes32 key = _escrow.outputKeyOf(jobId, job.provider);
        delivery.header = abi.encode(
            JobOutputLib.MAGIC,
            key,
            job.terms.modelRoot,
            job.terms.inputRoot,
            job.terms.kind,
            uint256(job.terms.maxUnits),
            OUTPUT_BYTES - SECTOR,
            bytes32(0)
        );
        bytes32[] memory shardRoots = new bytes32[](10);
        shardRoots[0] = keccak256(delivery.header);
        // Shards 2 to 9 are parity, which nobody disputes here.
        for (uint256 i = 1; i < 10; i++) shardRoots[i] = keccak256(abi.encode(jobId, block.timestamp, i));
        delivery.path = new bytes32[](1);
        delivery.path[0] = shardRoots[1];
        delivery.byteLength = OUTPUT_BYTES;
        delivery.nodes = new SubmissionNode[](1);
        delivery.nodes[0] = SubmissionNode(keccak256(abi.encode(shardRoots[0], shardRoots[1])), 1);
        Submission memory submission = Submission(SubmissionData(OUTPUT_BYTES, "", delivery.nodes), address(this));
        (delivery.txSeq,,,) = _system.flow().submit{value: 2 * _system.market().pricePerSector()}(submission);
        if (!isSealed) return delivery;

        Custodian[] memory custodians = new Custodian[](2);
        for (uint256 i = 0; i < 2; i++) {
            custodians[i] = Custodian(_keepers[i], i == 0 ? 0x1f : 0x3e0, 0, block.number, "");
        }
        _system.market().seal{value: _system.BOND_WEI()}(
            SealRequest(delivery.txSeq, OUTPUT_BYTES, delivery.nodes, shardRoots, custodians, "")
        );
    }

    function _keep(JobDelivery memory delivery) private {
        delete _lastOutput;
        _lastOutput.txSeq = delivery.txSeq;
        _lastOutput.byteLength = delivery.byteLength;
        _lastOutput.nodes.push(delivery.nodes[0]);
        _lastOutput.header = delivery.header;
        _lastOutput.path = delivery.path;
    }

    function _postedPrice(address provider, JobTerms memory terms) private view returns (uint256) {
        (uint256 inputWei, uint256 outputWei,) = _serving.priceAt(provider, _serving.priceEpochOf(provider));
        return inputWei * terms.inputUnits + outputWei * terms.maxUnits;
    }

    function _provider(uint256 seed) private view returns (address) {
        return _actors[CLIENTS + seed % PROVIDERS];
    }

    function _enlist(address provider, uint256 inputWei, uint256 outputWei) private {
        // Read before: a prank counts for the next call, whatever it is.
        (OperatorRegistry registry, Staking staking) = (_system.registry(), _system.staking());
        uint256 stakeWei = _system.STAKE_WEI();
        vm.prank(provider);
        registry.register("");
        vm.prank(provider);
        staking.stake{value: stakeWei}();
        vm.prank(provider);
        staking.allocate(address(_serving), stakeWei);
        _announce(provider, inputWei, outputWei);
    }

    function _announce(address provider, uint256 inputWei, uint256 outputWei) private {
        vm.prank(provider);
        _serving.addOrUpdateService(
            ServiceParams("chatbot", "u", "m", "OpML", inputWei, outputWei, "{}", provider)
        );
    }
}

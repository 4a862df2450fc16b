// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Service} from "../interfaces/IInferenceEvents.sol";
import {IInferenceServing} from "../interfaces/IInferenceServing.sol";
import {IJobEscrow, Job, JobOutcome, JobParams, JobState, JobTerms} from "../interfaces/IJobEscrow.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {IStorageMarket} from "../interfaces/IStorageMarket.sol";
import {JobOutputLib} from "../libraries/JobOutputLib.sol";
import {JobVault} from "./JobVault.sol";

/// @title JobBids
/// @notice The part of `JobEscrow` that knows what a job may ask for, who is fit to take it, and at what price.
/// @dev
///   Open --bid, before the deadline--> Assigned --cheaper bid, in the bid window--> Assigned
///     \--cancel--> Refunded
///
/// The invariants are numbered in `JobEscrow`.
abstract contract JobBids is JobVault, Ownable2Step {
    using SafeCast for uint256;

    uint256 internal constant BPS = 10_000;
    /// @dev A winner gets at least as much of the loser's bond as the arbiter.
    uint256 private constant MAX_ARBITER_BPS = 5_000;
    uint256 private constant MAX_PARAMS_BYTES = 1_024;

    IStorageMarket internal immutable _market;
    IStaking private immutable _staking;
    IInferenceServing private immutable _inference;
    uint256 private immutable _bondBps;
    uint256 internal immutable _arbiterBps;
    uint256 private immutable _stepBps;
    uint256 internal immutable _challengeSec;
    uint256 internal immutable _arbiterSec;
    uint256 private immutable _minWorkSec;
    uint256 private immutable _maxDurationSec;
    uint256 private immutable _minBondWei;

    address private _defaultArbiter;
    mapping(uint8 verificationMode => address) private _verifiers;
    uint256 private _count;
    mapping(uint256 jobId => Job) private _jobs;

    constructor(
        address owner_,
        IStorageMarket market,
        IStaking staking,
        IInferenceServing inference,
        JobParams memory given,
        address arbiter
    ) Ownable(owner_) {
        require(
            given.bondBps <= BPS && given.arbiterBps <= MAX_ARBITER_BPS && given.stepBps != 0 && given.stepBps < BPS
                && given.challengeSec != 0 && given.arbiterSec != 0 && given.minWorkSec != 0
                && given.minWorkSec <= given.maxDurationSec && given.minBondWei != 0,
            InvalidParams()
        );
        require(
            address(market) != address(0) && address(staking) != address(0) && address(inference) != address(0),
            ZeroAddress()
        );
        _market = market;
        _staking = staking;
        _inference = inference;
        _bondBps = given.bondBps;
        _arbiterBps = given.arbiterBps;
        _stepBps = given.stepBps;
        _challengeSec = given.challengeSec;
        _arbiterSec = given.arbiterSec;
        _minWorkSec = given.minWorkSec;
        _maxDurationSec = given.maxDurationSec;
        _minBondWei = given.minBondWei;
        _setDefaultArbiter(arbiter);
    }

    /// @inheritdoc IJobEscrow
    function open(JobTerms calldata terms) external payable nonReentrant returns (uint256 jobId) {
        _checkTerms(terms);
        uint256 bondWei = bondFor(terms.maxPriceWei);
        require(
            msg.value == terms.maxPriceWei + bondWei, WrongValue(terms.maxPriceWei + bondWei, msg.value)
        );
        address arbiter = _arbiterFor(terms);
        require(arbiter != msg.sender, SameParty(arbiter));
        uint256 priceWei = terms.maxPriceWei;
        if (terms.provider != address(0)) {
            require(terms.provider != msg.sender && terms.provider != arbiter, SameParty(terms.provider));
            priceWei = _quote(terms.provider, terms.modelHash, terms.inputUnits, terms.maxUnits);
            require(priceWei <= terms.maxPriceWei, PriceTooHigh(priceWei, terms.maxPriceWei));
        }

        jobId = ++_count;
        Job storage job = _jobs[jobId];
        job.state = JobState.Open;
        job.client = msg.sender;
        job.arbiter = arbiter;
        job.priceWei = uint96(priceWei);
        job.bondWei = bondWei.toUint96();
        job.openedAtSec = uint40(block.timestamp);
        job.bidsUntilSec = uint40(block.timestamp + terms.bidWindowSec);
        job.untilSec = terms.deadlineSec;
        job.termsHash = keccak256(abi.encode(block.chainid, address(this), jobId, msg.sender, arbiter, terms));
        job.terms = terms;
        _lock();
        emit JobOpened(
            jobId, msg.sender, terms.provider, job.termsHash, arbiter, bondWei, job.bidsUntilSec, terms
        );
    }

    /// @inheritdoc IJobEscrow
    function bid(uint256 jobId, bytes32 termsHash) external payable nonReentrant {
        (uint256 priceWei, uint256 bondWei) = bidOf(jobId, msg.sender);
        Job storage job = _jobs[jobId];
        require(termsHash == job.termsHash, TermsMismatch(jobId, job.termsHash));
        require(msg.value == bondWei, WrongValue(bondWei, msg.value));

        address replaced = job.provider;
        job.state = JobState.Assigned;
        job.provider = msg.sender;
        job.priceWei = uint96(priceWei);
        _lock();
        if (replaced != address(0)) {
            _credit(replaced, bondWei);
            emit JobOutbid(jobId, replaced, bondWei);
        }
        emit JobAssigned(jobId, msg.sender, priceWei, job.bidsUntilSec);
    }

    /// @inheritdoc IJobEscrow
    function cancel(uint256 jobId) external {
        Job storage job = _jobIn(jobId, JobState.Open);
        require(msg.sender == job.client, NotClient(jobId, msg.sender));
        _end(jobId, JobState.Refunded, JobOutcome.Cancelled, 0, 0);
    }

    /// @inheritdoc IJobEscrow
    function setDefaultArbiter(address arbiter) external onlyOwner {
        _setDefaultArbiter(arbiter);
    }

    /// @inheritdoc IJobEscrow
    function setVerifier(uint8 verificationMode, address verifier) external onlyOwner {
        require(verificationMode != 0, InvalidParams());
        require(verifier != address(0), ZeroAddress());
        address known = _verifiers[verificationMode];
        require(known == address(0), VerifierAlreadySet(verificationMode, known));
        _verifiers[verificationMode] = verifier;
        emit VerifierSet(verificationMode, verifier);
    }

    /// @inheritdoc IJobEscrow
    function jobOf(uint256 jobId) external view returns (Job memory) {
        return _jobs[jobId];
    }

    /// @inheritdoc IJobEscrow
    function jobCount() external view returns (uint256) {
        return _count;
    }

    /// @inheritdoc IJobEscrow
    function defaultArbiter() external view returns (address) {
        return _defaultArbiter;
    }

    /// @inheritdoc IJobEscrow
    function verifierOf(uint8 verificationMode) external view returns (address) {
        return _verifiers[verificationMode];
    }

    /// @inheritdoc IJobEscrow
    function params() external view returns (JobParams memory) {
        return JobParams({
            bondBps: uint16(_bondBps),
            arbiterBps: uint16(_arbiterBps),
            stepBps: uint16(_stepBps),
            challengeSec: uint32(_challengeSec),
            arbiterSec: uint32(_arbiterSec),
            minWorkSec: uint32(_minWorkSec),
            maxDurationSec: uint32(_maxDurationSec),
            minBondWei: uint96(_minBondWei)
        });
    }

    /// @inheritdoc IJobEscrow
    function bidOf(uint256 jobId, address provider) public view returns (uint256 priceWei, uint256 bondWei) {
        Job storage job = _jobs[jobId];
        uint256 limitWei = _bidLimit(jobId, job, provider);
        JobTerms storage terms = job.terms;
        priceWei = _quote(provider, terms.modelHash, terms.inputUnits, terms.maxUnits);
        require(priceWei <= limitWei, PriceTooHigh(priceWei, limitWei));
        bondWei = job.bondWei;
    }

    /// @inheritdoc IJobEscrow
    function bondFor(uint256 maxPriceWei) public view returns (uint256) {
        return Math.max(Math.mulDiv(maxPriceWei, _bondBps, BPS, Math.Rounding.Ceil), _minBondWei);
    }

    /// @notice Ownership can be passed on, in two steps, but not given up.
    function renounceOwnership() public pure override {
        revert OwnershipNotRenounceable();
    }

    /// @dev Ends a job: credits provider and arbiter these amounts, and the client all the rest that the job holds.
    function _end(uint256 jobId, JobState state, JobOutcome outcome, uint256 providerWei, uint256 arbiterWei)
        internal
    {
        Job storage job = _jobs[jobId];
        uint256 heldWei = job.terms.maxPriceWei + uint256(job.bondWei) * (job.provider == address(0) ? 1 : 2);
        uint256 clientWei = heldWei - providerWei - arbiterWei;
        job.state = state;
        job.untilSec = 0;
        _credit(job.client, clientWei);
        _credit(job.provider, providerWei);
        _credit(job.arbiter, arbiterWei);
        emit JobClosed(jobId, job.client, job.provider, state, outcome, clientWei, providerWei, arbiterWei);
    }

    function _jobAt(uint256 jobId) internal view returns (Job storage) {
        return _jobs[jobId];
    }

    function _jobIn(uint256 jobId, JobState state) internal view returns (Job storage job) {
        job = _jobs[jobId];
        require(job.state == state, WrongState(jobId, job.state));
    }

    /// @dev The most that a bid of this provider may be now.
    function _bidLimit(uint256 jobId, Job storage job, address provider) private view returns (uint256) {
        JobState state = job.state;
        require(state == JobState.Open || state == JobState.Assigned, WrongState(jobId, state));
        require(provider != job.client && provider != job.arbiter, SameParty(provider));
        if (state == JobState.Assigned) {
            require(block.timestamp < job.bidsUntilSec, BidWindowClosed(jobId, job.bidsUntilSec));
            require(provider != job.provider, AlreadyAssigned(jobId, provider));
            return _undercut(job.priceWei);
        }
        require(block.timestamp < job.untilSec, WindowClosed(jobId, job.untilSec));
        address named = job.terms.provider;
        if (named == address(0) || named == provider) return job.terms.maxPriceWei;
        require(job.terms.bidWindowSec != 0, NotNamed(jobId, provider));
        return _undercut(job.priceWei);
    }

    /// @dev At least a wei less, since neither price nor step is 0.
    function _undercut(uint256 priceWei) private view returns (uint256) {
        return priceWei - Math.mulDiv(priceWei, _stepBps, BPS, Math.Rounding.Ceil);
    }

    /// @dev What the provider's service, as it counts now, asks; reverts unless it is fit for jobs with this model.
    function _quote(address provider, bytes32 modelHash, uint256 inputUnits, uint256 outputUnits)
        private
        view
        returns (uint256 priceWei)
    {
        require(_inference.serviceExists(provider), NotListed(provider));
        uint256 neededWei = _inference.MIN_PROVIDER_STAKE();
        uint256 backingWei = _staking.backing(provider, address(_inference));
        require(backingWei >= neededWei, InsufficientStake(provider, neededWei, backingWei));
        Service memory service = _inference.getService(provider);
        require(service.teeSignerAcknowledged, ServiceRevoked(provider));
        require(keccak256(bytes(service.model)) == modelHash, WrongModel(provider, modelHash));
        // Prices have at most 96 bits, units 64.
        priceWei = service.inputPrice * inputUnits + service.outputPrice * outputUnits;
        require(priceWei != 0, ZeroPrice());
    }

    function _checkTerms(JobTerms calldata terms) private view {
        require(terms.maxPriceWei != 0, ZeroPrice());
        require(
            terms.params.length <= MAX_PARAMS_BYTES, ParamsTooLong(terms.params.length, MAX_PARAMS_BYTES)
        );
        require(terms.minUnits <= terms.maxUnits, UnitsOutOfRange(terms.minUnits, 0, terms.maxUnits));
        require(
            terms.maxOutputBytes > JobOutputLib.HEADER_BYTES,
            OutputTooShort(terms.maxOutputBytes, JobOutputLib.HEADER_BYTES)
        );
        uint256 maxTerm = _market.params().maxTermPeriods;
        require(terms.minStoragePeriods <= maxTerm, StorageTooLong(terms.minStoragePeriods, maxTerm));
        uint256 minSec = block.timestamp + terms.bidWindowSec + _minWorkSec;
        uint256 maxSec = block.timestamp + _maxDurationSec;
        require(
            terms.deadlineSec >= minSec && terms.deadlineSec <= maxSec,
            DeadlineOutOfRange(terms.deadlineSec, minSec, maxSec)
        );
    }

    function _arbiterFor(JobTerms calldata terms) private view returns (address) {
        address verifier = _verifiers[terms.verificationMode];
        if (verifier != address(0)) return verifier;
        return terms.arbiter == address(0) ? _defaultArbiter : terms.arbiter;
    }

    function _setDefaultArbiter(address arbiter) private {
        require(arbiter != address(0), ZeroAddress());
        _defaultArbiter = arbiter;
        emit DefaultArbiterSet(arbiter);
    }
}

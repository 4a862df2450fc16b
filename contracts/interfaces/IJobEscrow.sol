// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {SubmissionNode} from "./IFlow.sol";

/// @notice Parameters of `JobEscrow`.
/// @param bondBps bond of either side, as a share of the job's maximum price
/// @param arbiterBps the arbiter's part of the loser's bond, at most half; the winner gets the rest
/// @param stepBps how much cheaper, at least, a bid must be than the one it replaces
/// @param challengeSec from a delivery to the last moment for a dispute
/// @param arbiterSec from a dispute to the last moment for a ruling
/// @param minWorkSec least time between the end of the bid window and the deadline
/// @param maxDurationSec most time between the opening of a job and its deadline
/// @param minBondWei least bond of either side
struct JobParams {
    uint16 bondBps;
    uint16 arbiterBps;
    uint16 stepBps;
    uint32 challengeSec;
    uint32 arbiterSec;
    uint32 minWorkSec;
    uint32 maxDurationSec;
    uint96 minBondWei;
}

/// @notice What a client asks for. Nothing of it changes after the opening.
/// @param provider whom the client names; zero for nobody
/// @param maxPriceWei most that the job may cost; paid in at the opening
/// @param modelHash keccak256 of the model id that the bidder's service must list
/// @param modelRoot manifest root of the model in storage
/// @param inputRoot file root of the input in storage
/// @param kind keccak256 of the name of the kind of work, such as "batch-inference"
/// @param arbiter who decides a dispute; zero for the deployment's default
/// @param verificationMode 0: the arbiter decides. Any other: the verifier registered for it, or, without one, the
/// arbiter
/// @param bidWindowSec how long a cheaper bid replaces another; 0 with a named provider: nobody else may bid
/// @param deadlineSec moment (seconds) before which the output must be delivered
/// @param inputUnits units of input that the price is reckoned with
/// @param minUnits least units of output, as the output's header must state them
/// @param maxUnits most units of output; the price is reckoned with these
/// @param maxOutputBytes longest output, its header included
/// @param minStoragePeriods how many whole periods after the one of the delivery the output stays stored, at least
/// @param params settings for the work, at most 1,024 bytes; what they mean depends on the kind
struct JobTerms {
    address provider;
    uint96 maxPriceWei;
    bytes32 modelHash;
    bytes32 modelRoot;
    bytes32 inputRoot;
    bytes32 kind;
    address arbiter;
    uint8 verificationMode;
    uint40 bidWindowSec;
    uint40 deadlineSec;
    uint64 inputUnits;
    uint64 minUnits;
    uint64 maxUnits;
    uint64 maxOutputBytes;
    uint32 minStoragePeriods;
    bytes params;
}

/// @notice State of a job. `Settled`, `Refunded` and `TimedOut` are final.
enum JobState {
    None,
    Open,
    Assigned,
    Delivered,
    Disputed,
    Settled,
    Refunded,
    TimedOut
}

/// @notice Why a job is over, in `JobClosed`.
enum JobOutcome {
    None,
    /// `Settled`: the client accepted the output.
    Accepted,
    /// `Settled`: nobody disputed it in time.
    Unchallenged,
    /// `Settled`: the arbiter found for the provider.
    ForProvider,
    /// `Refunded`: the arbiter found for the client.
    ForClient,
    /// `Refunded`: the client took it back before anybody took it.
    Cancelled,
    /// `TimedOut`: nobody took it before the deadline.
    Untaken,
    /// `TimedOut`: the provider delivered nothing that counts before the deadline, or gave up.
    Late,
    /// `TimedOut`: the arbiter kept silent; the price is split, both bonds go back.
    ArbiterSilent
}

/// @notice A job. All zero but `state` when there is none.
/// @param arbiter who rules: the verifier of the mode, the arbiter of the terms, or the default at the opening
/// @param provider who is assigned; zero while `Open`
/// @param priceWei what it is paid; while `Open`, what a bid of somebody not named must undercut
/// @param bondWei bond of each side
/// @param termsHash what a bid repeats, so that it never lands on other terms
/// @param bidsUntilSec end of the bid window
/// @param untilSec end of the present window: deadline, challenge or ruling; 0 when closed
/// @param outputRoot file root of the output, header included
struct Job {
    JobState state;
    address client;
    address arbiter;
    address provider;
    uint96 priceWei;
    uint96 bondWei;
    uint40 openedAtSec;
    uint40 bidsUntilSec;
    uint40 untilSec;
    uint64 outputTxSeq;
    uint64 outputUnits;
    uint64 outputBytes;
    bytes32 termsHash;
    bytes32 outputRoot;
    JobTerms terms;
}

/// @notice An output that is stored, and the proof of what it says of itself.
/// @param txSeq its submission, `Sealed`
/// @param byteLength as submitted, header included
/// @param nodes as submitted
/// @param header the file's first sector, 256 bytes: see `JobOutputLib`
/// @param path siblings of the first sector within the first node, from the leaf upwards
struct JobDelivery {
    uint256 txSeq;
    uint256 byteLength;
    SubmissionNode[] nodes;
    bytes header;
    bytes32[] path;
}

/// @title IJobEscrow
/// @notice Work too long for a request, paid for through an escrow.
///
///   Open -> Assigned -> Delivered -> Settled | Disputed;  Disputed -> Settled | Refunded | TimedOut
///   Open -> Refunded | TimedOut;  Assigned -> TimedOut
///
/// @dev What is checked without anybody's judgement, at the delivery, so that output at fault is simply not delivered:
/// it comes before the deadline; its submission is `Sealed` and stays stored long enough; it is no longer than allowed;
/// and its header, proven to be the first sector of that very file, names this chain, escrow, job and provider, the
/// model, input and kind of the terms, the true length of the body, and units within the terms. What the body says
/// is for the client, and in a dispute for the arbiter.
/// @dev Warning: a provider reads the terms before it bids, arbiter and deadline above all, and fetches model and
/// input first: an input that nobody can fetch costs the bidder its bond.
/// @dev Warning: the header states the units, and nobody counts them here: they bound the output, not the pay. The
/// price is fixed by the bid.
interface IJobEscrow {
    event JobOpened(
        uint256 indexed jobId,
        address indexed client,
        address indexed provider,
        bytes32 termsHash,
        address arbiter,
        uint256 bondWei,
        uint256 bidsUntilSec,
        JobTerms terms
    );
    /// @notice A bid stands. It is firm at `bidsUntilSec`, or at once when that has passed.
    event JobAssigned(uint256 indexed jobId, address indexed provider, uint256 priceWei, uint256 bidsUntilSec);
    /// @notice A cheaper bid came; the bond of the replaced one may be withdrawn.
    event JobOutbid(uint256 indexed jobId, address indexed provider, uint256 bondWei);
    event JobDelivered(
        uint256 indexed jobId,
        address indexed provider,
        address indexed client,
        uint256 txSeq,
        bytes32 outputRoot,
        uint256 outputUnits,
        uint256 outputBytes,
        uint256 challengeUntilSec
    );
    event JobDisputed(
        uint256 indexed jobId,
        address indexed provider,
        address indexed arbiter,
        bytes32 evidenceRoot,
        uint256 ruleUntilSec
    );
    event DisputeAnswered(uint256 indexed jobId, address indexed provider, bytes32 evidenceRoot);
    /// @notice The job is over, and this was credited to each: price, rest and bonds.
    event JobClosed(
        uint256 indexed jobId,
        address indexed client,
        address indexed provider,
        JobState state,
        JobOutcome outcome,
        uint256 clientWei,
        uint256 providerWei,
        uint256 arbiterWei
    );
    event Withdrawn(address indexed account, address indexed to, uint256 amountWei);
    event DefaultArbiterSet(address indexed arbiter);
    event VerifierSet(uint8 indexed verificationMode, address indexed verifier);

    /// @notice Somebody must be able to name the default arbiter.
    error OwnershipNotRenounceable();
    error InvalidParams();
    error ZeroAddress();
    /// @notice The job is in another state than the call needs.
    error WrongState(uint256 jobId, JobState state);
    error NotClient(uint256 jobId, address caller);
    error NotProvider(uint256 jobId, address caller);
    error NotArbiter(uint256 jobId, address caller);
    /// @notice Two of client, provider and arbiter are the same.
    error SameParty(address account);
    error WrongValue(uint256 neededWei, uint256 sentWei);
    error ZeroPrice();
    error ParamsTooLong(uint256 byteLength, uint256 maxBytes);
    error UnitsOutOfRange(uint256 units, uint256 minUnits, uint256 maxUnits);
    error OutputTooLong(uint256 byteLength, uint256 maxBytes);
    /// @notice Header and at least one byte of body do not fit.
    error OutputTooShort(uint256 byteLength, uint256 headerBytes);
    /// @notice No deal may last that long.
    error StorageTooLong(uint256 periods, uint256 maxPeriods);
    /// @notice The deadline leaves too little time for the work, or lies too far ahead.
    error DeadlineOutOfRange(uint256 deadlineSec, uint256 minSec, uint256 maxSec);
    /// @notice The job's terms are not those that were bid on.
    error TermsMismatch(uint256 jobId, bytes32 termsHash);
    error NotListed(address provider);
    error InsufficientStake(address provider, uint256 neededWei, uint256 backingWei);
    /// @notice The owner of `InferenceServing` has stopped this service.
    error ServiceRevoked(address provider);
    error WrongModel(address provider, bytes32 modelHash);
    /// @notice Nobody but the named provider may bid.
    error NotNamed(uint256 jobId, address caller);
    error AlreadyAssigned(uint256 jobId, address provider);
    /// @notice The bidder's posted price comes to more than a bid may be now.
    error PriceTooHigh(uint256 priceWei, uint256 maxPriceWei);
    error BidWindowClosed(uint256 jobId, uint256 closedAtSec);
    /// @notice Until `closesAtSec` the job may yet go to somebody cheaper.
    error BidWindowOpen(uint256 jobId, uint256 closesAtSec);
    error WindowClosed(uint256 jobId, uint256 closedAtSec);
    error WindowOpen(uint256 jobId, uint256 closesAtSec);
    /// @notice The submission is not `Sealed`; `state` is a number of `IStorageMarket.State`.
    error OutputNotSealed(uint256 txSeq, uint8 state);
    /// @notice The output is stored until `endPeriod`, and must be until `neededPeriod`.
    error OutputStoredTooShort(uint256 txSeq, uint256 endPeriod, uint256 neededPeriod);
    /// @notice Length and nodes are not those of the submission.
    error OutputMismatch(uint256 txSeq, bytes32 expectedDigest, bytes32 digest);
    /// @notice The header is not the first sector of the output.
    error HeaderNotOfOutput(uint256 txSeq);
    /// @notice Word `index` of the header is not what it must be.
    error HeaderMalformed(uint256 index, bytes32 expected, bytes32 got);
    /// @notice The delivered output has another root than the one accepted.
    error OutputRootMismatch(uint256 jobId, bytes32 outputRoot);
    error VerifierAlreadySet(uint8 verificationMode, address verifier);
    error NothingToWithdraw(address account);
    error TransferFailed(address to, uint256 amountWei);

    /// @notice Opens a job. Value: exactly `maxPriceWei` and the client's bond (`bondFor`).
    /// @dev A named provider must be fit to bid now; the price its service posts now is what others must undercut.
    function open(JobTerms calldata terms) external payable returns (uint256 jobId);

    /// @notice Takes an `Open` job before its deadline, or, within the bid window, replaces a dearer bid. The price is
    /// what the bidder's service posts now: `bidOf`. Value: exactly the bond.
    /// @param termsHash as in `jobOf`: the bid counts for these terms only
    function bid(uint256 jobId, bytes32 termsHash) external payable;

    /// @notice The client takes back a job that nobody has taken.
    function cancel(uint256 jobId) external;

    /// @notice The assigned provider gives up, once the bid window is over: as if the deadline had passed.
    function giveUp(uint256 jobId) external;

    /// @notice The assigned provider delivers, after the bid window and before the deadline.
    function deliver(uint256 jobId, JobDelivery calldata delivery) external;

    /// @notice The client accepts the output with this root: the provider is paid at once.
    function accept(uint256 jobId, bytes32 outputRoot) external;

    /// @notice The client disputes the output before its challenge window is over, with its bond at stake.
    /// @param evidenceRoot file root of what it has to say, in storage; may be zero
    function dispute(uint256 jobId, bytes32 evidenceRoot) external;

    /// @notice The provider answers a dispute, any number of times while the arbiter may rule.
    function answerDispute(uint256 jobId, bytes32 evidenceRoot) external;

    /// @notice The arbiter decides. The loser's bond goes to the winner and to the arbiter.
    function rule(uint256 jobId, bool forProvider) external;

    /// @notice Closes a job whose window is over. Anyone may call. `Open`: the client gets all back. `Assigned`: and
    /// the provider's bond, too. `Delivered`: the provider is paid. `Disputed`: the price is split, the bonds go back.
    function close(uint256 jobId) external;

    /// @notice Sends all that the sender has been credited to `to`.
    function withdraw(address to) external returns (uint256 amountWei);

    /// @notice Sets the arbiter of later jobs that name none. Owner only.
    function setDefaultArbiter(address arbiter) external;

    /// @notice Registers who rules over later jobs of this mode, once and for ever. Owner only; not for mode 0.
    function setVerifier(uint8 verificationMode, address verifier) external;

    /// @notice A job.
    function jobOf(uint256 jobId) external view returns (Job memory);

    /// @notice The number of jobs ever opened; ids are 1 … jobCount.
    function jobCount() external view returns (uint256);

    /// @notice What a bid of `provider` would come to now: its price and the bond to send. Reverts as `bid` would.
    function bidOf(uint256 jobId, address provider) external view returns (uint256 priceWei, uint256 bondWei);

    /// @notice The bond of either side for a job of this maximum price, rounded up.
    function bondFor(uint256 maxPriceWei) external view returns (uint256);

    /// @notice Second word of an output's header: keccak256(abi.encode(chain id, this contract, jobId, provider)).
    function outputKeyOf(uint256 jobId, address provider) external view returns (bytes32);

    /// @notice What `account` may withdraw.
    function creditOf(address account) external view returns (uint256);

    /// @notice What open jobs hold (prices and bonds), and all credits. Coins forced on this contract are not counted.
    function vault() external view returns (uint256 lockedWei, uint256 creditsWei);

    /// @notice Arbiter of jobs that name none.
    function defaultArbiter() external view returns (address);

    /// @notice Who rules over jobs of this mode; zero: the arbiter.
    function verifierOf(uint8 verificationMode) external view returns (address);

    function params() external view returns (JobParams memory);
}

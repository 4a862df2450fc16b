// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {IStakedService} from "./IStakedService.sol";

/// @notice A custody leaf with its path to the deal's custody root.
struct CustodyProof {
    address provider;
    bytes32 shardRoot;
    bytes32[] path;
}

/// @notice A stretch of the audit line that belongs to one deal.
struct LineEntry {
    uint64 start;
    uint64 sectors;
    uint64 txSeq;
}

/// @notice Figures of the audit line that hold for one period.
struct LineFigures {
    uint64 tail;
    uint64 end;
    uint64 live;
}

/// @notice An opened period: its seed and what is drawn in it. Bit j of `resolved`: draw j is resolved, for j below
/// 128.
struct Round {
    bytes32 seed;
    uint64 tail;
    uint64 span;
    uint64 live;
    uint32 draws;
    uint128 bountyWei;
    uint128 resolved;
}

/// @notice Numbers of a network that audits depend on.
/// @param targetDraws D: draws per period when nothing on the line is dead.
/// @param windowBlocks W: pin within W blocks of the boundary, answer within 2 W, report within 3 W <= periodBlocks.
/// @param slashFactor c >= 4: a slash is c x price per sector-period x live sectors / D.
/// @param maxStrikes S <= 8: strikes in the window that suspend.
/// @param strikeWindowPeriods Length of the sliding window.
/// @param reporterBps Reporter's share of a slash, at most half.
struct ProverParams {
    uint16 targetDraws;
    uint32 windowBlocks;
    uint16 slashFactor;
    uint8 maxStrikes;
    uint32 strikeWindowPeriods;
    uint16 reporterBps;
}

/// @title Proof of random access: audit line, rounds, draws, answers, misses.
/// @notice Also the storage service registered in Staking: it slashes, and says how much of an allocation custody
/// binds.
interface IStorageProver is IStakedService {
    /// @notice A deal got the positions [start, start + sectors) of the audit line; also after a compaction.
    event Appended(uint256 indexed entryIndex, uint256 indexed txSeq, uint256 start, uint256 sectors);
    event TailMoved(uint256 tail, uint256 tailEntry);
    /// @notice A period was opened: draw j falls on tail + keccak256(abi.encode(seed, j)) % span.
    event RoundOpened(
        uint256 indexed period,
        bytes32 seed,
        uint256 tail,
        uint256 span,
        uint256 live,
        uint256 draws,
        uint256 bountyWei,
        address indexed opener
    );
    event Answered(
        uint256 indexed period,
        uint256 indexed draw,
        address indexed provider,
        uint256 txSeq,
        uint256 shardIndex,
        uint256 bountyWei
    );
    event Missed(
        uint256 indexed period,
        uint256 indexed draw,
        address indexed provider,
        uint256 txSeq,
        uint256 shardIndex,
        uint256 slashedWei,
        address reporter
    );

    error AlreadyWired();
    error NotDeployer(address caller);
    error NotAuthorized(address caller);
    error InvalidParams();
    error RoundNotOpen(uint256 period);
    error RoundAlreadyOpen(uint256 period);
    error NotThisPeriod(uint256 period, uint256 current);
    error PinWindowClosed(uint256 period, uint256 closedAtBlock);
    error AnswerWindowClosed(uint256 period, uint256 closedAtBlock);
    error ReportWindowNotOpen(uint256 period, uint256 opensAtBlock);
    error ReportWindowClosed(uint256 period, uint256 closedAtBlock);
    error NoLiveSectors(uint256 period);
    error DrawOutOfRange(uint256 draw, uint256 draws);
    error DrawAlreadyResolved(uint256 period, uint256 draw);
    error NotInEntry(uint256 entryIndex, uint256 position);
    /// @notice The draw fell on a deal that was not live: it needs no answer.
    error DeadRange(uint256 txSeq, uint256 period);
    error WrongCustodyProof(uint256 txSeq, uint256 shardIndex);
    error WrongSectorProof(uint256 txSeq, uint256 shardIndex, uint256 sector);
    error WrongSectorLength(uint256 length);
    error ProviderAlreadySuspended(address provider);
    error NotSuspended(address provider);
    error StillStruck(address provider, uint256 strikes);
    error InsufficientStake(address provider, uint256 neededWei, uint256 backingWei);
    /// @notice The line's figures lag behind: call `roll` first.
    error LineBehind(uint256 reachedPeriod, uint256 current);
    error NothingToMove();

    /// @notice Connects the prover to the market, once, by the deployer.
    function wire(address market_) external;

    /// @notice Gives a deal the next positions of the audit line, from the next period on. Only market.
    function append(uint256 txSeq, uint256 length, uint256 endPeriod) external returns (uint256 entryIndex);

    /// @notice Pins the seed of the present period (if nobody has) and opens its round. Anyone; paid one bounty from
    /// the pot.
    /// @param headerRlp RLP header of the period's first block; may be empty when the Beacon already has the seed.
    function openRound(uint256 period, bytes calldata headerRlp) external returns (uint256 draws);

    /// @notice Answers a draw. Anyone may send it; the bounty is the custodian's.
    /// @param sector The 256 bytes drawn.
    /// @param path Siblings from the sector's hash up to the shard root.
    function answer(
        uint256 period,
        uint256 draw,
        uint256 entryIndex,
        bytes calldata sector,
        bytes32[] calldata path,
        CustodyProof calldata custody
    ) external;

    /// @notice Reports a draw that nobody answered in time: slash, strike, and the period's pay forfeited. Anyone; paid
    /// its share of the slash and one bounty, together at most half of the slash.
    function reportMiss(uint256 period, uint256 draw, uint256 entryIndex, CustodyProof calldata custody) external;

    /// @notice Lifts a suspension once strikes have aged out and the stake suffices; from the next period on. Only the
    /// provider itself: back in service it can be slashed again.
    function reinstate(address provider) external;

    /// @notice Moves the tail past dead entries, and appends live ones anew when the line is mostly dead. Bounded, by
    /// anyone.
    function moveTail(uint256 maxEntries) external returns (uint256 moved);

    /// @notice Brings the line's figures up to the present period over at most `maxBuckets` expiry buckets.
    function roll(uint256 maxBuckets) external returns (uint256 reachedPeriod);

    function params() external view returns (ProverParams memory);
    function market() external view returns (address);
    function entryCount() external view returns (uint256);
    function entry(uint256 entryIndex) external view returns (LineEntry memory);
    function tailEntry() external view returns (uint256);

    /// @notice Figures that hold in the present period.
    function figures() external view returns (LineFigures memory);

    /// @notice Figures as they will hold from the next period on, endings at its boundary included.
    function nextFigures() external view returns (LineFigures memory);
    function round(uint256 period) external view returns (Round memory);
    function isResolved(uint256 period, uint256 draw) external view returns (bool);
    function drawPosition(uint256 period, uint256 draw) external view returns (uint256);
    function strikesOf(address provider) external view returns (uint256);

    /// @notice First block in which the step is no longer possible: pin, answer, report.
    function windowsOf(uint256 period)
        external
        view
        returns (uint256 pinCloses, uint256 answerCloses, uint256 reportCloses);

    /// @notice What a miss costs at these figures, before the cap at the provider's lock.
    function slashWei(uint256 pricePerSectorPeriod, uint256 live) external view returns (uint256);
}

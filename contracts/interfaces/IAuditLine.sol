// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

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

/// @title What every audit has: a line of all that is kept, rounds of draws on it, windows, strikes.
/// @notice Positions of the line are sectors for storage and cells for data availability.
interface IAuditLine {
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

    error NotAuthorized(address caller);
    error InvalidParams();
    error RoundNotOpen(uint256 period);
    error RoundAlreadyOpen(uint256 period);
    error NotThisPeriod(uint256 period, uint256 current);
    error PinWindowClosed(uint256 period, uint256 closedAtBlock);
    error AnswerWindowClosed(uint256 period, uint256 closedAtBlock);
    error ReportWindowNotOpen(uint256 period, uint256 opensAtBlock);
    error ReportWindowClosed(uint256 period, uint256 closedAtBlock);
    error DrawOutOfRange(uint256 draw, uint256 draws);
    error DrawAlreadyResolved(uint256 period, uint256 draw);
    error NotInEntry(uint256 entryIndex, uint256 position);
    /// @notice The line's figures lag behind: call `roll` first.
    error LineBehind(uint256 reachedPeriod, uint256 current);
    error NothingToMove();

    /// @notice Pins the seed of the present period (if nobody has) and opens its round. Anyone; paid one bounty from
    /// the pot.
    /// @param headerRlp RLP header of the period's first block; may be empty when the Beacon already has the seed.
    function openRound(uint256 period, bytes calldata headerRlp) external returns (uint256 draws);

    /// @notice Moves the tail past dead entries, and appends live ones anew when the line is mostly dead. Bounded, by
    /// anyone.
    function moveTail(uint256 maxEntries) external returns (uint256 moved);

    /// @notice Brings the line's figures up to the present period over at most `maxBuckets` expiry buckets.
    function roll(uint256 maxBuckets) external returns (uint256 reachedPeriod);

    function entryCount() external view returns (uint256);
    function tailEntry() external view returns (uint256);

    /// @notice Figures that hold in the present period.
    function figures() external view returns (LineFigures memory);

    /// @notice Figures as they will hold from the next period on, endings at its boundary included.
    function nextFigures() external view returns (LineFigures memory);
    function round(uint256 period) external view returns (Round memory);
    function isResolved(uint256 period, uint256 draw) external view returns (bool);
    function drawPosition(uint256 period, uint256 draw) external view returns (uint256);

    /// @notice Misses of `provider` that still count.
    function strikesOf(address provider) external view returns (uint256);

    /// @notice First block in which the step is no longer possible: pin, answer, report.
    function windowsOf(uint256 period)
        external
        view
        returns (uint256 pinCloses, uint256 answerCloses, uint256 reportCloses);
}

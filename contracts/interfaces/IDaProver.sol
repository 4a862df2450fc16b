// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {IAuditLine} from "./IAuditLine.sol";

/// @notice Numbers of a network that audits depend on.
/// @param targetDraws draws per period when nothing on the line is dead
/// @param windowBlocks W: pin within W blocks of the boundary, answer within 2 W, report within 3 W <= periodBlocks
/// @param missSlashBps share of a seat's stake that the first miss costs; doubled by each further one that still counts
/// @param strikeWindowPeriods how long a miss makes the next one dearer
/// @param reporterBps reporter's share of a slash, at most half
/// @param bountyWei paid from the pot for each answer and for opening a round; less when the pot does not reach for all
struct DaProverParams {
    uint16 targetDraws;
    uint32 windowBlocks;
    uint16 missSlashBps;
    uint32 strikeWindowPeriods;
    uint16 reporterBps;
    uint128 bountyWei;
}

/// @notice A stretch of the audit line that belongs to one blob, column by column: cell (b, k) lies at
/// start + k * blobCount + b.
struct DaLineEntry {
    uint64 start;
    uint64 cells;
    uint64 blobNumber;
}

/// @title IDaProver
/// @notice Audits of retention: draws on a line of all confirmed cells; an unanswered one is slashed.
/// @dev It proves retention, not availability: whoever holds the data in secret can answer too.
/// Who attested a column answers for it until the blob expires, also after it has left the committee. Rounds, windows
/// and the line are those of `IAuditLine`; its `strikesOf` counts misses that make the next one dearer.
interface IDaProver is IAuditLine {
    /// @notice A confirmed blob got the positions [start, start + cells) of the line; also after a compaction.
    event Appended(uint256 indexed entryIndex, uint256 indexed blobNumber, uint256 start, uint256 cells);
    /// @notice `provider` got the bounty: who attested the column, or its successor once that one is out.
    event Answered(
        uint256 indexed period,
        uint256 indexed draw,
        address indexed provider,
        bytes32 blobId,
        uint256 blobIndex,
        uint256 column,
        uint256 bountyWei
    );
    event Missed(
        uint256 indexed period,
        uint256 indexed draw,
        address indexed provider,
        bytes32 blobId,
        uint256 blobIndex,
        uint256 column,
        uint256 slashedWei,
        address reporter
    );

    error NoLiveCells(uint256 period);
    /// @notice The draw fell on a blob that has expired: it needs no answer.
    error DeadRange(uint256 blobNumber, uint256 period);
    /// @notice The draw fell on a column that nobody attested: it needs no answer.
    error ColumnUnsigned(bytes32 blobId, uint256 column);
    /// @notice Columns were added to the blob after the period had begun: its draws of this period bind nobody.
    error ColumnsNotSettled(bytes32 blobId, uint256 period);
    /// @notice Who attested the column has no stake left: nobody can be slashed for it.
    error HolderOut(bytes32 blobId, uint256 column, address holder);
    /// @notice Who attested the column still has its stake: it answers itself.
    error HolderNotOut(bytes32 blobId, uint256 column, address holder);
    error WrongCellProof(bytes32 blobId, uint256 blobIndex, uint256 column);
    /// @notice Cell and proof together have exactly 2,096 bytes.
    error WrongCellLength(uint256 lengthBytes);

    /// @notice Opens the storage of an entry to come, at the submitter's cost: confirmations stay cheap. Only
    /// DataAvailability.
    function prepare(uint256 endPeriod) external;

    /// @notice Gives a blob the next positions of the line, from the next period on. Only DataAvailability.
    function append(uint256 blobNumber, uint256 blobCount, uint256 endPeriod) external returns (uint256 entryIndex);

    /// @notice Answers a draw. Anyone may send it; the bounty is that of who attested the column.
    /// @param cellAndProof cell (2,048 bytes) ‖ proof (48 bytes)
    /// @param path siblings from the cell's leaf up to `cellsRoot`
    function answer(
        uint256 period,
        uint256 draw,
        uint256 entryIndex,
        bytes calldata cellAndProof,
        bytes32[] calldata path
    ) external;

    /// @notice Answers a draw on a column whose attester is out; the bounty is that of who holds the column now.
    function answerAsSuccessor(
        uint256 period,
        uint256 draw,
        uint256 entryIndex,
        bytes calldata cellAndProof,
        bytes32[] calldata path
    ) external;

    /// @notice Reports a draw that was not answered in time: who attested the column is slashed, and loses the column's
    /// pay for the blob. Anyone; paid its share of the slash and one bounty, together at most half of the slash.
    function reportMiss(uint256 period, uint256 draw, uint256 entryIndex) external;

    function entry(uint256 entryIndex) external view returns (DaLineEntry memory);

    function params() external view returns (DaProverParams memory);
}

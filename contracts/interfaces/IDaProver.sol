// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

/// @notice Numbers of a network that audits depend on.
/// @param targetDraws draws per period when nothing on the line is dead
/// @param windowBlocks W: pin within W blocks of the boundary, answer within 2 W, report within 3 W <= periodBlocks
/// @param missSlashBps share of a seat's stake that the first miss costs; doubled by each further one that still counts
/// @param strikeWindowPeriods how long a miss makes the next one dearer
/// @param reporterBps reporter's share of a slash, at most half
/// @param bountyWei paid from the pot for each answer and for opening a round, as far as the pot reaches
struct DaProverParams {
    uint16 targetDraws;
    uint32 windowBlocks;
    uint16 missSlashBps;
    uint32 strikeWindowPeriods;
    uint16 reporterBps;
    uint128 bountyWei;
}

/// @title IDaProver
/// @notice Audits of retention: draws on a line of all confirmed cells; an unanswered one is slashed.
/// @dev It proves retention, not availability: whoever holds the data in secret can answer too.
/// The events and errors of the audit line are those of `IAuditLine`.
interface IDaProver {
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

    /// @notice The draw fell on a column that nobody attested: it needs no answer.
    error ColumnUnsigned(bytes32 blobId, uint256 column);
    /// @notice Who attested the column is out; nobody can be slashed for it.
    error HolderOut(bytes32 blobId, uint256 column, address holder);
    error WrongCellProof(bytes32 blobId, uint256 blobIndex, uint256 column);
    error WrongCellLength(uint256 lengthBytes);

    function openRound(uint256 period, bytes calldata headerRlp) external returns (uint256 draws);

    /// @notice Answers a draw. Anyone may send it; the bounty is the holder's.
    /// @param cellAndProof cell (2,048 bytes) ‖ proof (48 bytes)
    /// @param path siblings from the cell's leaf up to `cellsRoot`
    function answer(
        uint256 period,
        uint256 draw,
        uint256 entryIndex,
        bytes calldata cellAndProof,
        bytes32[] calldata path
    ) external;

    /// @notice Reports a draw that was not answered in time: the holder is slashed. Anyone.
    function reportMiss(uint256 period, uint256 draw, uint256 entryIndex) external;

    /// @notice Where draw `draw` of an opened period falls: position on the line.
    function drawPosition(uint256 period, uint256 draw) external view returns (uint256);

    function isResolved(uint256 period, uint256 draw) external view returns (bool);

    /// @notice Misses of `provider` that still count.
    function strikesOf(address provider) external view returns (uint256);

    function windowsOf(uint256 period)
        external
        view
        returns (uint256 pinCloses, uint256 answerCloses, uint256 reportCloses);

    function params() external view returns (DaProverParams memory);
}

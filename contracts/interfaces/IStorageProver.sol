// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {IAuditLine} from "./IAuditLine.sol";
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
interface IStorageProver is IStakedService, IAuditLine {
    /// @notice A deal got the positions [start, start + sectors) of the audit line; also after a compaction.
    event Appended(uint256 indexed entryIndex, uint256 indexed txSeq, uint256 start, uint256 sectors);
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
    error NoLiveSectors(uint256 period);
    /// @notice The draw fell on a deal that was not live: it needs no answer.
    error DeadRange(uint256 txSeq, uint256 period);
    error WrongCustodyProof(uint256 txSeq, uint256 shardIndex);
    error WrongSectorProof(uint256 txSeq, uint256 shardIndex, uint256 sector);
    error WrongSectorLength(uint256 length);
    error ProviderAlreadySuspended(address provider);
    error NotSuspended(address provider);
    error StillStruck(address provider, uint256 strikes);
    error InsufficientStake(address provider, uint256 neededWei, uint256 backingWei);

    /// @notice Connects the prover to the market, once, by the deployer.
    function wire(address market_) external;

    /// @notice Gives a deal the next positions of the audit line, from the next period on. Only market.
    function append(uint256 txSeq, uint256 length, uint256 endPeriod) external returns (uint256 entryIndex);

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

    function params() external view returns (ProverParams memory);
    function market() external view returns (address);
    function entry(uint256 entryIndex) external view returns (LineEntry memory);

    /// @notice What a miss costs at these figures, before the cap at the provider's lock.
    function slashWei(uint256 pricePerSectorPeriod, uint256 live) external view returns (uint256);
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {SubmissionNode} from "./IFlow.sol";

/// @notice One custodian's offer inside a seal.
/// @param provider Operator that signs; custodians are listed in ascending order of address.
/// @param shardBitmap Bit i set: it keeps shard i.
/// @param ratePerPeriod The least it accepts per period for all its shards, in wei, net of the pot.
/// @param validUntil Last block in which the offer may be sealed.
/// @param signature EIP-712 `Custody` of the provider (EOA or ERC-1271).
struct Custodian {
    address provider;
    uint256 shardBitmap;
    uint256 ratePerPeriod;
    uint256 validUntil;
    bytes signature;
}

/// @notice All that turns a submission into a deal.
/// @param txSeq Submission to seal.
/// @param byteLength File length, as submitted.
/// @param nodes Nodes, as submitted.
/// @param shardRoots Roots of the d data shards in file order, then of the m parity shards.
/// @param custodians Who keeps what; every shard exactly once.
/// @param approval The owner's EIP-712 `Approve`; empty when the caller is the owner or its sealer.
struct SealRequest {
    uint256 txSeq;
    uint256 byteLength;
    SubmissionNode[] nodes;
    bytes32[] shardRoots;
    Custodian[] custodians;
    bytes approval;
}

/// @notice A change of custodian of one shard.
/// @param txSeq Deal.
/// @param shardIndex Shard that changes hands.
/// @param successor Provider that takes it over.
/// @param providers Current custodian of each shard, by shard index.
/// @param shardRoots Root of each shard, by shard index.
/// @param validUntil Last block in which the offer holds.
/// @param signature EIP-712 `Takeover` of the successor.
struct HandOver {
    uint256 txSeq;
    uint256 shardIndex;
    address successor;
    address[] providers;
    bytes32[] shardRoots;
    uint256 validUntil;
    bytes signature;
}

/// @notice A sealed deal. Price, parity, term and fault limit are frozen at the seal.
struct Deal {
    bytes32 custodyRoot;
    bytes32 nextCustodyRoot;
    uint32 nextCustodyFrom;
    uint32 startPeriod;
    uint32 endPeriod;
    uint8 dataShards;
    uint8 parityShards;
    uint8 shardHeight;
    uint96 pricePerSectorPeriod;
    address sealer;
    uint96 bondWei;
}

/// @notice Who must answer for a deal in one period.
struct CustodyView {
    bytes32 custodyRoot;
    uint256 shards;
    uint256 shardHeight;
    uint256 pricePerSectorPeriod;
    bool live;
}

/// @notice Numbers of a network that a deal depends on.
/// @param defaultTermPeriods Term that the public fee buys.
/// @param minTermPeriods Shortest term that may be bought.
/// @param maxTermPeriods Longest term that may be bought.
/// @param sealDeadlineBlocks Blocks after the submission in which it may be sealed; then it is refunded.
/// @param bucketPeriods Expiries are rounded up to multiples of this.
/// @param potBps Share of each deal's stream that goes to the pot of bounties.
/// @param faultTolerance How many providers may vanish at once (f): no custodian keeps more than m / f shards.
/// @param parityBondWei Bond of the seal's caller for right parity.
struct MarketParams {
    uint32 defaultTermPeriods;
    uint32 minTermPeriods;
    uint32 maxTermPeriods;
    uint32 sealDeadlineBlocks;
    uint32 bucketPeriods;
    uint16 potBps;
    uint8 faultTolerance;
    uint96 parityBondWei;
}

/// @title The storage market: price, deals, seals and refunds.
/// @notice Holds no money: StorageStreams does. States of a submission:
/// Submitted -> Sealed -> Ended, or Submitted -> Refunded.
interface IStorageMarket {
    /// @notice State of a submission. `None`: there is no such submission.
    enum State {
        None,
        Submitted,
        Sealed,
        Ended,
        Refunded
    }

    event PriceChanged(uint256 pricePerSectorPeriod);
    /// @notice An owner bought another parity or term before the seal.
    event Configured(uint256 indexed txSeq, uint256 parityShards, uint256 termPeriods, uint256 escrowWei);
    event SealerChanged(address indexed owner, address indexed sealer);
    /// @notice The availability certificate: who keeps which shard, until when and at what price.
    event Sealed(
        uint256 indexed txSeq,
        address indexed owner,
        bytes32 custodyRoot,
        uint256 entryIndex,
        uint256 startPeriod,
        uint256 endPeriod,
        uint256 pricePerSectorPeriod,
        uint256 dataShards,
        uint256 shardHeight,
        address[] providers,
        uint256[] shardBitmaps,
        bytes32[] shardRoots
    );
    event Refunded(uint256 indexed txSeq, address indexed owner, uint256 amountWei);
    /// @notice A shard changes hands from `fromPeriod` on.
    event CustodyHandedOver(
        uint256 indexed txSeq,
        uint256 shardIndex,
        address indexed from,
        address indexed to,
        bytes32 custodyRoot,
        uint256 fromPeriod
    );
    event Ended(uint256 indexed txSeq, address indexed sealer, uint256 bondWei);

    error AlreadyWired();
    error NotDeployer(address caller);
    /// @notice Somebody must be able to set the list price.
    error OwnershipNotRenounceable();
    /// @notice The submission is in another state than the call needs.
    error WrongState(uint256 txSeq, State state);
    error NotOwnerOf(uint256 txSeq, address caller);
    /// @notice Neither owner, nor its sealer, nor carrying the owner's approval.
    error NotSealer(uint256 txSeq, address caller);
    error DigestMismatch(bytes32 expected, bytes32 got);
    error WrongShardCount(uint256 expected, uint256 got);
    /// @notice The data shard roots do not hash up to the submission's nodes.
    error ShardsNotOfFile(uint256 txSeq);
    error SealDeadlinePassed(uint256 txSeq, uint256 deadlineBlock);
    error SealDeadlineNotPassed(uint256 txSeq, uint256 deadlineBlock);
    error CustodiansNotAscending(address before, address provider);
    /// @notice A custodian's bitmap is empty or names shards that the deal does not have.
    error InvalidShardBitmap(address provider, uint256 shardBitmap);
    error ShardAssignedTwice(address provider, uint256 overlap);
    error ShardsUnassigned(uint256 bitmap);
    error FaultLimitExceeded(address provider, uint256 shards, uint256 limit);
    error CustodyOfferExpired(address provider, uint256 validUntil);
    error InvalidCustodySignature(address provider);
    /// @notice The successor's signature has been used: a shard that came back needs a new one, with another
    /// `validUntil`.
    error TakeoverUsed(uint256 txSeq, address successor);
    error RateBelowOffer(address provider, uint256 offeredWei, uint256 actualWei);
    error InsufficientStake(address provider, uint256 neededWei, uint256 backingWei);
    error ProviderSuspended(address provider);
    error WrongBond(uint256 neededWei, uint256 sentWei);
    error PriceTooLow(uint256 escrowWei, uint256 sectorPeriods);
    error EscrowTooLow(uint256 neededWei, uint256 escrowWei);
    error ParityOutOfRange(uint256 parityShards);
    error TermOutOfRange(uint256 termPeriods);
    error TermNotOver(uint256 txSeq, uint256 endPeriod);
    error CustodyRootMismatch(uint256 txSeq);
    /// @notice The last change of custody is still inside its windows.
    error CustodyChangePending(uint256 txSeq, uint256 fromPeriod);
    error NotCustodian(uint256 txSeq, uint256 shardIndex, address caller);
    /// @notice A shard cannot be handed over to the provider that already keeps it.
    error SuccessorIsCustodian(address provider);
    error InvalidParams();

    /// @notice Connects the market to the flow and the prover, once, by the deployer.
    function wire(address flow_, address prover_) external;

    /// @notice Sets the list price; only the owner. Deals already sealed keep theirs.
    function setPrice(uint256 pricePerSectorPeriod_) external;

    /// @notice Buys another parity (4..64) or term for a submission before its seal.
    function configure(uint256 txSeq, uint256 parityShards, uint256 termPeriods) external payable;

    /// @notice Names who may seal the caller's submissions; zero for nobody.
    function setSealer(address sealer) external;

    /// @notice Turns a submission into a deal. Value: exactly the parity bond.
    /// @dev An unknown txSeq reverts with the flow's UnknownSubmission, here and wherever a txSeq is given.
    function seal(SealRequest calldata request) external payable;

    /// @notice Returns the whole escrow of a submission that was not sealed in time, to its owner. Anyone may call.
    function refund(uint256 txSeq) external;

    /// @notice Hands one shard to a successor from the next boundary on; called by its present custodian.
    function handOver(HandOver calldata change) external;

    /// @notice Closes a deal whose term is over and releases the bond. Anyone may call.
    function end(uint256 txSeq) external;

    function flow() external view returns (address);
    function prover() external view returns (address);
    function streams() external view returns (address);
    function params() external view returns (MarketParams memory);

    /// @notice Price of one padded sector for the default term and parity, in wei: what `Flow.submit` charges.
    function pricePerSector() external view returns (uint256);

    /// @notice List price of one stored sector for one period, in wei.
    function pricePerSectorPeriod() external view returns (uint256);

    /// @notice What a submission of `paddedSectors` must hold in escrow for this parity and term, at the list price.
    function quote(uint256 paddedSectors, uint256 parityShards, uint256 termPeriods) external view returns (uint256);

    function stateOf(uint256 txSeq) external view returns (State);

    /// @notice The sealed deal; all zero before the seal.
    function deal(uint256 txSeq) external view returns (Deal memory);
    function sealerOf(address owner) external view returns (address);

    /// @notice Parity and term of a submission, bought or default.
    function termsOf(uint256 txSeq) external view returns (uint256 parityShards, uint256 termPeriods);

    /// @notice First period that the deal of this submission will not cover; known from the submission on.
    function expiresAt(uint256 txSeq) external view returns (uint256 period);

    /// @notice Last block in which the submission may be sealed.
    function sealDeadline(uint256 txSeq) external view returns (uint256 blockNumber);

    /// @notice Price per stored sector and period that a seal in the present period would freeze, and the net rate of
    /// one shard. Reverts unless the submission can be sealed now.
    function sealTerms(uint256 txSeq) external view returns (uint256 sectorPriceWei, uint256 shardRateWei);

    /// @notice Who must answer for the deal in `period`.
    function custodyAt(uint256 txSeq, uint256 period) external view returns (CustodyView memory);

    /// @notice First period in which the deal is no longer live; 0 when it was never sealed.
    function endPeriodOf(uint256 txSeq) external view returns (uint256);
}

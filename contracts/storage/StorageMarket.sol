// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {SubmissionNode, SubmissionRecord} from "../interfaces/IFlow.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {Custodian, Deal, IStorageMarket, MarketParams, SealRequest} from "../interfaces/IStorageMarket.sol";
import {IStorageStreams, OpenDeal, ProviderRate} from "../interfaces/IStorageStreams.sol";
import {CustodyLib} from "../libraries/CustodyLib.sol";
import {DealPriceLib} from "../libraries/DealPriceLib.sol";
import {LayoutLib} from "../libraries/LayoutLib.sol";
import {MerkleLib} from "../libraries/MerkleLib.sol";
import {CustodyChanges} from "./CustodyChanges.sol";
import {DealTerms} from "./DealTerms.sol";

/// @title StorageMarket
/// @notice Price, deals, seals, hand-overs and refunds. Holds no money: StorageStreams does. What a deal may cost and
/// last is in `DealTerms`, who signed it in `CustodySignatures`, and how shards change hands in `CustodyChanges`.
/// @dev Clock: block numbers; period p of the Beacon.
///
///   Submitted --seal (block <= deadline)--> Sealed --end (period > endPeriod)--> Ended
///       \--refund (block > deadline)--> Refunded
///
/// Invariants; 4 stands in DealTerms, 5 in CustodyChanges, 6 in CustodySignatures:
/// 1. A submission leaves `Submitted` once: it is either sealed or refunded, never both, never twice.
/// 2. At the seal every shard has exactly one custodian, none keeps more than parity / faultTolerance, and each has the
///    stake for it.
/// 3. The data shard roots of a sealed deal hash up to the nodes that were submitted.
contract StorageMarket is CustodyChanges {
    using SafeCast for uint256;

    /// @dev Working set of one seal, in memory.
    struct Plan {
        uint256 txSeq;
        address owner;
        bytes32 digest;
        bytes32 custodyRoot;
        uint256 dataShards;
        uint256 parityShards;
        uint256 shardSectors;
        uint256 startPeriod;
        uint256 endPeriod;
        uint256 termPeriods;
        uint256 sectorPriceWei;
        uint256 shardRateWei;
        address[] providers;
        uint256[] shardBitmaps;
        ProviderRate[] rates;
    }

    constructor(
        address owner_,
        IBeacon beacon,
        IStaking staking,
        IStorageStreams streams_,
        MarketParams memory params_,
        uint256 price
    ) Ownable(owner_) DealTerms(beacon, streams_, params_, price) CustodyChanges(staking) {}

    /// @inheritdoc IStorageMarket
    function seal(SealRequest calldata request) external payable nonReentrant {
        require(msg.value == _parityBondWei, WrongBond(_parityBondWei, msg.value));
        Plan memory plan = _planOf(request.txSeq, _sealableRecord(request.txSeq));
        _checkFile(request, plan);
        _assignShards(request, plan);
        _checkApproval(request.txSeq, plan.owner, plan.custodyRoot, request.approval);
        _checkOffers(request.custodians, plan);
        _storeDeal(plan);
        _startDeal(request, plan);
    }

    /// @inheritdoc IStorageMarket
    function refund(uint256 txSeq) external nonReentrant {
        _requireState(txSeq, State.Submitted);
        SubmissionRecord memory record = _flow.submission(txSeq);
        uint256 deadline = record.submittedAt + _sealDeadlineBlocks;
        require(block.number > deadline, SealDeadlineNotPassed(txSeq, deadline));

        _deals[txSeq].state = State.Refunded;
        uint256 amountWei = _streams.refund(txSeq, record.owner);
        emit Refunded(txSeq, record.owner, amountWei);
    }

    /// @inheritdoc IStorageMarket
    function end(uint256 txSeq) external nonReentrant {
        _requireState(txSeq, State.Sealed);
        DealSlots storage slots = _deals[txSeq];
        uint256 endPeriod = slots.endPeriod;
        require(_currentPeriod() > endPeriod, TermNotOver(txSeq, endPeriod));

        (address sealer, uint256 bondWei) = (slots.sealer, slots.bondWei);
        slots.state = State.Ended;
        slots.bondWei = 0;
        emit Ended(txSeq, sealer, bondWei);
        _streams.releaseBond(sealer, bondWei);
    }

    /// @inheritdoc IStorageMarket
    function deal(uint256 txSeq) external view returns (Deal memory) {
        DealSlots memory slots = _deals[txSeq];
        if (slots.endPeriod == 0) slots.parityShards = 0;
        return Deal({
            custodyRoot: slots.custodyRoot,
            nextCustodyRoot: slots.nextCustodyRoot,
            nextCustodyFrom: slots.nextCustodyFrom,
            startPeriod: slots.startPeriod,
            endPeriod: slots.endPeriod,
            dataShards: slots.dataShards,
            parityShards: slots.parityShards,
            shardHeight: slots.shardHeight,
            pricePerSectorPeriod: slots.pricePerSectorPeriod,
            sealer: slots.sealer,
            bondWei: slots.bondWei
        });
    }

    /// @inheritdoc IStorageMarket
    function sealTerms(uint256 txSeq) external view returns (uint256 sectorPriceWei, uint256 shardRateWei) {
        Plan memory plan = _planOf(txSeq, _sealableRecord(txSeq));
        return (plan.sectorPriceWei, plan.shardRateWei);
    }

    /// @inheritdoc IStorageMarket
    function endPeriodOf(uint256 txSeq) external view returns (uint256) {
        return _deals[txSeq].endPeriod;
    }

    /// @dev Stores the deal in three slots.
    function _storeDeal(Plan memory plan) private {
        DealSlots storage slots = _deals[plan.txSeq];
        slots.custodyRoot = plan.custodyRoot;
        slots.startPeriod = plan.startPeriod.toUint32();
        slots.endPeriod = plan.endPeriod.toUint32();
        slots.termPeriods = uint32(plan.termPeriods);
        slots.pricePerSectorPeriod = plan.sectorPriceWei.toUint96();
        slots.dataShards = uint8(plan.dataShards);
        slots.parityShards = uint8(plan.parityShards);
        slots.shardHeight = uint8(Math.log2(plan.shardSectors));
        slots.state = State.Sealed;
        slots.sealer = msg.sender;
        slots.bondWei = uint96(msg.value);
    }

    /// @dev Puts the deal on the audit line and starts its streams; stake is checked last, with the new rates counted.
    function _startDeal(SealRequest calldata request, Plan memory plan) private {
        uint256 storedSectors = (plan.dataShards + plan.parityShards) * plan.shardSectors;
        uint256 entryIndex = _prover.append(plan.txSeq, storedSectors, plan.endPeriod);
        emit Sealed(
            plan.txSeq,
            plan.owner,
            plan.custodyRoot,
            entryIndex,
            plan.startPeriod,
            plan.endPeriod,
            plan.sectorPriceWei,
            plan.dataShards,
            Math.log2(plan.shardSectors),
            plan.providers,
            plan.shardBitmaps,
            request.shardRoots
        );
        OpenDeal memory opening = OpenDeal({
            txSeq: plan.txSeq,
            owner: plan.owner,
            startPeriod: uint32(plan.startPeriod),
            endPeriod: uint32(plan.endPeriod),
            grossPerPeriod: (storedSectors * plan.sectorPriceWei).toUint96(),
            slashNeedWei: _slashNeed(plan.sectorPriceWei)
        });
        uint256[] memory needsWei = _streams.openDeal{value: msg.value}(opening, plan.rates);
        for (uint256 i; i < needsWei.length; ++i) {
            _requireStake(plan.providers[i], needsWei[i]);
        }
    }

    /// @dev Geometry, terms and price of a seal in the present period.
    function _planOf(uint256 txSeq, SubmissionRecord memory record) private view returns (Plan memory plan) {
        plan.txSeq = txSeq;
        plan.owner = record.owner;
        plan.digest = record.digest;
        (plan.shardSectors, plan.dataShards) = LayoutLib.geometry(record.sectors);
        (plan.parityShards, plan.termPeriods) = _terms(txSeq);
        plan.startPeriod = _currentPeriod() + 1;
        plan.endPeriod = _expiry(record.submittedAt, plan.termPeriods);
        uint256 storedSectors = (plan.dataShards + plan.parityShards) * plan.shardSectors;
        uint256 periods = plan.endPeriod - plan.startPeriod;
        uint256 escrowWei = _streams.escrowOf(txSeq);
        plan.sectorPriceWei = DealPriceLib.sectorPrice(escrowWei, storedSectors, periods);
        plan.shardRateWei = DealPriceLib.shardRate(plan.sectorPriceWei, plan.shardSectors, _potBps);
        // A custody without pay would need no stake.
        require(plan.shardRateWei != 0, PriceTooLow(escrowWei, storedSectors * periods));
    }

    /// @dev The request is about the file that was submitted, and its data shards are that file.
    function _checkFile(SealRequest calldata request, Plan memory plan) private pure {
        bytes32 digest = keccak256(abi.encode(request.byteLength, request.nodes));
        require(digest == plan.digest, DigestMismatch(plan.digest, digest));
        uint256 shards = plan.dataShards + plan.parityShards;
        require(request.shardRoots.length == shards, WrongShardCount(shards, request.shardRoots.length));

        SubmissionNode[] calldata nodes = request.nodes;
        bytes32[] memory roots = new bytes32[](nodes.length);
        uint256[] memory heights = new uint256[](nodes.length);
        for (uint256 i; i < nodes.length; ++i) {
            (roots[i], heights[i]) = (nodes[i].root, nodes[i].height);
        }
        require(
            MerkleLib.foldsToNodes(
                request.shardRoots[:plan.dataShards], Math.log2(plan.shardSectors), roots, heights
            ),
            ShardsNotOfFile(plan.txSeq)
        );
    }

    /// @dev Every shard has exactly one custodian, none has too many; fills in custody root and what each is paid.
    function _assignShards(SealRequest calldata request, Plan memory plan) private view {
        uint256 count = request.custodians.length;
        plan.providers = new address[](count);
        plan.shardBitmaps = new uint256[](count);
        plan.rates = new ProviderRate[](count);
        uint256 limit = plan.parityShards / _faultTolerance;
        bytes32[] memory leaves = new bytes32[](plan.dataShards + plan.parityShards);
        uint256 all = (1 << leaves.length) - 1;
        uint256 assigned;
        address before;
        for (uint256 i; i < count; ++i) {
            Custodian calldata custodian = request.custodians[i];
            (address provider, uint256 bitmap) = (custodian.provider, custodian.shardBitmap);
            require(provider > before, CustodiansNotAscending(before, provider));
            require(bitmap != 0 && bitmap & ~all == 0, InvalidShardBitmap(provider, bitmap));
            require(bitmap & assigned == 0, ShardAssignedTwice(provider, bitmap & assigned));
            uint256 kept = _fillLeaves(leaves, request.shardRoots, provider, bitmap);
            require(kept <= limit, FaultLimitExceeded(provider, kept, limit));
            plan.providers[i] = provider;
            plan.shardBitmaps[i] = bitmap;
            plan.rates[i] = ProviderRate(provider, (kept * plan.shardRateWei).toUint96());
            assigned |= bitmap;
            before = provider;
        }
        require(assigned == all, ShardsUnassigned(all & ~assigned));
        plan.custodyRoot = CustodyLib.root(leaves);
    }

    /// @dev Each custodian signed exactly this custody, for no more than it will be paid, and may take it on.
    function _checkOffers(Custodian[] calldata offers, Plan memory plan) private view {
        CustodyTerms memory terms = CustodyTerms(plan.txSeq, plan.digest, plan.custodyRoot, plan.endPeriod);
        for (uint256 i; i < offers.length; ++i) {
            Custodian calldata offer = offers[i];
            address provider = offer.provider;
            uint256 rateWei = plan.rates[i].ratePerPeriod;
            require(block.number <= offer.validUntil, CustodyOfferExpired(provider, offer.validUntil));
            require(rateWei >= offer.ratePerPeriod, RateBelowOffer(provider, offer.ratePerPeriod, rateWei));
            require(!_streams.isSuspended(provider), ProviderSuspended(provider));
            _checkOffer(offer, terms);
        }
    }

    /// @dev Writes the custody leaf of every shard in `bitmap`; returns how many there are.
    function _fillLeaves(bytes32[] memory leaves, bytes32[] calldata shardRoots, address provider, uint256 bitmap)
        private
        pure
        returns (uint256 kept)
    {
        for (; bitmap != 0; ++kept) {
            uint256 rest = bitmap & (bitmap - 1);
            uint256 index = Math.log2(bitmap ^ rest);
            leaves[index] = CustodyLib.leaf(index, provider, shardRoots[index]);
            bitmap = rest;
        }
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {CustodyView, HandOver, IStorageMarket} from "../interfaces/IStorageMarket.sol";
import {CustodyLib} from "../libraries/CustodyLib.sol";
import {DealPriceLib} from "../libraries/DealPriceLib.sol";
import {CustodySignatures} from "./CustodySignatures.sol";
import {DealTerms} from "./DealTerms.sol";

/// @title CustodyChanges
/// @notice The part of StorageMarket that passes shards of a sealed deal on: a root in force, and one that follows.
/// @dev c is the present period:
///
///   settled --handOver--> pending until c ends --c + 1 begins--> settled, under the next root
///
/// Invariants (numbered with StorageMarket's):
/// 5. Who must answer in a period is fixed when the period begins: a hand-over counts from the next one, and the root
///    it replaces stays readable until its last report window has closed.
abstract contract CustodyChanges is DealTerms, CustodySignatures {
    using SafeCast for uint256;

    IStaking private immutable _staking;

    constructor(IStaking staking) {
        _staking = staking;
    }

    /// @inheritdoc IStorageMarket
    function handOver(HandOver calldata change) external nonReentrant {
        DealSlots storage slots = _deals[change.txSeq];
        _requireState(change.txSeq, State.Sealed);
        uint256 from = _currentPeriod() + 1;
        require(from < slots.endPeriod, WrongState(change.txSeq, State.Ended));
        bytes32 root = _settledRoot(change.txSeq, slots, from);
        bytes32 nextRoot = _successorRoot(change, slots, root);
        uint256 rateWei = _shardRate(slots);
        _checkSuccessor(change.successor, change.validUntil);
        _useTakeover(change, root, rateWei);

        slots.custodyRoot = root;
        slots.nextCustodyRoot = nextRoot;
        slots.nextCustodyFrom = from.toUint32();
        emit CustodyHandedOver(change.txSeq, change.shardIndex, msg.sender, change.successor, nextRoot, from);

        uint256 needWei = _streams.moveRate(
            msg.sender,
            change.successor,
            rateWei.toUint96(),
            slots.endPeriod,
            _slashNeed(slots.pricePerSectorPeriod)
        );
        _requireStake(change.successor, needWei);
    }

    /// @inheritdoc IStorageMarket
    function custodyAt(uint256 txSeq, uint256 period) external view returns (CustodyView memory) {
        DealSlots storage slots = _deals[txSeq];
        uint256 nextFrom = slots.nextCustodyFrom;
        return CustodyView({
            custodyRoot: nextFrom != 0 && period >= nextFrom ? slots.nextCustodyRoot : slots.custodyRoot,
            shards: uint256(slots.dataShards) + slots.parityShards,
            shardHeight: slots.shardHeight,
            pricePerSectorPeriod: slots.pricePerSectorPeriod,
            live: period >= slots.startPeriod && period < slots.endPeriod
        });
    }

    /// @dev One slash at the live count that holds from the next period on.
    function _slashNeed(uint256 sectorPriceWei) internal view returns (uint128) {
        return _prover.slashWei(sectorPriceWei, _prover.nextFigures().live).toUint128();
    }

    function _requireStake(address provider, uint256 neededWei) internal view {
        uint256 backingWei = _staking.backing(provider, address(_prover));
        require(backingWei >= neededWei, InsufficientStake(provider, neededWei, backingWei));
    }

    /// @dev Root in force before a change that counts from period `from`; an earlier change must have taken effect.
    function _settledRoot(uint256 txSeq, DealSlots storage slots, uint256 from) private view returns (bytes32) {
        uint256 pendingFrom = slots.nextCustodyFrom;
        if (pendingFrom == 0) return slots.custodyRoot;
        require(pendingFrom < from, CustodyChangePending(txSeq, pendingFrom));
        return slots.nextCustodyRoot;
    }

    /// @dev Rebuilds the custody root in force from the lists given, and the one after the change.
    function _successorRoot(HandOver calldata change, DealSlots storage slots, bytes32 root)
        private
        view
        returns (bytes32)
    {
        uint256 shards = uint256(slots.dataShards) + slots.parityShards;
        require(change.providers.length == shards, WrongShardCount(shards, change.providers.length));
        require(change.shardRoots.length == shards, WrongShardCount(shards, change.shardRoots.length));
        uint256 moved = change.shardIndex;
        require(
            moved < shards && change.providers[moved] == msg.sender, NotCustodian(change.txSeq, moved, msg.sender)
        );
        require(change.successor != msg.sender, SuccessorIsCustodian(change.successor));

        bytes32[] memory leaves = new bytes32[](shards);
        uint256 kept = 1;
        for (uint256 i; i < shards; ++i) {
            leaves[i] = CustodyLib.leaf(i, change.providers[i], change.shardRoots[i]);
            if (change.providers[i] == change.successor) ++kept;
        }
        require(CustodyLib.root(leaves) == root, CustodyRootMismatch(change.txSeq));
        uint256 limit = slots.parityShards / _faultTolerance;
        require(kept <= limit, FaultLimitExceeded(change.successor, kept, limit));
        leaves[moved] = CustodyLib.leaf(moved, change.successor, change.shardRoots[moved]);
        return CustodyLib.root(leaves);
    }

    /// @dev The successor's offer still holds, and it may take a shard on.
    function _checkSuccessor(address successor, uint256 validUntil) private view {
        require(block.number <= validUntil, CustodyOfferExpired(successor, validUntil));
        require(!_streams.isSuspended(successor), ProviderSuspended(successor));
    }

    /// @dev Net rate of one shard of a sealed deal.
    function _shardRate(DealSlots storage slots) private view returns (uint256) {
        return DealPriceLib.shardRate(slots.pricePerSectorPeriod, 1 << slots.shardHeight, _potBps);
    }
}

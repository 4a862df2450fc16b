// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IBeacon} from "../../../contracts/interfaces/IBeacon.sol";
import {IFlow, Submission, SubmissionData, SubmissionNode} from "../../../contracts/interfaces/IFlow.sol";
import {IOperatorRegistry} from "../../../contracts/interfaces/IOperatorRegistry.sol";
import {IStaking, Pool} from "../../../contracts/interfaces/IStaking.sol";
import {IStorageMarket} from "../../../contracts/interfaces/IStorageMarket.sol";
import {CustodyProof, IStorageProver} from "../../../contracts/interfaces/IStorageProver.sol";
import {IStorageStreams} from "../../../contracts/interfaces/IStorageStreams.sol";
import {CustodyLib} from "../../../contracts/libraries/CustodyLib.sol";
import {Cheating} from "./Cheats.sol";
import {StorageSystem} from "./StorageSystem.sol";

/// @title StorageActors
/// @notice Who acts in the invariant test, what they remember, and the files they store: each sector's content follows
/// from where it lies, so that proofs can be built on the spot.
abstract contract StorageActors is Cheating {
    uint256 internal constant PROVIDERS = 6;
    uint256 internal constant OWNERS = 3;
    uint256 internal constant SHAPES = 6;
    uint256 internal constant START_WEI = 1e24;

    /// @dev A submission, and what became of it. Shard i was kept by `before[i]` until period `changedFrom`.
    struct File {
        uint256 shape;
        address owner;
        uint256 depositedWei;
        bool sealed_;
        bool closed;
        uint256 startPeriod;
        uint256 endPeriod;
        uint256 sectors;
        uint256 shardHeight;
        uint256 changedFrom;
        address[] keepers;
        address[] before;
        bytes32[] shardRoots;
    }

    IStaking public immutable staking;
    IOperatorRegistry public immutable registry;
    IStorageStreams public immutable streams;
    IStorageProver public immutable prover;
    IStorageMarket public immutable market;
    IFlow public immutable flow;
    IBeacon public immutable beacon;
    address[] public actors;
    File[] internal _files;
    mapping(address provider => uint256) internal _keys;

    /// @notice How often each deed really happened.
    mapping(bytes32 deed => uint256) public done;

    /// @notice Money that went into StorageStreams, and out of it.
    uint256 public streamsInWei;
    uint256 public streamsOutWei;
    /// @notice Money that went into Staking, and out of it.
    uint256 public stakingInWei;
    uint256 public stakingOutWei;
    mapping(address account => uint256) public withdrawnWei;
    mapping(address provider => uint256) public bountiesWei;
    /// @notice A provider whose allocation a slash has lowered may stand below its need until its next custody.
    mapping(address provider => bool) public slashed;

    constructor(StorageSystem system_) {
        (staking, registry, beacon) = (system_.staking(), system_.registry(), system_.beacon());
        (streams, prover) = (system_.streams(), system_.prover());
        (market, flow) = (system_.market(), system_.flow());
        for (uint256 i; i < PROVIDERS; ++i) {
            uint256 key = 0xA11CE + i;
            address provider = vm.addr(key);
            _keys[provider] = key;
            actors.push(provider);
        }
        for (uint256 i; i < OWNERS; ++i) actors.push(address(uint160(0x0E0000 + i)));
        // A stranger: reports, pins and delegates.
        actors.push(address(uint160(0xE0E0E0)));
        for (uint256 i; i < actors.length; ++i) vm.deal(actors[i], START_WEI);
        // In ascending order, as a seal lists them.
        for (uint256 i = 1; i < PROVIDERS; ++i) {
            for (uint256 j = i; j > 0 && actors[j - 1] > actors[j]; --j) {
                (actors[j - 1], actors[j]) = (actors[j], actors[j - 1]);
            }
        }
    }

    function actorCount() external view returns (uint256) {
        return actors.length;
    }

    function fileCount() external view returns (uint256) {
        return _files.length;
    }

    function file(uint256 txSeq) external view returns (File memory) {
        return _files[txSeq];
    }

    function isProvider(address account) public view returns (bool) {
        return _keys[account] != 0;
    }

    function _provider(uint256 seed) internal view returns (address) {
        return actors[seed % PROVIDERS];
    }

    function _owner(uint256 seed) internal view returns (address) {
        return actors[PROVIDERS + seed % OWNERS];
    }

    function _anyone(uint256 seed) internal view returns (address) {
        return actors[seed % actors.length];
    }

    function _registerProviders() internal {
        for (uint256 i; i < PROVIDERS; ++i) {
            vm.prank(actors[i]);
            registry.register("");
            _stakeAndAllocate(actors[i], 0.05 ether);
        }
    }

    function _stakeAndAllocate(address provider, uint256 amountWei) internal {
        vm.prank(provider);
        staking.stake{value: amountWei}();
        stakingInWei += amountWei;
        // Exits that wait may claim a part of it first.
        uint256 freeWei = staking.freeOf(provider, Pool.Self);
        if (freeWei == 0) return;
        vm.prank(provider);
        staking.allocate(address(prover), freeWei < amountWei ? freeWei : amountWei);
    }

    /// @dev Node heights of a shape, its data shards and the height of a shard: 1, 2, 3, 5, 18 and 32 padded sectors.
    function _shape(uint256 shape)
        internal
        pure
        returns (uint256[] memory heights, uint256 dataShards, uint256 shardHeight)
    {
        uint256[2] memory nodes = [
            [uint256(0), 99],
            [uint256(1), 99],
            [uint256(1), 0],
            [uint256(2), 0],
            [uint256(4), 1],
            [uint256(5), 99]
        ][shape];
        heights = new uint256[](nodes[1] == 99 ? 1 : 2);
        for (uint256 i; i < heights.length; ++i) heights[i] = nodes[i];
        shardHeight = shape < 4 ? 0 : 1;
        for (uint256 i; i < heights.length; ++i) dataShards += (1 << heights[i]) >> shardHeight;
    }

    function _sector(uint256 txSeq, uint256 shard, uint256 index) internal pure returns (bytes memory) {
        return abi.encode(txSeq, shard, index, uint256(3), uint256(4), uint256(5), uint256(6), uint256(7));
    }

    function _shardRoot(uint256 txSeq, uint256 shard, uint256 shardHeight) internal pure returns (bytes32) {
        bytes32 left = keccak256(_sector(txSeq, shard, 0));
        if (shardHeight == 0) return left;
        return keccak256(abi.encode(left, keccak256(_sector(txSeq, shard, 1))));
    }

    /// @dev Path inside a shard of height 0 or 1.
    function _path(uint256 txSeq, uint256 shard, uint256 index, uint256 shardHeight)
        internal
        pure
        returns (bytes32[] memory path)
    {
        path = new bytes32[](shardHeight);
        if (shardHeight == 1) path[0] = keccak256(_sector(txSeq, shard, 1 - index));
    }

    function _submissionOf(uint256 txSeq, uint256 shape, address owner) internal pure returns (Submission memory) {
        (uint256[] memory heights,, uint256 shardHeight) = _shape(shape);
        SubmissionNode[] memory nodes = new SubmissionNode[](heights.length);
        uint256 shard;
        uint256 sectors;
        for (uint256 i; i < heights.length; ++i) {
            uint256 count = (1 << heights[i]) >> shardHeight;
            nodes[i] = SubmissionNode(_fold(txSeq, shard, count, shardHeight), heights[i]);
            shard += count;
            sectors += 1 << heights[i];
        }
        return Submission(SubmissionData(sectors * 256, "", nodes), owner);
    }

    function _fold(uint256 txSeq, uint256 first, uint256 count, uint256 shardHeight)
        private
        pure
        returns (bytes32)
    {
        bytes32[] memory level = new bytes32[](count);
        for (uint256 i; i < count; ++i) level[i] = _shardRoot(txSeq, first + i, shardHeight);
        for (; count > 1; count /= 2) {
            for (uint256 i; i < count / 2; ++i) level[i] = keccak256(abi.encode(level[2 * i], level[2 * i + 1]));
        }
        return level[0];
    }

    /// @dev Keeper of a shard in a period.
    function _keeperAt(File storage kept, uint256 shard, uint256 period) internal view returns (address) {
        return period < kept.changedFrom ? kept.before[shard] : kept.keepers[shard];
    }

    function _custodyProof(File storage kept, uint256 shard, uint256 period)
        internal
        view
        returns (CustodyProof memory proof)
    {
        uint256 count = kept.shardRoots.length;
        bytes32[] memory level = new bytes32[](count);
        for (uint256 i; i < count; ++i) {
            level[i] = CustodyLib.leaf(i, _keeperAt(kept, i, period), kept.shardRoots[i]);
        }
        bytes32[] memory path = new bytes32[](8);
        uint256 used;
        uint256 index = shard;
        while (count > 1) {
            if (index ^ 1 < count) path[used++] = level[index ^ 1];
            for (uint256 i; i < count / 2; ++i) level[i] = keccak256(abi.encode(level[2 * i], level[2 * i + 1]));
            if (count % 2 == 1) level[count / 2] = level[count - 1];
            (count, index) = (count / 2 + count % 2, index / 2);
        }
        proof.provider = _keeperAt(kept, shard, period);
        proof.shardRoot = kept.shardRoots[shard];
        proof.path = new bytes32[](used);
        for (uint256 i; i < used; ++i) proof.path[i] = path[i];
    }
}

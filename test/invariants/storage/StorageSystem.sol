// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IBeacon} from "../../../contracts/interfaces/IBeacon.sol";
import {IStaking, Pool, StakingParams} from "../../../contracts/interfaces/IStaking.sol";
import {MarketParams} from "../../../contracts/interfaces/IStorageMarket.sol";
import {ProverParams} from "../../../contracts/interfaces/IStorageProver.sol";
import {Beacon} from "../../../contracts/staking/Beacon.sol";
import {OperatorRegistry} from "../../../contracts/staking/OperatorRegistry.sol";
import {Staking} from "../../../contracts/staking/Staking.sol";
import {Flow} from "../../../contracts/storage/Flow.sol";
import {StorageMarket} from "../../../contracts/storage/StorageMarket.sol";
import {StorageProver} from "../../../contracts/storage/StorageProver.sol";
import {StorageStreams} from "../../../contracts/storage/StorageStreams.sol";

/// @title StorageSystem
/// @notice The whole storage layer with its stake, deployed as on a network, on terms short enough for many deals to end.
contract StorageSystem {
    uint32 public constant PERIOD_BLOCKS = 24;
    uint32 public constant WINDOW_BLOCKS = 8;
    uint32 public constant BUCKET_PERIODS = 5;
    uint16 public constant TARGET_DRAWS = 4;
    uint96 public constant BOND_WEI = 0.01 ether;

    Beacon public immutable beacon;
    OperatorRegistry public immutable registry;
    Staking public immutable staking;
    StorageStreams public immutable streams;
    StorageProver public immutable prover;
    StorageMarket public immutable market;
    Flow public immutable flow;

    constructor() {
        beacon = new Beacon(uint64(block.number), PERIOD_BLOCKS, 2, true);
        registry = new OperatorRegistry(beacon);
        staking = new Staking(address(this), registry, beacon, StakingParams(4, 1_000, address(0)));
        streams = new StorageStreams(beacon, BUCKET_PERIODS, 8);
        prover = new StorageProver(beacon, staking, streams, _proverParams());
        market = new StorageMarket(address(this), beacon, staking, streams, _marketParams(), 1e12);
        flow = new Flow(market, streams);
        prover.wire(address(market));
        market.wire(address(flow), address(prover));
        streams.wire(address(flow), address(market), address(prover));
        staking.registerService(address(prover), Pool.Self, keccak256("storage"), WINDOW_BLOCKS * 3);
    }

    /// @notice Registers a slasher on the delegated pool, so that both pools live through slashes.
    function registerSlasher(address slasher) external {
        staking.registerService(slasher, Pool.Delegated, keccak256("test"), PERIOD_BLOCKS);
    }

    function _proverParams() private pure returns (ProverParams memory) {
        return ProverParams({
            targetDraws: TARGET_DRAWS,
            windowBlocks: WINDOW_BLOCKS,
            slashFactor: 4,
            maxStrikes: 3,
            strikeWindowPeriods: 6,
            reporterBps: 1_000
        });
    }

    function _marketParams() private pure returns (MarketParams memory) {
        return MarketParams({
            defaultTermPeriods: 8,
            minTermPeriods: 3,
            maxTermPeriods: 40,
            sealDeadlineBlocks: 30,
            bucketPeriods: BUCKET_PERIODS,
            potBps: 1_000,
            faultTolerance: 1,
            parityBondWei: BOND_WEI
        });
    }
}

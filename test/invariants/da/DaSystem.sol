// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DaCommitteeParams} from "../../../contracts/interfaces/IDaCommittee.sol";
import {DaProverParams} from "../../../contracts/interfaces/IDaProver.sol";
import {DaParams} from "../../../contracts/interfaces/IDataAvailability.sol";
import {Pool, StakingParams} from "../../../contracts/interfaces/IStaking.sol";
import {DaCommittee} from "../../../contracts/da/DaCommittee.sol";
import {DaProver} from "../../../contracts/da/DaProver.sol";
import {DataAvailability} from "../../../contracts/da/DataAvailability.sol";
import {Beacon} from "../../../contracts/staking/Beacon.sol";
import {OperatorRegistry} from "../../../contracts/staking/OperatorRegistry.sol";
import {Staking} from "../../../contracts/staking/Staking.sol";

/// @title DaSystem
/// @notice Committee, ledger and prover of DA with their stake, deployed as on a network, on terms short enough for many
/// blobs to expire.
contract DaSystem {
    uint32 public constant PERIOD_BLOCKS = 24;
    uint32 public constant WINDOW_BLOCKS = 8;
    uint32 public constant EPOCH_PERIODS = 2;
    uint32 public constant BUCKET_PERIODS = 2;
    uint32 public constant DISPUTE_PERIODS = 2;
    uint128 public constant BOND_WEI = 1 ether;

    Beacon public immutable beacon;
    OperatorRegistry public immutable registry;
    Staking public immutable staking;
    DaCommittee public immutable committee;
    DataAvailability public immutable da;
    DaProver public immutable prover;

    constructor() {
        beacon = new Beacon(uint64(block.number), PERIOD_BLOCKS, EPOCH_PERIODS, true);
        registry = new OperatorRegistry(beacon);
        staking = new Staking(address(this), registry, beacon, StakingParams(8, 1_000, address(0)));
        committee = new DaCommittee(beacon, staking, DaCommitteeParams({minStakeWei: 0.1 ether, repayGas: 1_000_000}));
        da = new DataAvailability(beacon, staking, committee, _daParams());
        prover = new DaProver(beacon, committee, da, _proverParams());
        staking.registerService(address(committee), Pool.Delegated, keccak256("da"), 8 * 48);
        staking.registerService(address(da), Pool.Self, keccak256("disperser"), 0);
    }

    /// @notice The test itself says what the court has found.
    function wire(address court) external {
        committee.wire(address(da), address(prover), court);
        da.wire(address(prover), court);
    }

    function _daParams() private pure returns (DaParams memory) {
        return DaParams({
            pricePerBlobPeriodWei: 1e15 + 7,
            bondWei: BOND_WEI,
            softColumns: 86,
            softAdversary: 22,
            finalColumns: 107,
            finalAdversary: 43,
            confirmBlocks: 20,
            minRetentionPeriods: 3,
            maxRetentionPeriods: 8,
            bucketPeriods: BUCKET_PERIODS,
            disputePeriods: DISPUTE_PERIODS,
            maintenanceBps: 1_500,
            unconfirmedBps: 333
        });
    }

    function _proverParams() private pure returns (DaProverParams memory) {
        return DaProverParams({
            targetDraws: 4,
            windowBlocks: WINDOW_BLOCKS,
            missSlashBps: 50,
            strikeWindowPeriods: 3,
            reporterBps: 1_000,
            bountyWei: 1e14
        });
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {InferenceCatalog} from "../../../contracts/compute/InferenceCatalog.sol";
import {InferenceServing} from "../../../contracts/compute/InferenceServing.sol";
import {JobEscrow} from "../../../contracts/compute/JobEscrow.sol";
import {LedgerManager} from "../../../contracts/compute/LedgerManager.sol";
import {ModelRegistry} from "../../../contracts/compute/ModelRegistry.sol";
import {InferenceParams} from "../../../contracts/interfaces/IInferenceEvents.sol";
import {IInferenceServing} from "../../../contracts/interfaces/IInferenceServing.sol";
import {JobParams} from "../../../contracts/interfaces/IJobEscrow.sol";
import {Pool} from "../../../contracts/interfaces/IStaking.sol";
import {StorageSystem} from "../storage/StorageSystem.sol";

/// @dev A storage provider that agrees to every custody.
contract JobKeeper is IERC1271 {
    constructor(StorageSystem system) payable {
        system.registry().register("");
        system.staking().stake{value: msg.value}();
        system.staking().allocate(address(system.prover()), msg.value);
    }

    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return IERC1271.isValidSignature.selector;
    }
}

/// @title JobSystem
/// @notice Storage, inference and the job escrow, all real, on short windows.
contract JobSystem is StorageSystem {
    uint256 public constant STAKE_WEI = 100 ether;
    uint256 public constant CHALLENGE_SEC = 200;
    uint256 public constant ARBITER_SEC = 300;
    uint256 public constant NOTICE_SEC = 100;
    address public constant ARBITER = address(0xA4B17E4);

    IInferenceServing public immutable serving;
    JobEscrow public immutable escrow;

    constructor() {
        InferenceParams memory given =
            InferenceParams(STAKE_WEI, 1 ether, 1e9, 500, uint32(NOTICE_SEC), 200, 100, 5_000);
        InferenceCatalog catalog = new InferenceCatalog(address(this), staking, new ModelRegistry(), given);
        LedgerManager ledger = new LedgerManager(address(this), 1_000, 10);
        InferenceServing core = new InferenceServing(address(this), ledger, staking, catalog, given);
        staking.registerService(address(core), Pool.Self, "compute", 10);
        serving = IInferenceServing(address(core));
        // Odd numbers, so that every rounding shows.
        JobParams memory params =
            JobParams(1_777, 3_331, 70, uint32(CHALLENGE_SEC), uint32(ARBITER_SEC), 20, 1_000, 13);
        escrow = new JobEscrow(address(this), beacon, market, staking, serving, params, ARBITER);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {InferenceCatalog} from "../../../contracts/compute/InferenceCatalog.sol";
import {InferenceServing} from "../../../contracts/compute/InferenceServing.sol";
import {LedgerManager} from "../../../contracts/compute/LedgerManager.sol";
import {ModelRegistry} from "../../../contracts/compute/ModelRegistry.sol";
import {
    InferenceParams,
    Release,
    ServiceParams,
    TEESettlementData,
    Voucher
} from "../../../contracts/interfaces/IInferenceEvents.sol";
import {IInferenceServing} from "../../../contracts/interfaces/IInferenceServing.sol";
import {Pool, StakingParams} from "../../../contracts/interfaces/IStaking.sol";
import {Beacon} from "../../../contracts/staking/Beacon.sol";
import {OperatorRegistry} from "../../../contracts/staking/OperatorRegistry.sol";
import {Staking} from "../../../contracts/staking/Staking.sol";
import {Cheating} from "../storage/Cheats.sol";

/// @dev Staking, ledger and inference with two providers and three users whose keys the tests hold.
abstract contract ComputeSystem is Cheating {
    uint256 internal constant PROVIDERS = 2;
    uint256 internal constant USERS = 3;
    uint256 internal constant STAKE = 100 ether;
    uint256 internal constant SLASH = 1 ether;
    uint256 internal constant DAILY_CAP = 1e9;
    uint256 internal constant LOCK = 500;
    string internal constant NAME = "inference-v1.0";

    Staking internal _staking;
    LedgerManager internal _ledger;
    InferenceServing internal _core;
    IInferenceServing internal _serving;
    address[PROVIDERS] internal _providers;
    address[USERS] internal _users;
    bytes32 private _domain;

    constructor() {
        vm.warp(1_700_000_000);
        Beacon beacon = new Beacon(uint64(block.number), 5, 1, false);
        OperatorRegistry registry = new OperatorRegistry(beacon);
        _staking = new Staking(address(this), registry, beacon, StakingParams(2, 1_000, address(0)));
        InferenceParams memory params = InferenceParams(STAKE, SLASH, DAILY_CAP, uint32(LOCK), 100, 200, 100, 5_000);
        _ledger = new LedgerManager(address(this), 1_000, 10);
        InferenceCatalog catalog = new InferenceCatalog(address(this), _staking, new ModelRegistry(), params);
        _core = new InferenceServing(address(this), _ledger, _staking, catalog, params);
        _serving = IInferenceServing(address(_core));
        _ledger.registerService("inference", "v1.0", address(_core), "");
        _staking.registerService(address(_core), Pool.Self, "compute", 10);
        (, string memory name, string memory version, uint256 chainId, address verifier,,) = _core.eip712Domain();
        _domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                chainId,
                verifier
            )
        );
        for (uint256 i = 0; i < PROVIDERS; i++) {
            _providers[i] = vm.addr(_providerKey(i));
            vm.deal(_providers[i], 1e32);
            vm.prank(_providers[i]);
            registry.register("");
            _restake(i, STAKE);
            _announce(i, 5, 7);
        }
        for (uint256 i = 0; i < USERS; i++) {
            _users[i] = vm.addr(_userKey(i));
            vm.deal(_users[i], 1e32);
        }
    }

    function _restake(uint256 provider, uint256 amountWei) internal {
        vm.prank(_providers[provider]);
        _staking.stake{value: amountWei}();
        vm.prank(_providers[provider]);
        _staking.allocate(address(_core), amountWei);
    }

    function _announce(uint256 provider, uint256 inputPrice, uint256 outputPrice) internal {
        ServiceParams memory terms =
            ServiceParams("chatbot", "u", "m", "OpML", inputPrice, outputPrice, "{}", vm.addr(_teeKey(provider)));
        vm.prank(_providers[provider]);
        _serving.addOrUpdateService(terms);
    }

    function _settlement(uint256 provider, address user, uint256 feeWei, bytes32 hash, uint256 nonce)
        internal
        view
        returns (TEESettlementData memory)
    {
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "TEESettlement(bytes32 requestsHash,uint256 nonce,address provider,address user,uint256 totalFee)"
                ),
                hash,
                nonce,
                _providers[provider],
                user,
                feeWei
            )
        );
        return TEESettlementData(
            user, _providers[provider], feeWei, hash, nonce, _sign(_teeKey(provider), structHash)
        );
    }

    function _signVoucher(uint256 key, Voucher memory voucher) internal view returns (bytes memory) {
        bytes32 typeHash = keccak256(
            "Voucher(address user,address provider,uint256 ceilingWei,uint256 inputPriceWei,uint256 outputPriceWei,"
            "bytes32 modelRoot,uint256 validUntilSec)"
        );
        return _sign(key, keccak256(abi.encode(typeHash, voucher)));
    }

    function _signRelease(uint256 key, Release memory release) internal view returns (bytes memory) {
        bytes32 typeHash = keccak256("Release(address user,uint256 amountWei,uint256 nonce,uint256 validUntilSec)");
        return _sign(key, keccak256(abi.encode(typeHash, release)));
    }

    function _sign(uint256 key, bytes32 structHash) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, keccak256(abi.encodePacked(hex"1901", _domain, structHash)));
        return abi.encodePacked(r, s, v);
    }

    function _userKey(uint256 user) internal pure returns (uint256) {
        return 0xA000 + user;
    }

    function _providerKey(uint256 provider) internal pure returns (uint256) {
        return 0xB000 + provider;
    }

    function _teeKey(uint256 provider) internal pure returns (uint256) {
        return 0xC000 + provider;
    }
}

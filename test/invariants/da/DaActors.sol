// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IBeacon} from "../../../contracts/interfaces/IBeacon.sol";
import {IDaCommittee} from "../../../contracts/interfaces/IDaCommittee.sol";
import {IDaProver} from "../../../contracts/interfaces/IDaProver.sol";
import {IDataAvailability} from "../../../contracts/interfaces/IDataAvailability.sol";
import {IOperatorRegistry} from "../../../contracts/interfaces/IOperatorRegistry.sol";
import {IStaking} from "../../../contracts/interfaces/IStaking.sol";
import {BlsLib} from "../../../contracts/libraries/BlsLib.sol";
import {CellTreeLib} from "../../../contracts/libraries/CellTreeLib.sol";
import {PrecompileLib} from "../../../contracts/libraries/PrecompileLib.sol";
import {Cheating} from "../storage/Cheats.sol";
import {DaSystem} from "./DaSystem.sol";

/// @title DaActors
/// @notice Who acts in the invariant test: members with real BLS keys, dispersers with a bond, payers, and a stranger who
/// pins and reports. All cells have the same bytes, so that one tree serves all blobs of a size.
abstract contract DaActors is Cheating {
    uint256 internal constant MEMBERS = 5;
    uint256 internal constant DISPERSERS = 3;
    uint256 internal constant PAYERS = 2;
    uint256 internal constant STRANGER = MEMBERS + DISPERSERS + PAYERS;
    uint256 internal constant START_WEI = 1e24;
    uint256 private constant DISPERSER_KEY = 0xD15;

    IStaking public immutable staking;
    IOperatorRegistry public immutable registry;
    IDaCommittee public immutable committee;
    IDataAvailability public immutable da;
    IDaProver public immutable prover;
    IBeacon public immutable beacon;
    address[] public actors;

    /// @dev Nodes of the cell tree by blob count: the root is node 1, the children of node i are 2 i and 2 i + 1.
    mapping(uint256 blobCount => bytes32[] nodes) private _trees;

    constructor(DaSystem system) {
        (staking, registry, beacon) = (system.staking(), system.registry(), system.beacon());
        (committee, da, prover) = (system.committee(), system.da(), system.prover());
        for (uint256 i; i < MEMBERS; ++i) actors.push(address(uint160(0x3E3000 + i)));
        for (uint256 i; i < DISPERSERS; ++i) actors.push(vm.addr(DISPERSER_KEY + i));
        for (uint256 i; i <= PAYERS; ++i) actors.push(address(uint160(0xFA4000 + i)));
        for (uint256 i; i < actors.length; ++i) vm.deal(actors[i], START_WEI);
        for (uint256 blobCount = 1; blobCount <= 2; ++blobCount) _growTree(blobCount);
    }

    function actorCount() external view returns (uint256) {
        return actors.length;
    }

    function disperserAt(uint256 index) public view returns (address) {
        return actors[MEMBERS + index];
    }

    function _joinAll() internal {
        for (uint256 i; i < MEMBERS; ++i) {
            address member = actors[i];
            vm.prank(member);
            registry.register("");
            vm.prank(member);
            staking.delegate{value: 20 ether}(member);
            vm.prank(member);
            staking.allocate(address(committee), 20 ether);
            bytes memory key = PrecompileLib.g1Mul(BlsLib.G1_GENERATOR, _secret(i));
            bytes memory proof = _sign(committee.keyDigest(member, key), _secret(i));
            vm.prank(member);
            committee.register(key, proof, address(0));
        }
        for (uint256 i; i < DISPERSERS; ++i) {
            address disperser = disperserAt(i);
            vm.prank(disperser);
            registry.register("");
            vm.prank(disperser);
            staking.stake{value: 3 ether}();
            vm.prank(disperser);
            staking.allocate(address(da), 2 ether);
        }
    }

    /// @dev Aggregate signature over `digest` by the members of this bitmap, and the bitmap of their slots.
    function _signTogether(bytes32 digest, uint256 members)
        internal
        view
        returns (uint256 signers, bytes memory signature)
    {
        uint256 secret;
        for (uint256 i; i < MEMBERS; ++i) {
            if ((members >> i) & 1 == 0) continue;
            (, uint256 slot) = committee.slotOf(actors[i]);
            signers |= 1 << slot;
            secret += _secret(i);
        }
        signature = _sign(digest, secret);
    }

    function _disperserKey(uint256 index) internal pure returns (uint256) {
        return DISPERSER_KEY + index;
    }

    function _cell() internal pure returns (bytes memory cell) {
        cell = new bytes(CellTreeLib.CELL_BYTES);
        for (uint256 i; i < cell.length; i += 32) {
            assembly ("memory-safe") {
                mstore(add(add(cell, 0x20), i), add(i, 7))
            }
        }
    }

    function _proof() internal pure returns (bytes memory) {
        return abi.encodePacked(uint256(0xC0), uint128(1));
    }

    function _cellsRoot(uint256 blobCount) internal view returns (bytes32) {
        return _trees[blobCount][1];
    }

    function _path(uint256 blobCount, uint256 blobIndex, uint256 column)
        internal
        view
        returns (bytes32[] memory path)
    {
        bytes32[] storage nodes = _trees[blobCount];
        path = new bytes32[](CellTreeLib.cellDepth(blobCount));
        uint256 node = nodes.length / 2 + (column << CellTreeLib.blobDepth(blobCount)) + blobIndex;
        for (uint256 i; i < path.length; ++i) {
            path[i] = nodes[node ^ 1];
            node /= 2;
        }
    }

    function _growTree(uint256 blobCount) private {
        uint256 leaves = 1 << CellTreeLib.cellDepth(blobCount);
        bytes32[] memory nodes = new bytes32[](2 * leaves);
        bytes32 cellHash = keccak256(_cell());
        for (uint256 i; i < leaves; ++i) {
            nodes[leaves + i] = CellTreeLib.cellLeaf(i % blobCount, i / blobCount, _proof(), cellHash);
        }
        for (uint256 i = leaves - 1; i != 0; --i) {
            nodes[i] = keccak256(abi.encodePacked(uint8(1), nodes[2 * i], nodes[2 * i + 1]));
        }
        _trees[blobCount] = nodes;
    }

    function _sign(bytes32 digest, uint256 secret) private view returns (bytes memory) {
        return PrecompileLib.g2Mul(BlsLib.hashToG2(digest), secret);
    }

    function _secret(uint256 member) private pure returns (uint256) {
        return 0xB15 + 1_000_003 * member;
    }
}

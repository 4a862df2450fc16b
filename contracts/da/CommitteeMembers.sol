// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {DaCommitteeParams, IDaCommittee} from "../interfaces/IDaCommittee.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {BitmapLib} from "../libraries/BitmapLib.sol";
import {BlsLib} from "../libraries/BlsLib.sol";
import {KeySetLib} from "../libraries/KeySetLib.sol";
import {PrecompileCheckLib} from "../libraries/PrecompileCheckLib.sol";
import {PrecompileLib} from "../libraries/PrecompileLib.sol";

/// @title CommitteeMembers
/// @notice Who is a member, in which slot, with which key; and the key set as code.
/// @dev A slot:
///
///   free --register--> due --next epoch: newEpoch or writeKeys--> written --resign, drop, replaced--> due --> free
///                                                                    \--register (another key)--> due --> written
///
/// Invariants:
/// 1. What is done in an epoch changes members and keys from the next one on: who sits in an epoch is fixed before its
///    seed is known.
/// 2. A key in a set is a point of the group, not infinity, which its operator has proved to possess, and no other's.
/// 3. A key set is code that nobody can change; the last one written holds exactly the members of `_keyed`.
abstract contract CommitteeMembers is IDaCommittee, EIP712 {
    using SafeCast for uint256;

    uint256 private constant SIGNATURE_BYTES = 256;
    uint256 private constant ALL_SLOTS = type(uint128).max;
    bytes32 private constant BLS_KEY_TYPEHASH = keccak256("BlsKey(address operator,bytes32 keyHash)");

    IBeacon internal immutable _beacon;
    IStaking internal immutable _staking;
    uint256 internal immutable _minStakeWei;

    /// @dev What becomes of a slot in `fromEpoch`; no operator: it becomes free.
    struct Change {
        address operator;
        uint64 fromEpoch;
        bytes32[4] key;
    }

    /// @dev The last key set written, and its slots with a key.
    address internal _keySet;
    uint128 internal _keyed;
    /// @dev Bit i: slot i is taken once all changes are written.
    uint128 private _taken;
    /// @dev Bit i: `_changes[i]` has still to be written.
    uint128 private _changed;
    mapping(uint256 slot => Change) private _changes;
    /// @dev Slot plus one of a member now or from the next epoch on.
    mapping(address operator => uint256) private _slots;
    mapping(bytes32 keyHash => address operator) private _keyHolders;

    constructor(IBeacon beacon, IStaking staking, DaCommitteeParams memory params_) EIP712("ZeroG DaCommittee", "1") {
        require(params_.minStakeWei != 0, InvalidParams());
        PrecompileCheckLib.selfTest();
        _beacon = beacon;
        _staking = staking;
        _minStakeWei = params_.minStakeWei;
    }

    /// @inheritdoc IDaCommittee
    function register(bytes calldata publicKey, bytes calldata proofOfPossession, address replaced) external {
        uint256 backingWei = _staking.backing(msg.sender, address(this));
        require(backingWei >= _minStakeWei, InsufficientStake(msg.sender, _minStakeWei, backingWei));
        _checkPoint(publicKey);
        bytes32 keyHash = keccak256(publicKey);
        address holder = _keyHolders[keyHash];
        require(holder == address(0) || holder == msg.sender, KeyTaken(holder));
        _requireSignatureLength(proofOfPossession);
        require(
            BlsLib.verify(publicKey, _keyDigest(msg.sender, keyHash), proofOfPossession), PopInvalid(msg.sender)
        );

        uint256 slot = _takeSlot(replaced, backingWei);
        _keyHolders[keyHash] = msg.sender;
        _schedule(slot, msg.sender, abi.decode(publicKey, (bytes32[4])));
        emit MemberRegistered(msg.sender, slot, publicKey);
        _openAccount(msg.sender);
    }

    /// @inheritdoc IDaCommittee
    function resign() external {
        _remove(msg.sender);
    }

    /// @inheritdoc IDaCommittee
    function drop(address operator) external {
        uint256 backingWei = _staking.backing(operator, address(this));
        require(backingWei < _minStakeWei, StakeSuffices(operator, backingWei));
        _remove(operator);
    }

    /// @inheritdoc IDaCommittee
    function writeKeys() external returns (address keySet) {
        _writeKeys(_beacon.currentEpoch());
        return _keySet;
    }

    /// @inheritdoc IDaCommittee
    function keyDigest(address operator, bytes calldata publicKey) external view returns (bytes32) {
        require(publicKey.length == KeySetLib.KEY_BYTES, WrongKeyLength(publicKey.length));
        return _keyDigest(operator, keccak256(publicKey));
    }

    /// @inheritdoc IDaCommittee
    function slotOf(address operator) external view returns (bool registered, uint256 slot) {
        slot = _slots[operator];
        return slot == 0 ? (false, 0) : (true, slot - 1);
    }

    /// @inheritdoc IDaCommittee
    function isOut(address operator) external view returns (bool) {
        (uint256 slashableWei,) = _staking.allocationOf(operator, address(this));
        return slashableWei < _minStakeWei;
    }

    /// @dev Opens the member's account where bounties are credited, so that every answer of its is cheap.
    function _openAccount(address operator) internal virtual;

    /// @dev Writes what is due in `epoch`, and tells how many changes that were; those made within it wait.
    function _writeKeys(uint256 epoch) internal returns (uint256 written) {
        uint256 changed = _changed;
        uint256 keyed = _keyed;
        uint256 waiting = 0;
        bytes memory code;
        while (changed != 0) {
            uint256 slot = BitmapLib.lowest(changed);
            uint256 bit = 1 << slot;
            changed ^= bit;
            Change memory change = _changes[slot];
            if (change.fromEpoch > epoch) {
                waiting |= bit;
                continue;
            }
            if (written++ == 0) code = KeySetLib.load(_keySet);
            KeySetLib.put(code, slot, abi.encode(change.key), change.operator);
            keyed = change.operator == address(0) ? keyed & ~bit : keyed | bit;
            delete _changes[slot];
        }
        if (written == 0) return 0;
        _changed = uint128(waiting);
        _keyed = uint128(keyed);
        _keySet = KeySetLib.write(code);
        emit KeySetWritten(_keySet, keyed);
    }

    /// @dev The sender's slot, a free one, or that of a weaker member.
    function _takeSlot(address replaced, uint256 backingWei) private returns (uint256 slot) {
        if (_slots[msg.sender] != 0) return _slots[msg.sender] - 1;
        uint256 free = ALL_SLOTS ^ _taken;
        if (free != 0) {
            // Better a slot with nothing left to write: it cannot be blocked.
            uint256 quiet = free & ~uint256(_changed);
            slot = BitmapLib.lowest(quiet == 0 ? free : quiet);
            _taken |= uint128(1 << slot);
        } else {
            require(replaced != address(0), CommitteeFull());
            require(_slots[replaced] != 0, NotMember(replaced));
            uint256 replacedWei = _staking.backing(replaced, address(this));
            require(replacedWei < backingWei, NotWeaker(replaced, replacedWei, backingWei));
            slot = _slots[replaced] - 1;
            delete _slots[replaced];
            emit MemberRemoved(replaced, slot);
        }
        _slots[msg.sender] = slot + 1;
    }

    function _remove(address operator) private {
        require(_slots[operator] != 0, NotMember(operator));
        uint256 slot = _slots[operator] - 1;
        delete _slots[operator];
        _taken &= ~uint128(1 << slot);
        bytes32[4] memory none;
        _schedule(slot, address(0), none);
        emit MemberRemoved(operator, slot);
    }

    /// @dev Changes a slot from the next epoch on. A change that is due already must be written, not replaced: else who
    /// sits in this epoch could be chosen with its seed in view.
    function _schedule(uint256 slot, address operator, bytes32[4] memory key) private {
        uint256 fromEpoch = _beacon.currentEpoch() + 1;
        uint128 bit = uint128(1 << slot);
        require(_changed & bit == 0 || _changes[slot].fromEpoch == fromEpoch, KeysNotWritten(slot));
        _changed |= bit;
        _changes[slot] = Change(operator, fromEpoch.toUint64(), key);
    }

    /// @dev That a key is a point of the group other than infinity.
    function _checkPoint(bytes calldata key) private view {
        require(key.length == KeySetLib.KEY_BYTES, WrongKeyLength(key.length));
        require(!BlsLib.isInfinity(key), KeyIsInfinity());
        require(BlsLib.isG1OnCurve(key), KeyNotOnCurve());
        // Once times a point: the multiplication fails on a point outside the subgroup, and on nothing else here.
        PrecompileLib.requireGas(PrecompileLib.G1_MSM, PrecompileLib.G1_MUL_GAS);
        address multiply = address(uint160(PrecompileLib.G1_MSM));
        (bool ok, bytes memory product) =
            multiply.staticcall{gas: PrecompileLib.G1_MUL_GAS}(abi.encodePacked(key, uint256(1)));
        require(ok && keccak256(product) == keccak256(key), KeyNotInSubgroup());
    }

    function _keyDigest(address operator, bytes32 keyHash) private view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(BLS_KEY_TYPEHASH, operator, keyHash)));
    }

    function _requireSignatureLength(bytes calldata signature) internal pure {
        require(signature.length == SIGNATURE_BYTES, WrongSignatureLength(signature.length));
    }
}

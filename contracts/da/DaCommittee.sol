// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {DaCommitteeParams, DaEpoch, IDaCommittee} from "../interfaces/IDaCommittee.sol";
import {IDataAvailability} from "../interfaces/IDataAvailability.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {BlsLib} from "../libraries/BlsLib.sol";
import {KeySetLib} from "../libraries/KeySetLib.sol";
import {PrecompileCheckLib} from "../libraries/PrecompileCheckLib.sol";
import {PrecompileLib} from "../libraries/PrecompileLib.sol";
import {SeatLib} from "../libraries/SeatLib.sol";

/// @title DaCommittee
/// @notice Who attests data in an epoch. Holds no money. Clock: block numbers, cut into epochs by the Beacon.
/// @dev A slot:
///
///   free --register--> due --next epoch: newEpoch or writeKeys--> written --resign, drop, replaced--> due --> free
///                                                                    \--register (another key)--> due --> written
///
/// An epoch:  unformed --newEpoch, while it is the current one--> formed (for ever)
///                 \--its seed unreachable, or nobody called--> never formed: the last committee stays
///
/// Invariants:
/// 1. Slots and stakes of an epoch are fixed before its seed is known: nothing done within an epoch changes its seats.
/// 2. A formed epoch never changes; its key set is code that nobody can change either.
/// 3. In a formed epoch each of the 128 columns has one holder; everybody gets its quota of them rounded up or down.
/// 4. A key in a set is a point of the group, not infinity, which its operator has proved to possess, and no other's.
/// 5. `verifyAttestation` returns columns only if holders of exactly these columns have signed the digest.
/// 6. Only prover and court slash, each under fault ids of its own.
contract DaCommittee is IDaCommittee, EIP712 {
    using SafeCast for uint256;

    uint256 private constant SIGNATURE_BYTES = 256;
    uint256 private constant ALL_SLOTS = type(uint128).max;
    bytes32 private constant BLS_KEY_TYPEHASH = keccak256("BlsKey(address operator,bytes32 keyHash)");

    /// @dev What a transaction costs before it runs; calldata is not repaid.
    uint256 private constant INTRINSIC_GAS = 21_000;

    /// @dev Refunded for the five words of a change that is written.
    uint256 private constant CHANGE_REFUND_GAS = 24_000;

    /// @dev More than the pot needs to pay. Gas is often estimated at a base fee of 0, where paying costs less.
    uint256 private constant PAYMENT_GAS = 100_000;

    address private immutable _deployer;
    IBeacon private immutable _beacon;
    IStaking private immutable _staking;
    uint256 private immutable _epochPeriods;
    uint256 private immutable _minStakeWei;
    uint256 private immutable _repayGas;

    /// @dev What becomes of a slot in `fromEpoch`; no operator: it becomes free.
    struct Change {
        address operator;
        uint64 fromEpoch;
        bytes32[4] key;
    }

    address private _dataAvailability;
    address private _prover;
    address private _court;
    uint64 private _activeEpoch;
    /// @dev The last key set written, and its slots with a key.
    address private _keySet;
    uint128 private _keyed;
    /// @dev Bit i: slot i is taken once all changes are written.
    uint128 private _taken;
    /// @dev Bit i: `_changes[i]` has still to be written.
    uint128 private _changed;
    mapping(uint256 slot => Change) private _changes;
    /// @dev Slot plus one of a member now or from the next epoch on.
    mapping(address operator => uint256) private _slots;
    mapping(bytes32 keyHash => address operator) private _keyHolders;
    mapping(uint256 epoch => DaEpoch) private _epochs;

    constructor(IBeacon beacon, IStaking staking, DaCommitteeParams memory params_) EIP712("ZeroG DaCommittee", "1") {
        require(params_.minStakeWei != 0, InvalidParams());
        PrecompileCheckLib.selfTest();
        _deployer = msg.sender;
        _beacon = beacon;
        _staking = staking;
        _epochPeriods = beacon.epochPeriods();
        _minStakeWei = params_.minStakeWei;
        _repayGas = params_.repayGas;
    }

    /// @inheritdoc IDaCommittee
    function wire(address dataAvailability, address prover, address court) external {
        require(msg.sender == _deployer, NotDeployer(msg.sender));
        require(_dataAvailability == address(0), AlreadyWired());
        require(dataAvailability != address(0) && prover != address(0) && court != address(0), InvalidParams());
        _dataAvailability = dataAvailability;
        _prover = prover;
        _court = court;
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
    function newEpoch(bytes calldata headerRlp) external returns (uint256 epoch) {
        uint256 gasBefore = gasleft();
        epoch = _beacon.currentEpoch();
        require(_epochs[epoch].keySet == address(0), EpochAlreadyFormed(epoch));
        uint256 period = epoch * _epochPeriods;
        bytes32 seed = _beacon.seedOf(period);
        if (seed == 0) seed = _beacon.pin(period, headerRlp);

        uint256 written = _writeKeys(epoch);
        (uint256 totalWei, uint256 members) = _form(epoch, seed);
        uint256 repaidWei = _repay(gasBefore, written * CHANGE_REFUND_GAS);
        emit EpochFormed(epoch, seed, totalWei, members, _keySet, written != 0, msg.sender, repaidWei);
    }

    /// @inheritdoc IDaCommittee
    function writeKeys() external returns (address keySet) {
        _writeKeys(_beacon.currentEpoch());
        return _keySet;
    }

    /// @inheritdoc IDaCommittee
    function slash(address operator, uint256 amountWei, bytes32 faultId, address reporter, uint256 reporterBps)
        external
        returns (uint256 slashedWei)
    {
        require(msg.sender == _prover || msg.sender == _court, NotAuthorized(msg.sender));
        uint256 count = reporter == address(0) ? 0 : 1;
        address[] memory beneficiaries = new address[](count);
        uint256[] memory bps = new uint256[](count);
        if (count != 0) (beneficiaries[0], bps[0]) = (reporter, reporterBps);
        return _staking.slash(operator, amountWei, keccak256(abi.encode(msg.sender, faultId)), beneficiaries, bps);
    }

    /// @inheritdoc IDaCommittee
    function verifyAttestation(uint256 epoch, bytes32 digest, uint256 signers, bytes calldata signature)
        external
        view
        returns (uint256 columns)
    {
        DaEpoch memory formed = _formed(epoch);
        _requireSignatureLength(signature);
        require(signers != 0, NoSigners());
        uint256 seated;
        (columns, seated) = SeatLib.columnsOf(formed.columnSlots, signers);
        uint256 strangers = signers & ~seated;
        require(strangers == 0, NotSeated(epoch, Math.log2(strangers)));
        bytes memory key = _aggregateOf(formed.keySet, formed.keyed, signers);
        require(!BlsLib.isInfinity(key), AggregateIsInfinity());
        return BlsLib.verify(key, digest, signature) ? columns : 0;
    }

    /// @inheritdoc IDaCommittee
    function keyDigest(address operator, bytes calldata publicKey) external view returns (bytes32) {
        require(publicKey.length == KeySetLib.KEY_BYTES, WrongKeyLength(publicKey.length));
        return _keyDigest(operator, keccak256(publicKey));
    }

    /// @inheritdoc IDaCommittee
    function activeEpoch() external view returns (uint256) {
        return _activeEpoch;
    }

    /// @inheritdoc IDaCommittee
    function epochOf(uint256 epoch) external view returns (DaEpoch memory) {
        return _epochs[epoch];
    }

    /// @inheritdoc IDaCommittee
    function ownerOf(uint256 epoch, uint256 column) external view returns (address operator) {
        require(column < SeatLib.SEATS, ColumnOutOfRange(column));
        DaEpoch storage formed = _epochs[epoch];
        address keySet = formed.keySet;
        require(keySet != address(0), EpochUnknown(epoch));
        return KeySetLib.operatorAt(keySet, uint8(formed.columnSlots[column / 32][column % 32]));
    }

    /// @inheritdoc IDaCommittee
    function ownersOf(uint256 epoch) external view returns (address[] memory operators) {
        DaEpoch memory formed = _formed(epoch);
        bytes memory code = KeySetLib.load(formed.keySet);
        operators = new address[](SeatLib.SEATS);
        for (uint256 k = 0; k < SeatLib.SEATS; k++) {
            operators[k] = KeySetLib.operatorIn(code, SeatLib.ownerOf(formed.columnSlots, k));
        }
    }

    /// @inheritdoc IDaCommittee
    function operatorAt(uint256 epoch, uint256 slot) external view returns (address operator) {
        return KeySetLib.operatorAt(_keySetOf(epoch, slot), slot);
    }

    /// @inheritdoc IDaCommittee
    function keyAt(uint256 epoch, uint256 slot) external view returns (bytes memory publicKey) {
        return KeySetLib.keyAt(_keySetOf(epoch, slot), slot);
    }

    /// @inheritdoc IDaCommittee
    function columnsOf(uint256 epoch, uint256 slot) external view returns (uint256 columns) {
        require(slot < KeySetLib.SLOTS, SlotOutOfRange(slot));
        (columns,) = SeatLib.columnsOf(_formed(epoch).columnSlots, 1 << slot);
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

    /// @inheritdoc IDaCommittee
    function params() external view returns (DaCommitteeParams memory) {
        return DaCommitteeParams(uint128(_minStakeWei), uint64(_repayGas));
    }

    /// @dev The sender's slot, a free one, or that of a weaker member.
    function _takeSlot(address replaced, uint256 backingWei) private returns (uint256 slot) {
        if (_slots[msg.sender] != 0) return _slots[msg.sender] - 1;
        uint256 free = ALL_SLOTS ^ _taken;
        if (free != 0) {
            // Better a slot with nothing left to write: it cannot be blocked.
            uint256 quiet = free & ~uint256(_changed);
            slot = _lowest(quiet == 0 ? free : quiet);
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

    /// @dev Writes what is due in `epoch`, and tells how many changes that were; those made within it wait.
    function _writeKeys(uint256 epoch) private returns (uint256 written) {
        uint256 changed = _changed;
        uint256 keyed = _keyed;
        uint256 waiting = 0;
        bytes memory code;
        while (changed != 0) {
            uint256 slot = _lowest(changed);
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
        _keySet = KeySetLib.write(code, keyed);
        emit KeySetWritten(_keySet, keyed);
    }

    /// @dev Apportions the seats by what everybody had allocated when the epoch began.
    function _form(uint256 epoch, bytes32 seed) private returns (uint256 totalWei, uint256 members) {
        address keySet = _keySet;
        uint256 keyed = _keyed;
        uint256[] memory weights = new uint256[](KeySetLib.SLOTS);
        bytes memory code = KeySetLib.load(keySet);
        for (uint256 rest = keyed; rest != 0; rest &= rest - 1) {
            uint256 slot = _lowest(rest);
            uint256 weightWei = _staking.allocationAt(KeySetLib.operatorIn(code, slot), address(this), epoch);
            if (weightWei < _minStakeWei) continue;
            weights[slot] = weightWei;
            totalWei += weightWei;
        }
        require(totalWei != 0, NoMembers(epoch));
        bytes32[4] memory columnSlots = SeatLib.assign(weights, seed);
        (, uint256 seated) = SeatLib.columnsOf(columnSlots, 0);
        for (uint256 rest = seated; rest != 0; rest &= rest - 1) members++;
        uint128 seatWei = (totalWei / SeatLib.SEATS).toUint128();
        _epochs[epoch] = DaEpoch(keySet, uint8(members), seatWei, uint128(keyed), columnSlots);
        _activeEpoch = epoch.toUint64();
    }

    /// @dev Repays the caller, at most what the call costs, as far as the pot reaches; what goes wrong there never
    /// stops an epoch.
    function _repay(uint256 gasBefore, uint256 refundGas) private returns (uint256 repaidWei) {
        if (_dataAvailability == address(0)) return 0;
        require(gasleft() >= PAYMENT_GAS, PaymentStarved(PAYMENT_GAS, gasleft()));
        uint256 gasUsed = gasBefore - gasleft() + INTRINSIC_GAS;
        // The sender gets refunds back by himself, a fifth of the gas at most (EIP-3529).
        gasUsed = Math.min(gasUsed - Math.min(refundGas, gasUsed / 5), _repayGas);
        uint256 costWei = gasUsed * block.basefee;
        try IDataAvailability(_dataAvailability).payFromPot(msg.sender, costWei) returns (uint256 paidWei) {
            return paidWei;
        } catch {
            return 0;
        }
    }

    /// @dev Sum of the signers' keys, the shorter way round: from nothing, or from the stored sum of all.
    function _aggregateOf(address keySet, uint256 keyed, uint256 signers) private view returns (bytes memory key) {
        bytes memory code = KeySetLib.load(keySet);
        uint256 others = keyed & ~signers;
        if (_count(signers) <= _count(others)) return KeySetLib.sum(code, signers);
        return BlsLib.g1Add(KeySetLib.aggregate(code), BlsLib.g1Negate(KeySetLib.sum(code, others)));
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

    function _formed(uint256 epoch) private view returns (DaEpoch memory formed) {
        formed = _epochs[epoch];
        require(formed.keySet != address(0), EpochUnknown(epoch));
    }

    function _keySetOf(uint256 epoch, uint256 slot) private view returns (address keySet) {
        require(slot < KeySetLib.SLOTS, SlotOutOfRange(slot));
        keySet = _epochs[epoch].keySet;
        require(keySet != address(0), EpochUnknown(epoch));
    }

    function _keyDigest(address operator, bytes32 keyHash) private view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(BLS_KEY_TYPEHASH, operator, keyHash)));
    }

    function _requireSignatureLength(bytes calldata signature) private pure {
        require(signature.length == SIGNATURE_BYTES, WrongSignatureLength(signature.length));
    }

    /// @dev Place of the lowest bit that is set; `bits` is not 0.
    function _lowest(uint256 bits) private pure returns (uint256) {
        return Math.log2(bits & (~bits + 1));
    }

    function _count(uint256 bits) private pure returns (uint256 count) {
        for (; bits != 0; bits &= bits - 1) count++;
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {DaCommitteeParams, DaEpoch, IDaCommittee} from "../interfaces/IDaCommittee.sol";
import {IDataAvailability} from "../interfaces/IDataAvailability.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {BitmapLib} from "../libraries/BitmapLib.sol";
import {BlsLib} from "../libraries/BlsLib.sol";
import {CodeStoreLib} from "../libraries/CodeStoreLib.sol";
import {KeySetLib} from "../libraries/KeySetLib.sol";
import {SeatLib} from "../libraries/SeatLib.sol";
import {CommitteeMembers} from "./CommitteeMembers.sol";

/// @title DaCommittee
/// @notice Who attests data in an epoch. Holds no money. Clock: block numbers, cut into epochs by the Beacon.
/// @dev An epoch:  unformed --newEpoch, while it is the current one--> formed (for ever)
///                 \--its seed unreachable, or nobody called--> never formed: the last committee stays
///
/// Invariants:
/// 1 to 3: see `CommitteeMembers`.
/// 4. A formed epoch never changes. Stakes count as they were when it began: nothing done within it changes its seats.
/// 5. In a formed epoch each of the 128 columns has one holder; everybody gets its quota of them rounded up or down.
/// 6. `verifyAttestation` returns columns only if holders of exactly these columns have signed the digest.
/// 7. Only prover and court slash, each under fault ids of its own.
contract DaCommittee is CommitteeMembers {
    using SafeCast for uint256;

    /// @dev ABI encoding of a `DaEpoch`: eight words.
    uint256 private constant EPOCH_BYTES = 256;

    /// @dev What a transaction costs before it runs; calldata is not repaid.
    uint256 private constant INTRINSIC_GAS = 21_000;

    /// @dev Refunded for the five words of a change that is written.
    uint256 private constant CHANGE_REFUND_GAS = 24_000;

    /// @dev More than the pot needs to pay. Gas is often estimated at a base fee of 0, where paying costs less.
    uint256 private constant PAYMENT_GAS = 100_000;

    address private immutable _deployer;
    uint256 private immutable _epochPeriods;
    uint256 private immutable _repayGas;

    address private _dataAvailability;
    address private _prover;
    address private _court;
    uint64 private _activeEpoch;
    /// @dev The ABI encoding of a `DaEpoch`, as code.
    mapping(uint256 epoch => address store) private _epochs;

    constructor(IBeacon beacon, IStaking staking, DaCommitteeParams memory params_)
        CommitteeMembers(beacon, staking, params_)
    {
        _deployer = msg.sender;
        _epochPeriods = beacon.epochPeriods();
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
    function newEpoch(bytes calldata headerRlp) external returns (uint256 epoch) {
        uint256 gasBefore = gasleft();
        epoch = _beacon.currentEpoch();
        require(_epochs[epoch] == address(0), EpochAlreadyFormed(epoch));
        uint256 period = epoch * _epochPeriods;
        bytes32 seed = _beacon.seedOf(period);
        if (seed == 0) seed = _beacon.pin(period, headerRlp);

        uint256 written = _writeKeys(epoch);
        (uint256 totalWei, uint256 members) = _form(epoch, seed);
        uint256 repaidWei = _repay(gasBefore, written * CHANGE_REFUND_GAS);
        emit EpochFormed(epoch, seed, totalWei, members, _keySet, written != 0, msg.sender, repaidWei);
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
        uint256 strangers = signers & ~uint256(formed.seated);
        require(strangers == 0, NotSeated(epoch, Math.log2(strangers)));
        columns = SeatLib.columnsOf(formed.columnSlots, signers);
        bytes memory key = _aggregateOf(formed.keySet, formed.keyed, signers);
        require(!BlsLib.isInfinity(key), AggregateIsInfinity());
        return BlsLib.verify(key, digest, signature) ? columns : 0;
    }

    /// @inheritdoc IDaCommittee
    function activeEpoch() external view returns (uint256) {
        return _activeEpoch;
    }

    /// @inheritdoc IDaCommittee
    function epochOf(uint256 epoch) external view returns (DaEpoch memory formed) {
        if (_epochs[epoch] != address(0)) return _formed(epoch);
    }

    /// @inheritdoc IDaCommittee
    function ownerOf(uint256 epoch, uint256 column) external view returns (address operator) {
        require(column < SeatLib.SEATS, ColumnOutOfRange(column));
        DaEpoch memory formed = _formed(epoch);
        return KeySetLib.operatorAt(formed.keySet, SeatLib.ownerOf(formed.columnSlots, column));
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
        return SeatLib.columnsOf(_formed(epoch).columnSlots, 1 << slot);
    }

    /// @inheritdoc IDaCommittee
    function params() external view returns (DaCommitteeParams memory) {
        return DaCommitteeParams(uint128(_minStakeWei), uint64(_repayGas));
    }

    /// @dev Apportions the seats by what everybody had allocated when the epoch began.
    function _form(uint256 epoch, bytes32 seed) private returns (uint256 totalWei, uint256 members) {
        address keySet = _keySet;
        uint256 keyed = _keyed;
        uint256[] memory weights = new uint256[](KeySetLib.SLOTS);
        bytes memory code = KeySetLib.load(keySet);
        for (uint256 rest = keyed; rest != 0; rest &= rest - 1) {
            uint256 slot = BitmapLib.lowest(rest);
            uint256 weightWei = _staking.allocationAt(KeySetLib.operatorIn(code, slot), address(this), epoch);
            if (weightWei < _minStakeWei) continue;
            weights[slot] = weightWei;
            totalWei += weightWei;
        }
        require(totalWei != 0, NoMembers(epoch));
        bytes32[4] memory columnSlots = SeatLib.assign(weights, seed);
        uint256 seated = SeatLib.seatedIn(columnSlots);
        members = BitmapLib.count(seated);
        uint128 seatWei = (totalWei / SeatLib.SEATS).toUint128();
        DaEpoch memory formed = DaEpoch(keySet, seatWei, uint128(keyed), uint128(seated), columnSlots);
        _epochs[epoch] = CodeStoreLib.write(abi.encode(formed));
        _activeEpoch = epoch.toUint64();
    }

    /// @inheritdoc CommitteeMembers
    function _openAccount(address operator) internal override {
        if (_dataAvailability != address(0)) IDataAvailability(_dataAvailability).openAccount(operator);
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
        uint256 others = keyed & ~signers;
        if (BitmapLib.count(signers) <= BitmapLib.count(others)) return KeySetLib.sum(keySet, signers);
        return BlsLib.g1Add(KeySetLib.aggregateOf(keySet), BlsLib.g1Negate(KeySetLib.sum(keySet, others)));
    }

    function _formed(uint256 epoch) private view returns (DaEpoch memory) {
        address store = _epochs[epoch];
        require(store != address(0), EpochUnknown(epoch));
        return abi.decode(CodeStoreLib.read(store, 0, EPOCH_BYTES), (DaEpoch));
    }

    function _keySetOf(uint256 epoch, uint256 slot) private view returns (address) {
        require(slot < KeySetLib.SLOTS, SlotOutOfRange(slot));
        return _formed(epoch).keySet;
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {DaCourtParams, DaVerdict, IDaCourt} from "../interfaces/IDaCourt.sol";
import {IDaCommittee} from "../interfaces/IDaCommittee.sol";
import {DaBlob, IDataAvailability} from "../interfaces/IDataAvailability.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {CellTreeLib} from "../libraries/CellTreeLib.sol";

/// @title DaVerdicts
/// @notice The part of DaCourt that keeps verdicts and carries them out.
/// @dev Invariants (numbered with DaCourt's):
/// 2. A fault has one verdict, and each of its guilty is dealt with once, however `punish` is cut into calls.
/// 3. A disperser is slashed once per blob or nonce, a member once per blob or nonce, whatever the number of faults.
/// 4. Only the disperser and members that attested a column of the verdict are slashed; reporters get at most half.
abstract contract DaVerdicts is IDaCourt {
    uint256 internal constant BPS = 10_000;

    /// @dev A slash gives at most half away (Staking).
    uint256 private constant MAX_REPORTER_BPS = 5000;

    IStaking private immutable _staking;
    IDaCommittee internal immutable _committee;
    IDataAvailability internal immutable _da;
    uint256 private immutable _attesterSlashBps;
    uint256 private immutable _reporterBps;

    /// @dev The first word alone is written when a leaf is convicted: the rest follows from the fault's id.
    /// `mark` is column + 1 for a leaf, 129 for a commitment, 0 for a double signature.
    struct Verdict {
        address reporter;
        uint8 mark;
        bool opened;
        bool disperserDue;
        address disperser;
        uint64 epoch;
        uint128 guilty;
        bytes32 scope;
    }

    mapping(bytes32 faultId => Verdict) private _verdicts;
    /// @dev Who has been slashed for a blob or a nonce.
    mapping(bytes32 scope => mapping(address operator => bool)) private _slashed;

    constructor(IStaking staking, IDaCommittee committee, IDataAvailability da, DaCourtParams memory params_) {
        require(
            params_.attesterSlashBps != 0 && params_.attesterSlashBps <= BPS
                && params_.reporterBps <= MAX_REPORTER_BPS,
            InvalidParams()
        );
        _staking = staking;
        _committee = committee;
        _da = da;
        _attesterSlashBps = params_.attesterSlashBps;
        _reporterBps = params_.reporterBps;
    }

    /// @inheritdoc IDaCourt
    function punish(bytes32 faultId, uint256 maxOperators) external returns (uint256 punished) {
        Verdict storage verdict = _verdicts[faultId];
        require(verdict.reporter != address(0), FaultUnknown(faultId));
        if (!verdict.opened) _open(faultId, verdict);
        uint256 guilty = verdict.guilty;
        bool disperserDue = verdict.disperserDue;
        require(disperserDue || guilty != 0, NothingToPunish(faultId));

        uint256 left = maxOperators;
        bool takesDisperser = disperserDue && left != 0;
        if (takesDisperser) --left;
        uint256 rest = guilty;
        for (; rest != 0 && left != 0; --left) {
            rest &= rest - 1;
        }
        if (takesDisperser) verdict.disperserDue = false;
        verdict.guilty = uint128(rest);

        if (takesDisperser && _slashDisperser(faultId, verdict)) ++punished;
        for (uint256 taken = guilty ^ rest; taken != 0; taken &= taken - 1) {
            if (_slashMember(faultId, verdict, Math.log2(taken & (~taken + 1)))) ++punished;
        }
    }

    /// @inheritdoc IDaCourt
    function verdictOf(bytes32 faultId) external view returns (DaVerdict memory) {
        Verdict memory verdict = _verdicts[faultId];
        return DaVerdict({
            due: verdict.reporter != address(0)
                && (!verdict.opened || verdict.disperserDue || verdict.guilty != 0),
            opened: verdict.opened,
            reporter: verdict.reporter,
            disperser: verdict.disperser,
            epoch: verdict.epoch,
            guilty: verdict.guilty
        });
    }

    /// @inheritdoc IDaCourt
    function params() external view returns (DaCourtParams memory) {
        return DaCourtParams(uint16(_attesterSlashBps), uint16(_reporterBps));
    }

    /// @inheritdoc IDaCourt
    function faultIdOf(bytes32 blobId, uint256 column) public pure returns (bytes32) {
        // The id gives the blob back, so that a verdict needs no word for it. Ids are hashes: no two meet by it.
        return blobId ^ bytes32(column + 1);
    }

    /// @dev Records that a leaf (or with `column` 128 a commitment) of the blob is wrong.
    function _convictBlob(bytes32 blobId, uint256 column) internal returns (bytes32 faultId) {
        faultId = faultIdOf(blobId, column);
        Verdict storage verdict = _newVerdict(faultId);
        (verdict.reporter, verdict.mark) = (msg.sender, uint8(column + 1));
        uint256 columns = _columnsOf(column);
        emit Convicted(faultId, blobId, msg.sender, columns);
        _da.convict(blobId, columns);
    }

    /// @dev Records a double signature for one nonce; `guilty` are slots of members, or none and it is the disperser.
    function _convictSigners(bytes32 faultId, bytes32 scope, address disperser, uint64 epoch, uint256 guilty)
        internal
    {
        Verdict storage verdict = _newVerdict(faultId);
        verdict.reporter = msg.sender;
        verdict.opened = true;
        verdict.disperserDue = guilty == 0;
        verdict.disperser = disperser;
        verdict.epoch = epoch;
        verdict.guilty = uint128(guilty);
        verdict.scope = scope;
    }

    function _newVerdict(bytes32 faultId) private view returns (Verdict storage verdict) {
        verdict = _verdicts[faultId];
        require(verdict.reporter == address(0), AlreadyConvicted(faultId));
    }

    /// @dev Finds the guilty of a wrong leaf: its blob is convicted, so no further column can be attested.
    function _open(bytes32 faultId, Verdict storage verdict) private {
        uint256 mark = verdict.mark;
        bytes32 blobId = faultId ^ bytes32(mark);
        DaBlob memory blob = _da.blobOf(blobId);
        uint256 columns = blob.columns & _columnsOf(mark - 1);
        verdict.opened = true;
        verdict.disperserDue = true;
        verdict.disperser = blob.disperser;
        verdict.epoch = blob.epoch;
        verdict.guilty = uint128(_slotsOf(blob.epoch, columns));
        verdict.scope = blobId;
    }

    function _slashDisperser(bytes32 faultId, Verdict storage verdict) private returns (bool) {
        (address disperser, bytes32 scope) = (verdict.disperser, verdict.scope);
        if (_slashed[scope][disperser]) return false;
        _slashed[scope][disperser] = true;
        uint256 slashedWei = _da.slashDisperser(disperser, scope, verdict.reporter, _reporterBps);
        emit Punished(faultId, disperser, slashedWei);
        return true;
    }

    function _slashMember(bytes32 faultId, Verdict storage verdict, uint256 slot) private returns (bool) {
        (uint256 epoch, bytes32 scope) = (verdict.epoch, verdict.scope);
        address member = _committee.operatorAt(epoch, slot);
        // A disperser may be a member too: its two duties are slashed apart.
        bytes32 memberScope = keccak256(abi.encode(scope, "attester"));
        if (_slashed[memberScope][member]) return false;
        _slashed[memberScope][member] = true;
        uint256 stakeWei = _staking.allocationAt(member, address(_committee), epoch);
        uint256 amountWei = Math.ceilDiv(stakeWei * _attesterSlashBps, BPS);
        bytes32 slashId = keccak256(abi.encode(scope, member));
        uint256 slashedWei = _committee.slash(member, amountWei, slashId, verdict.reporter, _reporterBps);
        emit Punished(faultId, member, slashedWei);
        return true;
    }

    /// @dev The slots that hold these columns in `epoch`.
    function _slotsOf(uint256 epoch, uint256 columns) private view returns (uint256 slots) {
        if (columns == 0) return 0;
        bytes32[4] memory columnSlots = _committee.epochOf(epoch).columnSlots;
        for (uint256 rest = columns; rest != 0; rest &= rest - 1) {
            uint256 k = Math.log2(rest & (~rest + 1));
            slots |= 1 << uint8(columnSlots[k / 32][k % 32]);
        }
    }

    /// @dev The columns that a fault touches: one, or all for a commitment.
    function _columnsOf(uint256 column) private pure returns (uint256) {
        return column == CellTreeLib.COLUMNS ? type(uint128).max : 1 << column;
    }
}

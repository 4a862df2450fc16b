// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {DaParams, DaStatus, IDataAvailability} from "../interfaces/IDataAvailability.sol";
import {BitmapLib} from "../libraries/BitmapLib.sol";
import {CellTreeLib} from "../libraries/CellTreeLib.sol";
import {ClockLib} from "../libraries/ClockLib.sol";

/// @title BlobTerms
/// @notice The part of DataAvailability that knows the network's numbers: quorums, price, how long a blob may live.
/// @dev Invariants (numbered with DataAvailability's):
/// 4. Data is there if the bad hold at most `adversary` columns: quorum >= adversary + 64, for both quorums.
/// 5. Whoever attests a header can still be slashed when its dispute window ends.
abstract contract BlobTerms is IDataAvailability {
    uint256 internal constant BPS = 10_000;

    /// @dev Any so many columns restore a blob.
    uint256 private constant RESTORING_COLUMNS = 64;

    uint256 private immutable _startBlock;
    uint256 private immutable _periodBlocks;
    uint256 private immutable _epochPeriods;
    uint256 private immutable _exitDelayPeriods;
    uint256 private immutable _pricePerBlobPeriodWei;
    uint256 internal immutable _bondWei;
    uint256 private immutable _softColumns;
    uint256 private immutable _softAdversary;
    uint256 private immutable _finalColumns;
    uint256 private immutable _finalAdversary;
    uint256 internal immutable _confirmBlocks;
    uint256 private immutable _minRetentionPeriods;
    uint256 private immutable _maxRetentionPeriods;
    uint256 internal immutable _bucketPeriods;
    uint256 internal immutable _disputePeriods;
    uint256 internal immutable _maintenanceBps;
    uint256 internal immutable _unconfirmedBps;

    constructor(IBeacon beacon, uint256 exitDelayBlocks, DaParams memory params_) {
        _startBlock = beacon.startBlock();
        _periodBlocks = beacon.periodBlocks();
        _epochPeriods = beacon.epochPeriods();
        _exitDelayPeriods = exitDelayBlocks / _periodBlocks;
        _pricePerBlobPeriodWei = params_.pricePerBlobPeriodWei;
        _bondWei = params_.bondWei;
        _softColumns = params_.softColumns;
        _softAdversary = params_.softAdversary;
        _finalColumns = params_.finalColumns;
        _finalAdversary = params_.finalAdversary;
        _confirmBlocks = params_.confirmBlocks;
        _minRetentionPeriods = params_.minRetentionPeriods;
        _maxRetentionPeriods = params_.maxRetentionPeriods;
        _bucketPeriods = params_.bucketPeriods;
        _disputePeriods = params_.disputePeriods;
        _maintenanceBps = params_.maintenanceBps;
        _unconfirmedBps = params_.unconfirmedBps;
        _checkParams();
    }

    /// @inheritdoc IDataAvailability
    function feeOf(uint256 blobCount, uint256 retentionPeriods) public view returns (uint256) {
        return blobCount * retentionPeriods * _pricePerBlobPeriodWei;
    }

    /// @inheritdoc IDataAvailability
    function bucketPeriods() external view returns (uint256) {
        return _bucketPeriods;
    }

    /// @inheritdoc IDataAvailability
    function params() external view returns (DaParams memory) {
        return DaParams({
            pricePerBlobPeriodWei: uint128(_pricePerBlobPeriodWei),
            bondWei: uint128(_bondWei),
            softColumns: uint8(_softColumns),
            softAdversary: uint8(_softAdversary),
            finalColumns: uint8(_finalColumns),
            finalAdversary: uint8(_finalAdversary),
            confirmBlocks: uint32(_confirmBlocks),
            minRetentionPeriods: uint32(_minRetentionPeriods),
            maxRetentionPeriods: uint32(_maxRetentionPeriods),
            bucketPeriods: uint32(_bucketPeriods),
            disputePeriods: uint32(_disputePeriods),
            maintenanceBps: uint16(_maintenanceBps),
            unconfirmedBps: uint16(_unconfirmedBps)
        });
    }

    /// @dev A header expires on a bucket in range, and while its committee's stake can still be slashed: stake of the
    /// epoch's snapshot leaves at the earliest one exit delay after the epoch began.
    function _checkExpiry(uint256 epoch, uint256 expiresAt) internal view returns (uint256 periods) {
        uint256 current = _currentPeriod();
        uint256 earliest = current + _minRetentionPeriods;
        uint256 slashableUntil = epoch * _epochPeriods + _exitDelayPeriods;
        uint256 latest = Math.min(current + _maxRetentionPeriods, slashableUntil - _disputePeriods);
        require(
            expiresAt >= earliest && expiresAt <= latest && expiresAt % _bucketPeriods == 0,
            WrongExpiry(expiresAt, earliest, latest)
        );
        return expiresAt - current;
    }

    function _currentPeriod() internal view returns (uint256) {
        return ClockLib.periodAt(_startBlock, _periodBlocks, block.number);
    }

    function _checkParams() private view {
        require(
            _bondWei != 0 && _confirmBlocks != 0 && _confirmBlocks <= type(uint24).max && _bucketPeriods != 0
                && _disputePeriods != 0 && _maintenanceBps <= BPS && _unconfirmedBps <= BPS
                && _softColumns <= _finalColumns && _finalColumns <= CellTreeLib.COLUMNS,
            InvalidParams()
        );
        require(_softColumns >= _softAdversary + RESTORING_COLUMNS, UnsafeQuorum(_softColumns, _softAdversary));
        require(_finalColumns >= _finalAdversary + RESTORING_COLUMNS, UnsafeQuorum(_finalColumns, _finalAdversary));
        // A blob confirmed at the last moment still has a period to be audited in, and some bucket is in range.
        require(
            _minRetentionPeriods >= Math.ceilDiv(_confirmBlocks, _periodBlocks) + 2
                && _maxRetentionPeriods >= _minRetentionPeriods + _bucketPeriods - 1,
            InvalidParams()
        );
        uint256 neededPeriods = _maxRetentionPeriods + _disputePeriods + _epochPeriods;
        require(neededPeriods <= _exitDelayPeriods, ExitDelayTooShort(neededPeriods, _exitDelayPeriods));
    }

    /// @dev What these columns are enough for.
    function _quorumOf(uint256 columns) internal view returns (DaStatus) {
        uint256 count = BitmapLib.count(columns);
        require(count >= _softColumns, TooFewColumns(count, _softColumns));
        return count >= _finalColumns ? DaStatus.Final : DaStatus.Soft;
    }
}

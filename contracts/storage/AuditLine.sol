// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {IStorageMarket} from "../interfaces/IStorageMarket.sol";
import {IStorageProver, LineEntry, LineFigures} from "../interfaces/IStorageProver.sol";
import {ClockLib} from "../libraries/ClockLib.sol";

/// @title AuditLine
/// @notice The part of StorageProver that knows where stored sectors lie: draws fall on this line, not on the Flow.
/// @dev Positions are handed out once and never again:
///
///   0 ....... tail ===live===dead===live=== end ---append--->
///              |--moveTail: over the dead, and the live once more at the end--^
///
/// Invariants (numbered on from StorageProver):
/// 3. next.live = sectors of all deals that live in the next period, before endings at its boundary = sum of later
///    endings.
/// 4. tail <= start of every live deal's newest entry: every live sector lies exactly once in [tail, end).
/// 5. After `moveTail` has nothing to move, span <= 2 x live: a live sector's chance is at least D / live with at most
///    2 D + 1 draws. Without it the draws stop at 8 D.
abstract contract AuditLine is IStorageProver {
    using SafeCast for uint256;

    /// @dev Expiry buckets that one mutation may pass by the way; further back, `roll` comes first.
    uint256 private constant MAX_BUCKETS = 64;

    /// @dev Figures that hold in `period`.
    struct Present {
        uint32 period;
        uint32 entries;
        uint64 tail;
        uint64 end;
        uint64 live;
    }

    /// @dev Figures that will hold in the period after; `live` before the endings at its boundary.
    struct Coming {
        uint64 tail;
        uint64 end;
        uint64 live;
        uint64 tailEntry;
    }

    address private immutable _deployer;
    uint256 private immutable _startBlock;
    uint256 internal immutable _periodBlocks;
    uint256 private immutable _bucketPeriods;

    IStorageMarket internal _market;
    Present internal _now;
    Coming private _next;
    mapping(uint256 entryIndex => LineEntry) internal _entries;
    mapping(uint256 period => uint256 sectors) private _ending;

    constructor(IBeacon beacon, uint256 bucketPeriods) {
        _deployer = msg.sender;
        _startBlock = beacon.startBlock();
        _periodBlocks = beacon.periodBlocks();
        _bucketPeriods = bucketPeriods;
    }

    /// @inheritdoc IStorageProver
    function wire(address market_) external {
        require(msg.sender == _deployer, NotDeployer(msg.sender));
        require(address(_market) == address(0), AlreadyWired());
        require(market_ != address(0), InvalidParams());
        _market = IStorageMarket(market_);
    }

    /// @inheritdoc IStorageProver
    function append(uint256 txSeq, uint256 length, uint256 endPeriod) external returns (uint256 entryIndex) {
        require(msg.sender == address(_market), NotAuthorized(msg.sender));
        uint256 current = _rollFully();
        require(length != 0 && endPeriod > current + 1 && endPeriod % _bucketPeriods == 0, InvalidParams());
        _ending[endPeriod] += length;
        _next.live += length.toUint64();
        return _appendEntry(txSeq, length);
    }

    /// @inheritdoc IStorageProver
    function moveTail(uint256 maxEntries) external returns (uint256 moved) {
        uint256 deadline = _rollFully() + 1;
        uint256 live = _next.live - _ending[deadline];
        while (moved < maxEntries && _next.tailEntry < _now.entries) {
            LineEntry memory first = _entries[_next.tailEntry];
            bool dead = _market.endPeriodOf(first.txSeq) <= deadline;
            if (!dead && _next.end - _next.tail <= 2 * live) break;
            if (!dead) _appendEntry(first.txSeq, first.sectors);
            _next.tail += first.sectors;
            ++_next.tailEntry;
            ++moved;
        }
        require(moved != 0, NothingToMove());
        emit TailMoved(_next.tail, _next.tailEntry);
    }

    /// @inheritdoc IStorageProver
    function roll(uint256 maxBuckets) external returns (uint256 reachedPeriod) {
        return _roll(maxBuckets);
    }

    /// @inheritdoc IStorageProver
    function market() external view returns (address) {
        return address(_market);
    }

    /// @inheritdoc IStorageProver
    function entryCount() external view returns (uint256) {
        return _now.entries;
    }

    /// @inheritdoc IStorageProver
    function entry(uint256 entryIndex) external view returns (LineEntry memory) {
        return _entries[entryIndex];
    }

    /// @inheritdoc IStorageProver
    function tailEntry() external view returns (uint256) {
        return _next.tailEntry;
    }

    /// @inheritdoc IStorageProver
    function figures() external view returns (LineFigures memory) {
        Present memory present = _presentFully();
        return LineFigures(present.tail, present.end, present.live);
    }

    /// @inheritdoc IStorageProver
    function nextFigures() external view returns (LineFigures memory) {
        Present memory present = _presentFully();
        Coming memory coming = _next;
        uint64 live = present.period == _now.period ? coming.live : present.live;
        return LineFigures(coming.tail, coming.end, live - _ending[uint256(present.period) + 1].toUint64());
    }

    function _appendEntry(uint256 txSeq, uint256 length) private returns (uint256 entryIndex) {
        uint64 start = _next.end;
        entryIndex = _now.entries++;
        _entries[entryIndex] = LineEntry(start, length.toUint64(), txSeq.toUint64());
        _next.end = start + length.toUint64();
        emit Appended(entryIndex, txSeq, start, length);
    }

    function _rollFully() internal returns (uint256 current) {
        current = _currentPeriod();
        uint256 reached = _roll(MAX_BUCKETS);
        require(reached == current, LineBehind(reached, current));
    }

    function _roll(uint256 maxBuckets) private returns (uint256 reached) {
        Present memory present = _present(maxBuckets);
        if (present.period == _now.period) return present.period;
        _now = present;
        _next.live = present.live;
        return present.period;
    }

    function _presentFully() private view returns (Present memory present) {
        present = _present(MAX_BUCKETS);
        uint256 current = _currentPeriod();
        require(present.period == current, LineBehind(present.period, current));
    }

    /// @dev The figures as far towards the present period as `maxBuckets` expiry buckets go.
    function _present(uint256 maxBuckets) private view returns (Present memory present) {
        present = _now;
        uint256 current = _currentPeriod();
        if (present.period >= current || maxBuckets == 0) return present;
        present.tail = _next.tail;
        present.end = _next.end;
        uint256 live = _next.live;
        uint256 reached = present.period;
        while (reached < current && maxBuckets != 0) {
            reached = Math.min(current, reached - (reached % _bucketPeriods) + _bucketPeriods);
            if (reached % _bucketPeriods == 0) {
                live -= _ending[reached];
                --maxBuckets;
            }
            if (live == 0) reached = current;
        }
        present.period = reached.toUint32();
        present.live = live.toUint64();
    }

    function _boundary(uint256 period) internal view returns (uint256) {
        return ClockLib.periodStart(_startBlock, _periodBlocks, period);
    }

    function _currentPeriod() internal view returns (uint256) {
        return ClockLib.periodAt(_startBlock, _periodBlocks, block.number);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {IAuditLine, LineFigures} from "../interfaces/IAuditLine.sol";
import {ClockLib} from "../libraries/ClockLib.sol";

/// @title AuditLine
/// @notice Where the things that a prover audits lie: draws fall on this line. A thing (a deal, a blob) has an id, a
/// length in positions (sectors, cells) and the period in which it ends.
/// @dev Positions are handed out once and never again:
///
///   0 ....... tail ===live===dead===live=== end ---append--->
///              |--moveTail: over the dead, and the live once more at the end--^
///
/// Invariants (numbered on from AuditRounds):
/// 3. next.live = positions of all that lives in the next period, before endings at its boundary = sum of later
///    endings.
/// 4. tail <= start of every live thing's newest entry: all that lives lies exactly once in [tail, end).
/// 5. After `moveTail` has nothing to move, span <= 2 x live: a live position's chance is at least D / live with at
///    most 2 D + 1 draws. Without it the draws stop at 8 D.
abstract contract AuditLine is IAuditLine {
    using SafeCast for uint256;

    /// @dev Expiry buckets that one mutation may pass by the way; further back, `roll` comes first.
    uint256 private constant MAX_BUCKETS = 64;

    /// @dev The positions [start, start + length) belong to `id`.
    struct Stretch {
        uint64 start;
        uint64 length;
        uint64 id;
    }

    /// @dev Figures that hold in `period`. `prepared` entries have their storage open.
    struct Present {
        uint32 period;
        uint32 prepared;
        uint64 tail;
        uint64 end;
        uint64 live;
    }

    /// @dev Figures that will hold in the period after; `live` before the endings at its boundary. All entries made.
    struct Coming {
        uint64 tail;
        uint64 end;
        uint64 live;
        uint32 tailEntry;
        uint32 entries;
    }

    /// @dev Positions that end at a period's boundary; `open` keeps the word's storage open while there are none yet.
    struct Ending {
        uint248 positions;
        bool open;
    }

    uint256 private immutable _startBlock;
    uint256 internal immutable _periodBlocks;
    uint256 private immutable _bucketPeriods;

    Present internal _now;
    Coming private _next;
    mapping(uint256 entryIndex => Stretch) internal _stretches;
    mapping(uint256 period => Ending) private _endings;

    constructor(IBeacon beacon, uint256 bucketPeriods) {
        _startBlock = beacon.startBlock();
        _periodBlocks = beacon.periodBlocks();
        _bucketPeriods = bucketPeriods;
    }

    /// @inheritdoc IAuditLine
    function moveTail(uint256 maxEntries) external returns (uint256 moved) {
        uint256 deadline = _rollFully() + 1;
        uint256 live = _next.live - _endings[deadline].positions;
        while (moved < maxEntries && _next.tailEntry < _next.entries) {
            Stretch memory first = _stretches[_next.tailEntry];
            bool dead = _endPeriodOf(first.id) <= deadline;
            if (!dead && _next.end - _next.tail <= 2 * live) break;
            if (!dead) _appendStretch(first.id, first.length);
            _next.tail += first.length;
            ++_next.tailEntry;
            ++moved;
        }
        require(moved != 0, NothingToMove());
        emit TailMoved(_next.tail, _next.tailEntry);
    }

    /// @inheritdoc IAuditLine
    function roll(uint256 maxBuckets) external returns (uint256 reachedPeriod) {
        return _roll(maxBuckets);
    }

    /// @inheritdoc IAuditLine
    function entryCount() external view returns (uint256) {
        return _next.entries;
    }

    /// @inheritdoc IAuditLine
    function tailEntry() external view returns (uint256) {
        return _next.tailEntry;
    }

    /// @inheritdoc IAuditLine
    function figures() external view returns (LineFigures memory) {
        Present memory present = _presentFully();
        return LineFigures(present.tail, present.end, present.live);
    }

    /// @inheritdoc IAuditLine
    function nextFigures() external view returns (LineFigures memory) {
        Present memory present = _presentFully();
        Coming memory coming = _next;
        uint64 live = present.period == _now.period ? coming.live : present.live;
        uint256 ending = _endings[uint256(present.period) + 1].positions;
        return LineFigures(coming.tail, coming.end, live - ending.toUint64());
    }

    /// @dev When the thing ends: it is dead from this period on.
    function _endPeriodOf(uint256 id) internal view virtual returns (uint256);

    /// @dev Tells of a new entry, in the words of the layer.
    function _emitAppended(uint256 entryIndex, uint256 id, uint256 start, uint256 length) internal virtual;

    /// @dev Opens the storage that an entry to come will need: the caller pays what `_append` then saves.
    function _prepare(uint256 endPeriod) internal {
        if (!_endings[endPeriod].open) _endings[endPeriod].open = true;
        uint256 prepared = Math.max(_now.prepared, _next.entries);
        _stretches[prepared].id = type(uint64).max;
        _now.prepared = (prepared + 1).toUint32();
    }

    /// @dev Gives a thing the next positions, from the next period on.
    function _append(uint256 id, uint256 length, uint256 endPeriod) internal returns (uint256 entryIndex) {
        uint256 current = _rollFully();
        require(length != 0 && endPeriod > current + 1 && endPeriod % _bucketPeriods == 0, InvalidParams());
        _endings[endPeriod].positions += length.toUint248();
        _next.live += length.toUint64();
        return _appendStretch(id, length);
    }

    function _appendStretch(uint256 id, uint256 length) private returns (uint256 entryIndex) {
        uint64 start = _next.end;
        entryIndex = _next.entries++;
        _stretches[entryIndex] = Stretch(start, length.toUint64(), id.toUint64());
        _next.end = start + length.toUint64();
        _emitAppended(entryIndex, id, start, length);
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
                live -= _endings[reached].positions;
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

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAuditLine, Round} from "../../../contracts/interfaces/IAuditLine.sol";
import {DaLineEntry} from "../../../contracts/interfaces/IDaProver.sol";
import {DaBlob, DaConfirmation, DaHeader, DaStatus} from "../../../contracts/interfaces/IDataAvailability.sol";
import {BitmapLib} from "../../../contracts/libraries/BitmapLib.sol";
import {DaActors} from "./DaActors.sol";
import {DaSystem} from "./DaSystem.sol";

/// @title DaHandler
/// @notice Random deeds on the real contracts. A deed that is not possible now does nothing; one that is must not revert,
/// but for the refusals named where they are caught. It is also the court.
abstract contract DaHandler is DaActors {
    uint256 private constant PERIOD_BLOCKS = 24;
    uint256 private constant WINDOW_BLOCKS = 8;
    uint256 private constant CONFIRM_BLOCKS = 20;
    uint256 private constant PAYLOAD_BYTES_PER_BLOB = 126_976;

    /// @dev A blob as this test remembers it.
    struct Kept {
        bytes32 blobId;
        address payer;
        uint256 feeWei;
        uint256 epoch;
        uint256 blobCount;
        uint256 expiresAt;
        uint256 confirmBy;
        uint256 confirmedIn;
        uint256 columns;
        uint256 forfeited;
        bool convicted;
        bool wasFinal;
        bool settled;
    }

    /// @dev A draw, found.
    struct Drawn {
        uint256 period;
        uint256 draw;
        uint256 entryIndex;
        uint256 blob;
        uint256 blobIndex;
        uint256 column;
    }

    address private immutable _judge;
    uint256 private _nonce;
    uint256 private _fault;
    Kept[] internal _blobs;

    /// @notice How often each deed really happened.
    mapping(bytes32 deed => uint256) public done;
    /// @notice Money that went into DataAvailability, and out of it.
    uint256 public inWei;
    uint256 public outWei;
    mapping(address disperser => uint256 period) public bondedUntil;

    constructor(DaSystem system) DaActors(system) {
        _judge = msg.sender;
    }

    /// @notice Everybody stakes and joins, and the first committee is formed. Not a deed: only the judge's, once.
    function start() external {
        if (msg.sender != _judge || done["newEpoch"] != 0) return;
        _joinAll();
        _form(1);
    }

    function blobCount() external view returns (uint256) {
        return _blobs.length;
    }

    function blob(uint256 index) external view returns (Kept memory) {
        return _blobs[index];
    }

    function submit(uint256 disperserSeed, uint256 size, uint256 overpaidWei) public {
        (bool found, uint256 disperser) = _freeDisperser(disperserSeed);
        if (!found) return;
        uint256 expiresAt = _expiry(size);
        if (expiresAt == 0) {
            _form(size);
            expiresAt = _expiry(size);
        }
        DaHeader memory header = _header(disperserAt(disperser), 1 + size % 2, expiresAt);
        bytes32 blobId = da.blobIdOf(header);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_disperserKey(disperser), blobId);
        address payer = actors[MEMBERS + DISPERSERS + disperserSeed % PAYERS];
        uint256 feeWei = da.feeOf(header.blobCount, expiresAt - beacon.currentPeriod());
        overpaidWei %= 1 ether;
        uint256 beforeWei = da.creditOf(payer);
        vm.prank(payer);
        da.submit{value: feeWei + overpaidWei}(header, abi.encodePacked(r, s, v));
        _same("what is paid too much is credited", da.creditOf(payer) - beforeWei, overpaidWei);
        inWei += feeWei + overpaidWei;
        Kept storage kept = _blobs.push();
        (kept.blobId, kept.payer, kept.feeWei) = (blobId, payer, feeWei);
        (kept.epoch, kept.blobCount, kept.expiresAt) = (header.epoch, header.blobCount, expiresAt);
        kept.confirmBy = block.number + CONFIRM_BLOCKS;
        if (bondedUntil[header.disperser] < expiresAt + 2) bondedUntil[header.disperser] = expiresAt + 2;
        ++done["submit"];
    }

    function confirm(uint256 pick, uint256 members) external {
        uint256 count = _blobs.length;
        for (uint256 i; i < count; ++i) {
            uint256 index = count - 1 - (pick % count + i) % count;
            Kept storage kept = _blobs[index];
            if (kept.settled || kept.convicted || block.number >= kept.confirmBy) continue;
            if (_confirm(kept, members % (1 << MEMBERS))) return;
        }
        if (members % 4 != 0) return;
        submit(pick, members, pick);
        if (_blobs.length != count) _confirm(_blobs[count], (1 << MEMBERS) - 1);
    }

    function refund(uint256 pick) external {
        uint256 count = _blobs.length;
        for (uint256 i; i < count; ++i) {
            Kept storage kept = _blobs[(pick % count + i) % count];
            if (kept.settled || kept.columns != 0 || block.number < kept.confirmBy) continue;
            _refund(kept);
            return;
        }
    }

    function claim(uint256 pick) external {
        uint256 count = _blobs.length;
        for (uint256 i; i < count; ++i) {
            Kept storage kept = _blobs[(pick % count + i) % count];
            if (kept.settled || kept.columns == 0 || beacon.currentPeriod() < kept.expiresAt + 2) continue;
            _claim(kept);
            return;
        }
    }

    function convict(uint256 pick, uint256 columns) external {
        uint256 count = _blobs.length;
        if (count == 0 || columns % 3 != 0) return;
        Kept storage kept = _blobs[pick % count];
        if (kept.settled) return;
        columns = uint128(columns >> 64 & columns >> 32);
        da.convict(kept.blobId, columns);
        kept.convicted = true;
        kept.forfeited |= columns;
        ++done["convict"];
    }

    function slashDisperser(uint256 disperserSeed) external {
        if (disperserSeed % 7 != 0) return;
        // One disperser stays honest, so that blobs go on.
        address disperser = disperserAt(1 + disperserSeed % (DISPERSERS - 1));
        (uint256 beforeWei,) = staking.allocationOf(disperser, address(da));
        if (da.isConvicted(disperser) || beforeWei < 1 ether) return;
        da.slashDisperser(disperser, keccak256(abi.encode(++_fault)), actors[STRANGER], 5_000);
        (uint256 afterWei,) = staking.allocationOf(disperser, address(da));
        _same("a conviction costs the bond", beforeWei - afterWei, 1 ether);
        ++done["slashDisperser"];
    }

    function newEpoch(uint256 hashSeed) external {
        _form(hashSeed);
    }

    function openRound(uint256 hashSeed) external {
        _open(hashSeed);
    }

    function answer(uint256 drawSeed, uint256 sender) external {
        uint256 period = beacon.currentPeriod();
        if (prover.round(period).seed == 0 && !_open(drawSeed)) return;
        period = beacon.currentPeriod();
        (, uint256 closesAt,) = prover.windowsOf(period);
        if (block.number >= closesAt) return;
        (bool found, Drawn memory drawn) = _findDraw(period, drawSeed);
        if (!found) return;
        Kept storage kept = _blobs[drawn.blob];
        address holder = committee.ownerOf(kept.epoch, drawn.column);
        uint256 beforeWei = da.creditOf(holder);
        vm.prank(actors[sender % actors.length]);
        prover.answer(
            period,
            drawn.draw,
            drawn.entryIndex,
            abi.encodePacked(_cell(), _proof()),
            _path(kept.blobCount, drawn.blobIndex, drawn.column)
        );
        _atMost("a bounty is that of the round", da.creditOf(holder) - beforeWei, prover.round(period).bountyWei);
        ++done["answer"];
    }

    function reportMiss(uint256 drawSeed) external {
        uint256 period = beacon.currentPeriod();
        if (prover.round(period).seed == 0 && !_open(drawSeed)) return;
        period = beacon.currentPeriod();
        (, uint256 opensAt, uint256 closesAt) = prover.windowsOf(period);
        if (block.number >= closesAt) return;
        if (block.number < opensAt) vm.roll(opensAt);
        (bool found, Drawn memory drawn) = _findDraw(period, drawSeed);
        if (!found) return;
        Kept storage kept = _blobs[drawn.blob];
        if (da.blobOf(kept.blobId).confirmedAtBlock >= beacon.periodStart(period)) return;
        _report(kept, drawn);
    }

    function moveTail(uint256 maxEntries) external {
        try prover.moveTail(1 + maxEntries % 4) {
            ++done["moveTail"];
        } catch (bytes memory reason) {
            require(bytes4(reason) == IAuditLine.NothingToMove.selector, string(reason));
        }
    }

    function withdraw(uint256 accountSeed) external {
        address account = actors[accountSeed % actors.length];
        if (da.creditOf(account) == 0) return;
        _withdraw(account);
        ++done["withdraw"];
    }

    /// @dev A disperser takes its bond back. The exit delay outlasts every header, so the bond is free when it is over.
    function takeBondBack(uint256 disperserSeed, bool completes) external {
        address disperser = disperserAt(disperserSeed % DISPERSERS);
        (uint256 allocatedWei, uint256 pendingWei) = staking.allocationOf(disperser, address(da));
        if (!completes) {
            if (disperserSeed % 8 != 0 || allocatedWei == pendingWei) return;
            vm.prank(disperser);
            staking.requestDeallocation(address(da), (allocatedWei - pendingWei) / (1 + (disperserSeed >> 8) % 2));
            ++done["requestDeallocation"];
            return;
        }
        uint256 readyAt = staking.completableAt(disperser, address(da));
        if (readyAt == 0 || block.number < readyAt) return;
        staking.completeDeallocation(disperser, address(da));
        vm.prank(disperser);
        staking.allocate(address(da), pendingWei);
        ++done["takeBondBack"];
    }

    function jump(uint256 seed) external {
        uint256 kind = seed % 16;
        uint256 next = beacon.periodStart(beacon.currentPeriod() + 1);
        if (kind < 10) vm.roll(block.number + 1 + seed % 7);
        else if (kind < 15) vm.roll(next + seed % 4);
        else vm.roll(next + PERIOD_BLOCKS * (seed % 9));
        ++done["jump"];
    }

    /// @dev Coins that nobody asked for belong to nobody.
    function force(uint256 amountWei) external {
        vm.deal(address(da), address(da).balance + amountWei % 1 ether);
        ++done["force"];
    }

    /// @notice Goes on to where everything is over, settles and withdraws everything. Not a deed: only the judge's.
    function drain() external {
        if (msg.sender != _judge) return;
        vm.roll(beacon.periodStart(beacon.currentPeriod() + 20));
        for (uint256 i; i < _blobs.length; ++i) {
            Kept storage kept = _blobs[i];
            if (kept.settled) continue;
            if (kept.columns == 0) _refund(kept);
            else _claim(kept);
        }
        for (uint256 i; i < actors.length; ++i) {
            if (da.creditOf(actors[i]) != 0) _withdraw(actors[i]);
        }
    }

    /// @dev Whether the confirmation was possible. It must go through exactly when the columns are enough and more.
    function _confirm(Kept storage kept, uint256 members) private returns (bool) {
        uint256 columns;
        for (uint256 i; i < MEMBERS; ++i) {
            if ((members >> i) & 1 == 0) continue;
            (, uint256 slot) = committee.slotOf(actors[i]);
            columns |= committee.columnsOf(kept.epoch, slot);
        }
        uint256 count = BitmapLib.count(columns);
        if (count < 86 || columns & kept.columns != kept.columns || columns == kept.columns) return false;
        (uint256 signers, bytes memory signature) =
            _signTogether(da.attestationDigest(kept.blobId, kept.epoch), members);
        DaStatus status = da.confirm(DaConfirmation(block.chainid, kept.epoch, kept.blobId, signers, signature));
        require((status == DaStatus.Final) == (count >= 107), "final at the quorum");
        if (kept.columns == 0) kept.confirmedIn = beacon.currentPeriod();
        kept.columns = columns;
        kept.wasFinal = kept.wasFinal || status == DaStatus.Final;
        ++done[status == DaStatus.Final ? bytes32("final") : bytes32("soft")];
        return true;
    }

    function _refund(Kept storage kept) private {
        uint256 beforeWei = da.creditOf(kept.payer);
        da.refund(kept.blobId);
        uint256 backWei = da.creditOf(kept.payer) - beforeWei;
        _same("a refund keeps its share, rounded up", kept.feeWei - backWei, (kept.feeWei * 333 + 9_999) / 10_000);
        kept.settled = true;
        ++done["refund"];
    }

    /// @dev Against a sum over single columns.
    function _claim(Kept storage kept) private {
        uint256[] memory owedWei = new uint256[](actors.length);
        uint256[] memory beforeWei = new uint256[](actors.length);
        address[] memory owners = committee.ownersOf(kept.epoch);
        uint256 columnWei = kept.feeWei * 8_500 / 10_000 / 128;
        uint256 potWei = da.potWei() + kept.feeWei;
        for (uint256 k; k < 128; ++k) {
            bool isSigned = (kept.columns >> k) & 1 != 0;
            if (isSigned && (kept.forfeited >> k) & 1 != 0) continue;
            address owed = isSigned ? owners[k] : kept.payer;
            for (uint256 i; i < actors.length; ++i) {
                if (actors[i] == owed) owedWei[i] += columnWei;
            }
            potWei -= columnWei;
        }
        for (uint256 i; i < actors.length; ++i) beforeWei[i] = da.creditOf(actors[i]);
        da.claim(kept.blobId);
        for (uint256 i; i < actors.length; ++i) {
            _same("pay of an expired blob", da.creditOf(actors[i]) - beforeWei[i], owedWei[i]);
        }
        _same("the rest is the pot's", da.potWei(), potWei);
        kept.settled = true;
        ++done["claim"];
    }

    function _report(Kept storage kept, Drawn memory drawn) private {
        address reporter = actors[STRANGER];
        address attester = committee.ownerOf(kept.epoch, drawn.column);
        (uint256 stakeWei,) = staking.allocationOf(attester, address(committee));
        if (stakeWei == 0) return;
        uint256 beforeWei = da.creditOf(reporter) + staking.claimable(reporter);
        vm.prank(reporter);
        prover.reportMiss(drawn.period, drawn.draw, drawn.entryIndex);
        (uint256 leftWei,) = staking.allocationOf(attester, address(committee));
        uint256 gainedWei = da.creditOf(reporter) + staking.claimable(reporter) - beforeWei;
        _atMost("a reporter gets half at most", 2 * gainedWei, stakeWei - leftWei);
        kept.forfeited |= 1 << drawn.column;
        ++done["reportMiss"];
    }

    function _withdraw(address account) private {
        uint256 beforeWei = account.balance;
        vm.prank(account);
        uint256 amountWei = da.withdraw(account);
        _same("a withdrawal pays what it says", account.balance - beforeWei, amountWei);
        outWei += amountWei;
    }

    /// @dev Forms the committee of the present epoch, or of the next one.
    function _form(uint256 hashSeed) private {
        uint256 epoch = beacon.currentEpoch();
        if (epoch == 0 || committee.epochOf(epoch).keySet != address(0)) ++epoch;
        uint256 boundary = beacon.periodStart(2 * epoch);
        if (block.number <= boundary) vm.roll(boundary + 1 + hashSeed % 3);
        if (beacon.seedOf(2 * epoch) == 0) {
            vm.setBlockhash(boundary, keccak256(abi.encode(boundary, hashSeed)));
        }
        vm.prank(actors[STRANGER]);
        committee.newEpoch("");
        ++done["newEpoch"];
    }

    function _open(uint256 hashSeed) private returns (bool) {
        uint256 period = beacon.currentPeriod();
        uint256 boundary = beacon.periodStart(period);
        bool open = block.number > boundary && block.number < boundary + WINDOW_BLOCKS;
        if (!open || prover.round(period).seed != 0) {
            boundary += PERIOD_BLOCKS;
            ++period;
            vm.roll(boundary + 1 + hashSeed % (WINDOW_BLOCKS - 1));
        }
        if (prover.figures().live == 0) return false;
        if (beacon.seedOf(period) == 0) vm.setBlockhash(boundary, keccak256(abi.encode(boundary, hashSeed)));
        address opener = actors[STRANGER];
        uint256 beforeWei = da.creditOf(opener);
        vm.prank(opener);
        uint256 draws = prover.openRound(period, "");
        Round memory opened = prover.round(period);
        _same("opening pays one bounty", da.creditOf(opener) - beforeWei, opened.bountyWei);
        _atMost("a round's bounties fit the pot", draws * opened.bountyWei, da.potWei());
        ++done["openRound"];
        return true;
    }

    /// @dev An unresolved draw on a live, signed cell.
    function _findDraw(uint256 period, uint256 seed) private view returns (bool, Drawn memory drawn) {
        uint256 draws = prover.round(period).draws;
        drawn.period = period;
        for (uint256 i; i < draws; ++i) {
            drawn.draw = (seed % draws + i) % draws;
            if (prover.isResolved(period, drawn.draw)) continue;
            uint256 position = prover.drawPosition(period, drawn.draw);
            drawn.entryIndex = _entryAt(position);
            DaLineEntry memory entry = prover.entry(drawn.entryIndex);
            drawn.blob = entry.blobNumber - 1;
            Kept storage kept = _blobs[drawn.blob];
            drawn.column = (position - entry.start) / kept.blobCount;
            drawn.blobIndex = (position - entry.start) % kept.blobCount;
            if (period < kept.expiresAt && (kept.columns >> drawn.column) & 1 != 0) return (true, drawn);
        }
        return (false, drawn);
    }

    /// @dev The last entry that starts at `position` or before.
    function _entryAt(uint256 position) private view returns (uint256 low) {
        low = prover.tailEntry();
        uint256 high = prover.entryCount();
        // The round's line may have begun before the tail that holds now, which may have passed every entry.
        while (low == high || prover.entry(low).start > position) low = low / 2;
        while (high - low > 1) {
            uint256 middle = (low + high) / 2;
            if (prover.entry(middle).start <= position) low = middle;
            else high = middle;
        }
    }

    function _freeDisperser(uint256 seed) private view returns (bool, uint256 index) {
        for (uint256 i; i < DISPERSERS; ++i) {
            index = (seed % DISPERSERS + i) % DISPERSERS;
            address disperser = disperserAt(index);
            if (da.isConvicted(disperser)) continue;
            if (staking.backing(disperser, address(da)) >= 1 ether) return (true, index);
        }
        return (false, 0);
    }

    /// @dev An expiry that is allowed now, 0 when the committee is too old for any.
    function _expiry(uint256 seed) private view returns (uint256 expiresAt) {
        uint256 current = beacon.currentPeriod();
        uint256 latest = 2 * committee.activeEpoch() + 16 - 2;
        if (current + 8 < latest) latest = current + 8;
        expiresAt = (current + 3 + 1) / 2 * 2;
        if (expiresAt + 2 * (seed % 3) <= latest) expiresAt += 2 * (seed % 3);
        if (expiresAt > latest) return 0;
    }

    function _header(address disperser, uint256 blobs, uint256 expiresAt) private returns (DaHeader memory) {
        return DaHeader({
            version: 1,
            chainId: uint64(block.chainid),
            da: address(da),
            disperser: disperser,
            epoch: uint64(committee.activeEpoch()),
            nonce: uint64(++_nonce),
            blobCount: uint16(blobs),
            payloadBytes: uint64((blobs - 1) * PAYLOAD_BYTES_PER_BLOB + 1),
            payloadHash: keccak256(abi.encode(_nonce)),
            commitmentsRoot: keccak256("commitments"),
            cellsRoot: _cellsRoot(blobs),
            expiresAt: uint64(expiresAt)
        });
    }
}

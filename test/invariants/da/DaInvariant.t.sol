// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {LineFigures} from "../../../contracts/interfaces/IAuditLine.sol";
import {DaBlob, DaStatus, IDataAvailability} from "../../../contracts/interfaces/IDataAvailability.sol";
import {BitmapLib} from "../../../contracts/libraries/BitmapLib.sol";
import {Cheating} from "../storage/Cheats.sol";
import {DaHandler} from "./DaHandler.sol";
import {DaSystem} from "./DaSystem.sol";

/// @dev Declared here because the fuzzer knows only the contracts of the file it runs.
contract DaDeeds is DaHandler {
    constructor(DaSystem system) DaHandler(system) {}
}

/// @title DaInvariant
/// @notice The laws of DataAvailability and DaProver under random deeds on the real contracts, with real signatures.
contract DaInvariant is Cheating {
    error NeverHappened(bytes32 deed);

    DaSystem private _system;
    DaDeeds private _handler;
    IDataAvailability private _da;

    function setUp() external {
        _system = new DaSystem();
        _handler = new DaDeeds(_system);
        _system.wire(address(_handler));
        _handler.start();
        _da = _system.da();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    /// @dev The judge's own calls are not deeds.
    function excludeSenders() external view returns (address[] memory senders) {
        senders = new address[](1);
        senders[0] = address(this);
    }

    /// @notice One campaign holds every law: each of them after each deed.
    function invariant_data_availability() external view {
        _laws();
    }

    /// @notice The deeds really happen: one long random walk does every one of them, refusals included, and keeps the laws.
    function test_every_deed_happens() external {
        for (uint256 i; i < 500; ++i) {
            _deed(uint256(keccak256(abi.encode(i))));
            if (i % 100 == 0) _laws();
        }
        _laws();
        for (uint256 i; i < 17; ++i) {
            bytes32 deed = _deedName(i);
            require(_handler.done(deed) != 0, NeverHappened(deed));
        }
        afterInvariant();
    }

    /// @notice At the end of each run everything is settled: only the pot remains.
    function afterInvariant() public {
        _handler.drain();
        _laws();
        _same("only the pot remains", _da.potWei(), _da.accountedWei());
    }

    function _deed(uint256 seed) private {
        (uint256 a, uint256 b, uint256 c) = (seed >> 16, seed >> 80, seed >> 160);
        uint256 kind = seed % 24;
        if (kind < 3) _handler.submit(a, b, c);
        else if (kind < 7) _handler.confirm(a, b);
        else if (kind == 7) _handler.refund(a);
        else if (kind < 10) _handler.claim(a);
        else if (kind == 10) _handler.convict(a, b);
        else if (kind == 11) _handler.slashDisperser(a);
        else if (kind == 12) _handler.newEpoch(a);
        else if (kind == 13) _handler.openRound(a);
        else if (kind < 16) _handler.answer(a, b);
        else if (kind < 18) _handler.reportMiss(a);
        else if (kind == 18) _handler.moveTail(a);
        else if (kind == 19) _handler.withdraw(a);
        else if (kind < 22) _handler.takeBondBack(a, b % 2 == 0);
        else if (kind == 22) _handler.jump(a);
        else _handler.force(a);
    }

    function _deedName(uint256 index) private pure returns (bytes32) {
        return [
            bytes32("submit"), "soft", "final", "refund", "claim", "convict", "slashDisperser", "newEpoch", "openRound",
            "answer", "reportMiss", "moveTail", "withdraw", "requestDeallocation", "takeBondBack", "jump",
            "force"
        ][index];
    }

    function _laws() private view {
        uint256 unsettledWei = _blobsKeepTheirWord();
        _moneyConserves(unsettledWei);
        _line();
        _bondsAreLocked();
    }

    /// @dev Ledger 7 and 8.
    function _moneyConserves(uint256 unsettledWei) private view {
        uint256 creditsWei;
        for (uint256 i; i < _handler.actorCount(); ++i) creditsWei += _da.creditOf(_handler.actors(i));
        _same("escrow, pot and credits", unsettledWei + _da.potWei() + creditsWei, _da.accountedWei());
        _same("in - out", _handler.inWei() - _handler.outWei(), _da.accountedWei());
        _atMost("it has what it owes", _da.accountedWei(), address(_da).balance);
    }

    /// @dev Ledger 1 and 2: columns are those confirmed, FINAL is by quorum and for ever.
    function _blobsKeepTheirWord() private view returns (uint256 unsettledWei) {
        for (uint256 i; i < _handler.blobCount(); ++i) {
            DaHandler.Kept memory kept = _handler.blob(i);
            DaBlob memory blob = _da.blobOf(kept.blobId);
            if (!kept.settled) unsettledWei += kept.feeWei;
            _same("columns", blob.columns, kept.columns);
            _same("forfeited", blob.forfeited, kept.forfeited);
            require(_da.isFinal(kept.blobId) == kept.wasFinal, "final never turns back");
            require((blob.convictedAtBlock != 0) == kept.convicted, "conviction stays");
            if (!kept.wasFinal) continue;
            _atMost("a quorum", 107, BitmapLib.count(blob.columns));
            require(blob.status == DaStatus.Final && blob.finalAtBlock != 0, "final");
            if (kept.convicted) _atMost("final before it was convicted", blob.finalAtBlock, blob.convictedAtBlock);
        }
    }

    /// @dev Prover 3 and 4: the line's live cells are those of confirmed blobs that have not expired.
    function _line() private view {
        uint256 current = _system.beacon().currentPeriod();
        uint256 nowCells;
        uint256 nextCells;
        for (uint256 i; i < _handler.blobCount(); ++i) {
            DaHandler.Kept memory kept = _handler.blob(i);
            if (kept.columns == 0) continue;
            if (kept.confirmedIn < current && current < kept.expiresAt) nowCells += 128 * kept.blobCount;
            if (current + 1 < kept.expiresAt) nextCells += 128 * kept.blobCount;
        }
        LineFigures memory figures = _system.prover().figures();
        LineFigures memory next = _system.prover().nextFigures();
        _same("live now", figures.live, nowCells);
        _same("live next", next.live, nextCells);
        _atMost("span holds the live", next.live, next.end - next.tail);
    }

    /// @dev Ledger 3: while a header of a disperser may be disputed, its bond is there, unless it was taken.
    function _bondsAreLocked() private view {
        uint256 current = _system.beacon().currentPeriod();
        for (uint256 i; i < 3; ++i) {
            address disperser = _handler.disperserAt(i);
            bool bound = current < _handler.bondedUntil(disperser);
            _same("bound while disputable", _da.minAllocation(disperser), bound ? 1 ether : 0);
            if (!bound || _da.isConvicted(disperser)) continue;
            (uint256 allocatedWei,) = _system.staking().allocationOf(disperser, address(_da));
            _atMost("the bond is there", 1 ether, allocatedWei);
        }
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IStaking, Pool} from "../../../contracts/interfaces/IStaking.sol";
import {LineFigures} from "../../../contracts/interfaces/IAuditLine.sol";
import {LineEntry} from "../../../contracts/interfaces/IStorageProver.sol";
import {Cheating} from "./Cheats.sol";
import {StorageHandler} from "./StorageHandler.sol";
import {StorageSystem} from "./StorageSystem.sol";

/// @dev Declared here because the fuzzer knows only the contracts of the file it runs.
contract Deeds is StorageHandler {
    constructor(StorageSystem system) StorageHandler(system) {}
}

/// @title StorageInvariant
/// @notice The laws of StorageStreams, StorageProver and Staking under random deeds on the real contracts.
contract StorageInvariant is Cheating {
    uint256 private constant PROVIDERS = 6;

    error NeverHappened(bytes32 deed);

    StorageSystem private _system;
    Deeds private _handler;

    function setUp() external {
        _system = new StorageSystem();
        _handler = new Deeds(_system);
        _system.registerSlasher(address(_handler));
        _handler.start();
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
    function invariant_storage() external view {
        _laws();
    }

    /// @notice The deeds really happen: one long random walk does every one of them, refusals included, and keeps the laws.
    function test_every_deed_happens() external {
        for (uint256 i; i < 1_200; ++i) {
            _deed(uint256(keccak256(abi.encode(i))));
            if (i % 100 == 0) _laws();
        }
        _laws();
        for (uint256 i; i < 21; ++i) {
            bytes32 deed = _deedName(i);
            require(_handler.done(deed) != 0, NeverHappened(deed));
        }
        afterInvariant();
    }

    function _deed(uint256 seed) private {
        (uint256 a, uint256 b, uint256 c) = (seed >> 16, seed >> 80, seed >> 160);
        uint256 kind = seed % 28;
        if (kind < 2) _handler.submit(a, b, c);
        else if (kind == 2) _handler.configure(a, b, c);
        else if (kind < 6) _handler.seal(a, b);
        else if (kind == 6) _handler.handOver(a, b, c);
        else if (kind == 7) _handler.openRound(a);
        else if (kind < 12) _handler.answer(a, b);
        else if (kind < 14) _handler.reportMiss(a);
        else if (kind == 14) _handler.reinstate(a);
        else if (kind == 15) _handler.moveTail(a);
        else if (kind == 16) _handler.claim(a, b);
        else if (kind == 17) _handler.withdraw(a);
        else if (kind == 18) _handler.refund(a);
        else if (kind == 19) _handler.end(a);
        else if (kind == 20) _handler.delegate(a, b, c);
        else if (kind == 21) _handler.requestExit(a, b, c);
        else if (kind == 22) _handler.release(a);
        else if (kind == 23) _handler.requestDeallocation(a, b);
        else if (kind == 24) _handler.completeDeallocation(a);
        else if (kind == 25) _handler.slashDelegated(a, b);
        else if (kind == 26) _handler.addReward(a, b);
        else _handler.jump(a);
    }

    function _deedName(uint256 i) private pure returns (bytes32) {
        return [
            bytes32("submit"),
            "configure",
            "seal",
            "understaked",
            "handOver",
            "openRound",
            "answer",
            "reportMiss",
            "suspend",
            "reinstate",
            "deadDraw",
            "moveTail",
            "withdraw",
            "withdrawStake",
            "refund",
            "end",
            "release",
            "stakeLocked",
            "deallocate",
            "slashDelegated",
            "addReward"
        ][i];
    }

    function _laws() private view {
        _streamsConserve();
        _streamsParts();
        _line();
        _stakeConserves();
        _custodyIsBacked();
        _draws();
    }

    /// @dev Streams 1: every wei lies in exactly one place.
    function _streamsConserve() private view {
        uint256 sumWei = _system.streams().escrowWei() + _system.streams().streamingWei()
            + _system.streams().potWei() + _system.streams().bondsWei() + _system.streams().creditsWei();
        _same("streams hold in - out", sumWei, _handler.streamsInWei() - _handler.streamsOutWei());
        _same("streams balance", sumWei, address(_system.streams()).balance);
    }

    /// @dev Streams 1: each sum is the sum of its parts.
    function _streamsParts() private view {
        uint256 escrowWei;
        uint256 bondsWei;
        uint256 creditsWei;
        for (uint256 i; i < _handler.fileCount(); ++i) {
            escrowWei += _system.streams().escrowOf(i);
            bondsWei += _system.market().deal(i).bondWei;
        }
        for (uint256 i; i < _handler.actorCount(); ++i) {
            creditsWei += _system.streams().creditOf(_handler.actors(i));
        }
        _same("escrow", escrowWei, _system.streams().escrowWei());
        _same("bonds", bondsWei, _system.streams().bondsWei());
        _same("credits", creditsWei, _system.streams().creditsWei());
    }

    /// @dev Prover 3, 4: the line counts what lives, and every live sector lies on it once.
    function _line() private view {
        uint256 current = _system.beacon().currentPeriod();
        uint256 liveNow;
        uint256 liveNext;
        for (uint256 i; i < _handler.fileCount(); ++i) {
            StorageHandler.File memory file = _handler.file(i);
            if (!file.sealed_) continue;
            if (file.startPeriod <= current && current < file.endPeriod) liveNow += file.sectors;
            if (current + 1 < file.endPeriod) liveNext += file.sectors;
        }
        LineFigures memory figures = _system.prover().figures();
        LineFigures memory next = _system.prover().nextFigures();
        _same("live now", figures.live, liveNow);
        _same("live next", next.live, liveNext);
        uint256 onLine;
        for (uint256 i = _system.prover().tailEntry(); i < _system.prover().entryCount(); ++i) {
            LineEntry memory entry = _system.prover().entry(i);
            if (_system.market().endPeriodOf(entry.txSeq) > current + 1) onLine += entry.sectors;
        }
        _same("live sectors between tail and end", onLine, liveNext);
        _atMost("span holds the live", next.live, next.end - next.tail);
    }

    /// @dev Staking 1, 3: pools, claimable and burnable are all there is; no pool has more allocated than it has.
    function _stakeConserves() private view {
        IStaking staking = _system.staking();
        uint256 sumWei = staking.burnableWei();
        for (uint256 i; i < _handler.actorCount(); ++i) sumWei += staking.claimable(_handler.actors(i));
        for (uint256 i; i < PROVIDERS; ++i) {
            address provider = _handler.actors(i);
            IStaking.PoolView memory own = staking.poolOf(provider, Pool.Self);
            IStaking.PoolView memory delegated = staking.poolOf(provider, Pool.Delegated);
            sumWei += own.tokensWei + delegated.tokensWei;
            _atMost("own stake allocated", own.allocatedWei, own.tokensWei);
            _atMost("delegated stake allocated", delegated.allocatedWei, delegated.tokensWei);
            (uint256 allocatedWei,) = staking.allocationOf(provider, address(_system.prover()));
            _same("own stake has one service", allocatedWei, own.allocatedWei);
        }
        _same("stake accounted", sumWei, staking.accountedWei());
        _same("stake in - out", sumWei, _handler.stakingInWei() - _handler.stakingOutWei());
        _same("stake balance", sumWei, address(staking).balance);
    }

    /// @dev Storage laws 2, 4: only a slash leaves custody without the stake it needs.
    function _custodyIsBacked() private view {
        for (uint256 i; i < PROVIDERS; ++i) {
            address provider = _handler.actors(i);
            if (_handler.slashed(provider)) continue;
            (uint256 allocatedWei,) = _system.staking().allocationOf(provider, address(_system.prover()));
            _atMost("custody is backed", _system.streams().needOf(provider), allocatedWei);
        }
    }

    /// @dev Prover 5: with nothing left to move, chance >= D / live and draws <= 2 D + 1; and never more than 8 D draws.
    function _draws() private view {
        uint256 period = _system.beacon().currentPeriod();
        uint256 target = _system.TARGET_DRAWS();
        uint256 draws = _system.prover().round(period).draws;
        uint256 span = _system.prover().round(period).span;
        uint256 live = _system.prover().round(period).live;
        _atMost("draws", draws, 8 * target);
        if (span <= 8 * live) _atMost("chance of a live sector", target * span, draws * live);
        if (span <= 2 * live) _atMost("draws of a moved line", draws, 2 * target + 1);
    }

    /// @notice At the end of each run: everything settles to nothing but the pot, and every provider was paid its rate for each
    /// period that was opened and in which it neither missed nor was suspended (law 3), to the wei.
    function afterInvariant() public {
        _handler.drain();
        for (uint256 i; i < PROVIDERS; ++i) _handler.checkPay(_handler.actors(i));
        _same("streaming at the end", _system.streams().streamingWei(), 0);
        _same("escrow at the end", _system.streams().escrowWei(), 0);
        _same("bonds at the end", _system.streams().bondsWei(), 0);
        _same("credits at the end", _system.streams().creditsWei(), 0);
        _same("only the pot remains", _system.streams().potWei(), address(_system.streams()).balance);
    }
}

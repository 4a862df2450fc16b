// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAuditLine, Round} from "../../../contracts/interfaces/IAuditLine.sol";
import {Submission} from "../../../contracts/interfaces/IFlow.sol";
import {IStaking, Pool} from "../../../contracts/interfaces/IStaking.sol";
import {Custodian, HandOver, IStorageMarket, SealRequest} from "../../../contracts/interfaces/IStorageMarket.sol";
import {CustodyProof, IStorageProver, LineEntry} from "../../../contracts/interfaces/IStorageProver.sol";
import {CustodyLib} from "../../../contracts/libraries/CustodyLib.sol";
import {StorageActors} from "./StorageActors.sol";
import {StorageSystem} from "./StorageSystem.sol";

/// @title StorageHandler
/// @notice Random deeds on the real contracts. A deed that is not possible now does nothing; one that is must not revert,
/// but for the refusals named where they are caught.
abstract contract StorageHandler is StorageActors {
    uint256 private constant PERIOD_BLOCKS = 24;
    uint256 private constant WINDOW_BLOCKS = 8;
    uint256 private constant BOND_WEI = 0.01 ether;
    bytes32 private constant CUSTODY_TYPEHASH = keccak256(
        "Custody(uint256 txSeq,bytes32 digest,bytes32 custodyRoot,uint256 shardBitmap,uint256 ratePerPeriod,uint256 expiresAt,uint256 validUntil)"
    );
    bytes32 private constant TAKEOVER_TYPEHASH = keccak256(
        "Takeover(uint256 txSeq,uint256 shardIndex,bytes32 custodyRoot,uint256 ratePerPeriod,uint256 validUntil)"
    );

    bytes32 private immutable _domain;
    /// @dev A draw, found: sector `offset` of the file's positions.
    struct Drawn {
        uint256 period;
        uint256 draw;
        uint256 entryIndex;
        uint256 txSeq;
        uint256 offset;
        uint256 shard;
    }

    address private immutable _judge;
    uint256 private _fault;

    /// @notice The naive ledger of pay: what changes a provider's rate when a period begins, and what bars its pay.
    mapping(address provider => mapping(uint256 period => int256)) public rateStep;
    mapping(address provider => mapping(uint256 period => bool)) public barred;
    mapping(address provider => uint256) public suspendedFrom;
    uint256 public lastEnd;

    constructor(StorageSystem system_) StorageActors(system_) {
        _judge = msg.sender;
        _domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("ZeroG StorageMarket"),
                keccak256("1"),
                block.chainid,
                address(market)
            )
        );
    }

    /// @notice Gives every provider stake of both kinds. Not a deed: only the judge's, once.
    function start() external {
        if (msg.sender != _judge || stakingInWei != 0) return;
        _registerProviders();
        for (uint256 i; i < PROVIDERS; ++i) {
            vm.prank(actors[PROVIDERS + OWNERS]);
            staking.delegate{value: 0.1 ether}(actors[i]);
            stakingInWei += 0.1 ether;
            vm.prank(actors[i]);
            staking.allocate(address(this), 0.06 ether);
        }
    }

    /// @dev The delegated service of this test never binds anything.
    function minAllocation(address) external pure returns (uint256) {
        return 0;
    }

    function submit(uint256 shape, uint256 ownerSeed, uint256 overpaidWei) public {
        shape %= SHAPES;
        address owner = _owner(ownerSeed);
        uint256 txSeq = flow.numSubmissions();
        Submission memory submission = _submissionOf(txSeq, shape, owner);
        uint256 feeWei = submission.data.length / 256 * market.pricePerSector();
        uint256 beforeWei = owner.balance;
        vm.prank(owner);
        flow.submit{value: feeWei + overpaidWei % 1 ether}(submission);
        _same("a submission costs its fee", beforeWei - owner.balance, feeWei);
        File storage made = _files.push();
        (made.shape, made.owner, made.depositedWei) = (shape, owner, feeWei);
        streamsInWei += feeWei;
        ++done["submit"];
    }

    function configure(uint256 pick, uint256 parity, uint256 term) external {
        (bool found, uint256 txSeq) = _pickOpen(pick);
        if (!found) return;
        File storage chosen = _files[txSeq];
        uint256 sectors = _submissionOf(txSeq, chosen.shape, chosen.owner).data.length / 256;
        (parity, term) = (4 + parity % 9, 3 + term % 38);
        uint256 topUpWei = 2 * market.quote(sectors, parity, term);
        vm.prank(chosen.owner);
        market.configure{value: topUpWei}(txSeq, parity, term);
        chosen.depositedWei += topUpWei;
        streamsInWei += topUpWei;
        ++done["configure"];
    }

    function seal(uint256 pick, uint256 firstProvider) external {
        (bool found, uint256 txSeq) = _pickOpen(pick);
        if (!found) {
            txSeq = _files.length;
            submit(pick, firstProvider, pick);
        }
        (bool enough, SealRequest memory request) = _request(txSeq, firstProvider);
        if (!enough) return;
        if (!_trySeal(request)) {
            for (uint256 i; i < request.custodians.length; ++i) _cover(request.custodians[i].provider, txSeq);
            if (!_trySeal(request)) return;
        }
        _noteSeal(request);
    }

    function handOver(uint256 pick, uint256 shard, uint256 successorSeed) external {
        uint256 count = _files.length;
        if (count == 0) return;
        uint256 current = beacon.currentPeriod();
        for (uint256 i; i < count; ++i) {
            uint256 txSeq = (pick % count + i) % count;
            File storage chosen = _files[txSeq];
            if (!chosen.sealed_ || chosen.endPeriod <= current + 1 || chosen.changedFrom > current) continue;
            _handOver(txSeq, shard % chosen.shardRoots.length, _provider(successorSeed));
            return;
        }
    }

    function openRound(uint256 hashSeed) external {
        _open(hashSeed);
    }

    function answer(uint256 drawSeed, uint256 sender) external {
        uint256 period = beacon.currentPeriod();
        if (!streams.isRoundOpen(period)) {
            if (!_open(drawSeed)) return;
            period = beacon.currentPeriod();
        }
        (, uint256 closesAt,) = prover.windowsOf(period);
        if (block.number >= closesAt) return;
        (bool found, Drawn memory drawn) = _findDraw(period, drawSeed, false);
        if (found) _answer(drawn, _anyone(sender));
    }

    function reportMiss(uint256 drawSeed) external {
        uint256 period = beacon.currentPeriod();
        if (!streams.isRoundOpen(period)) {
            if (!_open(drawSeed)) return;
            period = beacon.currentPeriod();
        }
        (, uint256 opensAt, uint256 closesAt) = prover.windowsOf(period);
        if (block.number >= closesAt) return;
        if (block.number < opensAt) vm.roll(opensAt);
        (bool found, Drawn memory drawn) = _findDraw(period, drawSeed, true);
        if (found) _report(drawn);
    }

    function reinstate(uint256 providerSeed) external {
        address provider = _provider(providerSeed);
        if (!streams.isSuspended(provider) || prover.strikesOf(provider) >= 3) return;
        _cover(provider, 0);
        if (staking.backing(provider, address(prover)) < streams.needOf(provider)) return;
        vm.prank(provider);
        prover.reinstate(provider);
        uint256 current = beacon.currentPeriod();
        for (uint256 p = suspendedFrom[provider]; p <= current && p <= lastEnd; ++p) barred[provider][p] = true;
        suspendedFrom[provider] = 0;
        slashed[provider] = false;
        ++done["reinstate"];
    }

    function moveTail(uint256 maxEntries) external {
        try prover.moveTail(1 + maxEntries % 4) {
            ++done["moveTail"];
        } catch (bytes memory reason) {
            _expect(reason, IAuditLine.NothingToMove.selector);
        }
    }

    function claim(uint256 providerSeed, uint256 maxBuckets) external {
        streams.claim(_provider(providerSeed), maxBuckets % 4);
        streams.advancePot(maxBuckets % 3);
        prover.roll(maxBuckets % 5);
        ++done["claim"];
    }

    function withdraw(uint256 accountSeed) external {
        address account = _anyone(accountSeed);
        uint256 beforeWei = account.balance;
        if (streams.creditOf(account) != 0) {
            vm.prank(account);
            uint256 amountWei = streams.withdraw(account);
            _same("a withdrawal pays what it says", account.balance - beforeWei, amountWei);
            streamsOutWei += amountWei;
            withdrawnWei[account] += amountWei;
            ++done["withdraw"];
        }
        beforeWei = account.balance;
        if (staking.claimable(account) != 0) {
            vm.prank(account);
            staking.withdraw(account);
            stakingOutWei += account.balance - beforeWei;
            ++done["withdrawStake"];
        }
        stakingOutWei += staking.burn();
    }

    function refund(uint256 pick) external {
        uint256 count = _files.length;
        for (uint256 i; i < count; ++i) {
            uint256 txSeq = (pick % count + i) % count;
            File storage chosen = _files[txSeq];
            if (chosen.sealed_ || chosen.closed || block.number <= market.sealDeadline(txSeq)) continue;
            uint256 beforeWei = streams.creditOf(chosen.owner);
            market.refund(txSeq);
            _same("a refund is whole", streams.creditOf(chosen.owner) - beforeWei, chosen.depositedWei);
            chosen.closed = true;
            ++done["refund"];
            return;
        }
    }

    function end(uint256 pick) external {
        uint256 count = _files.length;
        for (uint256 i; i < count; ++i) {
            uint256 txSeq = (pick % count + i) % count;
            File storage chosen = _files[txSeq];
            if (!chosen.sealed_ || chosen.closed || beacon.currentPeriod() <= chosen.endPeriod) continue;
            market.end(txSeq);
            chosen.closed = true;
            ++done["end"];
            return;
        }
    }

    function delegate(uint256 accountSeed, uint256 providerSeed, uint256 amountWei) external {
        amountWei = 1e6 + amountWei % 1 ether;
        vm.prank(_anyone(accountSeed));
        staking.delegate{value: amountWei}(_provider(providerSeed));
        stakingInWei += amountWei;
        uint256 freeWei = staking.freeOf(_provider(providerSeed), Pool.Delegated);
        if (freeWei > 1) {
            vm.prank(_provider(providerSeed));
            staking.allocate(address(this), freeWei / 2);
        }
        ++done["delegate"];
    }

    function requestExit(uint256 accountSeed, uint256 providerSeed, uint256 part) external {
        address provider = _provider(providerSeed);
        address account = part % 2 == 0 ? provider : _anyone(accountSeed);
        Pool pool = part % 2 == 0 ? Pool.Self : Pool.Delegated;
        uint256 shares = staking.sharesOf(provider, pool, account) / (1 + part % 4);
        if (shares == 0) return;
        vm.prank(account);
        staking.requestExit(provider, pool, shares);
        ++done["requestExit"];
    }

    function release(uint256 pick) external {
        uint256 count = staking.exitCount();
        for (uint256 i; i < count; ++i) {
            uint256 exitId = 1 + (pick % count + i) % count;
            IStaking.Exit memory exit = staking.exitOf(exitId);
            if (exit.owner == address(0) || block.number < exit.releasableAtBlock) continue;
            try staking.release(exitId) {
                ++done["release"];
                if (exit.pool == Pool.Self) _requireBound(exit.operator);
            } catch (bytes memory reason) {
                _expect(reason, IStaking.StakeLocked.selector);
                ++done["stakeLocked"];
            }
            return;
        }
    }

    function requestDeallocation(uint256 providerSeed, uint256 part) external {
        address provider = _provider(providerSeed);
        uint256 amountWei = staking.backing(provider, address(prover)) / (1 + part % 4);
        if (amountWei == 0) return;
        vm.prank(provider);
        staking.requestDeallocation(address(prover), amountWei);
        ++done["requestDeallocation"];
    }

    function completeDeallocation(uint256 providerSeed) external {
        address provider = _provider(providerSeed);
        uint256 readyAt = staking.completableAt(provider, address(prover));
        if (readyAt == 0 || block.number < readyAt) return;
        try staking.completeDeallocation(provider, address(prover)) {
            ++done["deallocate"];
            _requireBound(provider);
        } catch (bytes memory reason) {
            _expect(reason, IStaking.AllocationLocked.selector);
            ++done["allocationLocked"];
            vm.prank(provider);
            staking.cancelDeallocation(address(prover));
        }
    }

    function slashDelegated(uint256 providerSeed, uint256 amountWei) external {
        address provider = _provider(providerSeed);
        (uint256 allocatedWei,) = staking.allocationOf(provider, address(this));
        if (allocatedWei == 0) return;
        address[] memory to = new address[](1);
        uint256[] memory bps = new uint256[](1);
        (to[0], bps[0]) = (_anyone(amountWei), 5_000);
        amountWei = 1 + amountWei % allocatedWei;
        uint256 slashedWei = staking.slash(provider, amountWei, bytes32(++_fault), to, bps);
        _same("a slash takes what it says", slashedWei, amountWei);
        ++done["slashDelegated"];
    }

    function addReward(uint256 providerSeed, uint256 amountWei) external {
        address provider = _provider(providerSeed);
        Pool pool = amountWei % 2 == 0 ? Pool.Self : Pool.Delegated;
        if (staking.poolOf(provider, pool).shares == 0) return;
        amountWei = 1 + amountWei % 0.1 ether;
        vm.deal(address(this), amountWei);
        staking.addReward{value: amountWei}(provider, pool);
        stakingInWei += amountWei;
        ++done["addReward"];
    }

    /// @dev Mostly small steps and next boundaries; now and then a silence of up to 80 expiry buckets, after which everybody is
    /// settled in bounded pieces.
    function jump(uint256 seed) external {
        uint256 kind = seed % 32;
        uint256 next = beacon.periodStart(beacon.currentPeriod() + 1);
        if (kind < 16) vm.roll(block.number + 1 + seed % 7);
        else if (kind < 28) vm.roll(next + seed % 4);
        else if (kind < 31) vm.roll(next + PERIOD_BLOCKS * (seed % 12));
        else vm.roll(next + PERIOD_BLOCKS * (300 + seed % 100));
        if (kind == 31) _catchUp();
        ++done["jump"];
    }

    /// @notice Goes on to where every deal is over, closes everything and withdraws everything. Not a deed: only the judge's.
    function drain() external {
        if (msg.sender != _judge) return;
        uint256 last = lastEnd > beacon.currentPeriod() ? lastEnd : beacon.currentPeriod();
        vm.roll(beacon.periodStart(last + 2) + 100);
        _catchUp();
        for (uint256 i; i < _files.length; ++i) {
            if (_files[i].closed) continue;
            if (_files[i].sealed_) market.end(i);
            else market.refund(i);
        }
        for (uint256 i; i < actors.length; ++i) {
            uint256 amountWei = streams.creditOf(actors[i]);
            if (amountWei == 0) continue;
            vm.prank(actors[i]);
            streams.withdraw(actors[i]);
            withdrawnWei[actors[i]] += amountWei;
            streamsOutWei += amountWei;
        }
    }

    /// @notice Holds what a provider was paid against a sum over single periods. Meant after `drain`.
    function checkPay(address provider) external view {
        uint256 owedWei;
        int256 rate;
        uint256 from = suspendedFrom[provider];
        for (uint256 p = 1; p < lastEnd; ++p) {
            rate += rateStep[provider][p];
            if (rate == 0 || !streams.isRoundOpen(p) || barred[provider][p] || (from != 0 && p >= from)) continue;
            owedWei += uint256(rate);
        }
        _same("pay", withdrawnWei[provider], owedWei + bountiesWei[provider]);
    }

    function _catchUp() private {
        uint256 current = beacon.currentPeriod();
        while (prover.roll(13) < current) {}
        while (streams.advancePot(17) < current) {}
        for (uint256 i; i < PROVIDERS; ++i) {
            for (uint256 reached; reached < current;) (reached,) = streams.claim(actors[i], 11);
        }
    }

    /// @dev Rolls on to where the round of a period can be opened, and opens it.
    function _open(uint256 hashSeed) private returns (bool) {
        uint256 period = beacon.currentPeriod();
        uint256 boundary = beacon.periodStart(period);
        bool open = block.number > boundary && block.number < boundary + WINDOW_BLOCKS;
        if (!open || streams.isRoundOpen(period)) {
            boundary += PERIOD_BLOCKS;
            ++period;
            vm.roll(boundary + 1 + hashSeed % (WINDOW_BLOCKS - 1));
        }
        if (prover.figures().live == 0) return false;
        vm.setBlockhash(boundary, keccak256(abi.encode(boundary, hashSeed)));
        address opener = actors[PROVIDERS + OWNERS];
        uint256 beforeWei = streams.creditOf(opener);
        vm.prank(opener);
        uint256 draws = prover.openRound(period, "");
        Round memory opened = prover.round(period);
        _same("opening pays one bounty", streams.creditOf(opener) - beforeWei, opened.bountyWei);
        _atMost("a round's bounties fit the pot", draws * opened.bountyWei, streams.potWei());
        ++done["openRound"];
        return true;
    }

    function _answer(Drawn memory drawn, address sender) private {
        File storage kept = _files[drawn.txSeq];
        uint256 index = drawn.offset & ((1 << kept.shardHeight) - 1);
        CustodyProof memory proof = _custodyProof(kept, drawn.shard, drawn.period);
        bytes memory sector = _sector(drawn.txSeq, drawn.shard, index);
        bytes32[] memory path = _path(drawn.txSeq, drawn.shard, index, kept.shardHeight);
        uint256 bountyWei = streams.isSuspended(proof.provider) ? 0 : prover.round(drawn.period).bountyWei;
        uint256 beforeWei = streams.creditOf(proof.provider);
        vm.prank(sender);
        prover.answer(drawn.period, drawn.draw, drawn.entryIndex, sector, path, proof);
        _same("an answer pays its keeper one bounty", streams.creditOf(proof.provider) - beforeWei, bountyWei);
        bountiesWei[proof.provider] += bountyWei;
        ++done["answer"];
    }

    function _report(Drawn memory drawn) private {
        CustodyProof memory proof = _custodyProof(_files[drawn.txSeq], drawn.shard, drawn.period);
        address keeper = proof.provider;
        (uint256 beforeWei,) = staking.allocationOf(keeper, address(prover));
        uint256 dueWei = _dueWei(drawn, keeper, beforeWei);
        vm.prank(actors[PROVIDERS + OWNERS]);
        prover.reportMiss(drawn.period, drawn.draw, drawn.entryIndex, proof);
        (uint256 afterWei,) = staking.allocationOf(keeper, address(prover));
        _same("a miss slashes exactly once", beforeWei - afterWei, dueWei);
        barred[keeper][drawn.period] = true;
        slashed[keeper] = true;
        if (streams.isSuspended(keeper)) {
            suspendedFrom[keeper] = drawn.period;
            ++done["suspend"];
        }
        ++done["reportMiss"];
    }

    /// @dev What a miss must cost: the rule's slash, at most the lock, at most what is there.
    function _dueWei(Drawn memory drawn, address keeper, uint256 allocatedWei) private view returns (uint256 dueWei) {
        uint256 priceWei = market.deal(drawn.txSeq).pricePerSectorPeriod;
        dueWei = prover.slashWei(priceWei, prover.round(drawn.period).live);
        uint256 lockWei = streams.lockOf(keeper);
        if (dueWei > lockWei) dueWei = lockWei;
        if (dueWei > allocatedWei) dueWei = allocatedWei;
    }

    /// @dev A draw of the round that somebody must still answer (or, for a report, that a provider still in service missed).
    function _findDraw(uint256 period, uint256 seed, bool inService) private returns (bool, Drawn memory drawn) {
        uint256 draws = prover.round(period).draws;
        drawn.period = period;
        for (uint256 i; i < draws; ++i) {
            drawn.draw = (seed % draws + i) % draws;
            if (prover.isResolved(period, drawn.draw)) continue;
            uint256 position = prover.drawPosition(period, drawn.draw);
            drawn.entryIndex = _entryAt(position);
            LineEntry memory entry = prover.entry(drawn.entryIndex);
            File storage kept = _files[entry.txSeq];
            if (period < kept.startPeriod || period >= kept.endPeriod) {
                ++done["deadDraw"];
                continue;
            }
            (drawn.txSeq, drawn.offset) = (entry.txSeq, position - entry.start);
            drawn.shard = drawn.offset >> kept.shardHeight;
            if (inService && streams.isSuspended(_keeperAt(kept, drawn.shard, period))) continue;
            return (true, drawn);
        }
        return (false, drawn);
    }

    function _entryAt(uint256 position) private view returns (uint256 low) {
        uint256 high = prover.entryCount();
        while (high - low > 1) {
            uint256 middle = (low + high) / 2;
            if (prover.entry(middle).start <= position) low = middle;
            else high = middle;
        }
    }

    /// @dev A submission that may still be sealed.
    function _pickOpen(uint256 pick) private view returns (bool, uint256) {
        uint256 count = _files.length;
        for (uint256 i; i < count; ++i) {
            uint256 txSeq = (pick % count + i) % count;
            File storage chosen = _files[txSeq];
            if (!chosen.sealed_ && !chosen.closed && block.number <= market.sealDeadline(txSeq)) return (true, txSeq);
        }
        return (false, 0);
    }

    /// @dev Deals the shards out in turn to all providers in service; false when they are too few for the fault limit.
    function _request(uint256 txSeq, uint256 seed) private view returns (bool enough, SealRequest memory request) {
        (uint256 parity,) = market.termsOf(txSeq);
        (, uint256 dataShards, uint256 shardHeight) = _shape(_files[txSeq].shape);
        uint256 shards = dataShards + parity;
        address[] memory able = new address[](PROVIDERS);
        uint256 count;
        for (uint256 i; i < PROVIDERS; ++i) {
            // Now and then one sits out.
            if (streams.isSuspended(actors[i]) || (seed >> i) % 4 == 0) continue;
            able[count++] = actors[i];
        }
        if (count > shards) count = shards;
        if (count == 0 || (shards + count - 1) / count > parity) return (false, request);

        Submission memory submission = _submissionOf(txSeq, _files[txSeq].shape, _files[txSeq].owner);
        request.txSeq = txSeq;
        request.byteLength = submission.data.length;
        request.nodes = submission.data.nodes;
        request.shardRoots = new bytes32[](shards);
        request.custodians = new Custodian[](count);
        bytes32[] memory leaves = new bytes32[](shards);
        for (uint256 i; i < shards; ++i) {
            request.shardRoots[i] = _shardRoot(txSeq, i, shardHeight);
            leaves[i] = CustodyLib.leaf(i, able[i % count], request.shardRoots[i]);
            request.custodians[i % count].shardBitmap |= 1 << i;
        }
        bytes32 custodyRoot = CustodyLib.root(leaves);
        for (uint256 i; i < count; ++i) {
            request.custodians[i].provider = able[i];
            request.custodians[i].validUntil = block.number;
            request.custodians[i].signature = _signCustody(request, i, custodyRoot);
        }
        return (true, request);
    }

    function _signCustody(SealRequest memory request, uint256 i, bytes32 custodyRoot)
        private
        view
        returns (bytes memory)
    {
        bytes32 structHash = keccak256(
            abi.encode(
                CUSTODY_TYPEHASH,
                request.txSeq,
                keccak256(abi.encode(request.byteLength, request.nodes)),
                custodyRoot,
                request.custodians[i].shardBitmap,
                0,
                market.expiresAt(request.txSeq),
                block.number
            )
        );
        return _sign(request.custodians[i].provider, structHash);
    }

    function _sign(address provider, bytes32 structHash) private view returns (bytes memory) {
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", _domain, structHash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_keys[provider], digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev False when stake is missing, the one refusal expected.
    function _trySeal(SealRequest memory request) private returns (bool) {
        vm.prank(_files[request.txSeq].owner);
        try market.seal{value: BOND_WEI}(request) {
            return true;
        } catch (bytes memory reason) {
            _expect(reason, IStorageMarket.InsufficientStake.selector);
            ++done["understaked"];
            return false;
        }
    }

    function _noteSeal(SealRequest memory request) private {
        File storage made = _files[request.txSeq];
        IStorageMarket.State state = market.stateOf(request.txSeq);
        require(state == IStorageMarket.State.Sealed, "sealed");
        (uint256 shardWei, uint256 from, uint256 until) = _terms(request.txSeq);
        (,, made.shardHeight) = _shape(made.shape);
        (made.sealed_, made.startPeriod, made.endPeriod) = (true, from, until);
        made.sectors = request.shardRoots.length << made.shardHeight;
        made.shardRoots = request.shardRoots;
        for (uint256 i; i < request.shardRoots.length; ++i) {
            made.keepers.push(request.custodians[i % request.custodians.length].provider);
        }
        made.before = made.keepers;
        for (uint256 i; i < made.keepers.length; ++i) {
            rateStep[made.keepers[i]][from] += int256(shardWei);
            rateStep[made.keepers[i]][until] -= int256(shardWei);
            slashed[made.keepers[i]] = false;
        }
        if (until > lastEnd) lastEnd = until;
        streamsInWei += BOND_WEI;
        ++done["seal"];
    }

    function _terms(uint256 txSeq) private view returns (uint256 shardWei, uint256 from, uint256 until) {
        IStorageMarket market_ = market;
        shardWei = uint256(market_.deal(txSeq).pricePerSectorPeriod) << market_.deal(txSeq).shardHeight;
        shardWei = shardWei * 9 / 10;
        return (shardWei, market_.deal(txSeq).startPeriod, market_.deal(txSeq).endPeriod);
    }

    function _handOver(uint256 txSeq, uint256 shard, address successor) private {
        File storage chosen = _files[txSeq];
        address keeper = chosen.keepers[shard];
        if (keeper == successor || streams.isSuspended(successor)) return;
        uint256 kept;
        for (uint256 i; i < chosen.keepers.length; ++i) if (chosen.keepers[i] == successor) ++kept;
        if (kept + 1 > market.deal(txSeq).parityShards) return;
        HandOver memory change = HandOver({
            txSeq: txSeq,
            shardIndex: shard,
            successor: successor,
            providers: chosen.keepers,
            shardRoots: chosen.shardRoots,
            validUntil: block.number,
            signature: ""
        });
        (uint256 shardWei,, uint256 until) = _terms(txSeq);
        bytes32 root = market.custodyAt(txSeq, beacon.currentPeriod()).custodyRoot;
        change.signature = _sign(
            successor, keccak256(abi.encode(TAKEOVER_TYPEHASH, txSeq, shard, root, shardWei, block.number))
        );
        if (!_tryHandOver(keeper, change)) {
            _cover(successor, txSeq);
            if (!_tryHandOver(keeper, change)) return;
        }
        uint256 from = beacon.currentPeriod() + 1;
        rateStep[keeper][from] -= int256(shardWei);
        rateStep[keeper][until] += int256(shardWei);
        rateStep[successor][from] += int256(shardWei);
        rateStep[successor][until] -= int256(shardWei);
        slashed[successor] = false;
        chosen.before = chosen.keepers;
        chosen.keepers[shard] = successor;
        chosen.changedFrom = from;
        ++done["handOver"];
    }

    function _tryHandOver(address keeper, HandOver memory change) private returns (bool) {
        vm.prank(keeper);
        try market.handOver(change) {
            return true;
        } catch (bytes memory reason) {
            _expect(reason, IStorageMarket.InsufficientStake.selector);
            ++done["understaked"];
            return false;
        }
    }

    /// @dev Stakes what the provider lacks, generously in front of a new custody.
    function _cover(address provider, uint256 seed) private {
        uint256 needWei = streams.needOf(provider);
        uint256 hasWei = staking.backing(provider, address(prover));
        uint256 lackWei = needWei > hasWei ? needWei - hasWei : 0;
        _stakeAndAllocate(provider, lackWei + 0.01 ether + (seed % 3) * 0.1 ether);
    }

    /// @dev Stake that backs custody has not left.
    function _requireBound(address provider) private view {
        (uint256 allocatedWei,) = staking.allocationOf(provider, address(prover));
        _atMost("stake behind custody stays", streams.needOf(provider), allocatedWei);
    }

    function _expect(bytes memory reason, bytes4 selector) private pure {
        if (bytes4(reason) == selector) return;
        assembly ("memory-safe") {
            revert(add(reason, 32), mload(reason))
        }
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IBeacon} from "../interfaces/IBeacon.sol";
import {IFlow, SubmissionNode, SubmissionRecord} from "../interfaces/IFlow.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {
    Custodian,
    CustodyView,
    Deal,
    HandOver,
    IStorageMarket,
    MarketParams,
    SealRequest
} from "../interfaces/IStorageMarket.sol";
import {IStorageProver} from "../interfaces/IStorageProver.sol";
import {IStorageStreams, OpenDeal, ProviderRate} from "../interfaces/IStorageStreams.sol";
import {ClockLib} from "../libraries/ClockLib.sol";
import {CustodyLib} from "../libraries/CustodyLib.sol";
import {DealPriceLib} from "../libraries/DealPriceLib.sol";
import {LayoutLib} from "../libraries/LayoutLib.sol";
import {MerkleLib} from "../libraries/MerkleLib.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @title StorageMarket
/// @notice Price, deals, seals, hand-overs and refunds. Holds no money: StorageStreams does.
/// @dev Clock: block numbers; period p of the Beacon.
///
///     Submitted --seal (block <= deadline)--> Sealed --end (period > endPeriod)--> Ended
///         \--refund (block > deadline)--> Refunded
///
/// Invariants
/// 1. A submission leaves `Submitted` once: it is either sealed or refunded, never both, never twice.
/// 2. At the seal every shard has exactly one custodian, none keeps more than parity / faultTolerance, and each has the
///    stake for it.
/// 3. The data shard roots of a sealed deal hash up to the nodes that were submitted.
/// 4. Price, parity, term and end of a deal never change after its seal.
/// 5. Who must answer in a period is fixed when the period begins: a hand-over counts from the next one, and the root
///    it replaces stays readable until its last report window has closed.
contract StorageMarket is IStorageMarket, Ownable2Step, EIP712, ReentrancyGuardTransient {
    using SafeCast for uint256;

    /// @dev What a deal keeps; four slots, of which a seal writes three.
    struct DealSlots {
        bytes32 custodyRoot;
        bytes32 nextCustodyRoot;
        uint32 nextCustodyFrom;
        uint32 startPeriod;
        uint32 endPeriod;
        uint32 termPeriods;
        uint96 pricePerSectorPeriod;
        uint8 dataShards;
        uint8 parityShards;
        uint8 shardHeight;
        State state;
        address sealer;
        uint96 bondWei;
    }

    /// @dev Working set of one seal, in memory.
    struct Plan {
        uint256 txSeq;
        address owner;
        bytes32 digest;
        bytes32 custodyRoot;
        uint256 dataShards;
        uint256 parityShards;
        uint256 shardSectors;
        uint256 startPeriod;
        uint256 endPeriod;
        uint256 termPeriods;
        uint256 sectorPriceWei;
        uint256 shardRateWei;
        address[] providers;
        uint256[] shardBitmaps;
        ProviderRate[] rates;
    }

    bytes32 private constant CUSTODY_TYPEHASH = keccak256(
        "Custody(uint256 txSeq,bytes32 digest,bytes32 custodyRoot,uint256 shardBitmap,uint256 ratePerPeriod,"
        "uint256 expiresAt,uint256 validUntil)"
    );
    bytes32 private constant APPROVE_TYPEHASH = keccak256("Approve(uint256 txSeq,bytes32 custodyRoot)");
    bytes32 private constant TAKEOVER_TYPEHASH = keccak256(
        "Takeover(uint256 txSeq,uint256 shardIndex,bytes32 custodyRoot,uint256 ratePerPeriod,uint256 validUntil)"
    );

    uint256 private constant BPS = 10_000;

    IStaking private immutable _staking;
    IStorageStreams private immutable _streams;
    address private immutable _deployer;
    uint256 private immutable _startBlock;
    uint256 private immutable _periodBlocks;
    uint256 private immutable _defaultTermPeriods;
    uint256 private immutable _minTermPeriods;
    uint256 private immutable _maxTermPeriods;
    uint256 private immutable _sealDeadlineBlocks;
    uint256 private immutable _bucketPeriods;
    uint256 private immutable _potBps;
    uint256 private immutable _faultTolerance;
    uint256 private immutable _parityBondWei;

    IFlow private _flow;
    IStorageProver private _prover;
    uint256 private _pricePerSectorPeriod;
    mapping(uint256 txSeq => DealSlots) private _deals;
    mapping(address owner => address) private _sealers;
    mapping(address successor => mapping(bytes32 structHash => bool)) private _usedTakeovers;

    constructor(
        address owner_,
        IBeacon beacon,
        IStaking staking,
        IStorageStreams streams_,
        MarketParams memory params_,
        uint256 price
    ) Ownable(owner_) EIP712("ZeroG StorageMarket", "1") {
        require(
            params_.minTermPeriods != 0 && params_.minTermPeriods <= params_.defaultTermPeriods
                && params_.defaultTermPeriods <= params_.maxTermPeriods
                && params_.bucketPeriods == streams_.bucketPeriods()
                && params_.sealDeadlineBlocks != 0 && params_.potBps < BPS && params_.faultTolerance != 0
                && params_.faultTolerance <= DealPriceLib.MIN_PARITY,
            InvalidParams()
        );
        _staking = staking;
        _streams = streams_;
        _deployer = msg.sender;
        _startBlock = beacon.startBlock();
        _periodBlocks = beacon.periodBlocks();
        _defaultTermPeriods = params_.defaultTermPeriods;
        _minTermPeriods = params_.minTermPeriods;
        _maxTermPeriods = params_.maxTermPeriods;
        _sealDeadlineBlocks = params_.sealDeadlineBlocks;
        _bucketPeriods = params_.bucketPeriods;
        _potBps = params_.potBps;
        _faultTolerance = params_.faultTolerance;
        _parityBondWei = params_.parityBondWei;
        _setPrice(price);
    }

    /// @inheritdoc IStorageMarket
    function wire(address flow_, address prover_) external {
        require(msg.sender == _deployer, NotDeployer(msg.sender));
        require(address(_flow) == address(0), AlreadyWired());
        require(flow_ != address(0) && prover_ != address(0), InvalidParams());
        _flow = IFlow(flow_);
        _prover = IStorageProver(prover_);
    }

    /// @inheritdoc IStorageMarket
    function setPrice(uint256 pricePerSectorPeriod_) external onlyOwner {
        _setPrice(pricePerSectorPeriod_);
    }

    /// @inheritdoc IStorageMarket
    function setSealer(address sealer) external {
        _sealers[msg.sender] = sealer;
        emit SealerChanged(msg.sender, sealer);
    }

    /// @inheritdoc IStorageMarket
    function configure(uint256 txSeq, uint256 parityShards, uint256 termPeriods) external payable nonReentrant {
        SubmissionRecord memory record = _sealableRecord(txSeq);
        require(msg.sender == record.owner, NotOwnerOf(txSeq, msg.sender));
        _checkTerms(parityShards, termPeriods);
        uint256 neededWei = _escrowNeeded(record.sectors, record.submittedAt, parityShards, termPeriods);
        uint256 escrowWei = _streams.escrowOf(txSeq) + msg.value;
        require(escrowWei >= neededWei, EscrowTooLow(neededWei, escrowWei));

        DealSlots storage slots = _deals[txSeq];
        slots.parityShards = uint8(parityShards);
        slots.termPeriods = uint32(termPeriods);
        emit Configured(txSeq, parityShards, termPeriods, escrowWei);
        if (msg.value != 0) _streams.deposit{value: msg.value}(txSeq);
    }

    /// @inheritdoc IStorageMarket
    function seal(SealRequest calldata request) external payable nonReentrant {
        require(msg.value == _parityBondWei, WrongBond(_parityBondWei, msg.value));
        Plan memory plan = _planOf(request.txSeq, _sealableRecord(request.txSeq));
        _checkFile(request, plan);
        _assignShards(request, plan);
        _checkApproval(request.txSeq, plan.owner, plan.custodyRoot, request.approval);
        for (uint256 i; i < request.custodians.length; ++i) {
            _checkOffer(request.custodians[i], plan, plan.rates[i].ratePerPeriod);
        }
        _storeDeal(plan);
        _startDeal(request, plan);
    }

    /// @inheritdoc IStorageMarket
    function refund(uint256 txSeq) external nonReentrant {
        _requireState(txSeq, State.Submitted);
        SubmissionRecord memory record = _flow.submission(txSeq);
        uint256 deadline = record.submittedAt + _sealDeadlineBlocks;
        require(block.number > deadline, SealDeadlineNotPassed(txSeq, deadline));

        _deals[txSeq].state = State.Refunded;
        uint256 amountWei = _streams.refund(txSeq, record.owner);
        emit Refunded(txSeq, record.owner, amountWei);
    }

    /// @inheritdoc IStorageMarket
    function handOver(HandOver calldata change) external nonReentrant {
        DealSlots storage slots = _deals[change.txSeq];
        _requireState(change.txSeq, State.Sealed);
        uint256 from = _currentPeriod() + 1;
        require(from < slots.endPeriod, WrongState(change.txSeq, State.Ended));
        bytes32 root = _settledRoot(change.txSeq, slots, from);
        bytes32 nextRoot = _successorRoot(change, slots, root);
        uint256 rateWei = _shardRate(slots);
        _useTakeover(change, root, rateWei);

        slots.custodyRoot = root;
        slots.nextCustodyRoot = nextRoot;
        slots.nextCustodyFrom = from.toUint32();
        emit CustodyHandedOver(change.txSeq, change.shardIndex, msg.sender, change.successor, nextRoot, from);

        uint256 needWei = _streams.moveRate(
            msg.sender,
            change.successor,
            rateWei.toUint96(),
            slots.endPeriod,
            _slashNeed(slots.pricePerSectorPeriod)
        );
        _requireStake(change.successor, needWei);
    }

    /// @inheritdoc IStorageMarket
    function end(uint256 txSeq) external nonReentrant {
        _requireState(txSeq, State.Sealed);
        DealSlots storage slots = _deals[txSeq];
        uint256 endPeriod = slots.endPeriod;
        require(_currentPeriod() > endPeriod, TermNotOver(txSeq, endPeriod));

        (address sealer, uint256 bondWei) = (slots.sealer, slots.bondWei);
        slots.state = State.Ended;
        slots.bondWei = 0;
        emit Ended(txSeq, sealer, bondWei);
        _streams.releaseBond(sealer, bondWei);
    }

    /// @inheritdoc IStorageMarket
    function flow() external view returns (address) {
        return address(_flow);
    }

    /// @inheritdoc IStorageMarket
    function prover() external view returns (address) {
        return address(_prover);
    }

    /// @inheritdoc IStorageMarket
    function streams() external view returns (address) {
        return address(_streams);
    }

    /// @inheritdoc IStorageMarket
    function params() external view returns (MarketParams memory) {
        return MarketParams({
            defaultTermPeriods: uint32(_defaultTermPeriods),
            minTermPeriods: uint32(_minTermPeriods),
            maxTermPeriods: uint32(_maxTermPeriods),
            sealDeadlineBlocks: uint32(_sealDeadlineBlocks),
            bucketPeriods: uint32(_bucketPeriods),
            potBps: uint16(_potBps),
            faultTolerance: uint8(_faultTolerance),
            parityBondWei: uint96(_parityBondWei)
        });
    }

    /// @inheritdoc IStorageMarket
    function pricePerSector() external view returns (uint256) {
        return DealPriceLib.paddedSectorPrice(_pricePerSectorPeriod, _defaultTermPeriods);
    }

    /// @inheritdoc IStorageMarket
    function pricePerSectorPeriod() external view returns (uint256) {
        return _pricePerSectorPeriod;
    }

    /// @inheritdoc IStorageMarket
    function quote(uint256 paddedSectors, uint256 parityShards, uint256 termPeriods) external view returns (uint256) {
        _checkTerms(parityShards, termPeriods);
        return _escrowNeeded(paddedSectors, block.number, parityShards, termPeriods);
    }

    /// @inheritdoc IStorageMarket
    function stateOf(uint256 txSeq) external view returns (State) {
        State state = _deals[txSeq].state;
        if (state != State.None) return state;
        return txSeq < _flow.numSubmissions() ? State.Submitted : State.None;
    }

    /// @inheritdoc IStorageMarket
    function deal(uint256 txSeq) external view returns (Deal memory) {
        DealSlots memory slots = _deals[txSeq];
        if (slots.endPeriod == 0) slots.parityShards = 0;
        return Deal({
            custodyRoot: slots.custodyRoot,
            nextCustodyRoot: slots.nextCustodyRoot,
            nextCustodyFrom: slots.nextCustodyFrom,
            startPeriod: slots.startPeriod,
            endPeriod: slots.endPeriod,
            dataShards: slots.dataShards,
            parityShards: slots.parityShards,
            shardHeight: slots.shardHeight,
            pricePerSectorPeriod: slots.pricePerSectorPeriod,
            sealer: slots.sealer,
            bondWei: slots.bondWei
        });
    }

    /// @inheritdoc IStorageMarket
    function sealerOf(address owner_) external view returns (address) {
        return _sealers[owner_];
    }

    /// @inheritdoc IStorageMarket
    function termsOf(uint256 txSeq) external view returns (uint256 parityShards, uint256 termPeriods) {
        _flow.submission(txSeq);
        return _terms(txSeq);
    }

    /// @inheritdoc IStorageMarket
    function expiresAt(uint256 txSeq) external view returns (uint256 period) {
        uint256 submittedAt = _flow.submission(txSeq).submittedAt;
        (, uint256 termPeriods) = _terms(txSeq);
        return _expiry(submittedAt, termPeriods);
    }

    /// @inheritdoc IStorageMarket
    function sealDeadline(uint256 txSeq) external view returns (uint256 blockNumber) {
        return _flow.submission(txSeq).submittedAt + _sealDeadlineBlocks;
    }

    /// @inheritdoc IStorageMarket
    function sealTerms(uint256 txSeq) external view returns (uint256 sectorPriceWei, uint256 shardRateWei) {
        Plan memory plan = _planOf(txSeq, _sealableRecord(txSeq));
        return (plan.sectorPriceWei, plan.shardRateWei);
    }

    /// @inheritdoc IStorageMarket
    function custodyAt(uint256 txSeq, uint256 period) external view returns (CustodyView memory) {
        DealSlots storage slots = _deals[txSeq];
        uint256 nextFrom = slots.nextCustodyFrom;
        return CustodyView({
            custodyRoot: nextFrom != 0 && period >= nextFrom ? slots.nextCustodyRoot : slots.custodyRoot,
            shards: uint256(slots.dataShards) + slots.parityShards,
            shardHeight: slots.shardHeight,
            pricePerSectorPeriod: slots.pricePerSectorPeriod,
            live: period >= slots.startPeriod && period < slots.endPeriod
        });
    }

    /// @inheritdoc IStorageMarket
    function endPeriodOf(uint256 txSeq) external view returns (uint256) {
        return _deals[txSeq].endPeriod;
    }

    function _setPrice(uint256 price) private {
        // Within 96 bits no product of price, sectors and periods can overflow.
        require(price != 0 && price <= type(uint96).max, InvalidParams());
        _pricePerSectorPeriod = price;
        emit PriceChanged(price);
    }

    /// @dev Stores the deal in three slots.
    function _storeDeal(Plan memory plan) private {
        DealSlots storage slots = _deals[plan.txSeq];
        slots.custodyRoot = plan.custodyRoot;
        slots.startPeriod = plan.startPeriod.toUint32();
        slots.endPeriod = plan.endPeriod.toUint32();
        slots.termPeriods = uint32(plan.termPeriods);
        slots.pricePerSectorPeriod = plan.sectorPriceWei.toUint96();
        slots.dataShards = uint8(plan.dataShards);
        slots.parityShards = uint8(plan.parityShards);
        slots.shardHeight = uint8(Math.log2(plan.shardSectors));
        slots.state = State.Sealed;
        slots.sealer = msg.sender;
        slots.bondWei = uint96(msg.value);
    }

    /// @dev Puts the deal on the audit line and starts its streams; stake is checked last, with the new rates counted.
    function _startDeal(SealRequest calldata request, Plan memory plan) private {
        uint256 storedSectors = (plan.dataShards + plan.parityShards) * plan.shardSectors;
        uint256 entryIndex = _prover.append(plan.txSeq, storedSectors, plan.endPeriod);
        emit Sealed(
            plan.txSeq,
            plan.owner,
            plan.custodyRoot,
            entryIndex,
            plan.startPeriod,
            plan.endPeriod,
            plan.sectorPriceWei,
            plan.dataShards,
            Math.log2(plan.shardSectors),
            plan.providers,
            plan.shardBitmaps,
            request.shardRoots
        );
        OpenDeal memory opening = OpenDeal({
            txSeq: plan.txSeq,
            owner: plan.owner,
            startPeriod: uint32(plan.startPeriod),
            endPeriod: uint32(plan.endPeriod),
            grossPerPeriod: (storedSectors * plan.sectorPriceWei).toUint96(),
            slashNeedWei: _slashNeed(plan.sectorPriceWei)
        });
        uint256[] memory needsWei = _streams.openDeal{value: msg.value}(opening, plan.rates);
        for (uint256 i; i < needsWei.length; ++i) {
            _requireStake(plan.providers[i], needsWei[i]);
        }
    }

    /// @dev Geometry, terms and price of a seal in the present period.
    function _planOf(uint256 txSeq, SubmissionRecord memory record) private view returns (Plan memory plan) {
        plan.txSeq = txSeq;
        plan.owner = record.owner;
        plan.digest = record.digest;
        (plan.shardSectors, plan.dataShards) = LayoutLib.geometry(record.sectors);
        (plan.parityShards, plan.termPeriods) = _terms(txSeq);
        plan.startPeriod = _currentPeriod() + 1;
        plan.endPeriod = _expiry(record.submittedAt, plan.termPeriods);
        uint256 storedSectors = (plan.dataShards + plan.parityShards) * plan.shardSectors;
        uint256 periods = plan.endPeriod - plan.startPeriod;
        uint256 escrowWei = _streams.escrowOf(txSeq);
        plan.sectorPriceWei = DealPriceLib.sectorPrice(escrowWei, storedSectors, periods);
        plan.shardRateWei = DealPriceLib.shardRate(plan.sectorPriceWei, plan.shardSectors, _potBps);
        // A custody without pay would need no stake.
        require(plan.shardRateWei != 0, PriceTooLow(escrowWei, storedSectors * periods));
    }

    /// @dev The request is about the file that was submitted, and its data shards are that file.
    function _checkFile(SealRequest calldata request, Plan memory plan) private pure {
        bytes32 digest = keccak256(abi.encode(request.byteLength, request.nodes));
        require(digest == plan.digest, DigestMismatch(plan.digest, digest));
        uint256 shards = plan.dataShards + plan.parityShards;
        require(request.shardRoots.length == shards, WrongShardCount(shards, request.shardRoots.length));

        SubmissionNode[] calldata nodes = request.nodes;
        bytes32[] memory roots = new bytes32[](nodes.length);
        uint256[] memory heights = new uint256[](nodes.length);
        for (uint256 i; i < nodes.length; ++i) {
            (roots[i], heights[i]) = (nodes[i].root, nodes[i].height);
        }
        require(
            MerkleLib.foldsToNodes(
                request.shardRoots[:plan.dataShards], Math.log2(plan.shardSectors), roots, heights
            ),
            ShardsNotOfFile(plan.txSeq)
        );
    }

    /// @dev Every shard has exactly one custodian, none has too many; fills in custody root and what each is paid.
    function _assignShards(SealRequest calldata request, Plan memory plan) private view {
        uint256 count = request.custodians.length;
        plan.providers = new address[](count);
        plan.shardBitmaps = new uint256[](count);
        plan.rates = new ProviderRate[](count);
        uint256 limit = plan.parityShards / _faultTolerance;
        bytes32[] memory leaves = new bytes32[](plan.dataShards + plan.parityShards);
        uint256 all = (1 << leaves.length) - 1;
        uint256 assigned;
        address before;
        for (uint256 i; i < count; ++i) {
            Custodian calldata custodian = request.custodians[i];
            (address provider, uint256 bitmap) = (custodian.provider, custodian.shardBitmap);
            require(provider > before, CustodiansNotAscending(before, provider));
            require(bitmap != 0 && bitmap & ~all == 0, InvalidShardBitmap(provider, bitmap));
            require(bitmap & assigned == 0, ShardAssignedTwice(provider, bitmap & assigned));
            uint256 kept = _fillLeaves(leaves, request.shardRoots, provider, bitmap);
            require(kept <= limit, FaultLimitExceeded(provider, kept, limit));
            plan.providers[i] = provider;
            plan.shardBitmaps[i] = bitmap;
            plan.rates[i] = ProviderRate(provider, (kept * plan.shardRateWei).toUint96());
            assigned |= bitmap;
            before = provider;
        }
        require(assigned == all, ShardsUnassigned(all & ~assigned));
        plan.custodyRoot = CustodyLib.root(leaves);
    }

    /// @dev Caller is the owner, the sealer it named, or carries its approval of this custody.
    function _checkApproval(uint256 txSeq, address owner_, bytes32 custodyRoot, bytes calldata approval) private view {
        if (msg.sender == owner_ || msg.sender == _sealers[owner_]) return;
        bytes32 hash = _hashTypedDataV4(keccak256(abi.encode(APPROVE_TYPEHASH, txSeq, custodyRoot)));
        require(_isSignedBy(owner_, hash, approval), NotSealer(txSeq, msg.sender));
    }

    /// @dev The custodian signed exactly this custody, for no more than it will be paid, and may take it on.
    function _checkOffer(Custodian calldata offer, Plan memory plan, uint256 rateWei) private view {
        address provider = offer.provider;
        require(block.number <= offer.validUntil, CustodyOfferExpired(provider, offer.validUntil));
        require(rateWei >= offer.ratePerPeriod, RateBelowOffer(provider, offer.ratePerPeriod, rateWei));
        require(!_streams.isSuspended(provider), ProviderSuspended(provider));
        bytes32 hash = keccak256(
            abi.encode(
                CUSTODY_TYPEHASH,
                plan.txSeq,
                plan.digest,
                plan.custodyRoot,
                offer.shardBitmap,
                offer.ratePerPeriod,
                plan.endPeriod,
                offer.validUntil
            )
        );
        require(
            _isSignedBy(provider, _hashTypedDataV4(hash), offer.signature), InvalidCustodySignature(provider)
        );
    }

    /// @dev The successor signed exactly this takeover, for one time, and may take it on. Once is needed since a custody
    /// root comes back when a shard does.
    function _useTakeover(HandOver calldata change, bytes32 root, uint256 rateWei) private {
        address successor = change.successor;
        require(block.number <= change.validUntil, CustodyOfferExpired(successor, change.validUntil));
        require(!_streams.isSuspended(successor), ProviderSuspended(successor));
        bytes32 hash = keccak256(
            abi.encode(TAKEOVER_TYPEHASH, change.txSeq, change.shardIndex, root, rateWei, change.validUntil)
        );
        require(
            _isSignedBy(successor, _hashTypedDataV4(hash), change.signature), InvalidCustodySignature(successor)
        );
        require(!_usedTakeovers[successor][hash], TakeoverUsed(change.txSeq, successor));
        _usedTakeovers[successor][hash] = true;
    }

    /// @dev Key first, ERC-1271 second: a plain account's code is then never looked up, which costs a cold read each.
    function _isSignedBy(address signer, bytes32 hash, bytes calldata signature) private view returns (bool) {
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(hash, signature);
        if (failure == ECDSA.RecoverError.NoError && recovered == signer) return true;
        return SignatureChecker.isValidERC1271SignatureNowCalldata(signer, hash, signature);
    }

    /// @dev Root in force before a change that counts from period `from`; an earlier change must have taken effect.
    function _settledRoot(uint256 txSeq, DealSlots storage slots, uint256 from) private view returns (bytes32) {
        uint256 pendingFrom = slots.nextCustodyFrom;
        if (pendingFrom == 0) return slots.custodyRoot;
        require(pendingFrom < from, CustodyChangePending(txSeq, pendingFrom));
        return slots.nextCustodyRoot;
    }

    /// @dev Rebuilds the custody root in force from the lists given, and the one after the change.
    function _successorRoot(HandOver calldata change, DealSlots storage slots, bytes32 root)
        private
        view
        returns (bytes32)
    {
        uint256 shards = uint256(slots.dataShards) + slots.parityShards;
        require(change.providers.length == shards, WrongShardCount(shards, change.providers.length));
        require(change.shardRoots.length == shards, WrongShardCount(shards, change.shardRoots.length));
        uint256 moved = change.shardIndex;
        require(
            moved < shards && change.providers[moved] == msg.sender, NotCustodian(change.txSeq, moved, msg.sender)
        );
        require(change.successor != msg.sender, SuccessorIsCustodian(change.successor));

        bytes32[] memory leaves = new bytes32[](shards);
        uint256 kept = 1;
        for (uint256 i; i < shards; ++i) {
            leaves[i] = CustodyLib.leaf(i, change.providers[i], change.shardRoots[i]);
            if (change.providers[i] == change.successor) ++kept;
        }
        require(CustodyLib.root(leaves) == root, CustodyRootMismatch(change.txSeq));
        uint256 limit = slots.parityShards / _faultTolerance;
        require(kept <= limit, FaultLimitExceeded(change.successor, kept, limit));
        leaves[moved] = CustodyLib.leaf(moved, change.successor, change.shardRoots[moved]);
        return CustodyLib.root(leaves);
    }

    /// @dev Net rate of one shard of a sealed deal.
    function _shardRate(DealSlots storage slots) private view returns (uint256) {
        return DealPriceLib.shardRate(slots.pricePerSectorPeriod, 1 << slots.shardHeight, _potBps);
    }

    /// @dev One slash at the live count that holds from the next period on.
    function _slashNeed(uint256 sectorPriceWei) private view returns (uint128) {
        return _prover.slashWei(sectorPriceWei, _prover.nextFigures().live).toUint128();
    }

    function _requireStake(address provider, uint256 neededWei) private view {
        uint256 backingWei = _staking.backing(provider, address(_prover));
        require(backingWei >= neededWei, InsufficientStake(provider, neededWei, backingWei));
    }

    /// @dev Record of a submission that may still be sealed.
    function _sealableRecord(uint256 txSeq) private view returns (SubmissionRecord memory record) {
        _requireState(txSeq, State.Submitted);
        record = _flow.submission(txSeq);
        uint256 deadline = record.submittedAt + _sealDeadlineBlocks;
        require(block.number <= deadline, SealDeadlinePassed(txSeq, deadline));
    }

    /// @dev Without a stored state it is submitted, if it exists at all: who needs `Submitted` also reads its record.
    function _requireState(uint256 txSeq, State needed) private view {
        State state = _deals[txSeq].state;
        if (state == State.None && needed == State.Submitted) return;
        if (state == State.None && txSeq < _flow.numSubmissions()) state = State.Submitted;
        require(state == needed, WrongState(txSeq, state));
    }

    function _checkTerms(uint256 parityShards, uint256 termPeriods) private view {
        require(
            parityShards >= DealPriceLib.MIN_PARITY && parityShards <= DealPriceLib.MAX_PARITY,
            ParityOutOfRange(parityShards)
        );
        require(termPeriods >= _minTermPeriods && termPeriods <= _maxTermPeriods, TermOutOfRange(termPeriods));
    }

    function _terms(uint256 txSeq) private view returns (uint256 parityShards, uint256 termPeriods) {
        (parityShards, termPeriods) = (_deals[txSeq].parityShards, _deals[txSeq].termPeriods);
        if (termPeriods == 0) return (DealPriceLib.DEFAULT_PARITY, _defaultTermPeriods);
    }

    function _escrowNeeded(uint256 paddedSectors, uint256 submittedAt, uint256 parityShards, uint256 termPeriods)
        private
        view
        returns (uint256)
    {
        (uint256 shardSectors, uint256 dataShards) = LayoutLib.geometry(paddedSectors);
        uint256 periods = _expiry(submittedAt, termPeriods) - (_periodAt(submittedAt) + 1);
        return DealPriceLib.escrowNeeded((dataShards + parityShards) * shardSectors, periods, _pricePerSectorPeriod);
    }

    function _expiry(uint256 submittedAt, uint256 termPeriods) private view returns (uint256) {
        return DealPriceLib.expiry(_periodAt(submittedAt + _sealDeadlineBlocks), termPeriods, _bucketPeriods);
    }

    function _currentPeriod() private view returns (uint256) {
        return _periodAt(block.number);
    }

    function _periodAt(uint256 blockNumber) private view returns (uint256) {
        return ClockLib.periodAt(_startBlock, _periodBlocks, blockNumber);
    }

    /// @dev Writes the custody leaf of every shard in `bitmap`; returns how many there are.
    function _fillLeaves(bytes32[] memory leaves, bytes32[] calldata shardRoots, address provider, uint256 bitmap)
        private
        pure
        returns (uint256 kept)
    {
        for (; bitmap != 0; ++kept) {
            uint256 rest = bitmap & (bitmap - 1);
            uint256 index = Math.log2(bitmap ^ rest);
            leaves[index] = CustodyLib.leaf(index, provider, shardRoots[index]);
            bitmap = rest;
        }
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {IFlow, SubmissionRecord} from "../interfaces/IFlow.sol";
import {IStorageMarket, MarketParams} from "../interfaces/IStorageMarket.sol";
import {IStorageProver} from "../interfaces/IStorageProver.sol";
import {IStorageStreams} from "../interfaces/IStorageStreams.sol";
import {ClockLib} from "../libraries/ClockLib.sol";
import {DealPriceLib} from "../libraries/DealPriceLib.sol";
import {LayoutLib} from "../libraries/LayoutLib.sol";

/// @title DealTerms
/// @notice The part of StorageMarket that knows what a deal may be: list price, parity, term, deadline and end.
/// @dev Terms of one submission, and what they cost:
///
///   default --configure--> bought --configure--> bought          (state Submitted, block <= deadline)
///       \--------------------\------seal------> frozen in the deal
///
/// Invariants (numbered with StorageMarket's):
/// 4. Price, parity, term and end of a deal never change after its seal.
abstract contract DealTerms is IStorageMarket, Ownable2Step, ReentrancyGuardTransient {
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

    uint256 private constant BPS = 10_000;

    IStorageStreams internal immutable _streams;
    address private immutable _deployer;
    uint256 private immutable _startBlock;
    uint256 private immutable _periodBlocks;
    uint256 private immutable _defaultTermPeriods;
    uint256 private immutable _minTermPeriods;
    uint256 private immutable _maxTermPeriods;
    uint256 internal immutable _sealDeadlineBlocks;
    uint256 private immutable _bucketPeriods;
    uint256 internal immutable _potBps;
    uint256 internal immutable _faultTolerance;
    uint256 internal immutable _parityBondWei;

    IFlow internal _flow;
    IStorageProver internal _prover;
    uint256 private _pricePerSectorPeriod;
    mapping(uint256 txSeq => DealSlots) internal _deals;

    constructor(IBeacon beacon, IStorageStreams streams_, MarketParams memory params_, uint256 price) {
        require(
            params_.minTermPeriods != 0 && params_.minTermPeriods <= params_.defaultTermPeriods
                && params_.defaultTermPeriods <= params_.maxTermPeriods
                && params_.bucketPeriods == streams_.bucketPeriods()
                && params_.sealDeadlineBlocks != 0 && params_.potBps < BPS && params_.faultTolerance != 0
                && params_.faultTolerance <= DealPriceLib.MIN_PARITY,
            InvalidParams()
        );
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

    /// @notice Ownership can be passed on, in two steps, but not given up.
    function renounceOwnership() public pure override {
        revert OwnershipNotRenounceable();
    }

    function _setPrice(uint256 price) private {
        // Within 96 bits no product of price, sectors and periods can overflow.
        require(price != 0 && price <= type(uint96).max, InvalidParams());
        _pricePerSectorPeriod = price;
        emit PriceChanged(price);
    }

    /// @dev Record of a submission that may still be sealed.
    function _sealableRecord(uint256 txSeq) internal view returns (SubmissionRecord memory record) {
        _requireState(txSeq, State.Submitted);
        record = _flow.submission(txSeq);
        uint256 deadline = record.submittedAt + _sealDeadlineBlocks;
        require(block.number <= deadline, SealDeadlinePassed(txSeq, deadline));
    }

    /// @dev Without a stored state it is submitted, if it exists at all: who needs `Submitted` also reads its record.
    function _requireState(uint256 txSeq, State needed) internal view {
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

    function _terms(uint256 txSeq) internal view returns (uint256 parityShards, uint256 termPeriods) {
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

    function _expiry(uint256 submittedAt, uint256 termPeriods) internal view returns (uint256) {
        return DealPriceLib.expiry(_periodAt(submittedAt + _sealDeadlineBlocks), termPeriods, _bucketPeriods);
    }

    function _currentPeriod() internal view returns (uint256) {
        return _periodAt(block.number);
    }

    function _periodAt(uint256 blockNumber) private view returns (uint256) {
        return ClockLib.periodAt(_startBlock, _periodBlocks, blockNumber);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {
    IStorageStreams,
    OpenDeal,
    ProviderRate,
    REASON_BOND,
    REASON_BOUNTY,
    REASON_PIN,
    REASON_REFUND,
    REASON_REMAINDER
} from "../interfaces/IStorageStreams.sol";
import {ClockLib} from "../libraries/ClockLib.sol";
import {RateLib} from "../libraries/RateLib.sol";

/// @title StorageStreams
/// @notice All money of the storage layer. Clock: block numbers, cut into periods by the Beacon.
/// @dev Where a wei may lie, and how it moves:
///
///   deposit --> escrow --refund---------------------> credits --withdraw--> out
///                  \--openDeal--> streaming --paid------^ ^ ^
///                        |            \--unpaid, pot share--> pot --bounties--^
///                        \--remainder-------------------------------^
///   openDeal's value --> bonds --releaseBond--> credits
///
/// Invariants:
/// 1. escrow + streaming + pot + bonds + credits = everything deposited - everything withdrawn <= this contract's
///    balance.
/// 2. streaming = what all streams, the pot's own included, will still settle.
/// 3. A period pays a provider only if it was opened, was not forfeited, and the provider was not suspended in it.
/// 4. A round's bounties together never exceed the pot at its opening.
contract StorageStreams is IStorageStreams {
    using RateLib for RateLib.Stream;
    using RateLib for RateLib.Walk;
    using SafeCast for uint256;

    /// @dev Expiry buckets that one mutation may settle by the way; further back, `claim` comes first.
    uint256 private constant MAX_BUCKETS = 64;

    /// @dev A longer bucket would make counting the opened periods of one too dear.
    uint256 private constant MAX_BUCKET_PERIODS = 1024;

    address private immutable _deployer;
    uint256 private immutable _startBlock;
    uint256 private immutable _periodBlocks;
    uint256 private immutable _bucketPeriods;
    uint256 private immutable _lockPeriods;

    address private _flow;
    address private _market;
    address private _prover;

    uint128 private _escrowWei;
    uint128 private _streamingWei;
    uint128 private _potWei;
    uint128 private _creditsWei;
    uint128 private _bondsWei;

    mapping(uint256 txSeq => uint256) private _escrows;
    mapping(address account => uint256) private _credits;
    mapping(uint256 word => uint256 bits) private _opened;
    mapping(address provider => RateLib.Stream) private _streams;
    RateLib.Stream private _potStream;

    /// @param bucketPeriods_ Expiries fall on multiples of this.
    /// @param lockPeriods_ K: how many periods' pay backs a custody.
    constructor(IBeacon beacon, uint32 bucketPeriods_, uint16 lockPeriods_) {
        require(bucketPeriods_ != 0 && bucketPeriods_ <= MAX_BUCKET_PERIODS && lockPeriods_ != 0, InvalidParams());
        _deployer = msg.sender;
        _startBlock = beacon.startBlock();
        _periodBlocks = beacon.periodBlocks();
        _bucketPeriods = bucketPeriods_;
        _lockPeriods = lockPeriods_;
    }

    modifier only(address instructor) {
        require(msg.sender == instructor, NotAuthorized(msg.sender));
        _;
    }

    /// @inheritdoc IStorageStreams
    function wire(address flow_, address market_, address prover_) external {
        require(msg.sender == _deployer, NotDeployer(msg.sender));
        require(_market == address(0), AlreadyWired());
        require(flow_ != address(0) && market_ != address(0) && prover_ != address(0), InvalidParams());
        _flow = flow_;
        _market = market_;
        _prover = prover_;
    }

    /// @inheritdoc IStorageStreams
    function deposit(uint256 txSeq) external payable {
        require(msg.sender == _flow || msg.sender == _market, NotAuthorized(msg.sender));
        _escrows[txSeq] += msg.value;
        _escrowWei += msg.value.toUint128();
        emit Deposited(txSeq, msg.value);
    }

    /// @inheritdoc IStorageStreams
    function openDeal(OpenDeal calldata opening, ProviderRate[] calldata rates)
        external
        payable
        only(_market)
        returns (uint256[] memory needsWei)
    {
        uint256 current = _currentPeriod();
        require(
            opening.startPeriod == current + 1 && opening.endPeriod > opening.startPeriod
                && opening.endPeriod % _bucketPeriods == 0,
            InvalidParams()
        );
        uint256 spentWei = uint256(opening.grossPerPeriod) * (opening.endPeriod - opening.startPeriod);
        uint256 escrow = _escrows[opening.txSeq];
        require(escrow >= spentWei, EscrowTooLow(opening.txSeq, spentWei, escrow));

        delete _escrows[opening.txSeq];
        _escrowWei -= escrow.toUint128();
        _streamingWei += spentWei.toUint128();
        _bondsWei += msg.value.toUint128();
        needsWei = new uint256[](rates.length);
        uint96 potRate = opening.grossPerPeriod;
        for (uint256 i; i < rates.length; ++i) {
            potRate -= rates[i].ratePerPeriod;
            needsWei[i] = _addRate(rates[i].provider, rates[i].ratePerPeriod, opening.endPeriod, opening.slashNeedWei);
        }
        _settlePotFully();
        _potStream.add(potRate, opening.endPeriod);
        emit DealOpened(opening.txSeq, opening.grossPerPeriod, escrow - spentWei);
        _credit(opening.owner, escrow - spentWei, REASON_REMAINDER);
    }

    /// @inheritdoc IStorageStreams
    function refund(uint256 txSeq, address owner) external only(_market) returns (uint256 amountWei) {
        amountWei = _escrows[txSeq];
        delete _escrows[txSeq];
        _escrowWei -= amountWei.toUint128();
        _credit(owner, amountWei, REASON_REFUND);
    }

    /// @inheritdoc IStorageStreams
    function releaseBond(address to, uint256 amountWei) external only(_market) {
        _bondsWei -= amountWei.toUint128();
        _credit(to, amountWei, REASON_BOND);
    }

    /// @inheritdoc IStorageStreams
    function moveRate(address from, address to, uint96 ratePerPeriod, uint32 endPeriod, uint128 slashNeedWei)
        external
        only(_market)
        returns (uint256 needWei)
    {
        uint256 fromPeriod = _currentPeriod() + 1;
        require(endPeriod > fromPeriod, InvalidParams());
        _settleFully(from);
        _streams[from].remove(ratePerPeriod, endPeriod);
        needWei = _addRate(to, ratePerPeriod, endPeriod, slashNeedWei);
        emit RateMoved(from, to, ratePerPeriod, fromPeriod);
    }

    /// @inheritdoc IStorageStreams
    function openRound(uint256 period, uint256 draws, address pinner)
        external
        only(_prover)
        returns (uint256 bountyWei)
    {
        require(!isRoundOpen(period), RoundAlreadyOpen(period));
        _settlePotFully();
        _opened[period / 256] |= 1 << (period % 256);
        uint256 pot = _potWei;
        bountyWei = pot / (draws + 1);
        emit RoundFunded(period, pot, bountyWei);
        _potWei -= bountyWei.toUint128();
        _credit(pinner, bountyWei, REASON_PIN);
    }

    /// @inheritdoc IStorageStreams
    function payBounty(address to, uint256 amountWei) external only(_prover) {
        require(amountWei <= _potWei, PotTooLow(amountWei, _potWei));
        _potWei -= amountWei.toUint128();
        _credit(to, amountWei, REASON_BOUNTY);
    }

    /// @inheritdoc IStorageStreams
    function forfeit(address provider) external only(_prover) {
        uint256 period = _settleFully(provider);
        if (isSuspended(provider)) return;
        _streams[provider].pay = RateLib.Pay.Forfeited;
        emit Forfeited(provider, period);
    }

    /// @inheritdoc IStorageStreams
    function suspend(address provider) external only(_prover) {
        uint256 period = _settleFully(provider);
        _streams[provider].pay = RateLib.Pay.Suspended;
        emit Suspended(provider, period);
    }

    /// @inheritdoc IStorageStreams
    function reinstate(address provider) external only(_prover) {
        uint256 period = _settleFully(provider);
        _streams[provider].pay = RateLib.Pay.Forfeited;
        emit Reinstated(provider, period + 1);
    }

    /// @inheritdoc IStorageStreams
    function claim(address provider, uint256 maxBuckets) external returns (uint256 throughPeriod, uint256 paidWei) {
        RateLib.Walk memory here = _settle(provider, maxBuckets);
        return (here.period, here.paidWei);
    }

    /// @inheritdoc IStorageStreams
    function advancePot(uint256 maxBuckets) external returns (uint256 throughPeriod) {
        return _settlePot(maxBuckets);
    }

    /// @inheritdoc IStorageStreams
    function withdraw(address to) external returns (uint256 amountWei) {
        require(to != address(0), ZeroAddress());
        amountWei = _credits[msg.sender];
        require(amountWei != 0, NothingToWithdraw(msg.sender));
        delete _credits[msg.sender];
        _creditsWei -= amountWei.toUint128();
        emit Withdrawn(msg.sender, to, amountWei);
        (bool sent,) = to.call{value: amountWei}("");
        require(sent, TransferFailed(to, amountWei));
    }

    /// @inheritdoc IStorageStreams
    function bucketPeriods() external view returns (uint256) {
        return _bucketPeriods;
    }

    /// @inheritdoc IStorageStreams
    function lockPeriods() external view returns (uint256) {
        return _lockPeriods;
    }

    /// @inheritdoc IStorageStreams
    function escrowOf(uint256 txSeq) external view returns (uint256) {
        return _escrows[txSeq];
    }

    /// @inheritdoc IStorageStreams
    function creditOf(address account) external view returns (uint256) {
        return _credits[account];
    }

    /// @inheritdoc IStorageStreams
    function potWei() external view returns (uint256) {
        return _potWei;
    }

    /// @inheritdoc IStorageStreams
    function streamingWei() external view returns (uint256) {
        return _streamingWei;
    }

    /// @inheritdoc IStorageStreams
    function bondsWei() external view returns (uint256) {
        return _bondsWei;
    }

    /// @inheritdoc IStorageStreams
    function escrowWei() external view returns (uint256) {
        return _escrowWei;
    }

    /// @inheritdoc IStorageStreams
    function creditsWei() external view returns (uint256) {
        return _creditsWei;
    }

    /// @inheritdoc IStorageStreams
    function rateOf(address provider) external view returns (uint256 nowWei, uint256 nextWei) {
        RateLib.Walk memory here = _walkFully(provider);
        nowWei = here.rate;
        nextWei = uint256(int256(here.rate) + here.pending) - _streams[provider].ending[here.period + 1];
    }

    /// @inheritdoc IStorageStreams
    function claimable(address provider) external view returns (uint256 paidWei, uint256 throughPeriod) {
        RateLib.Walk memory here = _walk(_streams[provider], MAX_BUCKETS);
        return (here.paidWei, here.period);
    }

    /// @inheritdoc IStorageStreams
    function lockOf(address provider) external view returns (uint256) {
        return _lockPeriods * _walkFully(provider).peakRate();
    }

    /// @inheritdoc IStorageStreams
    function needOf(address provider) external view returns (uint256) {
        return _need(_streams[provider], _walkFully(provider).peakRate());
    }

    /// @inheritdoc IStorageStreams
    function isRoundOpen(uint256 period) public view returns (bool) {
        return (_opened[period / 256] >> (period % 256)) & 1 != 0;
    }

    /// @inheritdoc IStorageStreams
    function isSuspended(address provider) public view returns (bool) {
        return _streams[provider].pay == RateLib.Pay.Suspended;
    }

    function _addRate(address provider, uint96 rate, uint256 endPeriod, uint128 slashNeedWei)
        private
        returns (uint256 needWei)
    {
        _settleFully(provider);
        RateLib.Stream storage stream = _streams[provider];
        stream.setSlashNeed(slashNeedWei);
        stream.add(rate, endPeriod);
        return _need(stream, stream.peakRate());
    }

    function _need(RateLib.Stream storage stream, uint256 peakRate) private view returns (uint256) {
        return peakRate == 0 ? 0 : Math.max(_lockPeriods * peakRate, stream.slashNeed());
    }

    function _settleFully(address provider) private returns (uint256 period) {
        period = _settle(provider, MAX_BUCKETS).period;
        require(period == _currentPeriod(), StreamBehind(provider, period));
    }

    function _settle(address provider, uint256 maxBuckets) private returns (RateLib.Walk memory here) {
        here = _streams[provider].settle(_opened, _currentPeriod(), _bucketPeriods, maxBuckets);
        if (here.paidWei == 0 && here.restWei == 0) return here;
        _streamingWei -= (here.paidWei + here.restWei).toUint128();
        _potWei += here.restWei.toUint128();
        _creditsWei += here.paidWei.toUint128();
        if (here.paidWei != 0) _credits[provider] += here.paidWei;
        emit Claimed(provider, here.period, here.paidWei, here.restWei);
    }

    function _settlePotFully() private {
        uint256 period = _settlePot(MAX_BUCKETS);
        require(period == _currentPeriod(), StreamBehind(address(this), period));
    }

    /// @dev The pot gets its share of every period, opened or not.
    function _settlePot(uint256 maxBuckets) private returns (uint256 period) {
        RateLib.Walk memory here = _potStream.settle(_opened, _currentPeriod(), _bucketPeriods, maxBuckets);
        uint128 accruedWei = (here.paidWei + here.restWei).toUint128();
        if (accruedWei != 0) {
            _streamingWei -= accruedWei;
            _potWei += accruedWei;
        }
        return here.period;
    }

    function _credit(address to, uint256 amountWei, bytes32 reason) private {
        if (amountWei == 0) return;
        _credits[to] += amountWei;
        _creditsWei += amountWei.toUint128();
        emit Credited(to, amountWei, reason);
    }

    function _walkFully(address provider) private view returns (RateLib.Walk memory here) {
        here = _walk(_streams[provider], MAX_BUCKETS);
        require(here.period == _currentPeriod(), StreamBehind(provider, here.period));
    }

    function _walk(RateLib.Stream storage stream, uint256 maxBuckets) private view returns (RateLib.Walk memory) {
        return stream.walk(_opened, _currentPeriod(), _bucketPeriods, maxBuckets);
    }

    function _currentPeriod() private view returns (uint256) {
        return ClockLib.periodAt(_startBlock, _periodBlocks, block.number);
    }
}

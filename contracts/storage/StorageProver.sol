// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {IStakedService} from "../interfaces/IStakedService.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {CustodyView, IStorageMarket} from "../interfaces/IStorageMarket.sol";
import {CustodyProof, IStorageProver, LineEntry, ProverParams} from "../interfaces/IStorageProver.sol";
import {IStorageStreams} from "../interfaces/IStorageStreams.sol";
import {CustodyLib} from "../libraries/CustodyLib.sol";
import {MerkleLib} from "../libraries/MerkleLib.sol";
import {AuditLine} from "../staking/AuditLine.sol";
import {AuditRounds} from "../staking/AuditRounds.sol";

/// @title StorageProver
/// @notice Proof of random access. Holds no money. Clock: block numbers, cut into periods by the Beacon.
/// @dev The life of a draw, and invariants 1 and 2: see `AuditRounds`. 3 to 5: see `AuditLine`.
///
///   provider:  serving --maxStrikes misses, or stake below its need--> suspended --reinstate--> serving
///
/// 6. Of a slash at most half comes back to its reporter, bounty included: reporting oneself never pays.
contract StorageProver is IStorageProver, AuditRounds {
    /// @dev Lowest factor at which dropping data does not pay.
    uint256 private constant MIN_SLASH_FACTOR = 4;

    address private immutable _deployer;
    IStaking private immutable _staking;
    IStorageStreams private immutable _streams;
    uint256 private immutable _slashFactor;
    uint256 private immutable _maxStrikes;

    /// @dev A draw, found on the line and in its deal.
    struct Place {
        uint256 txSeq;
        uint256 shardIndex;
        uint256 sector;
        uint256 shardHeight;
        uint256 pricePerSectorPeriod;
    }

    IStorageMarket private _market;

    constructor(IBeacon beacon, IStaking staking, IStorageStreams streams, ProverParams memory params_)
        AuditRounds(
            beacon,
            streams.bucketPeriods(),
            Terms(params_.targetDraws, params_.windowBlocks, params_.strikeWindowPeriods, params_.reporterBps)
        )
    {
        require(
            params_.slashFactor >= MIN_SLASH_FACTOR && params_.maxStrikes != 0 && params_.maxStrikes <= RING_SIZE,
            InvalidParams()
        );
        _deployer = msg.sender;
        _staking = staking;
        _streams = streams;
        _slashFactor = params_.slashFactor;
        _maxStrikes = params_.maxStrikes;
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
        return _append(txSeq, length, endPeriod);
    }

    /// @inheritdoc IStorageProver
    function answer(
        uint256 period,
        uint256 draw,
        uint256 entryIndex,
        bytes calldata sector,
        bytes32[] calldata path,
        CustodyProof calldata custody
    ) external {
        _requireAnswerWindow(period);
        Place memory place = _resolve(period, draw, entryIndex, custody);
        require(sector.length == MerkleLib.SECTOR_BYTES, WrongSectorLength(sector.length));
        require(
            path.length == place.shardHeight
                && MerkleLib.verify(custody.shardRoot, keccak256(sector), place.sector, path),
            WrongSectorProof(place.txSeq, place.shardIndex, place.sector)
        );
        uint256 bountyWei = _streams.isSuspended(custody.provider) ? 0 : _rounds[period].bountyWei;
        emit Answered(period, draw, custody.provider, place.txSeq, place.shardIndex, bountyWei);
        if (bountyWei != 0) _streams.payBounty(custody.provider, bountyWei);
    }

    /// @inheritdoc IStorageProver
    function reportMiss(uint256 period, uint256 draw, uint256 entryIndex, CustodyProof calldata custody) external {
        _requireReportWindow(period);
        Place memory place = _resolve(period, draw, entryIndex, custody);
        address provider = custody.provider;
        require(!_streams.isSuspended(provider), ProviderAlreadySuspended(provider));

        _addStrike(provider, period);
        _streams.forfeit(provider);
        uint256 slashedWei = _slash(provider, place.pricePerSectorPeriod, period, draw);
        emit Missed(period, draw, provider, place.txSeq, place.shardIndex, slashedWei, msg.sender);
        if (
            strikesOf(provider) >= _maxStrikes
                || _staking.backing(provider, address(this)) < _streams.needOf(provider)
        ) {
            _streams.suspend(provider);
        }
        uint256 bountyWei = _reportBounty(period, slashedWei);
        if (bountyWei != 0) _streams.payBounty(msg.sender, bountyWei);
    }

    /// @inheritdoc IStorageProver
    function reinstate(address provider) external {
        require(msg.sender == provider, NotAuthorized(msg.sender));
        require(_streams.isSuspended(provider), NotSuspended(provider));
        uint256 strikes = strikesOf(provider);
        require(strikes < _maxStrikes, StillStruck(provider, strikes));
        uint256 needWei = _streams.needOf(provider);
        uint256 backingWei = _staking.backing(provider, address(this));
        require(backingWei >= needWei, InsufficientStake(provider, needWei, backingWei));
        _streams.reinstate(provider);
    }

    /// @inheritdoc IStakedService
    function minAllocation(address operator) external view returns (uint256) {
        return _streams.needOf(operator);
    }

    /// @inheritdoc IStorageProver
    function params() external view returns (ProverParams memory) {
        return ProverParams({
            targetDraws: uint16(_targetDraws),
            windowBlocks: uint32(_windowBlocks),
            slashFactor: uint16(_slashFactor),
            maxStrikes: uint8(_maxStrikes),
            strikeWindowPeriods: uint32(_strikeWindowPeriods),
            reporterBps: uint16(_reporterBps)
        });
    }

    /// @inheritdoc IStorageProver
    function market() external view returns (address) {
        return address(_market);
    }

    /// @inheritdoc IStorageProver
    function entry(uint256 entryIndex) external view returns (LineEntry memory) {
        Stretch memory stretch = _stretches[entryIndex];
        return LineEntry(stretch.start, stretch.length, stretch.id);
    }

    /// @inheritdoc IStorageProver
    function slashWei(uint256 pricePerSectorPeriod, uint256 live) public view returns (uint256) {
        return Math.ceilDiv(_slashFactor * pricePerSectorPeriod * live, _targetDraws);
    }

    /// @dev Finds the draw, checks who had to answer it, and marks it: it is resolved once, whichever way.
    function _resolve(uint256 period, uint256 draw, uint256 entryIndex, CustodyProof calldata custody)
        private
        returns (Place memory place)
    {
        (uint256 txSeq, uint256 offset) = _locate(period, draw, entryIndex);
        CustodyView memory held = _market.custodyAt(txSeq, period);
        require(held.live, DeadRange(txSeq, period));
        place.txSeq = txSeq;
        place.shardHeight = held.shardHeight;
        place.pricePerSectorPeriod = held.pricePerSectorPeriod;
        place.shardIndex = offset >> held.shardHeight;
        place.sector = offset & ((1 << held.shardHeight) - 1);
        bytes32 leaf = CustodyLib.leaf(place.shardIndex, custody.provider, custody.shardRoot);
        require(
            CustodyLib.verify(held.custodyRoot, held.shards, place.shardIndex, leaf, custody.path),
            WrongCustodyProof(place.txSeq, place.shardIndex)
        );
        _markResolved(period, draw);
    }

    /// @inheritdoc AuditRounds
    function _fundRound(uint256 period, uint256 draws) internal override returns (uint256) {
        require(draws != 0, NoLiveSectors(period));
        return _streams.openRound(period, draws, msg.sender);
    }

    /// @inheritdoc AuditLine
    function _endPeriodOf(uint256 txSeq) internal view override returns (uint256) {
        return _market.endPeriodOf(txSeq);
    }

    /// @inheritdoc AuditLine
    function _emitAppended(uint256 entryIndex, uint256 txSeq, uint256 start, uint256 sectors) internal override {
        emit Appended(entryIndex, txSeq, start, sectors);
    }

    /// @dev At most the provider's lock: what it put up for the custody it took.
    function _slash(address provider, uint256 pricePerSectorPeriod, uint256 period, uint256 draw)
        private
        returns (uint256)
    {
        uint256 amountWei =
            Math.min(slashWei(pricePerSectorPeriod, _rounds[period].live), _streams.lockOf(provider));
        address[] memory beneficiaries = new address[](1);
        uint256[] memory bps = new uint256[](1);
        beneficiaries[0] = msg.sender;
        bps[0] = _reporterBps;
        return _staking.slash(provider, amountWei, keccak256(abi.encode("miss", period, draw)), beneficiaries, bps);
    }
}

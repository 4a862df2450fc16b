// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {HeldFee, IInferenceEvents, InferenceParams} from "../interfaces/IInferenceEvents.sol";
import {IStaking} from "../interfaces/IStaking.sol";

/// @title InferenceState
/// @notice All that `InferenceServing` stores, and the few reads that both its codes need.
/// @dev Storage is declared here and nowhere else: `InferenceServing` runs the code of `InferenceCatalog` on its own
/// storage, so both must see the same layout.
abstract contract InferenceState is IInferenceEvents, Ownable2Step {
    using EnumerableSet for EnumerableSet.AddressSet;
    using SafeCast for uint256;

    uint256 internal constant MIN_LOCK_SEC = 1 minutes;
    uint256 internal constant MAX_LOCK_SEC = 7 days;
    uint256 private constant MAX_USER_BPS = 5_000;

    /// @dev What only counts after notice, besides the prices.
    struct Terms {
        string serviceType;
        string model;
        string verifiability;
        string additionalInfo;
        address signer;
    }

    /// @dev `pendingFromSec` is 0 when no change is scheduled; a scheduled one has the last price epoch.
    struct Listing {
        bool revoked;
        uint40 updatedAtSec;
        uint40 pendingFromSec;
        string url;
        Terms current;
        Terms pending;
    }

    struct PriceEpoch {
        uint96 inputPriceWei;
        uint96 outputPriceWei;
        uint64 fromSec;
    }

    /// @dev Dies with the account. `balanceWei` includes `pendingWei`.
    struct AccountState {
        uint112 balanceWei;
        uint112 pendingWei;
        bool exists;
        bool acknowledged;
        RefundState[] refunds;
        string additionalInfo;
    }

    struct RefundState {
        uint128 amountWei;
        uint64 createdAtSec;
    }

    /// @dev Outlives the account, so that a re-made one replays nothing.
    /// `oldMax…` are the greatest maxima before `maxSetAtSec`, and count until the grace is over; `oldCapWei` counts
    /// before `capFromDay`.
    struct Pair {
        uint64 nonce;
        uint64 generation;
        uint32 spentDay;
        uint96 spentWei;
        uint128 ceilingWei;
        uint128 settledWei;
        uint96 maxInputPriceWei;
        uint96 maxOutputPriceWei;
        uint40 maxSetAtSec;
        bool known;
        uint96 oldMaxInputPriceWei;
        uint96 oldMaxOutputPriceWei;
        uint64 releaseNonce;
        uint96 capWei;
        uint96 oldCapWei;
        uint32 capFromDay;
        uint256 revokedBitmap;
    }

    IStaking internal immutable _staking;
    uint256 internal immutable _minStakeWei;
    uint256 internal immutable _faultSlashWei;
    uint256 internal immutable _defaultDailyCapWei;
    /// @dev How old an unsettled receipt may be: a price of that time still counts for it.
    uint256 internal immutable _graceSec;
    uint256 internal immutable _noticeSec;
    uint256 internal immutable _challengeSec;
    uint256 internal immutable _answerSec;
    uint256 internal immutable _userBps;

    uint256 internal _lockSec;
    uint256 internal _accountedWei;
    EnumerableSet.AddressSet internal _listed;
    mapping(address provider => Listing) internal _listings;
    mapping(address provider => PriceEpoch[]) internal _prices;
    mapping(address user => mapping(address provider => AccountState)) internal _accounts;
    mapping(address user => mapping(address provider => Pair)) internal _pairs;
    /// @dev All accounts, as keccak of the pair; the pair itself is found through `_pairOf`.
    EnumerableSet.Bytes32Set internal _keys;
    mapping(bytes32 key => address[2]) internal _pairOf;
    mapping(address user => EnumerableSet.AddressSet) internal _providersOf;
    mapping(address provider => EnumerableSet.AddressSet) internal _usersOf;
    uint256 internal _heldCount;
    mapping(uint256 heldId => HeldFee) internal _held;
    /// @dev Held fees not yet released or returned: while there are any, the stake stays.
    mapping(address provider => uint256) internal _openCount;
    mapping(address provider => uint256) internal _earnings;

    constructor(address owner_, IStaking staking, InferenceParams memory given) Ownable(owner_) {
        require(
            given.noticeSec != 0 && given.challengeSec != 0 && given.answerSec != 0
                && given.faultSlashWei <= given.minProviderStakeWei && given.userBps <= MAX_USER_BPS,
            InvalidParams()
        );
        _staking = staking;
        _minStakeWei = given.minProviderStakeWei;
        _faultSlashWei = given.faultSlashWei;
        _defaultDailyCapWei = given.defaultDailyCapWei.toUint96();
        _graceSec = given.lockSec;
        _noticeSec = given.noticeSec;
        _challengeSec = given.challengeSec;
        _answerSec = given.answerSec;
        _userBps = given.userBps;
        _setLock(given.lockSec);
    }

    /// @notice Ownership can be passed on, in two steps, but not given up.
    function renounceOwnership() public pure override {
        revert OwnershipNotRenounceable();
    }

    function _setLock(uint256 lockSec) internal {
        require(
            lockSec >= MIN_LOCK_SEC && lockSec <= MAX_LOCK_SEC, LockTimeOutOfRange(lockSec, MIN_LOCK_SEC, MAX_LOCK_SEC)
        );
        _lockSec = lockSec;
    }

    /// @dev The price epoch in force. Only the last one may lie in the future, and never the first.
    function _epochNow(address provider) internal view returns (uint256) {
        PriceEpoch[] storage prices = _prices[provider];
        uint256 count = prices.length;
        require(count != 0, ServiceNotExist(provider));
        return prices[count - 1].fromSec <= block.timestamp ? count - 1 : count - 2;
    }

    /// @dev The prices of an epoch that exists.
    function _pricesAt(address provider, uint256 priceEpoch) internal view returns (uint96, uint96) {
        PriceEpoch storage prices = _prices[provider][priceEpoch];
        return (prices.inputPriceWei, prices.outputPriceWei);
    }

    function _termsNow(Listing storage listing) internal view returns (Terms storage) {
        uint256 fromSec = listing.pendingFromSec;
        return fromSec != 0 && fromSec <= block.timestamp ? listing.pending : listing.current;
    }

    function _isAcknowledged(address provider) internal view returns (bool) {
        return _listed.contains(provider) && !_listings[provider].revoked
            && _staking.backing(provider, address(this)) >= _minStakeWei;
    }

    function _existing(address user, address provider) internal view returns (AccountState storage account) {
        account = _accounts[user][provider];
        require(account.exists, AccountNotExists(user, provider));
    }

    function _capToday(Pair storage pair) internal view returns (uint96) {
        return block.timestamp / 1 days < pair.capFromDay ? pair.oldCapWei : pair.capWei;
    }

    function _spentToday(Pair storage pair) internal view returns (uint96) {
        return pair.spentDay == uint32(block.timestamp / 1 days) ? pair.spentWei : 0;
    }

    function _setMaxPrice(Pair storage pair, uint96 inputPriceWei, uint96 outputPriceWei) internal {
        (pair.oldMaxInputPriceWei, pair.oldMaxOutputPriceWei) = _boundOf(pair);
        (pair.maxInputPriceWei, pair.maxOutputPriceWei) = (inputPriceWei, outputPriceWei);
        pair.maxSetAtSec = uint40(block.timestamp);
    }

    /// @dev The greatest unit prices that a receipt settled now may have been served at, as the user allowed them.
    function _boundOf(Pair storage pair) internal view returns (uint96 inputPriceWei, uint96 outputPriceWei) {
        (inputPriceWei, outputPriceWei) = (pair.maxInputPriceWei, pair.maxOutputPriceWei);
        if (block.timestamp >= pair.maxSetAtSec + _graceSec) return (inputPriceWei, outputPriceWei);
        if (pair.oldMaxInputPriceWei > inputPriceWei) inputPriceWei = pair.oldMaxInputPriceWei;
        if (pair.oldMaxOutputPriceWei > outputPriceWei) outputPriceWei = pair.oldMaxOutputPriceWei;
    }
}

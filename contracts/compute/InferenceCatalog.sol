// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {IInferenceCatalog} from "../interfaces/IInferenceCatalog.sol";
import {Account, HeldFee, InferenceParams, Refund} from "../interfaces/IInferenceEvents.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {InferenceServices} from "./InferenceServices.sol";
import {InferenceState} from "./InferenceState.sol";

/// @title InferenceCatalog
/// @notice The half of `InferenceServing` that moves no money: services and prices, limits, API keys, and all reads.
/// @dev `InferenceServing` runs this code on its own storage (its fallback delegates here, for ever: the address is
/// immutable). Called directly it works on its own, empty storage and binds nobody.
/// The invariants are numbered in `InferenceServing`.
contract InferenceCatalog is InferenceServices {
    using EnumerableSet for EnumerableSet.AddressSet;
    using EnumerableSet for EnumerableSet.Bytes32Set;
    using SafeCast for uint256;

    uint256 private constant MAX_BATCH_USERS = 500;

    /// @inheritdoc IInferenceCatalog
    uint256 public constant MAX_LOCKTIME = MAX_LOCK_SEC;
    /// @inheritdoc IInferenceCatalog
    uint256 public constant MIN_LOCKTIME = MIN_LOCK_SEC;

    /// @inheritdoc IInferenceCatalog
    uint256 public immutable MIN_PROVIDER_STAKE;

    constructor(address owner_, IStaking staking, IModelRegistry registry, InferenceParams memory given)
        InferenceState(owner_, staking, given)
        InferenceServices(registry)
    {
        MIN_PROVIDER_STAKE = given.minProviderStakeWei;
    }

    /// @inheritdoc IInferenceCatalog
    function initialize(uint256, address, address) external pure {
        revert AlreadyInitialized();
    }

    /// @inheritdoc IInferenceCatalog
    function acknowledgeTEESigner(address provider, bool acknowledged) external {
        AccountState storage account = _existing(msg.sender, provider);
        uint256 balanceWei = account.balanceWei;
        require(
            acknowledged || balanceWei == 0, CannotRevokeWithNonZeroBalance(msg.sender, provider, balanceWei)
        );
        account.acknowledged = acknowledged;
    }

    /// @inheritdoc IInferenceCatalog
    function revokeToken(address provider, uint8 tokenId) external {
        _revoke(provider, tokenId);
        emit TokenRevoked(msg.sender, provider, tokenId);
    }

    /// @inheritdoc IInferenceCatalog
    function revokeTokens(address provider, uint8[] calldata tokenIds) external {
        for (uint256 i; i < tokenIds.length; ++i) {
            _revoke(provider, tokenIds[i]);
        }
        emit TokensRevoked(msg.sender, provider, tokenIds);
    }

    /// @inheritdoc IInferenceCatalog
    function revokeAllTokens(address provider) external {
        Pair storage pair = _pairs[msg.sender][provider];
        pair.generation += 1;
        pair.revokedBitmap = 0;
        emit AllTokensRevoked(msg.sender, provider, pair.generation);
    }

    /// @inheritdoc IInferenceCatalog
    function updateLockTime(uint256 lockTime_) external onlyOwner {
        emit LockTimeUpdated(_lockSec, lockTime_);
        _setLock(lockTime_);
    }

    /// @inheritdoc IInferenceCatalog
    function setMaxPrice(address provider, uint256 inputPriceWei, uint256 outputPriceWei) external {
        _checkPrice(inputPriceWei);
        _checkPrice(outputPriceWei);
        _existing(msg.sender, provider);
        _setMaxPrice(_pairs[msg.sender][provider], uint96(inputPriceWei), uint96(outputPriceWei));
        emit MaxPriceSet(msg.sender, provider, inputPriceWei, outputPriceWei);
    }

    /// @inheritdoc IInferenceCatalog
    function setDailyCap(address provider, uint256 capWei) external {
        _existing(msg.sender, provider);
        Pair storage pair = _pairs[msg.sender][provider];
        uint96 presentWei = _capToday(pair);
        pair.capWei = capWei.toUint96();
        // What was served until now was served under the present cap, and may be settled within the grace.
        pair.oldCapWei = presentWei > pair.capWei ? presentWei : pair.capWei;
        pair.capFromDay = uint32((block.timestamp + _graceSec) / 1 days + 1);
        emit DailyCapSet(msg.sender, provider, capWei);
    }

    /// @inheritdoc IInferenceCatalog
    function getAccount(address user, address provider) external view returns (Account memory) {
        _existing(user, provider);
        return _accountOf(user, provider);
    }

    /// @inheritdoc IInferenceCatalog
    function getAllAccounts(uint256 offset, uint256 limit)
        external
        view
        returns (Account[] memory accounts, uint256 total)
    {
        total = _keys.length();
        (uint256 from, uint256 to) = _page(offset, limit, total);
        accounts = new Account[](to - from);
        for (uint256 i = from; i < to; ++i) {
            address[2] storage pair = _pairOf[_keys.at(i)];
            accounts[i - from] = _accountOf(pair[0], pair[1]);
        }
    }

    /// @inheritdoc IInferenceCatalog
    function getAccountsByProvider(address provider, uint256 offset, uint256 limit)
        external
        view
        returns (Account[] memory accounts, uint256 total)
    {
        EnumerableSet.AddressSet storage users = _usersOf[provider];
        total = users.length();
        (uint256 from, uint256 to) = _page(offset, limit, total);
        accounts = new Account[](to - from);
        for (uint256 i = from; i < to; ++i) {
            accounts[i - from] = _accountOf(users.at(i), provider);
        }
    }

    /// @inheritdoc IInferenceCatalog
    function getAccountsByUser(address user, uint256 offset, uint256 limit)
        external
        view
        returns (Account[] memory accounts, uint256 total)
    {
        EnumerableSet.AddressSet storage providers = _providersOf[user];
        total = providers.length();
        (uint256 from, uint256 to) = _page(offset, limit, total);
        accounts = new Account[](to - from);
        for (uint256 i = from; i < to; ++i) {
            accounts[i - from] = _accountOf(user, providers.at(i));
        }
    }

    /// @inheritdoc IInferenceCatalog
    function getBatchAccountsByUsers(address[] calldata users) external view returns (Account[] memory accounts) {
        uint256 count = users.length;
        require(count <= MAX_BATCH_USERS, BatchSizeTooLarge(count, MAX_BATCH_USERS));
        accounts = new Account[](count);
        for (uint256 i; i < count; ++i) {
            if (_accounts[users[i]][msg.sender].exists) accounts[i] = _accountOf(users[i], msg.sender);
        }
    }

    /// @inheritdoc IInferenceCatalog
    function isTokenRevoked(address user, address provider, uint8 tokenId) external view returns (bool) {
        return (_pairs[user][provider].revokedBitmap >> tokenId) & 1 == 1;
    }

    /// @inheritdoc IInferenceCatalog
    function maxPriceOf(address user, address provider)
        external
        view
        returns (uint256 inputPriceWei, uint256 outputPriceWei)
    {
        Pair storage pair = _pairs[user][provider];
        return (pair.maxInputPriceWei, pair.maxOutputPriceWei);
    }

    /// @inheritdoc IInferenceCatalog
    function priceBoundOf(address user, address provider)
        external
        view
        returns (uint256 inputPriceWei, uint256 outputPriceWei)
    {
        return _boundOf(_pairs[user][provider]);
    }

    /// @inheritdoc IInferenceCatalog
    function dailyCapOf(address user, address provider) external view returns (uint256 capWei, uint256 spentWei) {
        Pair storage pair = _pairs[user][provider];
        return (_capToday(pair), _spentToday(pair));
    }

    /// @inheritdoc IInferenceCatalog
    function ceilingOf(address user, address provider) external view returns (uint256) {
        return _pairs[user][provider].ceilingWei;
    }

    /// @inheritdoc IInferenceCatalog
    function settledOf(address user, address provider) external view returns (uint256) {
        return _pairs[user][provider].settledWei;
    }

    /// @inheritdoc IInferenceCatalog
    function releaseNonceOf(address user, address provider) external view returns (uint256) {
        return _pairs[user][provider].releaseNonce;
    }

    /// @inheritdoc IInferenceCatalog
    function lockTime() external view returns (uint256) {
        return _lockSec;
    }

    /// @inheritdoc IInferenceCatalog
    function accountedWei() external view returns (uint256) {
        return _accountedWei;
    }

    /// @inheritdoc IInferenceCatalog
    function heldOf(uint256 heldId) external view returns (HeldFee memory) {
        return _held[heldId];
    }

    /// @inheritdoc IInferenceCatalog
    function heldCount() external view returns (uint256) {
        return _heldCount;
    }

    /// @inheritdoc IInferenceCatalog
    function earningsOf(address provider) external view returns (uint256) {
        return _earnings[provider];
    }

    /// @inheritdoc IInferenceCatalog
    function modelRegistry() external view returns (address) {
        return address(_registry);
    }

    /// @inheritdoc IInferenceCatalog
    function params() external view returns (InferenceParams memory) {
        return InferenceParams({
            minProviderStakeWei: _minStakeWei,
            faultSlashWei: _faultSlashWei,
            defaultDailyCapWei: _defaultDailyCapWei,
            lockSec: uint32(_graceSec),
            noticeSec: uint32(_noticeSec),
            challengeSec: uint32(_challengeSec),
            answerSec: uint32(_answerSec),
            userBps: uint16(_userBps)
        });
    }

    /// @inheritdoc IInferenceCatalog
    function initialized() external pure returns (bool) {
        return true;
    }

    function _revoke(address provider, uint8 tokenId) private {
        require(tokenId != type(uint8).max, TokenIdReserved(tokenId));
        _pairs[msg.sender][provider].revokedBitmap |= 1 << tokenId;
    }

    function _accountOf(address user, address provider) private view returns (Account memory view_) {
        AccountState storage account = _accounts[user][provider];
        Pair storage pair = _pairs[user][provider];
        uint256 count = account.refunds.length;
        view_.user = user;
        view_.provider = provider;
        view_.nonce = pair.nonce;
        view_.balance = account.balanceWei;
        view_.pendingRefund = account.pendingWei;
        view_.refunds = new Refund[](count);
        for (uint256 i; i < count; ++i) {
            RefundState storage one = account.refunds[i];
            view_.refunds[i] = Refund(i, one.amountWei, one.createdAtSec, false);
        }
        view_.additionalInfo = account.additionalInfo;
        view_.acknowledged = account.acknowledged;
        view_.validRefundsLength = count;
        view_.generation = pair.generation;
        view_.revokedBitmap = pair.revokedBitmap;
    }
}

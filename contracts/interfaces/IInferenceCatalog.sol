// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {Account, HeldFee, IInferenceEvents, InferenceParams, Service, ServiceParams} from "./IInferenceEvents.sol";

/// @title IInferenceCatalog
/// @notice The half of `IInferenceServing` that moves no money: services and prices, limits, API keys, and all reads.
interface IInferenceCatalog is IInferenceEvents {
    /// @notice Always reverts with `AlreadyInitialized`: the constructor did it.
    function initialize(uint256 lockTime_, address ledger_, address owner_) external;

    /// @notice Lists the sender's service or changes it. The first listing, a new URL and a fall of a price count at
    /// once; a rise and any other change only after the notice, also when the service was removed in between. A further
    /// change replaces one that has not begun, and its notice begins anew.
    /// @dev Needs `MIN_PROVIDER_STAKE` of stake behind this contract, and no value. Where the model's id is registered,
    /// prices below its floor of this moment revert with `PriceBelowFloor`, unless a listed service goes on with the
    /// model at the prices it has, or above.
    function addOrUpdateService(ServiceParams calldata params) external payable;

    /// @notice Takes the sender's service off the list: it settles nothing more. Prices and notices are remembered.
    function removeService() external;

    /// @notice Takes a revocation back. Owner only; no service needs it otherwise.
    function acknowledgeTEESignerByOwner(address provider) external;

    /// @notice Stops a service from settling until it is acknowledged again. Owner only.
    function revokeTEESignerAcknowledgement(address provider) external;

    /// @notice The sender accepts, or no longer accepts, the provider's signer; the latter with an empty account only.
    function acknowledgeTEESigner(address provider, bool acknowledged) external;

    /// @notice Revokes one API key of the sender.
    function revokeToken(address provider, uint8 tokenId) external;

    /// @notice Revokes API keys of the sender.
    function revokeTokens(address provider, uint8[] calldata tokenIds) external;

    /// @notice Revokes all API keys and sessions of the sender by a new generation.
    function revokeAllTokens(address provider) external;

    /// @notice Sets how long money asked back stays chargeable. Owner only.
    function updateLockTime(uint256 lockTime_) external;

    /// @notice Sets the dearest unit prices at which the sender buys. Settlements within the grace (`lockSec` of the
    /// parameters) may still hold receipts from before a fall.
    function setMaxPrice(address provider, uint256 inputPriceWei, uint256 outputPriceWei) external;

    /// @notice Sets the sender's cap of open mode; a fall counts from the first UTC day that begins after the grace
    /// (`lockSec` of the parameters).
    function setDailyCap(address provider, uint256 capWei) external;

    /// @notice What counts now; reverts with `ServiceNotExist` unless listed.
    function getService(address provider) external view returns (Service memory service);

    /// @notice A page of at most 50 listed services and their number.
    function getAllServices(uint256 offset, uint256 limit)
        external
        view
        returns (Service[] memory services, uint256 total);

    /// @notice The announced change that has not begun, and when it begins; `fromSec` is 0 when there is none.
    function pendingServiceOf(address provider) external view returns (Service memory service, uint256 fromSec);

    /// @notice Whether the service is listed.
    function serviceExists(address provider) external view returns (bool);

    /// @notice The number of the price epoch in force; reverts with `ServiceNotExist` if there never was a service.
    function priceEpochOf(address provider) external view returns (uint256);

    /// @notice The prices of an epoch, and when it began or will.
    function priceAt(address provider, uint256 priceEpoch)
        external
        view
        returns (uint256 inputPriceWei, uint256 outputPriceWei, uint256 fromSec);

    /// @notice A sub-account; reverts with `AccountNotExists`.
    function getAccount(address user, address provider) external view returns (Account memory);

    /// @notice A page of at most 50 sub-accounts and their number.
    function getAllAccounts(uint256 offset, uint256 limit)
        external
        view
        returns (Account[] memory accounts, uint256 total);

    /// @notice A page of at most 50 sub-accounts at `provider` and their number.
    function getAccountsByProvider(address provider, uint256 offset, uint256 limit)
        external
        view
        returns (Account[] memory accounts, uint256 total);

    /// @notice A page of at most 50 sub-accounts of `user` and their number.
    function getAccountsByUser(address user, uint256 offset, uint256 limit)
        external
        view
        returns (Account[] memory accounts, uint256 total);

    /// @notice The sub-accounts of at most 500 `users` at the caller; those that do not exist are empty.
    function getBatchAccountsByUsers(address[] calldata users) external view returns (Account[] memory accounts);

    /// @notice Whether an API key is revoked.
    function isTokenRevoked(address user, address provider, uint8 tokenId) external view returns (bool);

    /// @notice The dearest unit prices at which `user` buys; at first, the prices when the account was made.
    function maxPriceOf(address user, address provider)
        external
        view
        returns (uint256 inputPriceWei, uint256 outputPriceWei);

    /// @notice The greatest maxima of `user` in force within the grace: what receipts settled now are held against.
    function priceBoundOf(address user, address provider)
        external
        view
        returns (uint256 inputPriceWei, uint256 outputPriceWei);

    /// @notice The cap of open mode for today and what is taken of it.
    function dailyCapOf(address user, address provider) external view returns (uint256 capWei, uint256 spentWei);

    /// @notice The ceiling the user has signed; 0 in open mode.
    function ceilingOf(address user, address provider) external view returns (uint256);

    /// @notice All that was ever settled between the two; it never falls, also not by a fee given back.
    function settledOf(address user, address provider) external view returns (uint256);

    /// @notice The nonce of the last release between the two.
    function releaseNonceOf(address user, address provider) external view returns (uint256);

    /// @notice A held fee; state `Unknown` if there is none.
    function heldOf(uint256 heldId) external view returns (HeldFee memory);

    /// @notice The number of fees ever held; ids are 1 … heldCount.
    function heldCount() external view returns (uint256);

    /// @notice What `provider` may withdraw.
    function earningsOf(address provider) external view returns (uint256);

    /// @notice All that this contract owes: balances, held fees, earnings. Coins forced on it are not counted.
    function accountedWei() external view returns (uint256);

    /// @notice The registry whose price floors count here.
    function modelRegistry() external view returns (address);

    /// @notice The parameters, the lock being that of the deployment.
    function params() external view returns (InferenceParams memory);

    function MAX_LOCKTIME() external view returns (uint256);

    function MIN_LOCKTIME() external view returns (uint256);

    function MIN_PROVIDER_STAKE() external view returns (uint256);

    function initialized() external view returns (bool);

    function lockTime() external view returns (uint256);
}

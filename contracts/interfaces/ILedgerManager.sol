// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {IServing} from "./IServing.sol";

/// @notice A user's money. `totalBalance` = available + all sub-accounts + fees held for challenge.
struct Ledger {
    address user;
    uint256 availableBalance;
    uint256 totalBalance;
    string additionalInfo;
}

/// @notice A registered service; `fullName` is type and version, joined by a hyphen ("inference-v1.0").
struct ServiceInfo {
    address serviceAddress;
    IServing serviceContract;
    string serviceType;
    string version;
    string fullName;
    string description;
    bool isRecommended;
    uint256 registeredAt;
}

/// @title ILedgerManager
/// @notice One balance per user; from it the user funds sub-accounts, one per provider and service. A superset of the
/// ABI that public compute clients know. Amounts in wei.
interface ILedgerManager {
    event FundSpent(address indexed user, address indexed service, uint256 amount);
    /// @notice A service gave money back to `user` outside `retrieveFund`: a signed release, or a refuted fee.
    event FundReturned(address indexed user, address indexed service, uint256 amount);
    /// @notice Once, with 1, when deployed.
    event Initialized(uint8 version);
    event LedgerInfoUpdated(address indexed user, string additionalInfo);
    event RecommendedServiceUpdated(string serviceType, string version, address serviceAddress);
    event ServiceRegistered(address indexed serviceAddress, string serviceName);

    error AdditionalInfoTooLong(uint256 length, uint256 max);
    error AlreadyInitialized();
    error CallFailed();
    error CallerNotRegisteredService(address caller);
    error DirectDepositsDisabled();
    error InsufficientAvailableBalance(uint256 available, uint256 required);
    error InsufficientBalance(address user);
    error InvalidServiceAddress(address serviceAddress);
    error InvalidServiceType(string serviceType);
    error LedgerExists(address user);
    /// @notice A call for this ledger runs already.
    error LedgerLocked();
    error LedgerNotExists(address user);
    error MinimumDepositRequired(uint256 provided, uint256 required);
    error MustWithdrawAllFundsFirst(uint256 remainingBalance);
    error NoRecommendedService(string serviceType);
    error ServiceAlreadyRegistered(address serviceAddress);
    error ServiceMustImplementIServing(address serviceAddress);
    error ServiceNameExists(string serviceName);
    error ServiceNotFound(address serviceAddress);
    error ServiceNotRegistered(address serviceAddress);
    error ServiceRegistryLimitReached(uint256 limit);
    error ServiceTypeRequired();
    error TooManyProviders(uint256 requested, uint256 maximum);
    error TooManyProvidersForService(uint256 current, uint256 maximum);
    error TransferFailed();
    error VersionRequired();
    error ZeroAddressNotAllowed();
    error ZeroAmountNotAllowed();
    error OwnershipNotRenounceable();

    /// @notice Always reverts with `AlreadyInitialized`: the constructor did it.
    function initialize(address owner_) external;

    /// @notice Opens the sender's ledger with the value, at least `MIN_ACCOUNT_BALANCE`.
    /// @return availableBalance and totalBalance of the new ledger
    function addLedger(string calldata additionalInfo)
        external
        payable
        returns (uint256 availableBalance, uint256 totalBalance);

    /// @notice Adds the value to the sender's ledger; opens it if the value reaches the minimum.
    function depositFund() external payable;

    /// @notice Adds the value to the ledger of `recipient`; opens it if the value reaches the minimum.
    function depositFundFor(address recipient) external payable;

    /// @notice Pays `amount` of the available balance to the sender. What is left must be nothing or the minimum; a
    /// ledger left with nothing at all is deleted.
    function refund(uint256 amount) external;

    /// @notice Deletes the sender's empty ledger and its empty sub-accounts.
    function deleteLedger() external;

    /// @notice Moves `amount` to the sender's sub-account at `provider`, made if missing (at least
    /// `MIN_TRANSFER_AMOUNT`). Money that the user has asked back from there is taken into use first.
    function transferFund(address provider, string calldata serviceName, uint256 amount) external;

    /// @notice Takes back what was asked back and is free, then asks the rest back. At most `MAX_PROVIDERS_PER_BATCH`.
    function retrieveFund(address[] calldata providers, string calldata serviceName) external;

    /// @notice Notes that `amount` of `user` has been earned by a provider. Registered services only.
    function spendFund(address user, uint256 amount) external;

    /// @notice Adds the value, counted in the user's total already, to the available balance. Registered services only.
    function returnFund(address user) external payable;

    /// @notice Replaces the text that clients keep with the sender's ledger.
    function updateAdditionalInfo(string calldata additionalInfo) external;

    /// @notice Registers a service. Owner only.
    function registerService(
        string calldata serviceType,
        string calldata version,
        address serviceAddress,
        string calldata description
    ) external;

    /// @notice Names the version of a type that clients should use. Owner only.
    function setRecommendedService(string calldata serviceType, string calldata version) external;

    /// @notice A ledger; reverts with `LedgerNotExists`.
    function getLedger(address user) external view returns (Ledger memory);

    /// @notice A page of all ledgers and their number.
    function getAllLedgers(uint256 offset, uint256 limit)
        external
        view
        returns (Ledger[] memory ledgers, uint256 total);

    /// @notice The providers at which `user` has a sub-account of that service.
    function getLedgerProviders(address user, string calldata serviceName) external view returns (address[] memory);

    /// @notice A registered service; reverts with `ServiceNotFound`.
    function getServiceInfo(address serviceAddress) external view returns (ServiceInfo memory);

    /// @notice The address of a service by its full name; reverts with `InvalidServiceType`.
    function getServiceAddressByName(string calldata serviceName) external view returns (address);

    /// @notice All registered services.
    function getAllActiveServices() external view returns (ServiceInfo[] memory);

    /// @notice All versions of a type.
    function getAllVersions(string calldata serviceType)
        external
        view
        returns (string[] memory versions, address[] memory addresses, bool[] memory isRecommendedFlags);

    /// @notice The recommended version of a type; reverts with `NoRecommendedService`.
    function getRecommendedService(string calldata serviceType)
        external
        view
        returns (string memory version, address serviceAddress);

    /// @notice Whether this version of the type is the recommended one.
    function isRecommendedVersion(string calldata serviceType, string calldata version) external view returns (bool);

    /// @notice Always true.
    function initialized() external view returns (bool);

    /// @notice All that this contract owes: the available balances. Coins forced on it are not counted.
    function accountedWei() external view returns (uint256);

    function MAX_ADDITIONAL_INFO_LENGTH() external view returns (uint256);
    function MAX_PROVIDERS_PER_BATCH() external view returns (uint256);
    function MAX_PROVIDERS_PER_USER_PER_SERVICE() external view returns (uint256);
    function MAX_SERVICES() external view returns (uint256);
    function MIN_ACCOUNT_BALANCE() external view returns (uint256);
    function MIN_TRANSFER_AMOUNT() external view returns (uint256);
}

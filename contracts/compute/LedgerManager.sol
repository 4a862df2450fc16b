// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {TransientSlot} from "@openzeppelin/contracts/utils/TransientSlot.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {ILedgerManager, Ledger} from "../interfaces/ILedgerManager.sol";
import {IServing} from "../interfaces/IServing.sol";
import {LedgerServices} from "./LedgerServices.sol";

/// @title LedgerManager
/// @notice One balance per user, from which sub-accounts at providers are funded.
/// @dev
///   none --addLedger, depositFund--> open --refund of the last wei, deleteLedger--> none
///   money: available --transferFund--> sub-account --retrieveFund (twice), release--> available --refund--> paid
///
/// Clock: seconds, and only in `registeredAt`. The lock per ledger lives in transient storage.
///
/// Invariants
/// 1. Sum of available balances = accountedWei <= balance. Coins forced on this contract are never counted.
/// 2. Per user: total = available + sub-accounts + fees held; every service reports what leaves it (`spendFund`).
/// 3. A ledger is deleted only when its total is zero, and its sub-accounts with it.
contract LedgerManager is LedgerServices {
    using EnumerableSet for EnumerableSet.AddressSet;
    using SafeCast for uint256;
    using TransientSlot for *;

    struct LedgerState {
        uint128 availableWei;
        uint128 totalWei;
        string additionalInfo;
    }

    /// @inheritdoc ILedgerManager
    uint256 public constant MAX_ADDITIONAL_INFO_LENGTH = 4_096;
    /// @inheritdoc ILedgerManager
    uint256 public constant MAX_PROVIDERS_PER_BATCH = 20;
    /// @inheritdoc ILedgerManager
    uint256 public constant MAX_PROVIDERS_PER_USER_PER_SERVICE = 50;

    /// @inheritdoc ILedgerManager
    uint256 public immutable MIN_ACCOUNT_BALANCE;
    /// @inheritdoc ILedgerManager
    uint256 public immutable MIN_TRANSFER_AMOUNT;

    uint256 private _accountedWei;
    EnumerableSet.AddressSet private _users;
    mapping(address user => LedgerState) private _ledgers;
    mapping(address user => mapping(address service => EnumerableSet.AddressSet)) private _providers;

    constructor(address owner_, uint256 minAccountWei, uint256 minTransferWei) Ownable(owner_) {
        MIN_ACCOUNT_BALANCE = minAccountWei;
        MIN_TRANSFER_AMOUNT = minTransferWei;
        emit Initialized(1);
    }

    /// @dev A user's money moves in one call at a time: a receiver cannot come back for the same ledger.
    modifier locked(address user) {
        TransientSlot.BooleanSlot slot = keccak256(abi.encode(user)).asBoolean();
        require(!slot.tload(), LedgerLocked());
        slot.tstore(true);
        _;
        slot.tstore(false);
    }

    /// @dev Services pay refunds in; whoever else sends money should use `depositFund`.
    receive() external payable {
        require(_services.contains(msg.sender), DirectDepositsDisabled());
    }

    /// @inheritdoc ILedgerManager
    function initialize(address) external pure {
        revert AlreadyInitialized();
    }

    /// @inheritdoc ILedgerManager
    function addLedger(string calldata additionalInfo)
        external
        payable
        locked(msg.sender)
        returns (uint256 availableBalance, uint256 totalBalance)
    {
        require(!_users.contains(msg.sender), LedgerExists(msg.sender));
        _setInfo(msg.sender, additionalInfo);
        _deposit(msg.sender);
        return (msg.value, msg.value);
    }

    /// @inheritdoc ILedgerManager
    function depositFund() external payable locked(msg.sender) {
        _deposit(msg.sender);
    }

    /// @inheritdoc ILedgerManager
    function depositFundFor(address recipient) external payable locked(recipient) {
        require(recipient != address(0), ZeroAddressNotAllowed());
        _deposit(recipient);
    }

    /// @inheritdoc ILedgerManager
    function refund(uint256 amount) external locked(msg.sender) {
        LedgerState storage ledger = _open(msg.sender);
        require(amount != 0, ZeroAmountNotAllowed());
        uint256 availableWei = ledger.availableWei;
        require(amount <= availableWei, InsufficientAvailableBalance(availableWei, amount));
        uint256 leftWei = availableWei - amount;
        require(leftWei == 0 || leftWei >= MIN_ACCOUNT_BALANCE, MinimumDepositRequired(leftWei, MIN_ACCOUNT_BALANCE));

        ledger.availableWei = uint128(leftWei);
        ledger.totalWei -= uint128(amount);
        _accountedWei -= amount;
        if (ledger.totalWei == 0) _delete(msg.sender);
        (bool ok,) = msg.sender.call{value: amount}("");
        require(ok, TransferFailed());
    }

    /// @inheritdoc ILedgerManager
    function deleteLedger() external locked(msg.sender) {
        uint256 totalWei = _open(msg.sender).totalWei;
        require(totalWei == 0, MustWithdrawAllFundsFirst(totalWei));
        _delete(msg.sender);
    }

    /// @inheritdoc ILedgerManager
    function transferFund(address provider, string calldata serviceName, uint256 amount) external locked(msg.sender) {
        LedgerState storage ledger = _open(msg.sender);
        address service = getServiceAddressByName(serviceName);
        require(provider != address(0), ZeroAddressNotAllowed());
        if (!IServing(service).accountExists(msg.sender, provider)) {
            require(amount >= MIN_TRANSFER_AMOUNT, MinimumDepositRequired(amount, MIN_TRANSFER_AMOUNT));
            EnumerableSet.AddressSet storage providers = _providers[msg.sender][service];
            uint256 count = providers.length();
            require(
                count < MAX_PROVIDERS_PER_USER_PER_SERVICE,
                TooManyProvidersForService(count, MAX_PROVIDERS_PER_USER_PER_SERVICE)
            );
            providers.add(provider);
            _take(ledger, amount);
            IServing(service).addAccount{value: amount}(msg.sender, provider, ledger.additionalInfo);
            return;
        }
        require(amount != 0, ZeroAmountNotAllowed());
        uint256 cancelledWei = Math.min(IServing(service).getPendingRefund(msg.sender, provider), amount);
        _take(ledger, amount - cancelledWei);
        IServing(service).depositFund{value: amount - cancelledWei}(msg.sender, provider, cancelledWei);
    }

    /// @inheritdoc ILedgerManager
    function retrieveFund(address[] calldata providers, string calldata serviceName) external locked(msg.sender) {
        LedgerState storage ledger = _open(msg.sender);
        uint256 count = providers.length;
        require(count <= MAX_PROVIDERS_PER_BATCH, TooManyProviders(count, MAX_PROVIDERS_PER_BATCH));
        IServing service = IServing(getServiceAddressByName(serviceName));
        for (uint256 i; i < count; ++i) {
            // The service is trusted (the owner registered it) and has sent what it reports.
            (uint256 freedWei,,) = service.processRefund(msg.sender, providers[i]);
            ledger.availableWei += freedWei.toUint128();
            _accountedWei += freedWei;
            service.requestRefundAll(msg.sender, providers[i]);
        }
    }

    /// @inheritdoc ILedgerManager
    function spendFund(address user, uint256 amount) external onlyService {
        LedgerState storage ledger = _open(user);
        require(amount <= ledger.totalWei - ledger.availableWei, InsufficientBalance(user));
        ledger.totalWei -= uint128(amount);
        emit FundSpent(user, msg.sender, amount);
    }

    /// @inheritdoc ILedgerManager
    function returnFund(address user) external payable onlyService {
        LedgerState storage ledger = _open(user);
        require(msg.value <= ledger.totalWei - ledger.availableWei, InsufficientBalance(user));
        ledger.availableWei += msg.value.toUint128();
        _accountedWei += msg.value;
        emit FundReturned(user, msg.sender, msg.value);
    }

    /// @inheritdoc ILedgerManager
    function updateAdditionalInfo(string calldata additionalInfo) external {
        _open(msg.sender);
        _setInfo(msg.sender, additionalInfo);
        emit LedgerInfoUpdated(msg.sender, additionalInfo);
    }

    /// @inheritdoc ILedgerManager
    function getLedger(address user) external view returns (Ledger memory) {
        _open(user);
        return _ledgerOf(user);
    }

    /// @inheritdoc ILedgerManager
    function getAllLedgers(uint256 offset, uint256 limit)
        external
        view
        returns (Ledger[] memory ledgers, uint256 total)
    {
        total = _users.length();
        uint256 to = Math.min(Math.saturatingAdd(offset, limit), total);
        address[] memory users = _users.values(Math.min(offset, to), to);
        ledgers = new Ledger[](users.length);
        for (uint256 i; i < users.length; ++i) {
            ledgers[i] = _ledgerOf(users[i]);
        }
    }

    /// @inheritdoc ILedgerManager
    function getLedgerProviders(address user, string calldata serviceName) external view returns (address[] memory) {
        return _providers[user][getServiceAddressByName(serviceName)].values();
    }

    /// @inheritdoc ILedgerManager
    function initialized() external pure returns (bool) {
        return true;
    }

    /// @inheritdoc ILedgerManager
    function accountedWei() external view returns (uint256) {
        return _accountedWei;
    }

    function _deposit(address user) private {
        require(msg.value != 0, ZeroAmountNotAllowed());
        if (!_users.contains(user)) {
            require(msg.value >= MIN_ACCOUNT_BALANCE, MinimumDepositRequired(msg.value, MIN_ACCOUNT_BALANCE));
            _users.add(user);
        }
        LedgerState storage ledger = _ledgers[user];
        ledger.availableWei += msg.value.toUint128();
        ledger.totalWei += msg.value.toUint128();
        _accountedWei += msg.value;
    }

    /// @dev Money leaves for a sub-account: the total stays.
    function _take(LedgerState storage ledger, uint256 amountWei) private {
        uint256 availableWei = ledger.availableWei;
        require(amountWei <= availableWei, InsufficientAvailableBalance(availableWei, amountWei));
        ledger.availableWei = uint128(availableWei - amountWei);
        _accountedWei -= amountWei;
    }

    /// @dev At most `MAX_PROVIDERS_PER_USER_PER_SERVICE` sub-accounts in each service.
    function _delete(address user) private {
        uint256 count = _services.length();
        for (uint256 i; i < count; ++i) {
            address service = _services.at(i);
            EnumerableSet.AddressSet storage providers = _providers[user][service];
            while (providers.length() != 0) {
                address provider = providers.at(providers.length() - 1);
                providers.remove(provider);
                IServing(service).deleteAccount(user, provider);
            }
        }
        delete _ledgers[user];
        _users.remove(user);
    }

    function _setInfo(address user, string calldata additionalInfo) private {
        uint256 length = bytes(additionalInfo).length;
        require(length <= MAX_ADDITIONAL_INFO_LENGTH, AdditionalInfoTooLong(length, MAX_ADDITIONAL_INFO_LENGTH));
        _ledgers[user].additionalInfo = additionalInfo;
    }

    function _open(address user) private view returns (LedgerState storage) {
        require(_users.contains(user), LedgerNotExists(user));
        return _ledgers[user];
    }

    function _ledgerOf(address user) private view returns (Ledger memory) {
        LedgerState storage ledger = _ledgers[user];
        return Ledger(user, ledger.availableWei, ledger.totalWei, ledger.additionalInfo);
    }
}

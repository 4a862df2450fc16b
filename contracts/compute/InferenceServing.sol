// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IInferenceCatalog} from "../interfaces/IInferenceCatalog.sol";
import {InferenceParams, Release, TEESettlementData, Voucher} from "../interfaces/IInferenceEvents.sol";
import {IInferenceSettlement} from "../interfaces/IInferenceSettlement.sol";
import {ILedgerManager} from "../interfaces/ILedgerManager.sol";
import {IServing} from "../interfaces/IServing.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {HeldFees} from "./HeldFees.sol";
import {InferenceAccounts} from "./InferenceAccounts.sol";
import {InferenceState} from "./InferenceState.sol";

/// @title InferenceServing
/// @notice Inference sold by staked providers: services, sub-accounts, vouchers, settlement. Clock: seconds.
/// @dev
///   open mode    --raiseCeiling, posted by the provider--> voucher mode, for ever (per user and provider)
///   a fee:  open: balance --settle, <= daily cap--> held --> earnings | back to the user's ledger, and a slash
///           voucher: balance --settle, <= ceiling--> earnings --withdrawEarnings--> paid
///   services: see `InferenceServices`; accounts and refunds: `InferenceAccounts`; held fees: `HeldFees`.
///
/// Invariants
/// 1. Deposits = balances (pending refunds among them) + held + earnings + paid + refunded, per user and in sum;
///    balances + held + earnings = accountedWei <= balance. Coins forced on this contract are never counted.
/// 2. Pending refunds of an account = sum of its list (at most 5) <= its balance.
/// 3. Voucher mode: what was ever settled between two parties stays within the ceiling the user signed.
/// 4. Open mode: settled on one UTC day stays within the greatest cap of that day, and each fee is held.
/// 5. Nonces of a pair only grow, also over accounts: no settlement, receipt or release counts twice.
/// 6. A rise of a price, or another model or signer, binds nobody before `noticeSec` have passed.
/// 7. A listed service, and one with open held fees, cannot take its stake away.
/// 8. A held fee is released once or returned once; each return slashes once.
contract InferenceServing is HeldFees, EIP712, IERC165 {
    using SafeCast for uint256;

    uint8 private constant SUCCESS = 0;
    uint8 private constant PARTIAL = 1;
    uint8 private constant PROVIDER_MISMATCH = 2;
    uint8 private constant NO_TEE_SIGNER = 3;
    uint8 private constant INVALID_NONCE = 4;
    uint8 private constant INVALID_SIGNATURE = 5;

    uint256 private constant MAX_SETTLEMENTS = 50;
    bytes32 private constant SETTLEMENT_TYPEHASH = keccak256(
        "TEESettlement(bytes32 requestsHash,uint256 nonce,address provider,address user,uint256 totalFee)"
    );
    bytes32 private constant VOUCHER_TYPEHASH = keccak256(
        "Voucher(address user,address provider,uint256 ceilingWei,uint256 inputPriceWei,uint256 outputPriceWei,"
        "bytes32 modelRoot,uint256 validUntilSec)"
    );
    bytes32 private constant RELEASE_TYPEHASH =
        keccak256("Release(address user,uint256 amountWei,uint256 nonce,uint256 validUntilSec)");

    address private immutable _catalog;

    constructor(
        address owner_,
        ILedgerManager ledger,
        IStaking staking,
        IInferenceCatalog catalog,
        InferenceParams memory given
    )
        EIP712("0G Inference Serving", "1")
        InferenceState(owner_, staking, given)
        InferenceAccounts(ledger)
    {
        // Both codes carry the parameters as immutables: they must be the same.
        require(keccak256(abi.encode(catalog.params())) == keccak256(abi.encode(given)), InvalidParams());
        _catalog = address(catalog);
        emit Initialized(1);
        emit ContractInitialized(owner_, given.lockSec, address(ledger));
    }

    /// @dev What this code does not know is `InferenceCatalog`'s.
    fallback() external payable {
        address catalog = _catalog;
        // Assembly, because Solidity cannot return bytes of any shape. Memory-safe: it never returns to Solidity.
        assembly ("memory-safe") {
            calldatacopy(0, 0, calldatasize())
            let ok := delegatecall(gas(), catalog, 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            if iszero(ok) { revert(0, returndatasize()) }
            return(0, returndatasize())
        }
    }

    /// @dev Money comes in through the ledger only.
    receive() external payable {
        revert DirectDepositsDisabled();
    }

    /// @inheritdoc IInferenceSettlement
    function raiseCeiling(Voucher calldata voucher, bytes calldata signature) external {
        require(msg.sender == voucher.provider, NotVoucherProvider(msg.sender, voucher.provider));
        _existing(voucher.user, msg.sender);
        (uint256 inputWei, uint256 outputWei) = _pricesAt(msg.sender, _epochNow(msg.sender));
        require(
            inputWei <= voucher.inputPriceWei && outputWei <= voucher.outputPriceWei,
            PriceAboveVoucher(inputWei, outputWei)
        );
        Pair storage pair = _pairs[voucher.user][msg.sender];
        uint256 currentWei = pair.ceilingWei;
        require(voucher.ceilingWei > currentWei, CeilingNotRaised(voucher.ceilingWei, currentWei));
        // All members are words: their encoding is the calldata as it stands.
        _checkSigned(
            voucher.user, voucher.validUntilSec, keccak256(abi.encode(VOUCHER_TYPEHASH, voucher)), signature
        );

        pair.ceilingWei = voucher.ceilingWei.toUint128();
        emit CeilingRaised(voucher.user, msg.sender, voucher.ceilingWei, voucher.modelRoot);
    }

    /// @inheritdoc IInferenceSettlement
    function releaseRefund(address provider, Release calldata release, bytes calldata signature) external {
        require(msg.sender == release.user, NotReleaseUser(msg.sender, release.user));
        AccountState storage account = _existing(msg.sender, provider);
        Pair storage pair = _pairs[msg.sender][provider];
        require(release.nonce > pair.releaseNonce, NonceUsed(release.nonce, pair.releaseNonce));
        _checkSigned(provider, release.validUntilSec, keccak256(abi.encode(RELEASE_TYPEHASH, release)), signature);

        uint256 amountWei = Math.min(release.amountWei, account.balanceWei);
        pair.releaseNonce = release.nonce.toUint64();
        _charge(account, amountWei);
        _accountedWei -= amountWei;
        emit RefundReleased(msg.sender, provider, amountWei, release.nonce);
        emit BalanceUpdated(msg.sender, provider, account.balanceWei, account.pendingWei);
        _ledger.returnFund{value: amountWei}(msg.sender);
    }

    /// @inheritdoc IInferenceSettlement
    function settleFeesWithTEE(TEESettlementData[] calldata settlements) external returns (uint8[] memory statuses) {
        uint256 count = settlements.length;
        require(count != 0, NoSettlementsProvided());
        require(count <= MAX_SETTLEMENTS, TooManySettlements(count, MAX_SETTLEMENTS));
        address signer = _signerOf(msg.sender);
        uint256 earnedWei;
        statuses = new uint8[](count);
        address[] memory users = new address[](count);
        uint256[] memory balances = new uint256[](count);
        uint256[] memory pendingRefunds = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            TEESettlementData calldata item = settlements[i];
            uint256 itemWei;
            (statuses[i], itemWei) = _settle(item, signer);
            earnedWei += itemWei;
            AccountState storage account = _accounts[item.user][item.provider];
            users[i] = item.user;
            balances[i] = account.balanceWei;
            pendingRefunds[i] = account.pendingWei;
        }
        _earnings[msg.sender] += earnedWei;
        emit BatchBalanceUpdated(users, balances, pendingRefunds);
    }

    /// @inheritdoc IInferenceSettlement
    function previewSettlementResults(TEESettlementData[] calldata settlements)
        external
        view
        returns (
            address[] memory failedUsers,
            uint8[] memory failureReasons,
            address[] memory partialUsers,
            uint256[] memory partialAmounts
        )
    {
        uint256 count = settlements.length;
        require(count <= MAX_SETTLEMENTS, TooManySettlements(count, MAX_SETTLEMENTS));
        failedUsers = new address[](count);
        failureReasons = new uint8[](count);
        partialUsers = new address[](count);
        partialAmounts = new uint256[](count);
        address signer = _signerOf(msg.sender);
        uint256 failed;
        uint256 partly;
        for (uint256 i; i < count; ++i) {
            (uint8 status, uint256 payableWei) = _evaluate(settlements[i], signer);
            if (status == PARTIAL) {
                partialUsers[partly] = settlements[i].user;
                partialAmounts[partly++] = settlements[i].totalFee - payableWei;
            } else if (status != SUCCESS) {
                failedUsers[failed] = settlements[i].user;
                failureReasons[failed++] = status;
            }
        }
        // Shortens the arrays to what was found: only their length words change.
        assembly ("memory-safe") {
            mstore(failedUsers, failed)
            mstore(failureReasons, failed)
            mstore(partialUsers, partly)
            mstore(partialAmounts, partly)
        }
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        return interfaceId == type(IServing).interfaceId || interfaceId == type(IERC165).interfaceId;
    }

    /// @dev Settles one item; `earnedWei` is what is the provider's at once.
    function _settle(TEESettlementData calldata item, address signer)
        private
        returns (uint8 status, uint256 earnedWei)
    {
        uint256 paidWei;
        (status, paidWei) = _evaluate(item, signer);
        if (status <= PARTIAL) {
            Pair storage pair = _pairs[item.user][msg.sender];
            bool isOpen = pair.ceilingWei == 0;
            if (isOpen) {
                uint256 spentWei = _spentToday(pair) + paidWei;
                if (paidWei != 0) _hold(item, pair, paidWei, _epochNow(msg.sender));
                pair.spentDay = uint32(block.timestamp / 1 days);
                pair.spentWei = uint96(spentWei);
            } else {
                earnedWei = paidWei;
            }
            pair.nonce = uint64(item.nonce);
            pair.settledWei += paidWei.toUint128();
            _charge(_accounts[item.user][msg.sender], paidWei);
            emit FeeSettled(item.user, msg.sender, item.nonce, item.requestsHash, paidWei);
            if (!isOpen) _ledger.spendFund(item.user, paidWei);
        }
        if (status != SUCCESS) emit TEESettlementResult(item.user, status, item.totalFee - paidWei);
    }

    /// @dev What an item comes to now, `signer` being that of the caller's service, or zero.
    function _evaluate(TEESettlementData calldata item, address signer)
        private
        view
        returns (uint8 status, uint256 payableWei)
    {
        if (item.provider != msg.sender) return (PROVIDER_MISMATCH, 0);
        AccountState storage account = _accounts[item.user][msg.sender];
        if (signer == address(0) || !account.acknowledged) return (NO_TEE_SIGNER, 0);
        Pair storage pair = _pairs[item.user][msg.sender];
        if (item.nonce <= pair.nonce || item.nonce > type(uint64).max) return (INVALID_NONCE, 0);
        if (!_isSigned(item, signer)) return (INVALID_SIGNATURE, 0);
        (uint256 mostWei, uint256 usedWei) = pair.ceilingWei == 0
            ? (uint256(_capToday(pair)), uint256(_spentToday(pair)))
            : (uint256(pair.ceilingWei), uint256(pair.settledWei));
        payableWei = Math.min(item.totalFee, Math.min(account.balanceWei, Math.saturatingSub(mostWei, usedWei)));
        status = payableWei == item.totalFee ? SUCCESS : PARTIAL;
    }

    /// @dev Who signs for the provider now; zero unless the service counts as acknowledged.
    function _signerOf(address provider) private view returns (address) {
        return _isAcknowledged(provider) ? _termsNow(_listings[provider]).signer : address(0);
    }

    function _isSigned(TEESettlementData calldata item, address signer) private view returns (bool) {
        bytes32 structHash = keccak256(
            abi.encode(SETTLEMENT_TYPEHASH, item.requestsHash, item.nonce, item.provider, item.user, item.totalFee)
        );
        (address recovered, ECDSA.RecoverError error,) =
            ECDSA.tryRecover(_hashTypedDataV4(structHash), item.signature);
        return error == ECDSA.RecoverError.NoError && recovered == signer;
    }

    function _checkSigned(address signer, uint256 validUntilSec, bytes32 structHash, bytes calldata signature)
        private
        view
    {
        require(block.timestamp <= validUntilSec, SignatureExpired(block.timestamp, validUntilSec));
        bytes32 digest = _hashTypedDataV4(structHash);
        // An account's key comes before its code: delegated code (EIP-7702) must not take back what the key signed.
        (address recovered, ECDSA.RecoverError error,) = ECDSA.tryRecoverCalldata(digest, signature);
        require(
            (error == ECDSA.RecoverError.NoError && recovered == signer)
                || SignatureChecker.isValidERC1271SignatureNow(signer, digest, signature),
            SignatureInvalid(signer)
        );
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {IInferenceCatalog} from "../interfaces/IInferenceCatalog.sol";
import {Service, ServiceParams} from "../interfaces/IInferenceEvents.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {InferenceState} from "./InferenceState.sol";

/// @title InferenceServices
/// @notice The part of `InferenceServing` that knows services: what counts now, what comes, and the price epochs.
/// @dev
///   unknown --first listing--> listed <--addOrUpdateService / removeService--> removed (remembered)
///   change: scheduled --noticeSec--> in force; replaced or dropped by a further announcement until then
///
/// A price epoch is a version of all terms: each change of prices, model, signer, type or info begins one.
/// The invariants are numbered in `InferenceServing`.
abstract contract InferenceServices is IInferenceCatalog, InferenceState {
    using EnumerableSet for EnumerableSet.AddressSet;

    uint256 private constant MAX_PAGE = 50;
    uint256 private constant MAX_TEXT_LENGTH = 512;
    uint256 private constant MAX_INFO_LENGTH = 4_096;

    IModelRegistry internal immutable _registry;

    constructor(IModelRegistry registry) {
        _registry = registry;
    }

    /// @inheritdoc IInferenceCatalog
    function addOrUpdateService(ServiceParams calldata announced) external payable {
        require(msg.value == 0, CannotAddStakeWhenUpdating());
        uint256 backingWei = _staking.backing(msg.sender, address(this));
        require(backingWei >= _minStakeWei, InsufficientStake(backingWei, _minStakeWei));
        _checkTerms(announced);
        Listing storage listing = _listings[msg.sender];
        if (!_isKept(listing, announced)) _checkFloor(announced);

        if (_prices[msg.sender].length == 0) {
            _setTerms(listing.current, announced);
            _pushEpoch(uint96(announced.inputPrice), uint96(announced.outputPrice), block.timestamp);
        } else {
            _change(listing, announced);
        }
        listing.url = announced.url;
        listing.updatedAtSec = uint40(block.timestamp);
        _listed.add(msg.sender);
        emit ServiceUpdated(
            msg.sender,
            announced.serviceType,
            announced.url,
            announced.inputPrice,
            announced.outputPrice,
            block.timestamp,
            announced.model,
            announced.verifiability
        );
    }

    /// @inheritdoc IInferenceCatalog
    function removeService() external {
        require(_listed.remove(msg.sender), ServiceNotExist(msg.sender));
        emit ServiceRemoved(msg.sender);
    }

    /// @inheritdoc IInferenceCatalog
    function acknowledgeTEESignerByOwner(address provider) external onlyOwner {
        _setRevoked(provider, false);
    }

    /// @inheritdoc IInferenceCatalog
    function revokeTEESignerAcknowledgement(address provider) external onlyOwner {
        _setRevoked(provider, true);
    }

    /// @inheritdoc IInferenceCatalog
    function getService(address provider) external view returns (Service memory service) {
        require(serviceExists(provider), ServiceNotExist(provider));
        return _serviceNow(provider);
    }

    /// @inheritdoc IInferenceCatalog
    function getAllServices(uint256 offset, uint256 limit)
        external
        view
        returns (Service[] memory services, uint256 total)
    {
        total = _listed.length();
        (uint256 from, uint256 to) = _page(offset, limit, total);
        services = new Service[](to - from);
        for (uint256 i = from; i < to; ++i) {
            services[i - from] = _serviceNow(_listed.at(i));
        }
    }

    /// @inheritdoc IInferenceCatalog
    function pendingServiceOf(address provider) external view returns (Service memory service, uint256 fromSec) {
        Listing storage listing = _listings[provider];
        if (listing.pendingFromSec <= block.timestamp) return (service, 0);
        fromSec = listing.pendingFromSec;
        service = _serviceOf(provider, listing.pending, _prices[provider][_prices[provider].length - 1]);
    }

    /// @inheritdoc IInferenceCatalog
    function priceAt(address provider, uint256 priceEpoch)
        external
        view
        returns (uint256 inputPriceWei, uint256 outputPriceWei, uint256 fromSec)
    {
        require(priceEpoch < _prices[provider].length, PriceEpochUnknown(provider, priceEpoch));
        PriceEpoch storage prices = _prices[provider][priceEpoch];
        return (prices.inputPriceWei, prices.outputPriceWei, prices.fromSec);
    }

    /// @inheritdoc IInferenceCatalog
    function priceEpochOf(address provider) external view returns (uint256) {
        return _epochNow(provider);
    }

    /// @inheritdoc IInferenceCatalog
    function serviceExists(address provider) public view returns (bool) {
        return _listed.contains(provider);
    }

    /// @dev The bounds of a page, inside what there is.
    function _page(uint256 offset, uint256 limit, uint256 total) internal pure returns (uint256 from, uint256 to) {
        require(limit <= MAX_PAGE, LimitTooLarge(limit, MAX_PAGE));
        from = Math.min(offset, total);
        to = Math.min(from + limit, total);
    }

    /// @dev Drops what has not begun, lets falls count now, and schedules the rest.
    function _change(Listing storage listing, ServiceParams calldata announced) private {
        PriceEpoch[] storage prices = _prices[msg.sender];
        uint256 pendingFromSec = listing.pendingFromSec;
        if (pendingFromSec > block.timestamp) prices.pop();
        else if (pendingFromSec != 0) listing.current = listing.pending;
        listing.pendingFromSec = 0;

        PriceEpoch memory present = prices[prices.length - 1];
        (uint96 input, uint96 output) = (uint96(announced.inputPrice), uint96(announced.outputPrice));
        uint96 lowInput = input < present.inputPriceWei ? input : present.inputPriceWei;
        uint96 lowOutput = output < present.outputPriceWei ? output : present.outputPriceWei;
        if (lowInput != present.inputPriceWei || lowOutput != present.outputPriceWei) {
            _pushEpoch(lowInput, lowOutput, block.timestamp);
        }
        if (lowInput == input && lowOutput == output && _isSame(listing.current, announced)) {
            delete listing.pending;
            return;
        }
        uint256 fromSec = block.timestamp + _noticeSec;
        listing.pendingFromSec = uint40(fromSec);
        _setTerms(listing.pending, announced);
        _pushEpoch(input, output, fromSec);
        emit ServiceChangeScheduled(msg.sender, fromSec, announced.model, announced.teeSignerAddress);
    }

    function _pushEpoch(uint96 inputPriceWei, uint96 outputPriceWei, uint256 fromSec) private {
        PriceEpoch[] storage prices = _prices[msg.sender];
        prices.push(PriceEpoch(inputPriceWei, outputPriceWei, uint64(fromSec)));
        emit PriceEpochSet(msg.sender, prices.length - 1, inputPriceWei, outputPriceWei, fromSec);
    }

    function _setRevoked(address provider, bool revoked) private {
        require(_prices[provider].length != 0, ServiceNotExist(provider));
        Listing storage listing = _listings[provider];
        listing.revoked = revoked;
        emit ProviderTEESignerAcknowledged(provider, _termsNow(listing).signer, !revoked);
    }

    function _setTerms(Terms storage terms, ServiceParams calldata announced) private {
        terms.serviceType = announced.serviceType;
        terms.model = announced.model;
        terms.verifiability = announced.verifiability;
        terms.additionalInfo = announced.additionalInfo;
        terms.signer = announced.teeSignerAddress;
    }

    function _serviceNow(address provider) private view returns (Service memory) {
        return _serviceOf(
            provider,
            _termsNow(_listings[provider]),
            _prices[provider][_epochNow(provider)]
        );
    }

    function _serviceOf(address provider, Terms storage terms, PriceEpoch storage prices)
        private
        view
        returns (Service memory service)
    {
        Listing storage listing = _listings[provider];
        service.provider = provider;
        service.serviceType = terms.serviceType;
        service.url = listing.url;
        service.inputPrice = prices.inputPriceWei;
        service.outputPrice = prices.outputPriceWei;
        service.updatedAt = listing.updatedAtSec;
        service.model = terms.model;
        service.verifiability = terms.verifiability;
        service.additionalInfo = terms.additionalInfo;
        service.teeSignerAddress = terms.signer;
        service.teeSignerAcknowledged = _isAcknowledged(provider);
    }

    function _isSame(Terms storage terms, ServiceParams calldata announced) private view returns (bool) {
        return terms.signer == announced.teeSignerAddress && _isSameText(terms.serviceType, announced.serviceType)
            && _isSameText(terms.model, announced.model) && _isSameText(terms.verifiability, announced.verifiability)
            && _isSameText(terms.additionalInfo, announced.additionalInfo);
    }

    function _isSameText(string memory one, string memory other) private pure returns (bool) {
        return keccak256(bytes(one)) == keccak256(bytes(other));
    }

    /// @dev Texts are bounded, so that a page of services stays readable.
    function _checkTerms(ServiceParams calldata announced) private pure {
        require(announced.teeSignerAddress != address(0), InvalidAddress(address(0)));
        require(bytes(announced.additionalInfo).length <= MAX_INFO_LENGTH, AdditionalInfoTooLong());
        _checkText(announced.serviceType);
        _checkText(announced.url);
        _checkText(announced.model);
        _checkText(announced.verifiability);
        _checkPrice(announced.inputPrice);
        _checkPrice(announced.outputPrice);
    }

    /// @dev A listed service may go on with its model at its prices: who takes a name, or raises its floor, must not
    /// keep others from moving their URL or signer.
    function _isKept(Listing storage listing, ServiceParams calldata announced) private view returns (bool) {
        if (!_listed.contains(msg.sender)) return false;
        (uint96 inputWei, uint96 outputWei) = _pricesAt(msg.sender, _epochNow(msg.sender));
        return announced.inputPrice >= inputWei && announced.outputPrice >= outputWei
            && _isSameText(_termsNow(listing).model, announced.model);
    }

    /// @dev Ids that nobody has registered have no floor.
    function _checkFloor(ServiceParams calldata announced) private view {
        (uint256 inputWei, uint256 outputWei) = _registry.floorOf(announced.model);
        require(
            announced.inputPrice >= inputWei && announced.outputPrice >= outputWei,
            PriceBelowFloor(announced.inputPrice, announced.outputPrice, inputWei, outputWei)
        );
    }

    function _checkText(string calldata text) private pure {
        require(bytes(text).length <= MAX_TEXT_LENGTH, TextTooLong(bytes(text).length, MAX_TEXT_LENGTH));
    }

    function _checkPrice(uint256 priceWei) internal pure {
        require(priceWei <= type(uint96).max, PriceTooHigh(priceWei, type(uint96).max));
    }
}

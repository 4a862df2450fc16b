// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {ERC165Checker} from "@openzeppelin/contracts/utils/introspection/ERC165Checker.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {ILedgerManager, ServiceInfo} from "../interfaces/ILedgerManager.sol";
import {IServing} from "../interfaces/IServing.sol";

/// @title LedgerServices
/// @notice The part of `LedgerManager` that knows the registered services; it moves no money.
/// @dev
///   unknown --registerService, owner--> registered, for ever; one of each type may be the recommended one
abstract contract LedgerServices is ILedgerManager, Ownable2Step {
    using EnumerableSet for EnumerableSet.AddressSet;

    struct Registration {
        string serviceType;
        string version;
        string description;
        uint64 registeredAtSec;
    }

    /// @inheritdoc ILedgerManager
    uint256 public constant MAX_SERVICES = 500;

    EnumerableSet.AddressSet internal _services;
    mapping(address service => Registration) private _registrations;
    mapping(bytes32 nameHash => address service) private _byName;
    mapping(bytes32 typeHash => address service) private _recommended;

    modifier onlyService() {
        require(_services.contains(msg.sender), CallerNotRegisteredService(msg.sender));
        _;
    }

    /// @inheritdoc ILedgerManager
    function registerService(
        string calldata serviceType,
        string calldata version,
        address serviceAddress,
        string calldata description
    ) external onlyOwner {
        require(bytes(serviceType).length != 0, ServiceTypeRequired());
        require(bytes(version).length != 0, VersionRequired());
        require(serviceAddress.code.length != 0, InvalidServiceAddress(serviceAddress));
        require(!_services.contains(serviceAddress), ServiceAlreadyRegistered(serviceAddress));
        require(_services.length() < MAX_SERVICES, ServiceRegistryLimitReached(MAX_SERVICES));
        string memory name = _fullName(serviceType, version);
        bytes32 nameHash = keccak256(bytes(name));
        require(_byName[nameHash] == address(0), ServiceNameExists(name));
        require(
            ERC165Checker.supportsInterface(serviceAddress, type(IServing).interfaceId),
            ServiceMustImplementIServing(serviceAddress)
        );

        _services.add(serviceAddress);
        _byName[nameHash] = serviceAddress;
        _registrations[serviceAddress] = Registration(serviceType, version, description, uint64(block.timestamp));
        emit ServiceRegistered(serviceAddress, name);
    }

    /// @inheritdoc ILedgerManager
    function setRecommendedService(string calldata serviceType, string calldata version) external onlyOwner {
        address service = getServiceAddressByName(_fullName(serviceType, version));
        _recommended[keccak256(bytes(serviceType))] = service;
        emit RecommendedServiceUpdated(serviceType, version, service);
    }

    /// @inheritdoc ILedgerManager
    function getServiceInfo(address serviceAddress) external view returns (ServiceInfo memory) {
        require(_services.contains(serviceAddress), ServiceNotFound(serviceAddress));
        return _infoOf(serviceAddress);
    }

    /// @inheritdoc ILedgerManager
    function getAllActiveServices() external view returns (ServiceInfo[] memory infos) {
        uint256 count = _services.length();
        infos = new ServiceInfo[](count);
        for (uint256 i; i < count; ++i) {
            infos[i] = _infoOf(_services.at(i));
        }
    }

    /// @inheritdoc ILedgerManager
    function getAllVersions(string calldata serviceType)
        external
        view
        returns (string[] memory versions, address[] memory addresses, bool[] memory isRecommendedFlags)
    {
        bytes32 typeHash = keccak256(bytes(serviceType));
        address[] memory found = new address[](_services.length());
        uint256 count;
        for (uint256 i; i < found.length; ++i) {
            address service = _services.at(i);
            if (keccak256(bytes(_registrations[service].serviceType)) == typeHash) found[count++] = service;
        }
        versions = new string[](count);
        addresses = new address[](count);
        isRecommendedFlags = new bool[](count);
        for (uint256 i; i < count; ++i) {
            versions[i] = _registrations[found[i]].version;
            addresses[i] = found[i];
            isRecommendedFlags[i] = _recommended[typeHash] == found[i];
        }
    }

    /// @inheritdoc ILedgerManager
    function getRecommendedService(string calldata serviceType)
        external
        view
        returns (string memory version, address serviceAddress)
    {
        serviceAddress = _recommended[keccak256(bytes(serviceType))];
        require(serviceAddress != address(0), NoRecommendedService(serviceType));
        version = _registrations[serviceAddress].version;
    }

    /// @inheritdoc ILedgerManager
    function isRecommendedVersion(string calldata serviceType, string calldata version) external view returns (bool) {
        address service = _byName[keccak256(bytes(_fullName(serviceType, version)))];
        return service != address(0) && _recommended[keccak256(bytes(serviceType))] == service;
    }

    /// @inheritdoc ILedgerManager
    function getServiceAddressByName(string memory serviceName) public view returns (address service) {
        service = _byName[keccak256(bytes(serviceName))];
        require(service != address(0), InvalidServiceType(serviceName));
    }

    /// @notice Ownership can be passed on, in two steps, but not given up.
    function renounceOwnership() public pure override {
        revert OwnershipNotRenounceable();
    }

    function _infoOf(address service) private view returns (ServiceInfo memory) {
        Registration storage registration = _registrations[service];
        return ServiceInfo({
            serviceAddress: service,
            serviceContract: IServing(service),
            serviceType: registration.serviceType,
            version: registration.version,
            fullName: _fullName(registration.serviceType, registration.version),
            description: registration.description,
            isRecommended: _recommended[keccak256(bytes(registration.serviceType))] == service,
            registeredAt: registration.registeredAtSec
        });
    }

    function _fullName(string memory serviceType, string memory version) private pure returns (string memory) {
        return string.concat(serviceType, "-", version);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {IOperatorRegistry} from "../interfaces/IOperatorRegistry.sol";

/// @title OperatorRegistry
/// @notice Who the operators are, where they serve and with which keys.
/// @dev
///   unknown --register--> operator (for ever)          key: set in epoch e --> counts from e + 1 until the next one
///
/// Invariants
/// 1. Only the operator itself writes its entry.
/// 2. The key of an epoch that has begun never changes.
contract OperatorRegistry is IOperatorRegistry {
    using Checkpoints for Checkpoints.Trace208;

    uint256 private constant MAX_METADATA_BYTES = 512;
    uint256 private constant MAX_URL_BYTES = 256;
    /// @dev Room for an uncompressed BLS12-381 key in G1 (128) with its proof of possession in G2 (256).
    uint256 private constant MAX_KEY_BYTES = 512;

    IBeacon private immutable _beacon;

    address[] private _operators;
    mapping(address operator => bool) private _isOperator;
    mapping(address operator => string) private _metadata;
    mapping(address operator => mapping(bytes32 service => string)) private _endpoints;
    /// @dev epoch -> 1 + index into `_keys`
    mapping(address operator => mapping(bytes32 kind => Checkpoints.Trace208)) private _keyNumbers;
    mapping(address operator => mapping(bytes32 kind => bytes[])) private _keys;

    constructor(IBeacon beacon) {
        _beacon = beacon;
    }

    modifier onlyOperator() {
        require(_isOperator[msg.sender], NotOperator(msg.sender));
        _;
    }

    /// @inheritdoc IOperatorRegistry
    function register(string calldata metadataUri) external {
        require(!_isOperator[msg.sender], AlreadyOperator(msg.sender));
        _requireShort(bytes(metadataUri).length, MAX_METADATA_BYTES);
        _isOperator[msg.sender] = true;
        _metadata[msg.sender] = metadataUri;
        _operators.push(msg.sender);
        emit OperatorRegistered(msg.sender, _operators.length - 1, metadataUri);
    }

    /// @inheritdoc IOperatorRegistry
    function setMetadata(string calldata metadataUri) external onlyOperator {
        _requireShort(bytes(metadataUri).length, MAX_METADATA_BYTES);
        _metadata[msg.sender] = metadataUri;
        emit MetadataSet(msg.sender, metadataUri);
    }

    /// @inheritdoc IOperatorRegistry
    function setEndpoint(bytes32 service, string calldata url) external onlyOperator {
        _requireShort(bytes(url).length, MAX_URL_BYTES);
        _endpoints[msg.sender][service] = url;
        emit EndpointSet(msg.sender, service, url);
    }

    /// @inheritdoc IOperatorRegistry
    function setKey(bytes32 kind, bytes calldata key) external onlyOperator {
        _requireShort(key.length, MAX_KEY_BYTES);
        uint256 effectiveEpoch = block.number < _beacon.startBlock() ? 0 : _beacon.currentEpoch() + 1;
        Checkpoints.Trace208 storage numbers = _keyNumbers[msg.sender][kind];
        bytes[] storage keys = _keys[msg.sender][kind];
        (bool exists, uint48 lastEpoch,) = numbers.latestCheckpoint();
        if (exists && lastEpoch == effectiveEpoch) {
            keys[keys.length - 1] = key;
        } else {
            keys.push(key);
            numbers.push(uint48(effectiveEpoch), uint208(keys.length));
        }
        emit KeySet(msg.sender, kind, key, effectiveEpoch);
    }

    /// @inheritdoc IOperatorRegistry
    function isOperator(address account) external view returns (bool) {
        return _isOperator[account];
    }

    /// @inheritdoc IOperatorRegistry
    function metadataOf(address operator) external view returns (string memory) {
        return _metadata[operator];
    }

    /// @inheritdoc IOperatorRegistry
    function endpointOf(address operator, bytes32 service) external view returns (string memory) {
        return _endpoints[operator][service];
    }

    /// @inheritdoc IOperatorRegistry
    function keyAt(address operator, bytes32 kind, uint256 epoch) external view returns (bytes memory) {
        uint48 key = uint48(Math.min(epoch, type(uint48).max));
        uint256 number = _keyNumbers[operator][kind].upperLookupRecent(key);
        return number == 0 ? bytes("") : _keys[operator][kind][number - 1];
    }

    /// @inheritdoc IOperatorRegistry
    function operatorCount() external view returns (uint256) {
        return _operators.length;
    }

    /// @inheritdoc IOperatorRegistry
    function operatorAt(uint256 index) external view returns (address) {
        require(index < _operators.length, IndexTooLarge(index, _operators.length));
        return _operators[index];
    }

    /// @inheritdoc IOperatorRegistry
    function operators(uint256 offset, uint256 limit) external view returns (address[] memory page) {
        uint256 count = Math.min(limit, Math.saturatingSub(_operators.length, offset));
        page = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            page[i] = _operators[offset + i];
        }
    }

    function _requireShort(uint256 lengthBytes, uint256 maxBytes) private pure {
        require(lengthBytes <= maxBytes, TooLong(lengthBytes, maxBytes));
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

/// @title IOperatorRegistry
/// @notice Who the operators are: metadata, one endpoint per service, and keys that change at epoch boundaries.
/// @dev An operator is the sender of `register`; nobody writes another's entry and nobody owns the registry.
/// Service ids are keccak256 of the noun: keccak256("storage"). Proofs of possession are part of the key bytes and are
/// checked by the service that uses the key.
interface IOperatorRegistry {
    /// @notice `operator` registered as number `index`.
    event OperatorRegistered(address indexed operator, uint256 indexed index, string metadataUri);
    /// @notice `operator` changed its metadata.
    event MetadataSet(address indexed operator, string metadataUri);
    /// @notice `operator` serves `service` at `url`; empty means no longer.
    event EndpointSet(address indexed operator, bytes32 indexed service, string url);
    /// @notice From epoch `effectiveEpoch` on, `key` is the operator's key of `kind`; empty means revoked.
    event KeySet(address indexed operator, bytes32 indexed kind, bytes key, uint256 effectiveEpoch);

    /// @notice The sender is an operator already.
    error AlreadyOperator(address operator);
    /// @notice `account` is not an operator.
    error NotOperator(address account);
    /// @notice A text or key is longer than allowed.
    error TooLong(uint256 lengthBytes, uint256 maxBytes);
    /// @notice There are only `count` operators.
    error IndexTooLarge(uint256 index, uint256 count);

    /// @notice Makes the sender an operator.
    /// @param metadataUri at most 512 bytes
    function register(string calldata metadataUri) external;

    /// @notice Replaces the sender's metadata URI (at most 512 bytes).
    function setMetadata(string calldata metadataUri) external;

    /// @notice Sets where the sender serves `service` (at most 256 bytes; empty removes it).
    function setEndpoint(bytes32 service, string calldata url) external;

    /// @notice Sets the sender's key of `kind` from the next epoch on (at most 512 bytes; empty revokes).
    /// @dev A second change in the same epoch replaces the first; older keys stay readable for ever.
    function setKey(bytes32 kind, bytes calldata key) external;

    /// @notice Whether `account` is an operator.
    function isOperator(address account) external view returns (bool);

    /// @notice The metadata URI of `operator`.
    function metadataOf(address operator) external view returns (string memory);

    /// @notice Where `operator` serves `service`; empty if nowhere.
    function endpointOf(address operator, bytes32 service) external view returns (string memory);

    /// @notice The operator's key of `kind` that counts in `epoch`; empty if none.
    /// @dev The key of a future epoch may still change.
    function keyAt(address operator, bytes32 kind, uint256 epoch) external view returns (bytes memory);

    /// @notice How many operators there are.
    function operatorCount() external view returns (uint256);

    /// @notice The operator number `index`, in order of registration.
    function operatorAt(uint256 index) external view returns (address);

    /// @notice Operators `offset`, `offset + 1`, … at most `limit`; fewer at the end.
    function operators(uint256 offset, uint256 limit) external view returns (address[] memory);
}

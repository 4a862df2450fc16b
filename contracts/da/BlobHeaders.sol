// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {DaHeader, IDataAvailability} from "../interfaces/IDataAvailability.sol";
import {CellTreeLib} from "../libraries/CellTreeLib.sol";

/// @title BlobHeaders
/// @notice The part of DataAvailability that knows what dispersers and members sign, and what a header may say.
/// @dev Invariants (numbered with DataAvailability's):
/// 6. A nonce of a (disperser, epoch) is used by at most one header that is on chain.
abstract contract BlobHeaders is IDataAvailability, EIP712 {
    uint256 private constant VERSION = 1;

    /// @dev 4,096 elements of 31 payload bytes.
    uint256 private constant PAYLOAD_BYTES_PER_BLOB = 126_976;

    /// @dev The first element of a payload says its length.
    uint256 private constant LENGTH_BYTES = 31;

    bytes32 private constant HEADER_TYPEHASH = keccak256(
        "Header(uint8 version,uint64 chainId,address da,address disperser,uint64 epoch,uint64 nonce,uint16 blobCount,"
        "uint64 payloadBytes,bytes32 payloadHash,bytes32 commitmentsRoot,bytes32 cellsRoot,uint64 expiresAt)"
    );
    bytes32 private constant ATTESTATION_TYPEHASH = keccak256("Attestation(bytes32 blobId,uint64 epoch)");

    mapping(address disperser => mapping(uint256 epoch => mapping(uint256 word => uint256 bits))) private _nonces;

    constructor() EIP712("ZeroG DataAvailability", "1") {}

    /// @inheritdoc IDataAvailability
    function blobIdOf(DaHeader calldata header) public view returns (bytes32) {
        // All fields are atomic, so their ABI encoding is EIP-712's.
        return _hashTypedDataV4(keccak256(abi.encode(HEADER_TYPEHASH, header)));
    }

    /// @inheritdoc IDataAvailability
    function attestationDigest(bytes32 blobId, uint256 epoch) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(ATTESTATION_TYPEHASH, blobId, epoch)));
    }

    /// @inheritdoc IDataAvailability
    function isNonceUsed(address disperser, uint256 epoch, uint256 nonce) public view returns (bool) {
        return (_nonces[disperser][epoch][nonce / 256] >> (nonce % 256)) & 1 != 0;
    }

    /// @dev The header fits this chain and contract, and itself.
    function _checkHeader(DaHeader calldata header) internal view {
        require(header.version == VERSION, WrongVersion(header.version));
        require(header.chainId == block.chainid, WrongChain(block.chainid, header.chainId));
        require(header.da == address(this), WrongContract(address(this), header.da));
        uint256 blobs = Math.ceilDiv(uint256(header.payloadBytes) + LENGTH_BYTES, PAYLOAD_BYTES_PER_BLOB);
        require(
            header.payloadBytes != 0 && blobs == header.blobCount && blobs <= CellTreeLib.MAX_BLOBS,
            BlobCountMismatch(header.blobCount, header.payloadBytes)
        );
    }

    /// @dev The disperser signed this id; only with the low s.
    function _checkSignature(address disperser, bytes32 blobId, bytes calldata signature) internal pure {
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(blobId, signature);
        require(
            failure == ECDSA.RecoverError.NoError && recovered == disperser, DisperserSignatureInvalid(disperser)
        );
    }

    function _useNonce(address disperser, uint256 epoch, uint256 nonce) internal {
        require(!isNonceUsed(disperser, epoch, nonce), NonceUsed(disperser, epoch, nonce));
        _nonces[disperser][epoch][nonce / 256] |= 1 << (nonce % 256);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Custodian, HandOver, IStorageMarket} from "../interfaces/IStorageMarket.sol";

/// @title CustodySignatures
/// @notice The part of StorageMarket that knows who agreed to what: owners to a seal, custodians to their shards,
/// successors to a takeover. EOAs sign by EIP-712, contracts by ERC-1271.
/// @dev An offer and an approval name the custody root, so they fit one seal of one submission, which happens once. A
/// root comes back when a shard does, so a takeover is also remembered:
///
///   takeover: unused --_useTakeover--> used
///
/// Invariants (numbered with StorageMarket's):
/// 6. Nobody holds a shard whose custody, with index, root, price and time, it did not sign; a takeover counts once.
abstract contract CustodySignatures is IStorageMarket, EIP712 {
    /// @dev What all custodians of one seal sign alike.
    struct CustodyTerms {
        uint256 txSeq;
        bytes32 digest;
        bytes32 custodyRoot;
        uint256 expiresAt;
    }

    bytes32 private constant CUSTODY_TYPEHASH = keccak256(
        "Custody(uint256 txSeq,bytes32 digest,bytes32 custodyRoot,uint256 shardBitmap,uint256 ratePerPeriod,"
        "uint256 expiresAt,uint256 validUntil)"
    );
    bytes32 private constant APPROVE_TYPEHASH = keccak256("Approve(uint256 txSeq,bytes32 custodyRoot)");
    bytes32 private constant TAKEOVER_TYPEHASH = keccak256(
        "Takeover(uint256 txSeq,uint256 shardIndex,bytes32 custodyRoot,uint256 ratePerPeriod,uint256 validUntil)"
    );

    mapping(address owner => address) private _sealers;
    mapping(address successor => mapping(bytes32 structHash => bool)) private _usedTakeovers;

    constructor() EIP712("ZeroG StorageMarket", "1") {}

    /// @inheritdoc IStorageMarket
    function setSealer(address sealer) external {
        _sealers[msg.sender] = sealer;
        emit SealerChanged(msg.sender, sealer);
    }

    /// @inheritdoc IStorageMarket
    function sealerOf(address owner_) external view returns (address) {
        return _sealers[owner_];
    }

    /// @dev The successor signed exactly this takeover, and uses it now for the only time.
    function _useTakeover(HandOver calldata change, bytes32 root, uint256 rateWei) internal {
        address successor = change.successor;
        bytes32 hash = keccak256(
            abi.encode(TAKEOVER_TYPEHASH, change.txSeq, change.shardIndex, root, rateWei, change.validUntil)
        );
        require(
            _isSignedBy(successor, _hashTypedDataV4(hash), change.signature), InvalidCustodySignature(successor)
        );
        require(!_usedTakeovers[successor][hash], TakeoverUsed(change.txSeq, successor));
        _usedTakeovers[successor][hash] = true;
    }

    /// @dev Caller is the owner, the sealer it named, or carries its approval of this custody.
    function _checkApproval(uint256 txSeq, address owner_, bytes32 custodyRoot, bytes calldata approval) internal view {
        if (msg.sender == owner_ || msg.sender == _sealers[owner_]) return;
        bytes32 hash = _hashTypedDataV4(keccak256(abi.encode(APPROVE_TYPEHASH, txSeq, custodyRoot)));
        require(_isSignedBy(owner_, hash, approval), NotSealer(txSeq, msg.sender));
    }

    /// @dev The custodian signed exactly these shards of this custody, for this rate at least and until this block.
    function _checkOffer(Custodian calldata offer, CustodyTerms memory terms) internal view {
        bytes32 hash = keccak256(
            abi.encode(
                CUSTODY_TYPEHASH,
                terms.txSeq,
                terms.digest,
                terms.custodyRoot,
                offer.shardBitmap,
                offer.ratePerPeriod,
                terms.expiresAt,
                offer.validUntil
            )
        );
        require(
            _isSignedBy(offer.provider, _hashTypedDataV4(hash), offer.signature),
            InvalidCustodySignature(offer.provider)
        );
    }

    /// @dev Key first, ERC-1271 second: a plain account's code is then never looked up, which costs a cold read each.
    function _isSignedBy(address signer, bytes32 hash, bytes calldata signature) private view returns (bool) {
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(hash, signature);
        if (failure == ECDSA.RecoverError.NoError && recovered == signer) return true;
        return SignatureChecker.isValidERC1271SignatureNowCalldata(signer, hash, signature);
    }
}

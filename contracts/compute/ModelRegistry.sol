// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {IERC1155} from "@openzeppelin/contracts/token/ERC1155/IERC1155.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {
    Gate,
    GateKind,
    GateReason,
    IModelRegistry,
    Model,
    ModelTerms,
    ModelVersion,
    Quota
} from "../interfaces/IModelRegistry.sol";
import {BoundedCallLib} from "../libraries/BoundedCallLib.sol";

/// @title ModelRegistry
/// @notice Names for models: who owns the name, where the files are, and on what terms others may serve them.
/// @dev
///   free name --register--> owned, version 1 --update, other root--> owned, version n + 1
///   owned by A --offerModel(B)--> offered --acceptModel, by B--> owned by B
///
/// Invariants
/// 1. A name once taken stays taken; its owner changes only by the owner's offer and the other's acceptance.
/// 2. Versions are only added: version n of a name never changes, and the last one is what its terms say.
/// 3. No answer of a token, and no lack of one, costs a caller more than `GATE_GAS` per question, or reverts a read.
/// 4. The contract holds no money and calls nobody but, in views, the tokens of gates.
contract ModelRegistry is IModelRegistry {
    using EnumerableSet for EnumerableSet.Bytes32Set;

    /// @dev What is stored of a model; the id itself is kept for lists.
    struct Entry {
        address owner;
        uint40 registeredAtSec;
        uint40 updatedAtSec;
        address pendingOwner;
        uint64 gateBlock;
        string modelId;
        ModelTerms terms;
        ModelVersion[] versions;
    }

    uint256 private constant MAX_PAGE = 50;
    uint256 private constant MAX_ID_LENGTH = 128;
    uint256 private constant MAX_KIND_LENGTH = 64;
    uint256 private constant MAX_LICENCE_LENGTH = 128;
    /// @dev Bit c stands for the ASCII character c.
    uint256 private constant ALPHANUMERIC = (((1 << 10) - 1) << 0x30) | (((1 << 26) - 1) << 0x41)
        | (((1 << 26) - 1) << 0x61);
    uint256 private constant PUNCTUATION = (1 << 0x2d) | (1 << 0x2e) | (1 << 0x2f) | (1 << 0x5f);

    /// @inheritdoc IModelRegistry
    /// @dev Balance reads of proxied and rebasing tokens take 10,000 to 60,000.
    uint256 public constant GATE_GAS = 150_000;

    bytes32[] private _hashes;
    mapping(bytes32 modelHash => Entry) private _entries;
    mapping(address owner => EnumerableSet.Bytes32Set) private _ownedBy;

    /// @inheritdoc IModelRegistry
    function register(string calldata modelId, ModelTerms calldata terms) external {
        _checkId(modelId);
        bytes32 modelHash = _hashOf(modelId);
        Entry storage entry = _entries[modelHash];
        require(entry.owner == address(0), ModelExists(modelHash, entry.owner));

        entry.owner = msg.sender;
        entry.registeredAtSec = uint40(block.timestamp);
        entry.modelId = modelId;
        _hashes.push(modelHash);
        _ownedBy[msg.sender].add(modelHash);
        emit ModelRegistered(modelHash, msg.sender, modelId);
        _setTerms(entry, modelHash, terms);
    }

    /// @inheritdoc IModelRegistry
    function update(string calldata modelId, ModelTerms calldata terms) external {
        (Entry storage entry, bytes32 modelHash) = _own(modelId);
        _setTerms(entry, modelHash, terms);
    }

    /// @inheritdoc IModelRegistry
    function offerModel(string calldata modelId, address to) external {
        (Entry storage entry, bytes32 modelHash) = _own(modelId);
        entry.pendingOwner = to;
        emit ModelOffered(modelHash, msg.sender, to);
    }

    /// @inheritdoc IModelRegistry
    function acceptModel(string calldata modelId) external {
        bytes32 modelHash = _hashOf(modelId);
        Entry storage entry = _known(modelHash);
        require(entry.pendingOwner == msg.sender, NotPendingOwner(modelHash, msg.sender));

        address from = entry.owner;
        entry.owner = msg.sender;
        entry.pendingOwner = address(0);
        _ownedBy[from].remove(modelHash);
        _ownedBy[msg.sender].add(modelHash);
        emit ModelTransferred(modelHash, from, msg.sender);
    }

    /// @inheritdoc IModelRegistry
    function isRegistered(string calldata modelId) external view returns (bool) {
        return _entries[_hashOf(modelId)].owner != address(0);
    }

    /// @inheritdoc IModelRegistry
    function modelOf(string calldata modelId) external view returns (Model memory) {
        return _viewOf(_known(_hashOf(modelId)));
    }

    /// @inheritdoc IModelRegistry
    function modelByHash(bytes32 modelHash) external view returns (Model memory) {
        return _viewOf(_known(modelHash));
    }

    /// @inheritdoc IModelRegistry
    function models(uint256 offset, uint256 limit) external view returns (Model[] memory page, uint256 total) {
        total = _hashes.length;
        (uint256 from, uint256 to) = _page(offset, limit, total);
        page = new Model[](to - from);
        for (uint256 i = from; i < to; ++i) {
            page[i - from] = _viewOf(_entries[_hashes[i]]);
        }
    }

    /// @inheritdoc IModelRegistry
    function modelsOf(address owner, uint256 offset, uint256 limit)
        external
        view
        returns (Model[] memory page, uint256 total)
    {
        EnumerableSet.Bytes32Set storage owned = _ownedBy[owner];
        total = owned.length();
        (uint256 from, uint256 to) = _page(offset, limit, total);
        page = new Model[](to - from);
        for (uint256 i = from; i < to; ++i) {
            page[i - from] = _viewOf(_entries[owned.at(i)]);
        }
    }

    /// @inheritdoc IModelRegistry
    function versionAt(string calldata modelId, uint256 version) external view returns (ModelVersion memory) {
        bytes32 modelHash = _hashOf(modelId);
        Entry storage entry = _known(modelHash);
        require(version != 0 && version <= entry.versions.length, VersionUnknown(modelHash, version));
        return entry.versions[version - 1];
    }

    /// @inheritdoc IModelRegistry
    function floorOf(string calldata modelId) external view returns (uint256 inputFloorWei, uint256 outputFloorWei) {
        ModelTerms storage terms = _entries[_hashOf(modelId)].terms;
        return (terms.inputFloorWei, terms.outputFloorWei);
    }

    /// @inheritdoc IModelRegistry
    function canUse(string calldata modelId, address user) external view returns (bool ok, GateReason reason) {
        reason = _probe(_entries[_hashOf(modelId)].terms.gate, user);
        ok = reason == GateReason.Passed;
    }

    /// @inheritdoc IModelRegistry
    function probeGate(Gate calldata gate, address user) external view returns (GateReason) {
        return _probe(gate, user);
    }

    /// @inheritdoc IModelRegistry
    function quotaOf(string calldata modelId, address user, uint256 gateTokenId)
        external
        view
        returns (Quota memory quota, GateReason reason)
    {
        bytes32 modelHash = _hashOf(modelId);
        Entry storage entry = _entries[modelHash];
        Gate memory gate = entry.terms.gate;
        if (gate.freeUnits == 0) return (quota, GateReason.Passed);
        bool isByToken = gate.kind == GateKind.Erc721;
        uint256 counted = isByToken ? gateTokenId : uint256(uint160(user));
        quota.subject = keccak256(abi.encode(modelHash, gate.kind, gate.token, gate.tokenId, counted));
        quota.snapshotBlock = Math.max(block.number - block.number % gate.quotaPeriodBlocks, entry.gateBlock);
        quota.freeUnits = gate.freeUnits;
        reason = _probe(gate, user);
        if (isByToken && reason == GateReason.Passed) reason = _probeOwner(gate.token, gateTokenId, user);
    }

    /// @dev Checks and stores the terms; a root or commitment other than the last one is a new version.
    function _setTerms(Entry storage entry, bytes32 modelHash, ModelTerms calldata terms) private {
        require(terms.manifestRoot != 0, ManifestRootMissing());
        _checkText(terms.kind, MAX_KIND_LENGTH);
        _checkText(terms.licence, MAX_LICENCE_LENGTH);
        _checkGate(terms.gate);
        ModelTerms storage present = entry.terms;
        bool isNewRoot = present.manifestRoot != terms.manifestRoot || present.commitment != terms.commitment;
        bool isNewGate = keccak256(abi.encode(present.gate)) != keccak256(abi.encode(terms.gate));

        entry.terms = terms;
        entry.updatedAtSec = uint40(block.timestamp);
        if (isNewRoot) {
            entry.versions.push(ModelVersion(terms.manifestRoot, terms.commitment, uint64(block.timestamp)));
            emit ModelVersionPublished(modelHash, entry.versions.length, terms.manifestRoot, terms.commitment);
        }
        emit ModelTermsSet(
            modelHash, terms.kind, terms.licence, terms.verification, terms.inputFloorWei, terms.outputFloorWei
        );
        if (isNewGate) {
            entry.gateBlock = uint64(block.number);
            emit ModelGateSet(modelHash, terms.gate);
        }
    }

    function _own(string calldata modelId) private view returns (Entry storage entry, bytes32 modelHash) {
        modelHash = _hashOf(modelId);
        entry = _known(modelHash);
        require(entry.owner == msg.sender, NotModelOwner(modelHash, msg.sender));
    }

    function _known(bytes32 modelHash) private view returns (Entry storage entry) {
        entry = _entries[modelHash];
        require(entry.owner != address(0), ModelUnknown(modelHash));
    }

    function _viewOf(Entry storage entry) private view returns (Model memory) {
        return Model({
            modelId: entry.modelId,
            owner: entry.owner,
            pendingOwner: entry.pendingOwner,
            registeredAtSec: entry.registeredAtSec,
            updatedAtSec: entry.updatedAtSec,
            version: entry.versions.length,
            terms: entry.terms
        });
    }

    function _probe(Gate memory gate, address user) private view returns (GateReason) {
        if (gate.kind == GateKind.None) return GateReason.Passed;
        // ERC-20 and ERC-721 share the selector.
        bytes memory question = gate.kind == GateKind.Erc1155
            ? abi.encodeCall(IERC1155.balanceOf, (user, gate.tokenId))
            : abi.encodeCall(IERC20.balanceOf, (user));
        (bool ok, uint256 balance) = BoundedCallLib.readWord(gate.token, GATE_GAS, question);
        if (!ok) return GateReason.TokenFailed;
        return balance < gate.minBalance ? GateReason.BalanceTooLow : GateReason.Passed;
    }

    /// @dev `ownerOf` reverts for a token id that does not exist: nobody owns it.
    function _probeOwner(address token, uint256 tokenId, address user) private view returns (GateReason) {
        (bool ok, uint256 word) =
            BoundedCallLib.readWord(token, GATE_GAS, abi.encodeCall(IERC721.ownerOf, (tokenId)));
        return ok && word == uint256(uint160(user)) ? GateReason.Passed : GateReason.NotTokenOwner;
    }

    function _checkGate(Gate calldata gate) private view {
        bool isOpen = gate.kind == GateKind.None;
        bool isWhole = isOpen
            ? gate.token == address(0) && gate.minBalance == 0 && gate.freeUnits == 0
            : gate.token.code.length != 0 && gate.minBalance != 0;
        require(
            isWhole && (gate.freeUnits == 0) == (gate.quotaPeriodBlocks == 0)
                && (gate.tokenId == 0 || gate.kind == GateKind.Erc1155),
            GateInvalid(gate)
        );
    }

    function _checkText(string calldata text, uint256 max) private pure {
        require(bytes(text).length <= max, ModelTextTooLong(bytes(text).length, max));
    }

    function _checkId(string calldata modelId) private pure {
        bytes calldata letters = bytes(modelId);
        uint256 count = letters.length;
        bool isValid = count != 0 && count <= MAX_ID_LENGTH && (ALPHANUMERIC >> uint8(letters[0])) & 1 == 1;
        for (uint256 i = 1; isValid && i < count; ++i) {
            isValid = ((ALPHANUMERIC | PUNCTUATION) >> uint8(letters[i])) & 1 == 1;
        }
        require(isValid, ModelIdInvalid(modelId));
    }

    /// @dev The bounds of a page, inside what there is.
    function _page(uint256 offset, uint256 limit, uint256 total) private pure returns (uint256 from, uint256 to) {
        require(limit <= MAX_PAGE, PageTooLarge(limit, MAX_PAGE));
        from = Math.min(offset, total);
        to = Math.min(from + limit, total);
    }

    function _hashOf(string calldata modelId) private pure returns (bytes32) {
        return keccak256(bytes(modelId));
    }
}

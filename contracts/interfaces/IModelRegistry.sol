// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

/// @notice What a user must hold to use a model.
enum GateKind {
    None,
    Erc20,
    Erc721,
    Erc1155
}

/// @notice Why a gate is shut; `Passed` also where there is no gate.
enum GateReason {
    Passed,
    /// The balance is below the minimum.
    BalanceTooLow,
    /// The token reverted, ran out of gas, or did not answer with one word.
    TokenFailed,
    /// The user does not own the ERC-721 token it named.
    NotTokenOwner
}

/// @notice An access gate and its free quota.
/// @param kind which of the three token standards, or none; with none all else is zero
/// @param token the token contract
/// @param tokenId of ERC-1155: the id that counts; else zero
/// @param minBalance least balance that opens the gate, in the token's smallest unit; at least 1
/// @param freeUnits units (input and output alike) that each provider serves without pay per quota period; 0 for none
/// @param quotaPeriodBlocks length of a quota period; zero exactly when `freeUnits` is zero
struct Gate {
    GateKind kind;
    address token;
    uint256 tokenId;
    uint256 minBalance;
    uint64 freeUnits;
    uint32 quotaPeriodBlocks;
}

/// @notice What the owner of a model says about it.
/// @param manifestRoot storage root of the manifest that lists the files of the model's folder
/// @param kind what it does: `text-generation`, `embedding`, `classification`, …; at most 64 bytes
/// @param licence SPDX expression or URL; at most 128 bytes
/// @param verification highest layer at which an answer of this model can be proved; 0: receipts only
/// @param commitment what that layer checks against (e.g. a root over the operators); zero for layer 0
/// @param inputFloorWei and outputFloorWei least unit prices at which a service may list the model
struct ModelTerms {
    bytes32 manifestRoot;
    string kind;
    string licence;
    uint8 verification;
    bytes32 commitment;
    uint96 inputFloorWei;
    uint96 outputFloorWei;
    Gate gate;
}

/// @notice A registered model; `version` counts the roots it has had, from 1.
struct Model {
    string modelId;
    address owner;
    address pendingOwner;
    uint64 registeredAtSec;
    uint64 updatedAtSec;
    uint256 version;
    ModelTerms terms;
}

/// @notice A root that a model has or had, and since when (seconds).
struct ModelVersion {
    bytes32 manifestRoot;
    bytes32 commitment;
    uint64 fromSec;
}

/// @notice Whose free units a request uses up.
/// @param subject who they are counted for: keccak256(abi.encode(modelHash, gate.kind, gate.token, gate.tokenId, x))
/// where x is the user, or the ERC-721 token id
/// @param snapshotBlock first block of the quota period, or that of the gate where it is younger; names the period
/// @param freeUnits per subject and period; zero where there is no free quota
struct Quota {
    bytes32 subject;
    uint256 snapshotBlock;
    uint256 freeUnits;
}

/// @title IModelRegistry
/// @notice Names for models: who owns the name, where the files are, and on what terms others may serve them. Holds no
/// money. A name belongs to whoever registers it first; providers may also serve models that are not registered.
/// @dev Warning: a name proves nothing but who came first. Whoever uses a model looks at its owner and manifest root.
/// @dev Gates bind providers that honour them: the contracts bill nobody by them. An owner who must enforce a gate
/// encrypts the weights and gives the keys to licensed providers.
///
/// Free quota, and why it cannot be multiplied by passing tokens around:
/// * ERC-721: it is counted per token id. Whoever owns the token now has what is left of it.
/// * ERC-20 and ERC-1155: it is counted per address, for one that holds the minimum now *and held it at the end of
///   `snapshotBlock`*, the first of the quota period. That block is the same for everybody, so each coin counts for one
///   address per period. Providers ask `probeGate` in that block's state (an `eth_call` on the past) and in the present
///   one; a provider whose node has lost that state gives no free units, and bills. Owners choose periods that nodes
///   remember: 128 blocks for most, any length where providers run archive nodes.
interface IModelRegistry {
    event ModelRegistered(bytes32 indexed modelHash, address indexed owner, string modelId);
    /// @notice The model has a new root, as its version `version`; also with the registration.
    event ModelVersionPublished(
        bytes32 indexed modelHash, uint256 indexed version, bytes32 manifestRoot, bytes32 commitment
    );
    event ModelTermsSet(
        bytes32 indexed modelHash,
        string kind,
        string licence,
        uint8 verification,
        uint96 inputFloorWei,
        uint96 outputFloorWei
    );
    event ModelGateSet(bytes32 indexed modelHash, Gate gate);
    event ModelOffered(bytes32 indexed modelHash, address indexed owner, address indexed pendingOwner);
    event ModelTransferred(bytes32 indexed modelHash, address indexed from, address indexed to);

    error ModelExists(bytes32 modelHash, address owner);
    error ModelUnknown(bytes32 modelHash);
    error NotModelOwner(bytes32 modelHash, address caller);
    error NotPendingOwner(bytes32 modelHash, address caller);
    /// @notice Not 1 to 128 bytes out of letters, digits and `. _ - /` that begin with a letter or digit.
    error ModelIdInvalid(string modelId);
    error ModelTextTooLong(uint256 length, uint256 max);
    error ManifestRootMissing();
    error GateInvalid(Gate gate);
    error VersionUnknown(bytes32 modelHash, uint256 version);
    error PageTooLarge(uint256 limit, uint256 max);

    /// @notice Gives the sender the name `modelId`; reverts with `ModelExists` if somebody has it.
    function register(string calldata modelId, ModelTerms calldata terms) external;

    /// @notice Sets all terms anew. A root or commitment other than the present one is a new version. Owner only.
    /// @dev A raised floor counts for services that list the model, or lower their prices, from now on.
    function update(string calldata modelId, ModelTerms calldata terms) external;

    /// @notice Offers the model to `to`, in place of an earlier offer; zero takes it back. Owner only.
    function offerModel(string calldata modelId, address to) external;

    /// @notice Takes over a model that was offered to the sender.
    function acceptModel(string calldata modelId) external;

    /// @notice Whether the name is taken.
    function isRegistered(string calldata modelId) external view returns (bool);

    /// @notice The model; reverts with `ModelUnknown`.
    function modelOf(string calldata modelId) external view returns (Model memory);

    /// @notice The model by the keccak256 of its id, as receipts name it; reverts with `ModelUnknown`.
    function modelByHash(bytes32 modelHash) external view returns (Model memory);

    /// @notice A page of at most 50 models in order of registration, and their number.
    function models(uint256 offset, uint256 limit) external view returns (Model[] memory page, uint256 total);

    /// @notice A page of at most 50 models that belong to `owner` now, in no order, and their number.
    function modelsOf(address owner, uint256 offset, uint256 limit)
        external
        view
        returns (Model[] memory page, uint256 total);

    /// @notice A root the model has or had, `version` counted from 1.
    function versionAt(string calldata modelId, uint256 version) external view returns (ModelVersion memory);

    /// @notice The least unit prices of a service for the model; zero for names not registered.
    function floorOf(string calldata modelId) external view returns (uint256 inputFloorWei, uint256 outputFloorWei);

    /// @notice Whether `user` passes the model's gate now, and why not. Names not registered have no gate.
    function canUse(string calldata modelId, address user) external view returns (bool ok, GateReason reason);

    /// @notice Whether `user` passes `gate` in the state of the call's block. At most `GATE_GAS` go to the token.
    function probeGate(Gate calldata gate, address user) external view returns (GateReason);

    /// @notice Whose quota `user` uses up now, with `gateTokenId` where the gate is ERC-721. `reason` tells whether the
    /// user may have it as far as the present block says; the snapshot of other gates is for the provider to ask.
    function quotaOf(string calldata modelId, address user, uint256 gateTokenId)
        external
        view
        returns (Quota memory quota, GateReason reason);

    /// @notice Most gas that one question to a token may use.
    function GATE_GAS() external view returns (uint256);
}

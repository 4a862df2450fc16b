// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

/// @notice Numbers of a network that the committee depends on.
/// @param minStakeWei least stake of a member: about one seat's worth
/// @param repayGas most gas per `newEpoch` that is repaid from DA fees
struct DaCommitteeParams {
    uint128 minStakeWei;
    uint64 repayGas;
}

/// @notice A formed committee. `keySet` holds its keys as code; four words hold the slot that owns each column.
/// @param keySet contract whose code is STOP ‖ aggregate key (128 B) ‖ 128 x (key (128 B) ‖ operator (20 B))
/// @param seatWei stake behind one seat: total / 128
/// @param keyed bit i: slot i has a key in `keySet`
/// @param seated bit i: slot i has at least one seat
/// @param columnSlots byte k % 32, from the left, of word k / 32 is the slot of column k
struct DaEpoch {
    address keySet;
    uint128 seatWei;
    uint128 keyed;
    uint128 seated;
    bytes32[4] columnSlots;
}

/// @title IDaCommittee
/// @notice Who attests data: members with BLS12-381 keys, 128 seats an epoch apportioned by stake, columns shuffled
/// over the seats. Also the service "da" of Staking: it slashes the stake that members allocate to it.
/// @dev Keys are min-pk: G1 points of 128 bytes (EIP-2537). Signatures are G2 points of 256 bytes, over the EIP-712
/// digest of a typed message, hashed to G2 on chain (RFC 9380, BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_).
interface IDaCommittee {
    /// @notice `operator` holds `slot` with this key from the next epoch on.
    event MemberRegistered(address indexed operator, uint256 indexed slot, bytes publicKey);
    /// @notice `operator` no longer holds `slot` from the next epoch on.
    event MemberRemoved(address indexed operator, uint256 indexed slot);
    /// @notice Keys of members were written; `keyed` tells the slots that have one.
    event KeySetWritten(address indexed keySet, uint256 keyed);
    /// @notice The committee of `epoch` is formed. `keysWritten`: this call wrote `keySet`.
    event EpochFormed(
        uint256 indexed epoch,
        bytes32 seed,
        uint256 totalWei,
        uint256 members,
        address keySet,
        bool keysWritten,
        address indexed caller,
        uint256 repaidWei
    );

    error AlreadyWired();
    error NotDeployer(address caller);
    error NotAuthorized(address caller);
    error InvalidParams();
    error NotMember(address account);
    error WrongKeyLength(uint256 lengthBytes);
    error WrongSignatureLength(uint256 lengthBytes);
    error KeyIsInfinity();
    /// @notice The key is no point of the curve in canonical form.
    error KeyNotOnCurve();
    error KeyNotInSubgroup();
    /// @notice Another operator holds this key.
    error KeyTaken(address operator);
    /// @notice The proof of possession does not verify for this operator, chain and contract. (One that is no point of
    /// its group fails as `PrecompileFailed`.)
    error PopInvalid(address operator);
    error InsufficientStake(address operator, uint256 neededWei, uint256 backingWei);
    /// @notice All 128 slots are taken: name a weaker member to replace.
    error CommitteeFull();
    error NotWeaker(address member, uint256 memberWei, uint256 challengerWei);
    error StakeSuffices(address operator, uint256 backingWei);
    error EpochAlreadyFormed(uint256 epoch);
    error EpochUnknown(uint256 epoch);
    /// @notice A change of `slot` for this epoch has still to be written: `newEpoch` or `writeKeys` does it.
    error KeysNotWritten(uint256 slot);
    error NoMembers(uint256 epoch);
    /// @notice Too little gas is left to repay the caller: send more.
    error PaymentStarved(uint256 neededGas, uint256 gasLeft);
    error NoSigners();
    /// @notice The slot has no key or no column in that epoch.
    error NotSeated(uint256 epoch, uint256 slot);
    /// @notice The signers' keys add up to infinity.
    error AggregateIsInfinity();
    error SlotOutOfRange(uint256 slot);
    error ColumnOutOfRange(uint256 column);

    /// @notice Connects the committee to the contracts that may use it, once, by the deployer.
    function wire(address dataAvailability, address prover, address court) external;

    /// @notice Joins with a key, or changes the sender's key, from the next epoch on: who sits in an epoch is fixed
    /// before its seed is known.
    /// @param publicKey 128 bytes, not infinity
    /// @param proofOfPossession 256 bytes: signature by the key over `keyDigest`
    /// @param replaced a member with less stake, whose slot the sender takes if no slot is free; else the zero address
    function register(bytes calldata publicKey, bytes calldata proofOfPossession, address replaced) external;

    /// @notice Gives the sender's slot up from the next epoch on.
    function resign() external;

    /// @notice Removes a member whose backing has fallen below the minimum, from the next epoch on. Anyone.
    function drop(address operator) external;

    /// @notice Forms the committee of the current epoch. Anyone, once; repaid from DA fees as far as they reach.
    /// @param headerRlp RLP header of the epoch's first block; may be empty when the Beacon already has the seed
    function newEpoch(bytes calldata headerRlp) external returns (uint256 epoch);

    /// @notice Writes the key set of the current epoch's members if it changed, as `newEpoch` does, without forming
    /// the epoch. Anyone; not repaid.
    function writeKeys() external returns (address keySet);

    /// @notice Slashes a member's stake. Only prover and court.
    /// @param faultId unique per calling contract
    /// @param reporter gets `reporterBps` of it, at most half
    function slash(address operator, uint256 amountWei, bytes32 faultId, address reporter, uint256 reporterBps)
        external
        returns (uint256 slashedWei);

    /// @notice Whose columns these signers hold, after their aggregate signature over `digest` has been verified.
    /// @dev Reverts when a signer is not seated or the aggregate is infinity; returns 0 when the signature is wrong.
    /// @param signers bit i: the member in slot i signed
    /// @return columns bit k: the holder of column k signed
    function verifyAttestation(uint256 epoch, bytes32 digest, uint256 signers, bytes calldata signature)
        external
        view
        returns (uint256 columns);

    /// @notice The digest that a key signs to prove that its holder is `operator`.
    function keyDigest(address operator, bytes calldata publicKey) external view returns (bytes32);

    /// @notice The last formed epoch; 0 with `epochOf(0).keySet` zero before the first.
    function activeEpoch() external view returns (uint256);

    /// @notice A formed committee; `keySet` is zero if `epoch` was never formed.
    function epochOf(uint256 epoch) external view returns (DaEpoch memory);

    /// @notice The member that holds `column` in `epoch`.
    function ownerOf(uint256 epoch, uint256 column) external view returns (address operator);

    /// @notice The members that hold the 128 columns of `epoch`, by column.
    function ownersOf(uint256 epoch) external view returns (address[] memory operators);

    /// @notice The member in `slot` when the keys of `epoch` were written; zero if none.
    function operatorAt(uint256 epoch, uint256 slot) external view returns (address operator);

    /// @notice The key in `slot` of `epoch`, 128 bytes.
    function keyAt(uint256 epoch, uint256 slot) external view returns (bytes memory publicKey);

    /// @notice Bit k: `slot` holds column k in `epoch`.
    function columnsOf(uint256 epoch, uint256 slot) external view returns (uint256 columns);

    /// @notice Whether `operator` is a member now or from the next epoch on, and its slot.
    function slotOf(address operator) external view returns (bool registered, uint256 slot);

    /// @notice Whether what can be slashed of `operator` no longer reaches the minimum: its columns pass to successors.
    /// @dev Stake that has asked to leave still counts: asking does not end a duty.
    function isOut(address operator) external view returns (bool);

    function params() external view returns (DaCommitteeParams memory);
}

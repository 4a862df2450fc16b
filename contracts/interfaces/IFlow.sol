// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

/// @notice A perfect Merkle subtree of a submission.
/// @param root Root of the subtree.
/// @param height log2 of the number of 256-byte sectors below it.
struct SubmissionNode {
    bytes32 root;
    uint256 height;
}

/// @notice What a client of the public 0G network submits.
/// @param length File length in bytes, before padding.
/// @param tags Free bytes, repeated in the event only.
/// @param nodes Perfect subtrees of the padded file, highest first.
struct SubmissionData {
    uint256 length;
    bytes tags;
    SubmissionNode[] nodes;
}

/// @notice The newer form of a submission, which names a submitter.
/// @dev Warning: `submitter` is caller-chosen and only repeated in the event; the owner is whoever paid.
struct Submission {
    SubmissionData data;
    address submitter;
}

/// @notice What the chain keeps of a submission.
/// @param digest keccak256(abi.encode(byteLength, nodes)): all that a seal needs to recognise the file.
/// @param owner Who paid; refunds go there.
/// @param submittedAt Block of the submission.
/// @param sectors Padded sectors, the sum of 2^height over the nodes.
struct SubmissionRecord {
    bytes32 digest;
    address owner;
    uint40 submittedAt;
    uint56 sectors;
}

/// @title The Flow: the append-only log of everything ever submitted.
/// @notice Keeps the two public ABIs of 0G storage (with and without `submitter`) and their `Submit` event, byte for
/// byte.
interface IFlow {
    /// @notice A submission was appended. `submissionIndex` is the txSeq; `startPos` and `length` are in sectors.
    event Submit(
        address indexed sender,
        bytes32 indexed identity,
        uint256 submissionIndex,
        uint256 startPos,
        uint256 length,
        SubmissionData submission
    );

    /// @notice The value sent does not pay for the sectors submitted.
    error NotEnoughFee(uint256 price, uint256 amount, uint256 paid);
    /// @notice The nodes are not a valid decomposition of a file of that length.
    error InvalidSubmission();
    /// @notice There is no submission with this number yet.
    error UnknownSubmission(uint256 txSeq);
    /// @notice The overpayment could not be returned to the caller.
    error RefundFailed(address to, uint256 amountWei);

    /// @notice Appends one submission and pays for it; overpayment returns at once.
    /// @return index The txSeq.
    /// @return digest keccak256(abi.encode(length, nodes)).
    /// @return startIndex First sector of the submission in the flow.
    /// @return length Padded sectors.
    function submit(Submission calldata submission)
        external
        payable
        returns (uint256 index, bytes32 digest, uint256 startIndex, uint256 length);

    /// @notice The older form, without a submitter.
    function submit(SubmissionData calldata submission)
        external
        payable
        returns (uint256 index, bytes32 digest, uint256 startIndex, uint256 length);

    /// @notice Appends several submissions, all paid from one value; overpayment returns at once.
    function batchSubmit(Submission[] calldata submissions)
        external
        payable
        returns (
            uint256[] memory indexes,
            bytes32[] memory digests,
            uint256[] memory startIndexes,
            uint256[] memory lengths
        );

    /// @notice The older form of the batch.
    function batchSubmit(SubmissionData[] calldata submissions)
        external
        payable
        returns (
            uint256[] memory indexes,
            bytes32[] memory digests,
            uint256[] memory startIndexes,
            uint256[] memory lengths
        );

    /// @notice The market that sets the price.
    function market() external view returns (address);

    /// @notice How many submissions there are; the next txSeq.
    function numSubmissions() external view returns (uint256);

    /// @notice The same number under its older name.
    function submissionIndex() external view returns (uint256);

    /// @notice Length of the flow in sectors, and how many levels its open tree has.
    function tree() external view returns (uint256 currentLength, uint256 unstagedHeight);

    /// @notice Root of the flow right after submission `txSeq`.
    function getFlowRootByTxSeq(uint256 txSeq) external view returns (bytes32);

    /// @notice Root of the flow now.
    function computeFlowRoot() external view returns (bytes32);

    /// @notice What is kept of a submission. Reverts with UnknownSubmission.
    function submission(uint256 txSeq) external view returns (SubmissionRecord memory);
}

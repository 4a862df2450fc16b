// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IFlow, Submission, SubmissionData, SubmissionNode, SubmissionRecord} from "../interfaces/IFlow.sol";
import {IStorageMarket} from "../interfaces/IStorageMarket.sol";
import {IStorageStreams} from "../interfaces/IStorageStreams.sol";
import {FlowTreeLib} from "../libraries/FlowTreeLib.sol";
import {LayoutLib} from "../libraries/LayoutLib.sol";

/// @title Flow
/// @notice The append-only log of submissions behind the two public ABIs of 0G storage.
/// @dev Clock: block numbers. A submission has one state, written once:
///
///     (nothing) --submit, fee to StorageStreams--> recorded
///
/// Invariants
/// 1. txSeq counts submissions without gaps; record and flow root of a txSeq never change.
/// 2. The contract holds no money between transactions: fees go to StorageStreams, overpayment back to the caller.
/// 3. A submission is paid with its own caller's value only: fee = padded sectors x price.
/// 4. Positions never overlap, and flow roots equal those of the public network for the same sequence.
contract Flow is IFlow {
    using FlowTreeLib for FlowTreeLib.Tree;

    /// @dev Keeps one batch well inside a block.
    uint256 private constant MAX_BATCH = 100;

    /// @dev The public network's rules: nodes of one file span fewer than 4 levels, all below height 64.
    uint256 private constant MAX_NODE_SPAN = 4;
    uint256 private constant MAX_NODE_HEIGHT = 64;

    /// @dev A record keeps its sectors in 56 bits.
    uint256 private constant MAX_SECTORS = 1 << 56;

    IStorageMarket private immutable _market;
    IStorageStreams private immutable _streams;

    FlowTreeLib.Tree private _tree;
    uint256 private _count;
    mapping(uint256 txSeq => SubmissionRecord) private _records;
    mapping(uint256 txSeq => bytes32) private _roots;

    constructor(IStorageMarket market_, IStorageStreams streams_) {
        _market = market_;
        _streams = streams_;
        _tree.initialize();
    }

    /// @inheritdoc IFlow
    function submit(Submission calldata submission_)
        external
        payable
        returns (uint256 index, bytes32 digest, uint256 startIndex, uint256 length)
    {
        require(submission_.submitter != address(0), InvalidSubmission());
        return _submitOne(submission_.data, submission_.submitter);
    }

    /// @inheritdoc IFlow
    function submit(SubmissionData calldata submission_)
        external
        payable
        returns (uint256 index, bytes32 digest, uint256 startIndex, uint256 length)
    {
        return _submitOne(submission_, msg.sender);
    }

    /// @inheritdoc IFlow
    function batchSubmit(Submission[] calldata submissions)
        external
        payable
        returns (
            uint256[] memory indexes,
            bytes32[] memory digests,
            uint256[] memory startIndexes,
            uint256[] memory lengths
        )
    {
        uint256 price;
        (price, indexes, digests, startIndexes, lengths) = _openBatch(submissions.length);
        uint256 spentWei;
        for (uint256 i; i < submissions.length; ++i) {
            require(submissions[i].submitter != address(0), InvalidSubmission());
            (indexes[i], digests[i], startIndexes[i], lengths[i]) =
                _append(submissions[i].data, submissions[i].submitter, price, spentWei);
            spentWei += lengths[i] * price;
        }
        _returnRest(spentWei);
    }

    /// @inheritdoc IFlow
    function batchSubmit(SubmissionData[] calldata submissions)
        external
        payable
        returns (
            uint256[] memory indexes,
            bytes32[] memory digests,
            uint256[] memory startIndexes,
            uint256[] memory lengths
        )
    {
        uint256 price;
        (price, indexes, digests, startIndexes, lengths) = _openBatch(submissions.length);
        uint256 spentWei;
        for (uint256 i; i < submissions.length; ++i) {
            (indexes[i], digests[i], startIndexes[i], lengths[i]) =
                _append(submissions[i], msg.sender, price, spentWei);
            spentWei += lengths[i] * price;
        }
        _returnRest(spentWei);
    }

    /// @inheritdoc IFlow
    function market() external view returns (address) {
        return address(_market);
    }

    /// @inheritdoc IFlow
    function numSubmissions() external view returns (uint256) {
        return _count;
    }

    /// @inheritdoc IFlow
    function submissionIndex() external view returns (uint256) {
        return _count;
    }

    /// @inheritdoc IFlow
    function tree() external view returns (uint256 currentLength, uint256 unstagedHeight) {
        currentLength = _tree.length;
        while (currentLength >> unstagedHeight != 0) ++unstagedHeight;
    }

    /// @inheritdoc IFlow
    function getFlowRootByTxSeq(uint256 txSeq) external view returns (bytes32) {
        require(txSeq < _count, UnknownSubmission(txSeq));
        return _roots[txSeq];
    }

    /// @inheritdoc IFlow
    function computeFlowRoot() external view returns (bytes32) {
        return _tree.root();
    }

    /// @inheritdoc IFlow
    function submission(uint256 txSeq) external view returns (SubmissionRecord memory record) {
        record = _records[txSeq];
        require(record.owner != address(0), UnknownSubmission(txSeq));
    }

    function _submitOne(SubmissionData calldata data, address submitter)
        private
        returns (uint256 index, bytes32 digest, uint256 startIndex, uint256 length)
    {
        uint256 price = _market.pricePerSector();
        (index, digest, startIndex, length) = _append(data, submitter, price, 0);
        _returnRest(length * price);
    }

    function _openBatch(uint256 size)
        private
        view
        returns (
            uint256 price,
            uint256[] memory indexes,
            bytes32[] memory digests,
            uint256[] memory startIndexes,
            uint256[] memory lengths
        )
    {
        require(size != 0 && size <= MAX_BATCH, InvalidSubmission());
        price = _market.pricePerSector();
        indexes = new uint256[](size);
        digests = new bytes32[](size);
        startIndexes = new uint256[](size);
        lengths = new uint256[](size);
    }

    /// @dev Records one submission, pays its fee into escrow and emits `Submit`.
    /// @param spentWei what earlier submissions of the same call have used of its value
    function _append(SubmissionData calldata data, address submitter, uint256 price, uint256 spentWei)
        private
        returns (uint256 index, bytes32 digest, uint256 startPos, uint256 sectors)
    {
        sectors = _paddedSectors(data);
        uint256 feeWei = sectors * price;
        require(msg.value >= spentWei + feeWei, NotEnoughFee(price, sectors, msg.value - spentWei));

        index = _count++;
        digest = keccak256(abi.encode(data.length, data.nodes));
        // Block numbers stay below 2^40 for 30,000 years of one-second blocks; sectors are below MAX_SECTORS.
        _records[index] = SubmissionRecord({
            digest: digest,
            owner: msg.sender,
            submittedAt: uint40(block.number),
            sectors: uint56(sectors)
        });
        bytes32 identity;
        (startPos, identity) = _insert(data.nodes, sectors);
        _roots[index] = _tree.root();
        emit Submit(submitter, identity, index, startPos, sectors, data);
        _streams.deposit{value: feeWei}(index);
    }

    /// @dev Appends the nodes to the flow tree. The identity is keccak256 of the roots one after the other.
    function _insert(SubmissionNode[] calldata nodes, uint256 sectors)
        private
        returns (uint256 startPos, bytes32 identity)
    {
        startPos = _tree.pad(nodes[0].height, sectors);
        bytes32[] memory roots = new bytes32[](nodes.length);
        for (uint256 i; i < nodes.length; ++i) {
            roots[i] = nodes[i].root;
            _tree.append(nodes[i].height, nodes[i].root);
        }
        identity = keccak256(abi.encodePacked(roots));
    }

    /// @dev Last step of every submission: all state is final when the caller gets control.
    function _returnRest(uint256 spentWei) private {
        uint256 rest = msg.value - spentWei;
        if (rest == 0) return;
        (bool sent,) = msg.sender.call{value: rest}("");
        require(sent, RefundFailed(msg.sender, rest));
    }

    /// @dev Checks the public network's validity rules and returns the padded length.
    function _paddedSectors(SubmissionData calldata data) private pure returns (uint256 sectors) {
        SubmissionNode[] calldata nodes = data.nodes;
        uint256 count = nodes.length;
        require(count != 0 && count <= MAX_NODE_SPAN, InvalidSubmission());
        uint256 first = nodes[0].height;
        require(first < MAX_NODE_HEIGHT, InvalidSubmission());
        sectors = 1 << first;
        uint256 height = first;
        for (uint256 i = 1; i < count; ++i) {
            uint256 next = nodes[i].height;
            require(next < height && first - next < MAX_NODE_SPAN, InvalidSubmission());
            height = next;
            sectors += 1 << next;
        }
        require(sectors < MAX_SECTORS, InvalidSubmission());

        // Not over-padded: one padding step less would be too short for the file.
        uint256 step;
        if (sectors < 16) step = 1;
        else if (count == 1) step = sectors / 16;
        else step = 1 << (first - 3);
        uint256 sectorBytes = LayoutLib.SECTOR_BYTES;
        require(
            data.length <= sectors * sectorBytes && data.length > (sectors - step) * sectorBytes, InvalidSubmission()
        );
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {SubmissionNode} from "../interfaces/IFlow.sol";

/// @title JobOutputLib
/// @notice What an output of a job says of itself. Twin: `sdk/protocol/job-output.ts`.
/// @dev An output is a file: one sector of header, then the body. The header is eight words:
/// 0 `MAGIC`; 1 `key`; 2 model root; 3 input root; 4 kind; 5 units; 6 bytes of the body; 7 sha256 of the body, which
/// only readers check.
library JobOutputLib {
    /// @notice First word of every output.
    bytes32 internal constant MAGIC = keccak256("ZeroG JobOutput 1");
    /// @notice Bytes of the header: one sector.
    uint256 internal constant HEADER_BYTES = 256;

    /// @notice Second word: one job of one escrow on one chain, done by one provider.
    function key(address escrow, uint256 jobId, address provider) internal view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, escrow, jobId, provider));
    }

    /// @notice Root of the file that these nodes are: the last root, hashed leftwards.
    function fileRoot(SubmissionNode[] calldata nodes) internal pure returns (bytes32 root) {
        uint256 i = nodes.length - 1;
        root = nodes[i].root;
        while (i != 0) root = Hashes.efficientKeccak256(nodes[--i].root, root);
    }

    /// @notice Word `index` of a header.
    function word(bytes calldata header, uint256 index) internal pure returns (bytes32) {
        return bytes32(header[32 * index:]);
    }
}

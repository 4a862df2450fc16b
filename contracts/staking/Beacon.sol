// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BlockHeader} from "@openzeppelin/contracts/utils/BlockHeader.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Memory} from "@openzeppelin/contracts/utils/Memory.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {BoundedCallLib} from "../libraries/BoundedCallLib.sol";
import {ClockLib} from "../libraries/ClockLib.sol";

/// @title Beacon
/// @notice The clock, and one seed per period from the block that begins it.
/// @dev
///   future --boundary block mined--> open --pin--> pinned (for ever)
///                                      \--boundary out of reach--> unpinned (for ever)
///
/// Invariants
/// 1. The seed of a period can only be the one its boundary block holds; it never changes once pinned.
/// 2. The boundary block lies in the past of the pin: nobody pins from the block he is in.
/// 3. A hash counts only if this chain itself gave it: `blockhash`, or EIP-2935 with exactly 32 bytes, not zero.
contract Beacon is IBeacon {
    /// @dev EIP-2935: block hashes of the last 8191 blocks.
    address private constant HISTORY_STORAGE = 0x0000F90827F1C53a10cb7A02335B175320002935;
    /// @dev One cold storage read and some arithmetic; far above what the contract needs.
    uint256 private constant HISTORY_GAS = 50_000;
    /// @dev Reach of the `blockhash` opcode.
    uint256 private constant BLOCKHASH_REACH = 256;

    uint256 private immutable _startBlock;
    uint256 private immutable _periodBlocks;
    uint256 private immutable _epochPeriods;
    bool private immutable _usesBlockHash;

    struct Pin {
        bytes32 seed;
        address pinner;
        uint64 blockNumber;
    }

    mapping(uint256 period => Pin) private _pins;

    constructor(uint64 startBlock_, uint32 periodBlocks_, uint32 epochPeriods_, bool useBlockHash_) {
        require(periodBlocks_ != 0 && epochPeriods_ != 0, ZeroLength());
        _startBlock = startBlock_;
        _periodBlocks = periodBlocks_;
        _epochPeriods = epochPeriods_;
        _usesBlockHash = useBlockHash_;
    }

    /// @inheritdoc IBeacon
    function pin(uint256 period, bytes calldata headerRlp) external returns (bytes32 seed) {
        seed = _pins[period].seed;
        if (seed != 0) return seed;

        uint256 boundary = Math.saturatingAdd(_startBlock, Math.saturatingMul(period, _periodBlocks));
        require(block.number > boundary, PeriodNotStarted(period, block.number, boundary));
        bytes32 blockHash = _hashOf(boundary);
        require(blockHash != 0, BoundaryUnreachable(period, boundary));

        seed = _usesBlockHash
            ? keccak256(abi.encode(blockHash, period))
            : _prevRandao(headerRlp, blockHash, boundary);
        require(seed != 0, SeedZero(period));

        _pins[period] = Pin(seed, msg.sender, uint64(block.number));
        emit SeedPinned(period, seed, msg.sender, boundary);
    }

    /// @inheritdoc IBeacon
    function seedOf(uint256 period) external view returns (bytes32) {
        return _pins[period].seed;
    }

    /// @inheritdoc IBeacon
    function pinnedAt(uint256 period) external view returns (uint256) {
        return _pins[period].blockNumber;
    }

    /// @inheritdoc IBeacon
    function pinnedBy(uint256 period) external view returns (address) {
        return _pins[period].pinner;
    }

    /// @inheritdoc IBeacon
    function startBlock() external view returns (uint256) {
        return _startBlock;
    }

    /// @inheritdoc IBeacon
    function periodBlocks() external view returns (uint256) {
        return _periodBlocks;
    }

    /// @inheritdoc IBeacon
    function epochPeriods() external view returns (uint256) {
        return _epochPeriods;
    }

    /// @inheritdoc IBeacon
    function usesBlockHash() external view returns (bool) {
        return _usesBlockHash;
    }

    /// @inheritdoc IBeacon
    function currentPeriod() external view returns (uint256) {
        return ClockLib.periodAt(_startBlock, _periodBlocks, block.number);
    }

    /// @inheritdoc IBeacon
    function currentEpoch() external view returns (uint256) {
        return ClockLib.periodAt(_startBlock, _periodBlocks * _epochPeriods, block.number);
    }

    /// @inheritdoc IBeacon
    function periodStart(uint256 period) external view returns (uint256) {
        return ClockLib.periodStart(_startBlock, _periodBlocks, period);
    }

    /// @dev The hash of a past block, 0 when this chain no longer (or never) gives it.
    function _hashOf(uint256 blockNumber) private view returns (bytes32) {
        if (block.number - blockNumber <= BLOCKHASH_REACH) return blockhash(blockNumber);
        (bool ok, uint256 word) = BoundedCallLib.readWord(HISTORY_STORAGE, HISTORY_GAS, abi.encode(blockNumber));
        return ok ? bytes32(word) : bytes32(0);
    }

    /// @dev BlockHeader only parses: that the header is the boundary block's is checked here, against `blockHash`.
    function _prevRandao(bytes calldata headerRlp, bytes32 blockHash, uint256 boundary) private pure returns (bytes32) {
        bytes32 got = keccak256(headerRlp);
        require(got == blockHash, HeaderMismatch(blockHash, got));
        Memory.Slice[] memory fields = BlockHeader.parseHeader(headerRlp);
        uint256 number = BlockHeader.getNumber(fields);
        require(number == boundary, HeaderNumberMismatch(boundary, number));
        return BlockHeader.getPrevRandao(fields);
    }
}

// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title SeatLib
/// @notice Shares the 128 seats of an epoch out by stake and shuffles the columns over them. Twin:
/// `sdk/protocol/seats.ts`.
/// @dev Seats are apportioned, not drawn: seat s belongs to whoever holds stake point (s + u) * total / 128, with one
/// u in [0, 1) for all seats. So everybody gets its quota, 128 * weight / total, rounded down or up.
library SeatLib {
    /// @notice Seats, and columns, of an epoch.
    uint256 internal constant SEATS = 128;

    /// @dev u is a fraction of 64 bits. A weight below 2^128 and at most 128 of them keep every product below 2^206.
    uint256 private constant FRACTION_BITS = 64;

    /// @dev Separates this use of a seed from every other.
    bytes32 private constant DOMAIN = keccak256("ZeroG DaCommittee seats");

    /// @notice The owner of every column: byte k, counted from the most significant one of the first word, is the index
    /// in `weights` of who holds column k.
    /// @param weights stake of each member, below 2^128 each, at most 128 of them, not all zero
    /// @param seed randomness that was unknown when the weights were fixed
    function assign(uint256[] memory weights, bytes32 seed) internal pure returns (bytes32[4] memory columnOwners) {
        bytes32 base = Hashes.efficientKeccak256(DOMAIN, seed);
        bytes memory owners = apportion(weights, uint64(uint256(base)));
        shuffle(owners, base);
        assembly ("memory-safe") {
            mcopy(columnOwners, add(owners, 0x20), 0x80)
        }
    }

    /// @notice Byte s is the index in `weights` of who holds seat s.
    /// @param fraction u * 2^64
    function apportion(uint256[] memory weights, uint64 fraction) internal pure returns (bytes memory owners) {
        owners = new bytes(SEATS);
        uint256 total = 0;
        for (uint256 i = 0; i < weights.length; i++) total += weights[i];
        uint256 below = 0;
        uint256 seat = 0;
        for (uint256 i = 0; i < weights.length; i++) {
            below += weights[i];
            uint256 end = _seatsBelow(below, total, fraction);
            for (; seat < end; seat++) owners[seat] = bytes1(uint8(i));
        }
    }

    /// @notice Fisher-Yates shuffle in place: every order is as likely as any other, up to 2^-240.
    function shuffle(bytes memory items, bytes32 seed) internal pure {
        for (uint256 left = items.length; left > 1; left--) {
            uint256 last = left - 1;
            uint256 pick = uint256(Hashes.efficientKeccak256(seed, bytes32(left))) % left;
            (items[last], items[pick]) = (items[pick], items[last]);
        }
    }

    /// @notice Who holds `column` (0 to 127).
    function ownerOf(bytes32[4] memory columnOwners, uint256 column) internal pure returns (uint256 index) {
        return uint8(columnOwners[column / 32][column % 32]);
    }

    /// @notice Which columns belong to `owners` (a bitmap of indices).
    function columnsOf(bytes32[4] memory columnOwners, uint256 owners) internal pure returns (uint256 columns) {
        // Every confirmation of a blob runs this, so it takes eight columns at once, with no bounds to check: the table
        // has one size. It only reads.
        assembly ("memory-safe") {
            for { let k := 0 } lt(k, 128) { k := add(k, 8) } {
                let word := mload(add(columnOwners, k))
                let part := and(shr(byte(0, word), owners), 1)
                part := or(part, shl(1, and(shr(byte(1, word), owners), 1)))
                part := or(part, shl(2, and(shr(byte(2, word), owners), 1)))
                part := or(part, shl(3, and(shr(byte(3, word), owners), 1)))
                part := or(part, shl(4, and(shr(byte(4, word), owners), 1)))
                part := or(part, shl(5, and(shr(byte(5, word), owners), 1)))
                part := or(part, shl(6, and(shr(byte(6, word), owners), 1)))
                part := or(part, shl(7, and(shr(byte(7, word), owners), 1)))
                columns := or(columns, shl(k, part))
            }
        }
    }

    /// @notice Which indices own a column at all.
    function seatedIn(bytes32[4] memory columnOwners) internal pure returns (uint256 seated) {
        for (uint256 k = 0; k < SEATS; k++) seated |= 1 << ownerOf(columnOwners, k);
    }

    /// @dev How many seats s have their stake point below `weight`: (s + u) * total / 128 < weight.
    function _seatsBelow(uint256 weight, uint256 total, uint256 fraction) private pure returns (uint256) {
        // In units of 2^-64 seats; a whole number lies below x exactly if it lies below ceil(x).
        uint256 bound = Math.ceilDiv((weight * SEATS) << FRACTION_BITS, total);
        return bound <= fraction ? 0 : Math.ceilDiv(bound - fraction, 1 << FRACTION_BITS);
    }
}

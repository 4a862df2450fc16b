// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

/// @title GF256Lib
/// @notice GF(2^8) arithmetic (polynomial 0x11d) and one column of the Reed-Solomon code. Twins: `gf256.ts`
/// and `erasure.ts` in `sdk/protocol`.
/// @dev The parity matrix is Cauchy: coefficient(parity p, data i) = 1 / ((16 + p) xor i), i < 16, p < 64. It does not
/// depend on how many data shards a file has (absent ones count as zeros), and every square part of it can be inverted.
library GF256Lib {
    /// @notice Most data shards.
    uint256 internal constant MAX_DATA = 16;

    /// @notice Most parity shards.
    uint256 internal constant MAX_PARITY = 64;

    /// @notice Bytes of a sector.
    uint256 internal constant SECTOR_BYTES = 256;

    /// @notice A code has 1 to 16 data and up to 64 parity shards.
    error OutsideCode(uint256 parity, uint256 data);

    /// @notice A sector has exactly 256 bytes.
    error NotASector(uint256 byteLength);

    /// @dev Inverse of each element; 0 stands for the inverse of 0, which does not exist.
    bytes internal constant INVERSES =
        hex"00018ef447a77abaad9ddd983daa5d96d872c058e03e4c6690de5580a0834b2a"
        hex"6ced395160562c8a70d01f4a268b336e48896f2ea4c3405e5022cfa9ab0c15e1"
        hex"365ff8d5924ea60430882b1e166745933823688c811a256113c1cb63970e3741"
        hex"2457ca5bb9c4174d528defb320ec2f3228d111d9e9fbda79db7706bb84cdfefc"
        hex"1b54a11d7ccce4b04931272d536902f518df444f9bbc0f5c0bdcbd94ac09c7a2"
        hex"1c829fc634c24605ce3b0d3c9c08beb787e5ee6bebf2bfafc564077b959aaeb6"
        hex"1259a53565b8a39ed2f7625a857da83a2971c8f6f943d7d610737678990a1991"
        hex"143fe6f086b1e2f1fa74f3b46d21b26ae3e7b5ea038fd3c942d4e8757fff7efd";

    /// @dev 0x01 in each of the 32 bytes of a word.
    uint256 private constant ONES = 0x0101010101010101010101010101010101010101010101010101010101010101;

    /// @notice Product of two field elements, each below 256.
    function mul(uint256 a, uint256 b) internal pure returns (uint256 product) {
        for (; b != 0; b >>= 1) {
            if (b & 1 == 1) product ^= a;
            a <<= 1;
            if (a & 0x100 != 0) a ^= 0x11d;
        }
    }

    /// @notice Entry of the parity matrix.
    function coefficient(uint256 parity, uint256 data) internal pure returns (uint256) {
        require(parity < MAX_PARITY && data < MAX_DATA, OutsideCode(parity, data));
        return uint8(INVERSES[(MAX_DATA + parity) ^ data]);
    }

    /// @notice The sector of parity shard `parity` that goes with the data sectors of the same column.
    /// @param dataSectors one sector of each data shard, in shard order
    function paritySector(bytes[] calldata dataSectors, uint256 parity) internal pure returns (bytes memory result) {
        uint256 count = dataSectors.length;
        require(count != 0 && count <= MAX_DATA && parity < MAX_PARITY, OutsideCode(parity, count));
        bytes memory inverses = INVERSES;
        uint256[] memory factors = new uint256[](count);
        uint256[] memory sources = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            bytes calldata sector = dataSectors[i];
            require(sector.length == SECTOR_BYTES, NotASector(sector.length));
            factors[i] = uint8(inverses[(MAX_DATA + parity) ^ i]);
            uint256 source;
            assembly ("memory-safe") {
                source := sector.offset
            }
            sources[i] = source;
        }
        result = new bytes(SECTOR_BYTES);
        for (uint256 offset; offset < SECTOR_BYTES; offset += 32) {
            uint256 word = _parityWord(sources, factors, offset);
            // `offset` is a multiple of 32 below 256, so the word lies inside `result`.
            assembly ("memory-safe") {
                mstore(add(add(result, 32), offset), word)
            }
        }
    }

    /// @dev Sum of factor x data over 32 columns at once, by Horner's rule over the bits of the factors: eight
    /// doublings of the whole word instead of one multiplication per byte. `sources` are calldata positions of checked
    /// sectors.
    function _parityWord(uint256[] memory sources, uint256[] memory factors, uint256 offset)
        private
        pure
        returns (uint256 word)
    {
        for (uint256 bit = 0x80; bit != 0; bit >>= 1) {
            uint256 high = (word >> 7) & ONES;
            // Per byte: double without the top bit, then reduce by 0x1d where it was set. No carry crosses a byte.
            word = ((word & (ONES * 0x7f)) << 1) ^ (high * 0x1d);
            // `sources` and `factors` have the same length; a checked loop costs five times as much, 1024 times over.
            assembly ("memory-safe") {
                let end := mul(add(mload(factors), 1), 32)
                for { let at := 32 } lt(at, end) { at := add(at, 32) } {
                    if and(mload(add(factors, at)), bit) {
                        word := xor(word, calldataload(add(mload(add(sources, at)), offset)))
                    }
                }
            }
        }
    }
}

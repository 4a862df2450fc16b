// SPDX-License-Identifier: MIT
pragma solidity ^0.8.26;

import {BlsLib} from "./BlsLib.sol";
import {PrecompileLib} from "./PrecompileLib.sol";
import {ScalarLib} from "./ScalarLib.sol";

/// @notice A cell's claim to fit a commitment, and what shows whether it does.
/// @param commitment C, compressed, and its y of 64 bytes
/// @param proof pi, compressed, and its y of 64 bytes
/// @param interpolant R = [I(tau)], the commitment to the cell's interpolant, 128 bytes
/// @param opening W: opening of R at the challenge point, compressed
struct CellClaim {
    bytes32 blobId;
    uint256 blobIndex;
    uint256 column;
    bytes commitment;
    bytes commitmentY;
    bytes proof;
    bytes proofY;
    bytes interpolant;
    bytes opening;
}

/// @title KzgLib
/// @notice Whether a cell of EIP-7594 fits its commitment. Twin: `sdk/protocol/kzg-cell.ts`.
/// @dev Column k of the extended blob holds p(h_k * w_64^rev6(j)), j < 64, with h_k = w_8192^rev7(k). Its proof is
/// pi = [(p - I)/(X^64 - h_k^64)] for the interpolant I of the cell. Anyone who has the cell alone can show:
/// (1) R commits to I: its opening at a point z, hashed from everything, is I(z), which is computed here from the cell.
///     Forging R needs luck of 2^-242 per try, or a break of KZG.
/// (2) e(C - R + h_k^64 * pi, G2) = e(pi, [tau^64]): the cell fits. Only this pairing's answer decides.
/// Subgroups: R and W by point evaluation, pi by the multiplication; the sum by the pairing, and so C with it.
library KzgLib {
    /// @notice Columns of an extended blob.
    uint256 internal constant COLUMNS = 128;

    /// @notice Bytes of a cell: 64 elements.
    uint256 internal constant CELL_BYTES = 2048;

    /// @notice 7^((r - 1) / 8192): the root of unity over whose powers an extended blob is spread.
    uint256 internal constant ROOT_8192 = 0x485d512737b1da3d2ccddea2972e89ed146b58bc434906ac6fdd00bfc78c8967;

    /// @notice [tau^64] in G2, from the public trusted setup of EIP-4844.
    bytes internal constant TAU_64_G2 =
        hex"0000000000000000000000000000000012838a761053437883c3e01ba616670cea843754548ef84bcc397de2369adcca2ab54cd73c55dc68d87aec3fc2fe4f100000000000000000000000000000000012dcc5a1c8c3e1b28b1524e3dd6dbecd63017c9201da9dbe077f1b82adc08c50169f56fc7b5a3b28ec6b89254de3e2fd0000000000000000000000000000000001ae6000d8e795efa3e96b939df6861db9f6bcff35b4694605ad5fdaf950fec9ae3e9c7e28da965024ed859c18db9c7300000000000000000000000000000000056e7a04ea62222711a986e4f4f38ba4909ea2f4cb8abe56fec9fe9bcfadbcea5fb660bc4b1032ed359261d74d2ba725"; // solhint-disable-line max-line-length

    /// @dev Keeps challenge points apart from every other hash.
    bytes32 private constant CHALLENGE_TAG = keccak256("ZeroG cell opening");

    /// @notice A cell has exactly 2048 bytes.
    error WrongCellLength(uint256 byteLength);

    /// @notice There are columns 0 to 127.
    error ColumnUnknown(uint256 column);

    /// @notice An element of the cell is no canonical scalar.
    error ScalarNotCanonical(uint256 element);

    /// @notice Whether the claim's cell fits its commitment; reverts unless the evidence proves either.
    function fits(CellClaim memory claim, bytes calldata cell) internal view returns (bool) {
        bytes memory commitment = BlsLib.g1Decompress(claim.commitment, claim.commitmentY);
        bytes memory proof = BlsLib.g1Decompress(claim.proof, claim.proofY);
        bytes memory interpolant = claim.interpolant;
        require(BlsLib.isInfinity(interpolant) || BlsLib.isG1OnCurve(interpolant), BlsLib.PointNotOnCurve());

        bytes memory compressed = BlsLib.g1Compress(interpolant);
        uint256 z = challengePoint(claim, compressed, keccak256(cell));
        PrecompileLib.requireOpening(compressed, z, evaluateCell(cell, claim.column, z), claim.opening);

        uint256 shift = ScalarLib.pow64(cosetFactor(claim.column));
        bytes memory difference = BlsLib.g1Add(commitment, BlsLib.g1Negate(interpolant));
        bytes memory sum = BlsLib.g1Add(difference, PrecompileLib.g1Mul(proof, shift));
        return BlsLib.pairingsEqual(sum, BlsLib.G2_GENERATOR, proof, TAU_64_G2);
    }

    /// @notice The point at which R must open: a hash of everything but the opening.
    function challengePoint(CellClaim memory claim, bytes memory interpolant, bytes32 cellHash)
        internal
        pure
        returns (uint256)
    {
        bytes memory place = abi.encode(CHALLENGE_TAG, claim.blobId, claim.blobIndex, claim.column);
        return uint256(keccak256(bytes.concat(place, claim.commitment, claim.proof, interpolant, cellHash)))
            % ScalarLib.R;
    }

    /// @notice h_k = w_8192^rev7(k): where the column's points begin.
    function cosetFactor(uint256 column) internal pure returns (uint256 factor) {
        (factor,) = _coset(column);
    }

    /// @notice I(z): the value at z of the polynomial of degree below 64 through the cell.
    function evaluateCell(bytes calldata cell, uint256 column, uint256 z) internal view returns (uint256 value) {
        require(cell.length == CELL_BYTES, WrongCellLength(cell.length));
        require(column < COLUMNS, ColumnUnknown(column));
        uint256[] memory points = cellPoints(column);
        // I(z) = (z^64 - h^64) / (64 h^64) * sum of y_j x_j / (z - x_j): one inversion for the 65 denominators.
        uint256 power = ScalarLib.pow64(points[0]);
        uint256[] memory before = new uint256[](64);
        uint256 product = mulmod(64, power, ScalarLib.R);
        uint256 modulus = ScalarLib.R;
        assembly ("memory-safe") {
            for { let at := 0x20 } lt(at, 0x820) { at := add(at, 0x20) } {
                mstore(add(before, at), product)
                product := mulmod(product, addmod(z, sub(modulus, mload(add(points, at))), modulus), modulus)
            }
        }
        if (product == 0) return _valueAtPoint(cell, points, z);
        uint256 rest = ScalarLib.inverse(product);
        uint256 faulty = type(uint256).max;
        assembly ("memory-safe") {
            for { let at := 0x800 } at { at := sub(at, 0x20) } {
                let point := mload(add(points, at))
                let element := calldataload(add(cell.offset, sub(at, 0x20)))
                if iszero(lt(element, modulus)) { faulty := sub(shr(5, at), 1) }
                let term := mulmod(mulmod(rest, mload(add(before, at)), modulus), point, modulus)
                value := addmod(value, mulmod(element, term, modulus), modulus)
                rest := mulmod(rest, addmod(z, sub(modulus, point), modulus), modulus)
            }
        }
        require(faulty == type(uint256).max, ScalarNotCanonical(faulty));
        uint256 vanishing = addmod(ScalarLib.pow64(z), modulus - power, modulus);
        return mulmod(mulmod(value, vanishing, modulus), rest, modulus);
    }

    /// @notice x_j = h_k * w_64^rev6(j): the 64 points of a column, in the order of its cells' elements.
    function cellPoints(uint256 column) internal pure returns (uint256[] memory points) {
        (uint256 factor, uint256 root) = _coset(column);
        uint256[6] memory roots;
        for (uint256 i = 6; i > 0; --i) {
            roots[i - 1] = root;
            root = mulmod(root, root, ScalarLib.R);
        }
        points = new uint256[](64);
        points[0] = factor;
        uint256 modulus = ScalarLib.R;
        // Bit i of j, read backwards, is worth w_64^(32 >> i): each turn doubles what is there.
        assembly ("memory-safe") {
            let first := add(points, 0x20)
            for { let i := 0 } lt(i, 6) { i := add(i, 1) } {
                let width := shl(add(i, 5), 1)
                let turn := mload(add(roots, shl(5, i)))
                let past := add(first, width)
                for { let at := first } lt(at, past) { at := add(at, 0x20) } {
                    mstore(add(at, width), mulmod(mload(at), turn, modulus))
                }
            }
        }
    }

    /// @dev h_k and w_64.
    function _coset(uint256 column) private pure returns (uint256 factor, uint256 root) {
        require(column < COLUMNS, ColumnUnknown(column));
        factor = 1;
        root = ROOT_8192;
        for (uint256 bit = 7; bit > 0; --bit) {
            if ((column >> (bit - 1)) & 1 == 1) factor = mulmod(factor, root, ScalarLib.R);
            root = mulmod(root, root, ScalarLib.R);
        }
    }

    /// @dev The value at z where z is one of the points: the element itself.
    function _valueAtPoint(bytes calldata cell, uint256[] memory points, uint256 z) private pure returns (uint256) {
        uint256 position;
        for (uint256 j; j < 64; ++j) {
            uint256 element = uint256(bytes32(cell[32 * j:32 * j + 32]));
            require(ScalarLib.isCanonical(element), ScalarNotCanonical(j));
            if (points[j] == z) position = j;
        }
        return uint256(bytes32(cell[32 * position:32 * position + 32]));
    }
}

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

    /// @notice ROOT_8192^64, whose powers are the h_k^64.
    uint256 internal constant ROOT_128 = 0x6898111413588742b7c68b4d7fdd60d098d0caac87f5713c5130c2c1660125be;

    /// @notice 1 / ROOT_8192.
    uint256 internal constant INVERSE_ROOT_8192 = 0x57e6990d4981b177d548fda262008419204f9476cecef2df68946aad325251ed;

    /// @dev w_64^-rev4(i) for i < 16: 1/x, up to 1/h_k, where groups of four begin. Its first four and its first one
    /// serve the later rounds of folding.
    bytes private constant TURNS =
        hex"000000000000000000000000000000000000000000000000000000000000000160b9f524ccbc6d03787d7d083f1b189fc54913cc6b4e0c269fc8017d5166afd33b25b475ab91194b687a73c92f188612fc010d53ccb225425e544cdf4c88794824c14de4b45f2d7bc4a72e43a8f20dbb34c8bd90143c7a436a20b4c8fbee018e5e73ed8c432405d0ae25b21df6c52b2a6c7876bf0928e68fae34a81e1cfca2ec6f70f5e67a06fbd88f907adac98af5480e6466930923ab7811a43132b1888c3620e9cd3a7fca77e38a490835c612d67951d460a1dbfcd267df2b12e5b03301480df6e1cface780a62d34ccafd6d0ce6e2d0124a02ec3ede2c13af36ece5c935e640d097461a2eeaf4e84b3cd7dc75b61db872ef3dce28e788d28c143168bba2c68f0ba2461933c32412d801131c542d24eb73f5d9958580573ea3fa3e6fe310f0596a3d0ddae097ebcf95c6ee2bfcfce81a2bee506858fc6870b11e11ba54d0f3c1a56c914ef83eed9620388e8f73902f9d6586048a1b7870bb1eb8b66cd55ce10952f0122e8072dabac70f83e4acd519bbabf1e9e172de6223c4fc056e43d9a65a566a6d1a50dea09febaa04d13f22bb293335cea2da31a2d03a19553a24b822f00a2325ba21faac6e50c813baa9974308f60f019fd400926be16cb704b990a4b0277449923ce3ca1cac574d6e7aa0947cb9993a1e752756220b9443bf5371d"; // solhint-disable-line max-line-length

    /// @dev 1 / w_4, and 1 / 64.
    uint256 private constant INVERSE_ROOT_4 = 0x73eda753299d7d47a5e80b39939ed33467baa40089fb5bfefffeffff00000001;
    uint256 private constant INVERSE_64 = 0x721df0b5dcf70753126cf0a7e97b50a53e6ead72f3fe628f03ffffff04000001;

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
    /// @param cell 2048 bytes; used up
    /// @param cellHash keccak256 of `cell`
    function fits(CellClaim memory claim, bytes memory cell, bytes32 cellHash) internal view returns (bool) {
        bytes memory commitment = BlsLib.g1Decompress(claim.commitment, claim.commitmentY);
        bytes memory proof = BlsLib.g1Decompress(claim.proof, claim.proofY);
        // Whether R is on the curve is for the addition below to check: off it, R decides nothing.
        bytes memory compressed = BlsLib.g1Compress(claim.interpolant);
        uint256 z = challengePoint(claim, compressed, cellHash);
        PrecompileLib.requireOpening(compressed, z, evaluateCell(cell, claim.column, z), claim.opening);

        // (2) with its first side negated: e(R - C - h_k^64 * pi, G2) * e(pi, [tau^64]) = 1.
        bytes memory scaled = PrecompileLib.g1Mul(proof, ScalarLib.R - cosetPower(claim.column));
        bytes memory rest = BlsLib.g1Add(claim.interpolant, BlsLib.g1Negate(commitment));
        bytes memory sum = BlsLib.g1Add(scaled, rest);
        return PrecompileLib.pairing(bytes.concat(sum, BlsLib.G2_GENERATOR, proof, TAU_64_G2));
    }

    /// @notice The point at which R must open: a hash of everything but the opening.
    function challengePoint(CellClaim memory claim, bytes memory interpolant, bytes32 cellHash)
        internal
        pure
        returns (uint256)
    {
        bytes32 hash = keccak256(
            abi.encodePacked(
                CHALLENGE_TAG,
                claim.blobId,
                claim.blobIndex,
                claim.column,
                claim.commitment,
                claim.proof,
                interpolant,
                cellHash
            )
        );
        return uint256(hash) % ScalarLib.R;
    }

    /// @notice I(z): the value at z of the polynomial of degree below 64 through the cell.
    /// @dev Folding: with I(X) = E(X^2) + X O(X^2), the values y, y' at x and -x, neighbours in a cell, give
    /// 2 (E + z O)(x^2) = y + y' + z/x (y - y'). Six such rounds leave 64 I(z). Nothing is inverted on the way, as the
    /// points of a column are powers of a root. Two rounds at a time: of four neighbours at x, -x, wx, -wx with
    /// w = w_4, the ratios are t = z/x, t/w, and t^2 in the second round.
    /// @param cell 2048 bytes; used up: the folding happens in it
    function evaluateCell(bytes memory cell, uint256 column, uint256 z) internal pure returns (uint256) {
        require(cell.length == CELL_BYTES, WrongCellLength(cell.length));
        _checkElements(cell);
        _fold(cell, TURNS, mulmod(z, _power(INVERSE_ROOT_8192, column), ScalarLib.R));
        return mulmod(uint256(bytes32(cell)), INVERSE_64, ScalarLib.R);
    }

    /// @notice h_k^64, with h_k = w_8192^rev7(k) the point where column k begins.
    function cosetPower(uint256 column) internal pure returns (uint256) {
        return _power(ROOT_128, column);
    }

    /// @dev Folds 64 canonical values into the first of them. Sums of two elements stay below 2^256.
    function _fold(bytes memory values, bytes memory turns, uint256 ratio) private pure {
        uint256 modulus = ScalarLib.R;
        uint256 quarterTurn = INVERSE_ROOT_4;
        assembly ("memory-safe") {
            mstore(0x00, quarterTurn)
            values := add(values, 0x20)
            turns := add(turns, 0x20)
            for { let width := 0x200 } gt(width, 0x10) { width := shr(2, width) } {
                for { let at := 0 } lt(at, width) { at := add(at, 0x20) } {
                    let from := add(values, shl(2, at))
                    let t := mulmod(ratio, mload(add(turns, at)), modulus)
                    let left := mload(from)
                    let right := mload(add(from, 0x20))
                    let even := addmod(add(left, right), mulmod(t, add(left, sub(modulus, right)), modulus), modulus)
                    left := mload(add(from, 0x40))
                    right := mload(add(from, 0x60))
                    let odd := mulmod(mulmod(t, mload(0x00), modulus), add(left, sub(modulus, right)), modulus)
                    odd := addmod(add(left, right), odd, modulus)
                    t := mulmod(mulmod(t, t, modulus), add(even, sub(modulus, odd)), modulus)
                    mstore(add(values, at), addmod(add(even, odd), t, modulus))
                }
                ratio := mulmod(ratio, ratio, modulus)
                ratio := mulmod(ratio, ratio, modulus)
            }
        }
    }

    function _checkElements(bytes memory cell) private pure {
        uint256 modulus = ScalarLib.R;
        uint256 element = 64;
        assembly ("memory-safe") {
            let at := add(cell, 0x20)
            // Eight at a time, as nearly all cells are fine.
            for { let past := add(at, 0x800) } lt(at, past) { at := add(at, 0x100) } {
                let fine := and(lt(mload(at), modulus), lt(mload(add(at, 0x20)), modulus))
                fine := and(fine, and(lt(mload(add(at, 0x40)), modulus), lt(mload(add(at, 0x60)), modulus)))
                fine := and(fine, and(lt(mload(add(at, 0x80)), modulus), lt(mload(add(at, 0xa0)), modulus)))
                fine := and(fine, and(lt(mload(add(at, 0xc0)), modulus), lt(mload(add(at, 0xe0)), modulus)))
                if iszero(fine) {
                    for {} lt(mload(at), modulus) {} { at := add(at, 0x20) }
                    element := shr(5, sub(sub(at, cell), 0x20))
                    break
                }
            }
        }
        require(element == 64, ScalarNotCanonical(element));
    }

    /// @dev root^rev7(column).
    function _power(uint256 root, uint256 column) private pure returns (uint256 power) {
        require(column < COLUMNS, ColumnUnknown(column));
        uint256 modulus = ScalarLib.R;
        assembly ("memory-safe") {
            power := 1
            for { let bit := 0x40 } bit { bit := shr(1, bit) } {
                if and(column, bit) { power := mulmod(power, root, modulus) }
                root := mulmod(root, root, modulus)
            }
        }
    }
}

import {
  CELL_BYTES,
  COLUMNS,
  COMMITMENT_BYTES,
  DATA_COLUMNS,
  ELEMENT_BYTES,
  PROOF_BYTES,
} from './cell-layout.ts'
import { ZerogError } from './errors.ts'
import { toHex } from './hex.ts'
import { FIELD_ORDER } from './scalar-field.ts'

export { FIELD_ORDER }

/** All cells (128 x 2048 B) of a blob with their proofs (128 x 48 B), in column order. */
export type CellsAndProofs = { readonly cells: readonly Uint8Array[]; readonly proofs: readonly Uint8Array[] }

/** Claims that cell i, in column `columns[i]`, belongs to commitment i: arrays of equal length. */
export type CellClaims = {
  readonly commitments: readonly Uint8Array[]
  readonly columns: readonly number[]
  readonly cells: readonly Uint8Array[]
  readonly proofs: readonly Uint8Array[]
}

/**
 * KZG over the public trusted setup with the parameters of EIP-7594. Engines differ in speed only: all of them agree on every input, valid
 * or not. A call that fails for a reason of its own (no memory, aborted) rejects; it never says "invalid".
 */
export type KzgEngine = {
  readonly name: string
  /** Commitment, cells and proofs of one blob. Throws DA_INVALID_BLOB for a wrong length or an element that is not below the field order. */
  encode(
    blob: Uint8Array,
    signal?: AbortSignal,
  ): Promise<CellsAndProofs & { readonly commitment: Uint8Array }>
  /**
   * Whether every cell fits its commitment. Malformed points, scalars, columns or lengths give false, never a throw. No claims at all
   * give true, as the specification has it.
   */
  verifyCells(claims: CellClaims, signal?: AbortSignal): Promise<boolean>
  /**
   * All cells and proofs from at least 64 cells, in ascending order of their columns. The cells must be verified before. Throws
   * DA_TOO_FEW_COLUMNS, and DA_CELL_INVALID for malformed, unordered or contradicting cells.
   */
  recover(
    columns: readonly number[],
    cells: readonly Uint8Array[],
    signal?: AbortSignal,
  ): Promise<CellsAndProofs>
  /** Commitment of a blob. Throws DA_INVALID_BLOB. */
  commit(blob: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>
  /** Proof and value of the blob's polynomial at `z` (32 B, below the field order). Throws DA_INVALID_BLOB, and BAD_REQUEST for `z`. */
  open(
    blob: Uint8Array,
    z: Uint8Array,
    signal?: AbortSignal,
  ): Promise<{ readonly proof: Uint8Array; readonly y: Uint8Array }>
}

/** Whether claims have the right shape: equal counts, columns below 128, cells, proofs and commitments of their lengths. */
export function areShaped({ commitments, columns, cells, proofs }: CellClaims): boolean {
  const count = cells.length
  return (
    commitments.length === count &&
    columns.length === count &&
    proofs.length === count &&
    columns.every(isColumn) &&
    cells.every((cell) => cell.length === CELL_BYTES) &&
    proofs.every((proof) => proof.length === PROOF_BYTES) &&
    commitments.every((commitment) => commitment.length === COMMITMENT_BYTES)
  )
}

/** Whether these are 32 bytes of a number below the field order. */
export function isElement(bytes: Uint8Array): boolean {
  return bytes.length === ELEMENT_BYTES && BigInt(toHex(bytes)) < FIELD_ORDER
}

/**
 * Checks cells as recovery takes them: as EIP-7594 wants it, in the order of their columns, each once. Throws DA_TOO_FEW_COLUMNS, and
 * DA_CELL_INVALID when order or shape are wrong.
 */
export function checkCells(columns: readonly number[], cells: readonly Uint8Array[]): void {
  const isShaped =
    columns.length === cells.length &&
    columns.every((column, i) => isColumn(column) && (i === 0 || column > (columns[i - 1] ?? 0))) &&
    cells.every((cell) => cell.length === CELL_BYTES)
  if (!isShaped)
    throw new ZerogError('DA_CELL_INVALID', 'cells are 2048 bytes, one for each column, in order of columns')
  if (columns.length < DATA_COLUMNS)
    throw new ZerogError('DA_TOO_FEW_COLUMNS', undefined, {
      meta: { have: columns.length, need: DATA_COLUMNS },
    })
}

/** Whether this is the number of a column. */
export function isColumn(column: number): boolean {
  return Number.isInteger(column) && column >= 0 && column < COLUMNS
}

import type { BlobHeader } from './blob-header.ts'
import { CELL_BYTES, COLUMNS, MAX_BLOBS, PROOF_BYTES } from './cell-layout.ts'
import {
  COLUMN_DEPTH,
  cellPath,
  cellsLevels,
  columnLevels,
  columnRoot as rootOfCells,
  treePath,
  treeRoot,
  verifyColumnRoot,
} from './cell-tree.ts'
import { ZerogError } from './errors.ts'
import { HASH_BYTES, type Hasher } from './hasher.ts'
import { bytesEqual, fromHex } from './hex.ts'
import type { CellClaims } from './kzg-engine.ts'

/** A cell (2048 B) with its KZG proof (48 B). */
export type ProvedCell = { readonly cell: Uint8Array; readonly proof: Uint8Array }

/** Column `column` of a blob: one cell of each KZG blob, and the 7 siblings (32 B) above its root, upwards. */
export type Column = {
  readonly column: number
  readonly siblings: readonly Uint8Array[]
  readonly cells: readonly ProvedCell[]
}

const MAGIC = new TextEncoder().encode('ZGC1')
const COLUMN_AT = MAGIC.length
const COUNT_AT = COLUMN_AT + 1
const SIBLINGS_AT = COUNT_AT + 2
const CELLS_AT = SIBLINGS_AT + COLUMN_DEPTH * HASH_BYTES
const ENTRY_BYTES = PROOF_BYTES + CELL_BYTES

/** Bytes of a column file with `blobCount` cells. */
export function columnFileBytes(blobCount: number): number {
  return CELLS_AT + blobCount * ENTRY_BYTES
}

/** Where entry `blobIndex` (proof 48 B ‖ cell 2048 B) of a column file starts. */
export function columnEntryAt(blobIndex: number): number {
  return CELLS_AT + blobIndex * ENTRY_BYTES
}

/** A column as it lies on disk and travels: "ZGC1" ‖ u8 column ‖ u16 M ‖ 7 siblings ‖ M x (proof ‖ cell), big-endian. */
export function encodeColumn({ column, siblings, cells }: Column): Uint8Array {
  const file = new Uint8Array(columnFileBytes(cells.length))
  file.set(MAGIC)
  const view = new DataView(file.buffer)
  view.setUint8(COLUMN_AT, column)
  view.setUint16(COUNT_AT, cells.length)
  siblings.forEach((sibling, i) => {
    file.set(sibling, SIBLINGS_AT + i * HASH_BYTES)
  })
  cells.forEach(({ cell, proof }, blobIndex) => {
    const at = columnEntryAt(blobIndex)
    file.set(proof, at)
    file.set(cell, at + PROOF_BYTES)
  })
  return file
}

/** Reads a column file; the parts are views of `file`. Nothing is verified but its form. Throws DA_CELL_INVALID. */
export function decodeColumn(file: Uint8Array): Column {
  if (file.length < CELLS_AT || !bytesEqual(file.subarray(0, MAGIC.length), MAGIC))
    throw malformed('it is no column file')
  const view = new DataView(file.buffer, file.byteOffset)
  const column = view.getUint8(COLUMN_AT)
  const blobCount = view.getUint16(COUNT_AT)
  if (column >= COLUMNS || blobCount < 1 || blobCount > MAX_BLOBS)
    throw malformed('its place is out of range')
  if (file.length !== columnFileBytes(blobCount)) throw malformed('its length does not fit')
  return {
    column,
    siblings: Array.from({ length: COLUMN_DEPTH }, (_, i) =>
      file.subarray(SIBLINGS_AT + i * HASH_BYTES, SIBLINGS_AT + (i + 1) * HASH_BYTES),
    ),
    cells: Array.from({ length: blobCount }, (_, blobIndex) => {
      const at = columnEntryAt(blobIndex)
      return {
        proof: file.subarray(at, at + PROOF_BYTES),
        cell: file.subarray(at + PROOF_BYTES, at + ENTRY_BYTES),
      }
    }),
  }
}

/** Root of a column: the node of the cell tree above all its cells. */
export function columnRoot(hasher: Hasher, { column, cells }: Column): Uint8Array {
  return rootOfCells(hasher, column, cells)
}

/** Whether the column is the one that the header's `cellsRoot` commits to. The KZG part is `verifyCells` over {@link claimsOf}. */
export function verifyColumn(
  hasher: Hasher,
  column: Column,
  header: Pick<BlobHeader, 'blobCount' | 'cellsRoot'>,
): boolean {
  if (column.cells.length !== header.blobCount) return false
  return verifyColumnRoot(hasher, {
    root: fromHex(header.cellsRoot, HASH_BYTES),
    column: column.column,
    columnRoot: columnRoot(hasher, column),
    siblings: column.siblings,
  })
}

/** What must hold of columns for their cells to be those of the commitments (48 B, one for each blob). */
export function claimsOf(commitments: readonly Uint8Array[], columns: readonly Column[]): CellClaims {
  const cells = columns.flatMap(({ cells }) => cells)
  return {
    commitments: columns.flatMap(() => commitments),
    columns: columns.flatMap(({ column, cells }) => cells.map(() => column)),
    cells: cells.map(({ cell }) => cell),
    proofs: cells.map(({ proof }) => proof),
  }
}

/** Siblings of cell `blobIndex` of the column, from its leaf up to `cellsRoot`. Throws RANGE_INVALID. */
export function cellPathOf(
  hasher: Hasher,
  { column, siblings, cells }: Column,
  blobIndex: number,
): Uint8Array[] {
  return cellPath(treePath(columnLevels(hasher, column, cells), blobIndex), siblings)
}

/** Columns 0..127 with their siblings and the `cellsRoot` (32 B), from the cells and proofs of all KZG blobs in order. */
export function columnsOf(
  hasher: Hasher,
  blobs: readonly { readonly cells: readonly Uint8Array[]; readonly proofs: readonly Uint8Array[] }[],
): { columns: Column[]; cellsRoot: Uint8Array } {
  const rows = Array.from({ length: COLUMNS }, (_, column) =>
    blobs.map(({ cells, proofs }) => {
      const [cell, proof] = [cells[column], proofs[column]]
      if (cell === undefined || proof === undefined)
        throw new ZerogError('BAD_REQUEST', `a blob has ${COLUMNS} cells and proofs`)
      return { cell, proof }
    }),
  )
  const levels = cellsLevels(
    hasher,
    rows.map((cells, column) => rootOfCells(hasher, column, cells)),
  )
  return {
    columns: rows.map((cells, column) => ({ column, cells, siblings: treePath(levels, column) })),
    cellsRoot: treeRoot(levels),
  }
}

function malformed(why: string): ZerogError {
  return new ZerogError('DA_CELL_INVALID', `the column is malformed: ${why}`)
}

import { CELL_BYTES, COLUMNS, COMMITMENT_BYTES, MAX_BLOBS, PROOF_BYTES } from './cell-layout.ts'
import { ZerogError } from './errors.ts'
import { HASH_BYTES, type Hasher } from './hasher.ts'
import { bytesEqual } from './hex.ts'

/** Levels of the cell tree above the roots of its columns: log2 of the columns. */
export const COLUMN_DEPTH = 7

/** Domain tags: no inner node can pass for a leaf. */
const LEAF_TAG = 0
const NODE_TAG = 1

/** A cell with its place and its proof, as a leaf of the cell tree holds it. */
export type CellLeaf = { blobIndex: number; column: number; proof: Uint8Array; cell: Uint8Array }

/** log2 of the blobs, filled up to a power of two; twin of `CellTreeLib.blobDepth`. Throws RANGE_INVALID outside 1 … 256. */
export function blobDepth(blobCount: number): number {
  if (!Number.isInteger(blobCount) || blobCount < 1 || blobCount > MAX_BLOBS)
    throw new ZerogError('RANGE_INVALID', `a header has 1 to ${MAX_BLOBS} blobs`, { meta: { blobCount } })
  return Math.ceil(Math.log2(blobCount))
}

/** Depth of a cell in the tree of `blobCount` blobs; twin of `CellTreeLib.cellDepth`. */
export function cellDepth(blobCount: number): number {
  return COLUMN_DEPTH + blobDepth(blobCount)
}

/** keccak256(0x00 ‖ uint16 blob index ‖ commitment); twin of `CellTreeLib.commitmentLeaf`. */
export function commitmentLeaf(hasher: Hasher, blobIndex: number, commitment: Uint8Array): Uint8Array {
  expectLength(commitment, COMMITMENT_BYTES, 'commitment')
  const leaf = new Uint8Array(3 + COMMITMENT_BYTES)
  writePlace(leaf, blobIndex)
  leaf.set(commitment, 3)
  return hasher.keccak256(leaf)
}

/** keccak256(0x00 ‖ uint16 blob index ‖ uint8 column ‖ proof ‖ keccak256(cell)); twin of `CellTreeLib.cellLeaf`. */
export function cellLeaf(hasher: Hasher, { blobIndex, column, proof, cell }: CellLeaf): Uint8Array {
  expectLength(proof, PROOF_BYTES, 'proof')
  expectLength(cell, CELL_BYTES, 'cell')
  expectColumn(column)
  const leaf = new Uint8Array(4 + PROOF_BYTES + HASH_BYTES)
  writePlace(leaf, blobIndex)
  leaf[3] = column
  leaf.set(proof, 4)
  leaf.set(hasher.keccak256(cell), 4 + PROOF_BYTES)
  return hasher.keccak256(leaf)
}

/** All levels over the commitments of blobs 0, 1, …, leaves first, root last. */
export function commitmentLevels(hasher: Hasher, commitments: readonly Uint8Array[]): Uint8Array[] {
  return treeLevels(
    hasher,
    commitments.map((commitment, blobIndex) => commitmentLeaf(hasher, blobIndex, commitment)),
    2 ** blobDepth(commitments.length),
  )
}

/** Root over the commitments of blobs 0, 1, …, as a header carries it. */
export function commitmentsRoot(hasher: Hasher, commitments: readonly Uint8Array[]): Uint8Array {
  return treeRoot(commitmentLevels(hasher, commitments))
}

/** All levels over the cells of one column, blob 0 first: leaves first, the column's root last. */
export function columnLevels(
  hasher: Hasher,
  column: number,
  cells: readonly { proof: Uint8Array; cell: Uint8Array }[],
): Uint8Array[] {
  return treeLevels(
    hasher,
    cells.map(({ proof, cell }, blobIndex) => cellLeaf(hasher, { blobIndex, column, proof, cell })),
    2 ** blobDepth(cells.length),
  )
}

/** Root of one column: the node above all its cells. */
export function columnRoot(
  hasher: Hasher,
  column: number,
  cells: readonly { proof: Uint8Array; cell: Uint8Array }[],
): Uint8Array {
  return treeRoot(columnLevels(hasher, column, cells))
}

/** All levels over the roots of the 128 columns: column roots first, the header's `cellsRoot` last. */
export function cellsLevels(hasher: Hasher, columnRoots: readonly Uint8Array[]): Uint8Array[] {
  if (columnRoots.length !== COLUMNS)
    throw new ZerogError('RANGE_INVALID', `a cell tree has ${COLUMNS} columns`)
  return treeLevels(hasher, columnRoots, COLUMNS)
}

/** The last level: the root, 32 B. */
export function treeRoot(levels: readonly Uint8Array[]): Uint8Array {
  const root = levels.at(-1)
  if (root?.length !== HASH_BYTES) throw new ZerogError('BAD_REQUEST', 'these are not the levels of a tree')
  return root.slice()
}

/** Siblings of node `index` of the first level, from there upwards: of a blob's commitment, of a cell in its column, of a column. */
export function treePath(levels: readonly Uint8Array[], index: number): Uint8Array[] {
  const width = (levels[0]?.length ?? 0) / HASH_BYTES
  if (width !== 2 ** (levels.length - 1))
    throw new ZerogError('BAD_REQUEST', 'these are not the levels of a tree')
  if (!Number.isInteger(index) || index < 0 || index >= width)
    throw new ZerogError('RANGE_INVALID', 'no such node', { meta: { index } })
  return levels.slice(0, -1).map((level, height) => {
    const sibling = (index >> height) ^ 1
    return level.slice(sibling * HASH_BYTES, (sibling + 1) * HASH_BYTES)
  })
}

/** The path of a cell: its siblings within the column (`treePath` of `columnLevels`), then the column's 7 upper siblings. */
export function cellPath(
  withinColumn: readonly Uint8Array[],
  columnSiblings: readonly Uint8Array[],
): Uint8Array[] {
  if (columnSiblings.length !== COLUMN_DEPTH)
    throw new ZerogError('BAD_REQUEST', `a column has ${COLUMN_DEPTH} upper siblings`)
  return [...withinColumn, ...columnSiblings]
}

/** Whether `commitment` is that of blob `blobIndex` under `root`; twin of `CellTreeLib.verifyCommitment`. Malformed claims are false. */
export function verifyCommitment(
  hasher: Hasher,
  claim: {
    root: Uint8Array
    blobCount: number
    blobIndex: number
    commitment: Uint8Array
    path: readonly Uint8Array[]
  },
): boolean {
  const { root, blobCount, blobIndex, commitment, path } = claim
  if (!isBlob(blobIndex, blobCount) || commitment.length !== COMMITMENT_BYTES) return false
  if (path.length !== blobDepth(blobCount)) return false
  return foldsToRoot(hasher, {
    root,
    leaf: commitmentLeaf(hasher, blobIndex, commitment),
    index: blobIndex,
    path,
  })
}

/** Whether this cell and proof stand at (blob, column) under `root`; twin of `CellTreeLib.verifyCell`. Malformed claims are false. */
export function verifyCell(
  hasher: Hasher,
  claim: CellLeaf & { root: Uint8Array; blobCount: number; path: readonly Uint8Array[] },
): boolean {
  const { root, blobCount, blobIndex, column, proof, cell, path } = claim
  if (!isBlob(blobIndex, blobCount) || !isColumn(column)) return false
  if (proof.length !== PROOF_BYTES || cell.length !== CELL_BYTES) return false
  if (path.length !== cellDepth(blobCount)) return false
  const index = column * 2 ** blobDepth(blobCount) + blobIndex
  return foldsToRoot(hasher, { root, leaf: cellLeaf(hasher, claim), index, path })
}

/** Whether column `column` with root `columnRoot` and its 7 upper siblings hash up to `root`. Malformed claims are false. */
export function verifyColumnRoot(
  hasher: Hasher,
  claim: { root: Uint8Array; column: number; columnRoot: Uint8Array; siblings: readonly Uint8Array[] },
): boolean {
  const { root, column, columnRoot: leaf, siblings } = claim
  if (!isColumn(column) || siblings.length !== COLUMN_DEPTH) return false
  return foldsToRoot(hasher, { root, leaf, index: column, path: siblings })
}

/** keccak256(0x01 ‖ left ‖ right). */
function nodeHash(hasher: Hasher, left: Uint8Array, right: Uint8Array): Uint8Array {
  const node = new Uint8Array(1 + 2 * HASH_BYTES)
  node[0] = NODE_TAG
  node.set(left, 1)
  node.set(right, 1 + HASH_BYTES)
  return hasher.keccak256(node)
}

/** All levels over `leaves`, filled up with zero hashes to `width`, a power of two. */
function treeLevels(hasher: Hasher, leaves: readonly Uint8Array[], width: number): Uint8Array[] {
  const first = new Uint8Array(width * HASH_BYTES)
  leaves.forEach((leaf, i) => {
    expectLength(leaf, HASH_BYTES, 'hash')
    first.set(leaf, i * HASH_BYTES)
  })
  const levels = [first]
  for (let level = first; level.length > HASH_BYTES; levels.push(level)) {
    const above = new Uint8Array(level.length / 2)
    for (let at = 0; at < above.length; at += HASH_BYTES) {
      const left = level.subarray(2 * at, 2 * at + HASH_BYTES)
      const right = level.subarray(2 * at + HASH_BYTES, 2 * at + 2 * HASH_BYTES)
      above.set(nodeHash(hasher, left, right), at)
    }
    level = above
  }
  return levels
}

function foldsToRoot(
  hasher: Hasher,
  {
    root,
    leaf,
    index,
    path,
  }: { root: Uint8Array; leaf: Uint8Array; index: number; path: readonly Uint8Array[] },
): boolean {
  if (leaf.length !== HASH_BYTES || path.some((sibling) => sibling.length !== HASH_BYTES)) return false
  let node = leaf
  path.forEach((sibling, height) => {
    node = (index >> height) % 2 === 0 ? nodeHash(hasher, node, sibling) : nodeHash(hasher, sibling, node)
  })
  return bytesEqual(node, root)
}

function writePlace(leaf: Uint8Array, blobIndex: number): void {
  if (!isBlob(blobIndex, MAX_BLOBS))
    throw new ZerogError('RANGE_INVALID', `no header has blob ${blobIndex}`, { meta: { blobIndex } })
  leaf[0] = LEAF_TAG
  leaf[1] = blobIndex >> 8
  leaf[2] = blobIndex & 0xff
}

function isBlob(blobIndex: number, blobCount: number): boolean {
  if (!Number.isInteger(blobCount) || blobCount < 1 || blobCount > MAX_BLOBS) return false
  return Number.isInteger(blobIndex) && blobIndex >= 0 && blobIndex < blobCount
}

function isColumn(column: number): boolean {
  return Number.isInteger(column) && column >= 0 && column < COLUMNS
}

function expectColumn(column: number): void {
  if (!isColumn(column))
    throw new ZerogError('RANGE_INVALID', `no cell has column ${column}`, { meta: { column } })
}

function expectLength(bytes: Uint8Array, byteLength: number, what: string): void {
  if (bytes.length !== byteLength)
    throw new ZerogError('BAD_REQUEST', `a ${what} has ${byteLength} bytes, not ${bytes.length}`)
}

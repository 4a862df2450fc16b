import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CELL_BYTES, COLUMNS, PROOF_BYTES } from '../../../sdk/protocol/cell-layout.ts'
import { verifyCell } from '../../../sdk/protocol/cell-tree.ts'
import {
  type Column,
  cellPathOf,
  claimsOf,
  columnFileBytes,
  columnsOf,
  decodeColumn,
  encodeColumn,
  verifyColumn,
} from '../../../sdk/protocol/column.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { toHex } from '../../../sdk/protocol/hex.ts'
import { at, randomBytes } from '../../support/content.ts'

const hasher = await loadHasher()
const BLOBS = 3

/** Cells and proofs of some blobs; columns care for their bytes only. */
function someBlobs(count: number) {
  return Array.from({ length: count }, (_, b) => ({
    cells: Array.from({ length: COLUMNS }, (_, k) => randomBytes(CELL_BYTES, 1000 * b + k)),
    proofs: Array.from({ length: COLUMNS }, (_, k) => randomBytes(PROOF_BYTES, 500_000 + 1000 * b + k)),
  }))
}

describe('column files', () => {
  const { columns, cellsRoot } = columnsOf(hasher, someBlobs(BLOBS))
  const header = { blobCount: BLOBS, cellsRoot: toHex(cellsRoot) }

  it('behavior: what is written is read', () => {
    for (const column of columns.slice(120)) {
      const file = encodeColumn(column)
      assert.equal(file.length, columnFileBytes(BLOBS))
      assert.deepEqual(toHex(file.subarray(0, 7)), `0x5a474331${column.column.toString(16)}0003`)
      assert.deepEqual(plain(decodeColumn(file)), plain(column))
    }
  })

  it('behavior: a file inside of a bigger buffer is read as well', () => {
    const file = encodeColumn(at(columns, 9))
    const buffer = new Uint8Array(file.length + 100)
    buffer.set(file, 50)
    assert.deepEqual(plain(decodeColumn(buffer.subarray(50, 50 + file.length))), plain(at(columns, 9)))
  })

  it('error: files that are none', () => {
    const file = encodeColumn(at(columns, 5))
    const withByte = (offset: number, value: number) => {
      const copy = Uint8Array.from(file)
      copy[offset] = value
      return copy
    }
    const malformed = [
      new Uint8Array(),
      file.subarray(0, 100),
      file.subarray(1),
      file.subarray(0, file.length - 1),
      Buffer.concat([file, Buffer.alloc(1)]),
      withByte(0, 0),
      withByte(4, 128),
      withByte(6, 0),
      withByte(6, 4),
      withByte(5, 255),
    ]
    for (const bytes of malformed) assert.throws(() => decodeColumn(bytes), { code: 'DA_CELL_INVALID' })
  })

  it('behavior: every column and every cell stands under the header', () => {
    for (const column of columns) assert(verifyColumn(hasher, column, header))
    for (const [k, b] of [
      [0, 0],
      [77, 1],
      [127, 2],
    ] as const) {
      const { cell, proof } = at(at(columns, k).cells, b)
      const path = cellPathOf(hasher, at(columns, k), b)
      const claim = { root: cellsRoot, blobCount: BLOBS, blobIndex: b, column: k, cell, proof, path }
      assert(verifyCell(hasher, claim))
      assert(!verifyCell(hasher, { ...claim, column: k ^ 1 }))
      assert(!verifyCell(hasher, { ...claim, blobIndex: (b + 1) % BLOBS }))
    }
    assert.throws(() => cellPathOf(hasher, at(columns, 0), 4), { code: 'RANGE_INVALID' })
  })

  it('behavior: a changed byte anywhere behind the prefix fits no header', () => {
    const file = encodeColumn(at(columns, 64))
    for (let offset = 7; offset < file.length; offset += 61) {
      const changed = Uint8Array.from(file)
      changed[offset] = (changed[offset] ?? 0) ^ 0x10
      assert(!verifyColumn(hasher, decodeColumn(changed), header))
    }
    assert(!verifyColumn(hasher, { ...at(columns, 64), column: 65 }, header))
    assert(!verifyColumn(hasher, at(columns, 64), { ...header, blobCount: 4 }))
  })

  it('lists the claims of columns cell by cell', () => {
    const commitments = [randomBytes(48, 1), randomBytes(48, 2), randomBytes(48, 3)]
    const claims = claimsOf(commitments, [at(columns, 3), at(columns, 90)])
    assert.deepEqual(claims.columns, [3, 3, 3, 90, 90, 90])
    assert.deepEqual(claims.commitments, [...commitments, ...commitments])
    assert.deepEqual(claims.cells[4], at(at(columns, 90).cells, 1).cell)
    assert.deepEqual(claims.proofs[2], at(at(columns, 3).cells, 2).proof)
  })
})

function plain({ column, siblings, cells }: Column) {
  return {
    column,
    siblings: siblings.map(toHex),
    cells: cells.map(({ cell, proof }) => [toHex(cell), toHex(proof)]),
  }
}

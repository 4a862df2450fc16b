import { setImmediate as turn } from 'node:timers/promises'
import type { BlobHeader } from '../../sdk/protocol/blob-header.ts'
import { commitmentLevels, commitmentsRoot, treePath } from '../../sdk/protocol/cell-tree.ts'
import { type Column, cellPathOf, claimsOf, verifyColumn } from '../../sdk/protocol/column.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { Hasher } from '../../sdk/protocol/hasher.ts'
import { toHex } from '../../sdk/protocol/hex.ts'
import type { CellFaults } from './cell-faults.ts'
import type { DaParts } from './context.ts'

/** What columns are checked against. The header is signed by its disperser, or on chain. */
export type BlobPlace = {
  readonly blobId: string
  readonly header: BlobHeader
  readonly commitments: readonly Uint8Array[]
}

type Parts = Pick<DaParts, 'hasher' | 'kzg'> & { readonly faults: Pick<CellFaults, 'put'> }

/** Throws PROOF_INVALID unless these are the commitments that the header commits to. */
export function checkCommitments(
  hasher: Hasher,
  { header, commitments }: Pick<BlobPlace, 'header' | 'commitments'>,
): void {
  if (
    commitments.length === header.blobCount &&
    toHex(commitmentsRoot(hasher, commitments)) === header.commitmentsRoot.toLowerCase()
  )
    return
  throw new ZerogError('PROOF_INVALID', 'the commitments are not those of the header')
}

/**
 * Checks every cell of some columns: that the header commits to them, and that they fit their commitments. A cell that the
 * header commits to and that does not fit is a fault of the disperser and goes on record.
 *
 * Errors: DA_CELL_INVALID (meta: column; blobIndex for a recorded fault), ABORTED.
 */
export async function checkColumns(
  { hasher, kzg, faults }: Parts,
  place: BlobPlace,
  { columns, signal }: { columns: readonly Column[]; signal: AbortSignal },
): Promise<void> {
  for (const column of columns) {
    if (!verifyColumn(hasher, column, place.header))
      throw new ZerogError('DA_CELL_INVALID', 'the column is not the one that the header commits to', {
        meta: { blobId: place.blobId, column: column.column },
      })
    // A column of a large blob is half a megabyte to hash.
    await turn(undefined, { signal })
  }
  if (await kzg.verifyCells(claimsOf(place.commitments, columns), signal)) return
  for (const column of columns) {
    if (await kzg.verifyCells(claimsOf(place.commitments, [column]), signal)) continue
    const blobIndex = await firstMisfit({ kzg }, place, { column, signal })
    const cell = blobIndex === undefined ? undefined : column.cells[blobIndex]
    const commitment = blobIndex === undefined ? undefined : place.commitments[blobIndex]
    if (blobIndex === undefined || !cell || !commitment) continue
    faults.put({
      blobId: place.blobId,
      blobIndex,
      column: column.column,
      ...cell,
      path: Buffer.concat(cellPathOf(hasher, column, blobIndex)),
      commitment,
      commitmentPath: Buffer.concat(treePath(commitmentLevels(hasher, place.commitments), blobIndex)),
    })
    throw new ZerogError('DA_CELL_INVALID', 'a cell that the header commits to does not fit its commitment', {
      meta: { blobId: place.blobId, column: column.column, blobIndex },
    })
  }
  throw new ZerogError('INTERNAL', 'the cells do not fit together, yet each of them fits')
}

async function firstMisfit(
  { kzg }: Pick<Parts, 'kzg'>,
  { commitments }: BlobPlace,
  { column, signal }: { column: Column; signal: AbortSignal },
): Promise<number | undefined> {
  for (const [blobIndex, cell] of column.cells.entries()) {
    const commitment = commitments[blobIndex]
    if (!commitment) return undefined
    const single = claimsOf([commitment], [{ ...column, cells: [cell] }])
    if (!(await kzg.verifyCells(single, signal))) return blobIndex
  }
  return undefined
}

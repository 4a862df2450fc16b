import { COLUMNS, DATA_COLUMNS } from '../../sdk/protocol/cell-layout.ts'
import { cellsLevels, columnRoot, treePath, treeRoot } from '../../sdk/protocol/cell-tree.ts'
import type { Column, ProvedCell } from '../../sdk/protocol/column.ts'
import { errorCode, ZerogError } from '../../sdk/protocol/errors.ts'
import { toHex } from '../../sdk/protocol/hex.ts'
import type { CellsAndProofs } from '../../sdk/protocol/kzg-engine.ts'
import type { IndexedBlob } from './blob-index.ts'
import { isSame } from './committees.ts'
import type { DaContext } from './context.ts'
import { type BlobPlace, checkColumns, checkCommitments } from './verify-columns.ts'

const WIDTH = 8

/** A blob with its commitments: from this node's disk, or from any holder; verified. Errors: DA_TOO_FEW_COLUMNS, ABORTED. */
export async function placeOf(
  ctx: DaContext,
  { blobId, header }: Pick<IndexedBlob, 'blobId' | 'header'>,
  signal: AbortSignal,
): Promise<BlobPlace> {
  const held = ctx.columns.blob(blobId)
  if (held) return { blobId, header, commitments: held.commitments }
  const committee = await ctx.committees.at(header.epoch, { signal })
  for (const { operator } of committee.members) {
    if (isSame(operator, ctx.self)) continue
    try {
      const { blobCount } = header
      const commitments = await ctx.peers.commitments({ operator, blobId, blobCount, signal })
      checkCommitments(ctx.hasher, { header, commitments })
      return { blobId, header, commitments }
    } catch (error) {
      if (signal.aborted) throw error
      noteBadAnswer(ctx, error)
    }
  }
  throw new ZerogError('DA_TOO_FEW_COLUMNS', 'no node has the commitments of the blob', { meta: { blobId } })
}

/**
 * At least 64 verified columns of a blob: own ones first, then the data columns, then the others, each from who attested it
 * or who holds it now. Nodes that do not answer or send what does not verify are passed over.
 *
 * Errors: DA_TOO_FEW_COLUMNS (meta: found, needed), ABORTED.
 */
export async function gatherColumns(
  ctx: DaContext,
  place: BlobPlace,
  signal: AbortSignal,
): Promise<Map<number, Column>> {
  const found = new Map<number, Column>()
  for (let column = 0; column < COLUMNS && found.size < DATA_COLUMNS; column++) {
    const own = await ctx.columns.read(place.blobId, column)
    if (own) found.set(column, own)
  }
  const then = await ctx.committees.at(place.header.epoch, { signal })
  const now = await ctx.committees.active({ signal })
  const wanted = Array.from({ length: COLUMNS }, (_, column) => column).filter((column) => !found.has(column))
  let asked = 0

  const worker = async (): Promise<void> => {
    while (found.size < DATA_COLUMNS && asked < wanted.length) {
      const column = wanted[asked++]
      if (column === undefined) return
      const holders = [then.holders[column]?.operator, now?.holders[column]?.operator]
      const others = [...new Set(holders)].filter(
        (operator) => operator !== undefined && !isSame(operator, ctx.self),
      )
      for (const operator of others) {
        const fetched = operator && (await fetchColumn(ctx, place, { operator, column, signal }))
        if (!fetched) continue
        found.set(column, fetched)
        break
      }
    }
  }
  await Promise.all(Array.from({ length: WIDTH }, worker))
  if (found.size >= DATA_COLUMNS) return found
  throw new ZerogError('DA_TOO_FEW_COLUMNS', `${found.size} of ${DATA_COLUMNS} columns are reachable`, {
    meta: { blobId: place.blobId, found: found.size, needed: DATA_COLUMNS },
  })
}

/** All cells and proofs of each KZG blob, from at least 64 verified columns. */
export async function recoverBlobs(
  { kzg }: Pick<DaContext, 'kzg'>,
  columns: ReadonlyMap<number, Column>,
  { blobCount, signal }: { blobCount: number; signal: AbortSignal },
): Promise<CellsAndProofs[]> {
  const known = [...columns].sort(([a], [b]) => a - b)
  const indexes = known.map(([column]) => column)
  return Promise.all(
    Array.from({ length: blobCount }, (_, blobIndex) => {
      const cells = known.flatMap(([, { cells }]) => cells[blobIndex]?.cell ?? [])
      return kzg.recover(indexes, cells, signal)
    }),
  )
}

/**
 * Columns of a blob rebuilt from 64 others, equal to what the header commits to. Errors: DA_TOO_FEW_COLUMNS,
 * DA_CELL_INVALID when its disperser committed to cells that lie on no polynomial, ABORTED.
 */
export async function rebuildColumns(
  ctx: DaContext,
  place: BlobPlace,
  { columns, signal }: { columns: readonly number[]; signal: AbortSignal },
): Promise<Column[]> {
  const { header } = place
  const gathered = await gatherColumns(ctx, place, signal)
  const blobs = await recoverBlobs(ctx, gathered, { blobCount: header.blobCount, signal })
  const rows = Array.from({ length: COLUMNS }, (_, column) =>
    blobs.flatMap(({ cells, proofs }): ProvedCell[] => {
      const [cell, proof] = [cells[column], proofs[column]]
      return cell && proof ? [{ cell, proof }] : []
    }),
  )
  const levels = cellsLevels(
    ctx.hasher,
    rows.map((cells, column) => columnRoot(ctx.hasher, column, cells)),
  )
  if (toHex(treeRoot(levels)) !== header.cellsRoot.toLowerCase())
    throw new ZerogError('DA_CELL_INVALID', 'the header commits to other cells than the polynomial has', {
      meta: { blobId: place.blobId },
    })
  return columns.map((column) => ({ column, cells: rows[column] ?? [], siblings: treePath(levels, column) }))
}

async function fetchColumn(
  ctx: DaContext,
  place: BlobPlace,
  { operator, column, signal }: { operator: string; column: number; signal: AbortSignal },
): Promise<Column | undefined> {
  const { blobId, header } = place
  try {
    const fetched = await ctx.peers.column({ operator, blobId, column, blobCount: header.blobCount, signal })
    await checkColumns(ctx, place, { columns: [fetched], signal })
    return fetched
  } catch (error) {
    if (signal.aborted) throw error
    noteBadAnswer(ctx, error)
    ctx.log.debug({ blobId, operator, column, code: errorCode(error) }, 'a column could not be fetched')
    return undefined
  }
}

function noteBadAnswer({ daMetrics }: DaContext, error: unknown): void {
  const code = errorCode(error)
  if (code === 'PEER_MISBEHAVED' || code === 'DA_CELL_INVALID' || code === 'PROOF_INVALID')
    daMetrics.badPeers.inc()
}

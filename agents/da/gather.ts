import { availableParallelism } from 'node:os'
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
const COMMITMENTS_WIDTH = 4

/** How often members did not answer, and what they refused: `<operator> <column>`. */
type Tried = { readonly silences: Map<string, number>; readonly refusals: Set<string> }

/** A blob with its commitments: from this node's disk, or from any holder; verified. Errors: DA_TOO_FEW_COLUMNS, ABORTED. */
export async function placeOf(
  ctx: DaContext,
  { blobId, header }: Pick<IndexedBlob, 'blobId' | 'header'>,
  signal: AbortSignal,
): Promise<BlobPlace> {
  const held = ctx.columns.blob(blobId)
  if (held) return { blobId, header, commitments: held.commitments }
  const { members } = await ctx.committees.at(header.epoch, { signal })
  const others = members.filter(({ operator }) => !isSame(operator, ctx.self))
  for (let start = 0; start < others.length; start += COMMITMENTS_WIDTH) {
    const stop = new AbortController()
    const asked = others
      .slice(start, start + COMMITMENTS_WIDTH)
      .map(({ operator }) => fetchCommitments(ctx, { operator, blobId, header }, [signal, stop.signal]))
    // One that is silent holds nobody up.
    const commitments = await Promise.any(asked).catch(() => undefined)
    stop.abort()
    if (signal.aborted) throw new ZerogError('ABORTED')
    if (commitments) return { blobId, header, commitments }
  }
  throw new ZerogError('DA_TOO_FEW_COLUMNS', 'no node has the commitments of the blob', { meta: { blobId } })
}

async function fetchCommitments(
  ctx: DaContext,
  { operator, blobId, header }: Pick<BlobPlace, 'blobId' | 'header'> & { operator: string },
  signals: AbortSignal[],
): Promise<Uint8Array[]> {
  const signal = AbortSignal.any(signals)
  try {
    const { blobCount } = header
    const commitments = await ctx.peers.commitments({ operator, blobId, blobCount, signal })
    checkCommitments(ctx.hasher, { header, commitments })
    return commitments
  } catch (error) {
    noteBadAnswer(ctx, error)
    throw error
  }
}

/**
 * At least 64 verified columns of a blob, each from who attested it or who holds it now: own ones first, or with `wants: 'data'`
 * the data columns, which are the payload itself and spare the recovery. Nodes that send what does not verify are passed over, and
 * who was silent is asked again only when the others do not suffice.
 *
 * Errors: DA_TOO_FEW_COLUMNS (meta: found, needed), ABORTED.
 */
export async function gatherColumns(
  ctx: DaContext,
  place: BlobPlace,
  { signal, wants = 'any' }: { signal: AbortSignal; wants?: 'any' | 'data' },
): Promise<Map<number, Column>> {
  const then = await ctx.committees.at(place.header.epoch, { signal })
  const now = await ctx.committees.active({ signal })
  const found = new Map<number, Column>()
  const tried: Tried = { silences: new Map(), refusals: new Set() }

  async function takeOwn(columns: readonly number[]): Promise<void> {
    for (const column of columns) {
      if (found.size >= DATA_COLUMNS) return
      const own = await ctx.columns.read(place.blobId, column)
      if (own) found.set(column, own)
    }
  }

  /** Asks members that were silent `patience` times at most. */
  async function takeOthers(columns: readonly number[], patience: number): Promise<void> {
    const wanted = columns.filter((column) => !found.has(column))
    const worker = async (): Promise<void> => {
      while (found.size < DATA_COLUMNS) {
        const column = wanted.shift()
        if (column === undefined) return
        const holders = new Set([then.holders[column]?.operator, now?.holders[column]?.operator])
        for (const operator of holders) {
          if (operator === undefined || isSame(operator, ctx.self)) continue
          if ((tried.silences.get(operator) ?? 0) > patience) continue
          const fetched = await fetchColumn(ctx, place, { operator, column, tried, signal })
          if (!fetched) continue
          found.set(column, fetched)
          break
        }
      }
    }
    await Promise.all(Array.from({ length: WIDTH }, worker))
  }

  const [data, parity] = [range(0, DATA_COLUMNS), range(DATA_COLUMNS, COLUMNS)]
  const all = [...data, ...parity]
  if (wants === 'data') {
    await takeOwn(data)
    await takeOthers(data, 0)
  }
  await takeOwn(all.filter((column) => !found.has(column)))
  await takeOthers(all, 0)
  await takeOthers(all, WIDTH)
  if (found.size >= DATA_COLUMNS) return found
  throw new ZerogError('DA_TOO_FEW_COLUMNS', `${found.size} of ${DATA_COLUMNS} columns are reachable`, {
    meta: { blobId: place.blobId, found: found.size, needed: DATA_COLUMNS },
  })
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i)
}

/** All cells and proofs of each KZG blob, from at least 64 verified columns. */
export async function recoverBlobs(
  { kzg }: Pick<DaContext, 'kzg'>,
  columns: ReadonlyMap<number, Column>,
  { blobCount, signal }: { blobCount: number; signal: AbortSignal },
): Promise<CellsAndProofs[]> {
  const known = [...columns].sort(([a], [b]) => a - b)
  const indexes = known.map(([column]) => column)
  const recovered: CellsAndProofs[] = []
  let next = 0
  // One for each core at a time: cells that others want verified need not wait for a whole blob of 31 MiB.
  const worker = async (): Promise<void> => {
    while (next < blobCount) {
      const blobIndex = next++
      const cells = known.flatMap(([, { cells }]) => cells[blobIndex]?.cell ?? [])
      recovered[blobIndex] = await kzg.recover(indexes, cells, signal)
    }
  }
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), blobCount) }, worker))
  return recovered
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
  const gathered = await gatherColumns(ctx, place, { signal })
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
  request: { operator: string; column: number; tried: Tried; signal: AbortSignal },
): Promise<Column | undefined> {
  const { blobId, header } = place
  const { operator, column, tried, signal } = request
  const question = `${operator} ${column}`
  if (tried.refusals.has(question)) return undefined
  try {
    const fetched = await ctx.peers.column({ operator, blobId, column, blobCount: header.blobCount, signal })
    await checkColumns(ctx, place, { columns: [fetched], signal })
    return fetched
  } catch (error) {
    if (signal.aborted) throw error
    noteBadAnswer(ctx, error)
    const code = errorCode(error)
    if (code === 'TIMEOUT' || code === 'PEER_UNREACHABLE')
      tried.silences.set(operator, (tried.silences.get(operator) ?? 0) + 1)
    else tried.refusals.add(question)
    ctx.log.debug({ blobId, operator, column, code }, 'a column could not be fetched')
    return undefined
  }
}

function noteBadAnswer({ daMetrics }: DaContext, error: unknown): void {
  const code = errorCode(error)
  if (code === 'PEER_MISBEHAVED' || code === 'DA_CELL_INVALID' || code === 'PROOF_INVALID')
    daMetrics.badPeers.inc()
}

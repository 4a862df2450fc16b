import { invalidBlob } from '../protocol/blob.ts'
import { COLUMNS, DATA_COLUMNS } from '../protocol/cell-layout.ts'
import type { CellVerifier } from '../protocol/cell-proof.ts'
import { type Column, claimsOf } from '../protocol/column.ts'
import { ZerogError } from '../protocol/errors.ts'
import { drawRandom } from '../protocol/sampling.ts'
import type { DaPeers } from './da-peers.ts'
import { pause } from './pause.ts'

/** Requests at a time; a late one gives its place up. */
const PARALLEL = 16
/** After this long a request counts as late, and one more column is asked for. */
const LATE_MS = 2_000
/** In the second round, how many members besides the holder are asked for a column. */
const OTHERS = 4

/**
 * Gets any 64 verified columns of a blob: data columns first, then parity for those that fail or are late, then, of members that are not
 * their holders, what is still missing.
 *
 * Errors: DA_TOO_FEW_COLUMNS with `meta` {have, need, faults}; DA_INVALID_BLOB when so many published cells are wrong that no 64 columns
 * can be right; ABORTED.
 */
export async function collectColumns(options: {
  readonly peers: DaPeers
  readonly commitments: readonly Uint8Array[]
  readonly verifier: CellVerifier
  readonly onColumn?: ((have: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}): Promise<Column[]> {
  const { peers, commitments, verifier, onColumn, signal } = options
  const got = new Map<number, Column>()
  /** Columns that fit the header but not their commitments: the disperser's fraud, not their server's. */
  const wrong = new Set<number>()
  const stop = new AbortController()
  const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])

  async function take(column: number, others: number): Promise<void> {
    const found = await peers.column(column, { others, signal: both })
    if (await verifier.verifyCells(claimsOf(commitments, [found.column]), both)) got.set(column, found.column)
    else wrong.add(column)
    onColumn?.(Math.min(got.size, DATA_COLUMNS))
  }

  /** Works through `queue` until 64 columns are there. */
  async function round(queue: number[], others: number): Promise<void> {
    const running = new Set<Promise<void>>()
    const late = new Set<Promise<void>>()
    while (got.size < DATA_COLUMNS && (queue.length > 0 || running.size > 0)) {
      both.throwIfAborted()
      const fresh = running.size - late.size
      if (queue.length > 0 && fresh < PARALLEL && got.size + fresh < DATA_COLUMNS) {
        const column = queue.shift() ?? 0
        const work: Promise<void> = take(column, others)
          // A failure is a gap that other columns fill; the peers remember it.
          .catch(() => undefined)
          .finally(() => {
            running.delete(work)
            late.delete(work)
          })
        running.add(work)
        pause(LATE_MS, both).then(
          () => running.has(work) && late.add(work),
          () => undefined,
        )
        continue
      }
      // Woken by an answer, or by lateness that frees a place.
      await Promise.race([...running, pause(LATE_MS / 4, both)])
    }
  }

  try {
    const data = drawRandom(range(0, DATA_COLUMNS))
    const parity = drawRandom(range(DATA_COLUMNS, COLUMNS))
    await round([...data, ...parity], 0)
    await round(
      [...data, ...parity].filter((column) => !got.has(column) && !wrong.has(column)),
      OTHERS,
    )
  } catch (error) {
    throw signal?.aborted ? new ZerogError('ABORTED', undefined, { cause: error }) : error
  } finally {
    stop.abort()
  }
  if (wrong.size > COLUMNS - DATA_COLUMNS) throw invalidBlob('cell')
  if (got.size < DATA_COLUMNS)
    throw new ZerogError(
      'DA_TOO_FEW_COLUMNS',
      `${got.size} of the ${DATA_COLUMNS} columns that are needed can be read`,
      { meta: { have: got.size, need: DATA_COLUMNS, wrongColumns: wrong.size, faults: peers.faults() } },
    )
  return [...got.values()].sort((a, b) => a.column - b.column).slice(0, DATA_COLUMNS)
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i)
}

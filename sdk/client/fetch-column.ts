import type { ErasureEngine } from '../protocol/erasure.ts'
import { ZerogError } from '../protocol/errors.ts'
import type { Hasher } from '../protocol/hasher.ts'
import { merkleRoot } from '../protocol/merkle.ts'
import type { ProvedChunk, ShardPeers } from './shard-peers.ts'

/** One data chunk of a column. `proved`: against its shard root; else rebuilt, and to be checked with the whole shard. */
export type ColumnChunk = ProvedChunk & { readonly index: number; readonly isProved: boolean }

/** What fetching a column needs to know of the deal. */
export type ColumnContext = {
  readonly peers: ShardPeers
  readonly erasure: ErasureEngine
  readonly hasher: Hasher
  readonly dataShards: number
  readonly parityShards: number
  readonly height: number
}

/**
 * Gets chunk number `chunk` of the `wanted` data shards. Asks their holders first; when one fails or is late, others are
 * asked, fastest first, until any d chunks of the column are there, and the missing ones are rebuilt from those.
 *
 * Errors: SHARDS_MISSING when fewer than d holders give a proved chunk; ABORTED.
 */
export async function fetchColumn(
  context: ColumnContext,
  { chunk, wanted, signal }: { chunk: number; wanted: readonly number[]; signal: AbortSignal },
): Promise<ColumnChunk[]> {
  const { peers, dataShards, parityShards, height } = context
  const got = new Map<number, ProvedChunk>()
  const pending = new Map<number, Promise<void>>()
  const asked = new Map<number, number>()
  const column = new AbortController()
  const both = AbortSignal.any([signal, column.signal])

  const ask = (index: number) => {
    asked.set(index, (asked.get(index) ?? 0) + 1)
    const call = peers
      .chunk({ index, chunk, height }, both)
      .then((proved) => {
        got.set(index, proved)
      })
      // A failure is a gap that the others fill; the peers remember it.
      .catch(() => undefined)
      .finally(() => pending.delete(index))
    pending.set(index, call)
  }
  const isDone = () => wanted.every((index) => got.has(index)) || got.size >= dataShards
  /** Holders not asked yet, those that are down last; then, once more, those that failed. */
  const next = () => {
    const all = peers.ranked()
    return (
      all.find((index) => !asked.has(index)) ??
      all.find((index) => asked.get(index) === 1 && !got.has(index) && !pending.has(index))
    )
  }

  try {
    for (const index of wanted) if (!peers.isDown(index)) ask(index)
    let isLate = false
    while (!isDone()) {
      signal.throwIfAborted()
      if (isLate || wanted.some((index) => !got.has(index) && !pending.has(index))) {
        // The column must be rebuilt: that takes d chunks, and those that are late are not counted on.
        const countedOn = isLate ? got.size : got.size + pending.size
        for (let count = countedOn; count < dataShards; count++) {
          const index = next()
          if (index === undefined) break
          ask(index)
        }
      }
      if (pending.size === 0) throw missingShards(context, got.size)
      isLate = await noneSettles([...pending.values()], peers.lateMs())
    }
  } catch (error) {
    if (signal.aborted) throw new ZerogError('ABORTED', undefined, { cause: error })
    throw error
  } finally {
    // Answers that are no longer needed are not waited for.
    column.abort()
  }
  return wanted.map((index) => {
    const proved = got.get(index)
    return proved === undefined ? rebuild(index) : { ...proved, index, isProved: true }
  })

  function rebuild(index: number): ColumnChunk {
    const shards = Array.from({ length: dataShards + parityShards }, (_, shard) => got.get(shard)?.bytes)
    const [bytes = new Uint8Array()] = context.erasure.reconstruct(shards, dataShards, parityShards, [index])
    return { bytes, root: merkleRoot(context.hasher, bytes), index, isProved: false }
  }
}

function missingShards({ peers, dataShards }: ColumnContext, present: number): ZerogError {
  return new ZerogError('SHARDS_MISSING', `${present} of the ${dataShards} shards needed can be read`, {
    meta: { present, needed: dataShards, failures: peers.failures() },
  })
}

/** Waits for the first of the calls to settle; true when none did in time. */
async function noneSettles(calls: readonly Promise<void>[], ms: number): Promise<boolean> {
  const { promise: lateness, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => resolve(true), ms)
  try {
    return await Promise.race([lateness, ...calls.map((call) => call.then(() => false))])
  } finally {
    clearTimeout(timer)
  }
}

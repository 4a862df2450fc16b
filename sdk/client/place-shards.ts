import { errorCode, isZerogError, ZerogError } from '../protocol/errors.ts'
import { type Assignment, assignShards } from './assign-shards.ts'
import type { Candidate, Rejection } from './find-candidates.ts'
import type { PreparedFile } from './prepare.ts'
import { sendShard } from './send-shard.ts'
import type { ShardReader } from './shard-reader.ts'
import { isUnsigned } from './write-permission.ts'

/** Shards that are on their way at the same time. */
const PARALLEL_SHARDS = 32

/** Failures that are not a provider's: they end the upload. */
const FATAL_CODES = new Set(['ABORTED', 'FILE_CHANGED', 'FILE_MISSING', 'DEADLINE_PASSED'])

/** Where the shards of one deal are going. Lives as long as the upload. */
export type Placement = {
  assignment(): Assignment
  /** Sends every shard that is not complete yet; failed providers are replaced on the way. */
  send(): Promise<void>
  /** Takes a provider out; its shards go to others at the next `send`. */
  drop(operator: string, error: unknown): void
  clientOf(operator: string): Candidate['client']
  bytesSent(): number
}

/**
 * Spreads the shards of a prepared file over candidates and sends them, in bounded memory: a provider that is dead, slow
 * or refuses loses its shards to the next candidate.
 *
 * Errors: CUSTODIANS_MISSING with the reasons of all who do not take part; FILE_CHANGED; ABORTED.
 */
export function createPlacement(options: {
  txSeq: bigint
  prepared: PreparedFile
  /** The submission was paid a moment ago. */
  isNew?: boolean
  reader: ShardReader
  candidates: readonly Candidate[]
  rejections: readonly Rejection[]
  limit: number
  /** Custodians beyond the fewest that the limit allows. */
  spare: number
  assertUnchanged(): Promise<void>
  onBytes(sentBytes: number, totalBytes: number): void
  onReplace(operator: string, error: unknown): void
  chunkTimeoutMs?: number
  signal?: AbortSignal
}): Placement {
  const { txSeq, prepared, reader, candidates, limit, spare, signal } = options
  const shards = prepared.shardRoots.length
  const dropped = new Map<string, unknown>()
  const aborters = new Map(candidates.map(({ operator }) => [operator, new AbortController()]))
  const complete = new Set<number>()
  let sentBytes = 0
  let progressBytes = 0
  let assignment = assign(undefined)

  function assign(current: Assignment | undefined): Assignment {
    const keepers = candidates.filter(({ operator }) => !dropped.has(operator))
    const made = assignShards({
      shards,
      limit,
      spare,
      keepers,
      ...(current === undefined ? {} : { current }),
    })
    if (made !== undefined) return made
    const reasons = Object.fromEntries([
      ...options.rejections.map(({ operator, code }) => [operator, code]),
      ...[...dropped].map(([operator, error]) => [operator, errorCode(error)]),
    ])
    const needed = limit > 0 ? Math.ceil(shards / limit) : 0
    throw new ZerogError(
      'CUSTODIANS_MISSING',
      `${shards} shards, ${limit} to a provider at most, need ${needed} providers; ${keepers.length} take part`,
      { meta: { needed, present: keepers.length, reasons } },
    )
  }

  function drop(operator: string, error: unknown): void {
    if (dropped.has(operator)) return
    dropped.set(operator, error)
    aborters.get(operator)?.abort(error)
    options.onReplace(operator, error)
    const before = assignment
    assignment = assign(new Map([...before].filter(([, keeper]) => keeper !== operator)))
    for (const [index, keeper] of before) {
      if (assignment.get(index) === keeper || !complete.delete(index)) continue
      progressBytes -= reader.shardBytes
    }
  }

  async function sendOne(index: number): Promise<void> {
    const operator = assignment.get(index) ?? ''
    const candidate = candidateOf(operator)
    const root = prepared.shardRoots[index] ?? ''
    const own = aborters.get(operator)?.signal
    let partBytes = 0
    try {
      await sendShard(
        { client: candidate.client, reader },
        {
          ref: { txSeq, index },
          root,
          chunkBytes: candidate.chunkBytes,
          isNew: options.isNew === true,
          signal: AbortSignal.any([own, signal].filter((one) => one !== undefined)),
          ...(options.chunkTimeoutMs === undefined ? {} : { windowTimeoutMs: options.chunkTimeoutMs }),
          onBytes(bytes) {
            partBytes += bytes
            sentBytes += bytes
            progressBytes += bytes
            options.onBytes(progressBytes, reader.shardBytes * shards)
          },
        },
      )
      progressBytes += reader.shardBytes - partBytes
      options.onBytes(progressBytes, reader.shardBytes * shards)
      complete.add(index)
    } catch (error) {
      progressBytes -= partBytes
      if (signal?.aborted) throw new ZerogError('ABORTED', undefined, { cause: error })
      // Dropped meanwhile for another shard's failure: this one is placed anew already.
      if (own?.aborted) return
      const code = errorCode(error)
      // A code that came with an answer is the provider's word, and must not end what others can do.
      const isOwn = !isZerogError(error) || error.meta.status === undefined
      if ((isOwn && FATAL_CODES.has(code)) || isUnsigned(error)) throw error
      // Bytes that do not hash to their root any more are ours, not the provider's fault.
      if (code === 'ROOT_MISMATCH') await options.assertUnchanged()
      drop(operator, error)
    }
  }

  function candidateOf(operator: string): Candidate {
    const candidate = candidates.find((one) => one.operator === operator)
    if (candidate === undefined) throw new ZerogError('INTERNAL', `${operator} is no candidate`)
    return candidate
  }

  return {
    assignment: () => assignment,
    drop,
    clientOf: (operator) => candidateOf(operator).client,
    bytesSent: () => sentBytes,
    async send() {
      const running = new Map<number, Promise<void>>()
      // Parity first: its shards share what is encoded, and are the costlier to come late with.
      const waiting = () =>
        Array.from({ length: shards }, (_, i) => shards - 1 - i).filter(
          (index) => !complete.has(index) && !running.has(index),
        )
      let failure: unknown
      while (running.size > 0 || (failure === undefined && waiting().length > 0)) {
        if (failure === undefined) {
          for (const index of waiting().slice(0, PARALLEL_SHARDS - running.size)) {
            const sending = sendOne(index)
              .catch((error) => {
                failure ??= error
              })
              .finally(() => running.delete(index))
            running.set(index, sending)
          }
        }
        await Promise.race(running.values())
      }
      if (failure !== undefined) throw failure
    },
  }
}

import { errorCode, isZerogError, ZerogError } from '../protocol/errors.ts'
import { pause } from './pause.ts'
import type { ProviderClient, ShardProgress, ShardRef } from './provider-client.ts'
import type { ShardReader } from './shard-reader.ts'

/** A provider slower than this while a chunk is under way is given up. */
const MIN_BYTES_PER_SEC = 64 * 1024
const MIN_CHUNK_MS = 10_000
const MAX_ATTEMPTS = 4
const FIRST_PAUSE_MS = 200
/** A provider's view of the chain may lag behind ours by some blocks. */
const LAG_MS = 20_000

/**
 * Sends one shard from where the provider's copy ends, chunk by chunk, until the provider says that it is complete.
 *
 * Errors: those of the provider; TIMEOUT when it is too slow; PEER_MISBEHAVED; FILE_CHANGED when the source has changed;
 * ABORTED.
 */
export async function sendShard(
  { client, reader }: { client: ProviderClient; reader: ShardReader },
  options: {
    ref: ShardRef
    root: string
    signal?: AbortSignal
    onBytes?: (bytes: number) => void
    chunkTimeoutMs?: number
  },
): Promise<void> {
  const { ref, root, signal, onBytes } = options
  const total = reader.shardBytes
  const limits = signal === undefined ? {} : { signal }
  const startedMs = Date.now()
  // Used again for every chunk: a request has its own copy of what it sends.
  const buffer = new Uint8Array(Math.min(reader.windowBytes, total))
  let attempts = 0
  let reached = await startingPoint()
  while (!reached.complete) {
    try {
      reached = await sendNext(reached.offset)
      attempts = 0
    } catch (error) {
      reached = await afterFailure(error)
    }
  }

  async function startingPoint(): Promise<ShardProgress> {
    const held = await client.progress(ref, limits)
    // What is held under another root is the provider's to refuse or replace.
    return held?.root === root.toLowerCase() ? held : { offset: 0, complete: false }
  }

  async function sendNext(offset: number): Promise<ShardProgress> {
    const bytes = await reader.read(ref.index, Math.min(offset, total - 1), buffer)
    const from = Math.min(offset, total - 1)
    const slowestMs = Math.max(MIN_CHUNK_MS, (bytes.length / MIN_BYTES_PER_SEC) * 1000)
    const timeoutMs = options.chunkTimeoutMs ?? slowestMs
    const next = await client.putChunk(ref, { root, offset: from, total, bytes }, { ...limits, timeoutMs })
    if (!next.complete && next.offset <= offset)
      throw new ZerogError('PEER_MISBEHAVED', 'the provider does not take the bytes that it asks for')
    onBytes?.(bytes.length)
    return next
  }

  /** Decides whether to go on, and from where. */
  async function afterFailure(error: unknown): Promise<ShardProgress> {
    const code = errorCode(error)
    const lagging = code === 'UNKNOWN_SUBMISSION' && Date.now() - startedMs < LAG_MS
    const canRetry = lagging || code === 'OFFSET_MISMATCH' || (isZerogError(error) && error.retryable)
    if (!lagging) attempts++
    // One time-out is bad luck; two are a slow provider.
    const most = code === 'TIMEOUT' ? 2 : MAX_ATTEMPTS
    if (signal?.aborted || !canRetry || code === 'DISK_FULL' || attempts >= most) throw error
    await pause(FIRST_PAUSE_MS * 2 ** Math.min(attempts, 4) * (0.5 + Math.random()), signal)
    return startingPoint()
  }
}

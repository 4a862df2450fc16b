import { errorCode, isZerogError, ZerogError } from '../protocol/errors.ts'
import type { StreamedBody } from './http.ts'
import { pause } from './pause.ts'
import type { ProviderClient, ShardProgress, ShardRef } from './provider-client.ts'
import type { ShardReader } from './shard-reader.ts'

/** A provider slower than this while a window is under way is given up. */
const MIN_BYTES_PER_SEC = 64 * 1024
const MIN_WINDOW_MS = 10_000
const MAX_ATTEMPTS = 4
const FIRST_PAUSE_MS = 200
const NOTHING: ShardProgress = { offset: 0, complete: false }
/** A provider's view of the chain may lag behind ours by some blocks. */
const LAG_MS = 20_000

/**
 * Sends one shard from where the provider's copy ends, chunk by chunk, until the provider says that it is complete. A
 * chunk is as long as the provider takes in one request where the transport streams, else one window of the reader.
 *
 * Errors: those of the provider; TIMEOUT when it is too slow; PEER_MISBEHAVED; FILE_CHANGED when the source has changed;
 * ABORTED.
 */
export async function sendShard(
  { client, reader }: { client: ProviderClient; reader: ShardReader },
  options: {
    ref: ShardRef
    root: string
    /** Longest chunk that the provider takes. */
    chunkBytes: number
    /** The submission was paid a moment ago, so that nobody can have any of it; spares a question. */
    isNew?: boolean
    signal?: AbortSignal
    onBytes?: (bytes: number) => void
    /** Longest wait for one window of a chunk, and for the answer after the last. */
    windowTimeoutMs?: number
  },
): Promise<void> {
  const { ref, root, signal, onBytes } = options
  const total = reader.shardBytes
  const limits = signal === undefined ? {} : { signal }
  const startedMs = Date.now()
  // Used again for every window: the one before is sent by then.
  const buffer = new Uint8Array(Math.min(reader.windowBytes, total))
  let attempts = 0
  let reached = options.isNew ? NOTHING : await startingPoint()
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
    return held?.root === root.toLowerCase() ? held : NOTHING
  }

  async function sendNext(offset: number): Promise<ShardProgress> {
    const from = Math.min(offset, total - 1)
    const { windowBytes } = reader
    const windowEnd = (Math.floor(from / windowBytes) + 1) * windowBytes
    const chunkEnd = Math.floor((from + options.chunkBytes) / windowBytes) * windowBytes
    const to = Math.min(total, client.canStream ? Math.max(windowEnd, chunkEnd) : windowEnd)
    const slowestMs = Math.max(MIN_WINDOW_MS, (Math.min(windowBytes, total) / MIN_BYTES_PER_SEC) * 1000)
    const windowMs = options.windowTimeoutMs ?? slowestMs
    const stalled = new AbortController()
    const timer = setTimeout(() => stalled.abort(), windowMs)
    const bytes: StreamedBody = {
      byteLength: to - from,
      async *pieces() {
        for (let at = from; at < to; ) {
          const piece = await reader.read(ref.index, at, buffer)
          timer.refresh()
          yield piece.subarray(0, to - at)
          at += piece.length
        }
        timer.refresh()
      },
    }
    try {
      const next = await client.putChunk(
        ref,
        { root, offset: from, total, bytes },
        {
          signal: AbortSignal.any(signal === undefined ? [stalled.signal] : [stalled.signal, signal]),
          timeoutMs: windowMs * Math.ceil(1 + (to - from) / windowBytes),
        },
      )
      if (!next.complete && next.offset <= offset)
        throw new ZerogError('PEER_MISBEHAVED', 'the provider does not take the bytes that it asks for')
      onBytes?.(to - from)
      return next
    } catch (error) {
      if (!stalled.signal.aborted || signal?.aborted) throw error
      throw new ZerogError('TIMEOUT', undefined, { cause: error, meta: { url: client.endpoint } })
    } finally {
      clearTimeout(timer)
    }
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

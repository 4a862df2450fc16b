import { randomBytes } from 'node:crypto'
import { ZerogError } from '../../sdk/protocol/errors.ts'

/** A message that arrives in pieces: `chunkBytes` each, the last one the rest. */
type Pending = {
  readonly chunks: (Uint8Array | undefined)[]
  readonly chunkBytes: number
  readonly totalBytes: number
  readonly timeoutSec: bigint
  readonly expiry: NodeJS.Timeout
  missing: number
}

const MAX_PENDING = 8
const COLLECT_MS = 600_000
/** Smaller pieces would cost more to keep track of than to send. */
const MIN_CHUNK_BYTES = 1_024
/** How far the clock of a poster may be off; its signature of the start is good for this long, once. */
const CLOCK_SEC = 60

/** Announced pieces of one message. */
export type ChunkPlan = {
  readonly timestampSec: bigint
  readonly chunks: bigint
  readonly chunkBytes: bigint
  readonly totalBytes: bigint
  readonly timeoutSec: bigint
}

export type ChunkedMessages = ReturnType<typeof createChunkedMessages>

/** Messages on their way in by Nitro's chunked store; at most eight, each for ten minutes, each of at most `maxBytes`. */
export function createChunkedMessages({ maxBytes }: { maxBytes: number }) {
  const pending = new Map<bigint, Pending>()
  /** Signatures that have started a message, and until when they could again. */
  const started = new Map<string, number>()

  function pendingOf(id: bigint): Pending {
    const message = pending.get(id)
    if (message !== undefined) return message
    throw new ZerogError('BAD_REQUEST', `unknown message(${id})`)
  }

  function remove(id: bigint): void {
    clearTimeout(pending.get(id)?.expiry)
    pending.delete(id)
  }

  return {
    /** Announces a message. `signature` (hex) starts one message only. Errors: BAD_REQUEST, UNAUTHORIZED, DA_PAYLOAD_TOO_LARGE, DA_BUSY. */
    start(plan: ChunkPlan, signature: string, nowSec = Math.floor(Date.now() / 1000)): bigint {
      if (Math.abs(Number(plan.timestampSec) - nowSec) > CLOCK_SEC)
        throw new ZerogError('UNAUTHORIZED', 'too much time has elapsed since request was signed')
      for (const [seen, untilSec] of started) if (untilSec < nowSec) started.delete(seen)
      if (started.has(signature)) throw new ZerogError('UNAUTHORIZED', 'this request was already made')
      const { chunks, chunkBytes, totalBytes } = checkPlan(plan, maxBytes)
      if (pending.size >= MAX_PENDING)
        throw new ZerogError('DA_BUSY', `can't start collecting new message: already ${pending.size} pending`)
      const id = randomBytes(8).readBigUInt64BE()
      const expiry = setTimeout(() => pending.delete(id), COLLECT_MS)
      expiry.unref()
      started.set(signature, nowSec + 2 * CLOCK_SEC)
      pending.set(id, {
        chunks: new Array<Uint8Array | undefined>(chunks).fill(undefined),
        chunkBytes,
        totalBytes,
        timeoutSec: plan.timeoutSec,
        expiry,
        missing: chunks,
      })
      return id
    },

    /** Takes a piece. Errors: BAD_REQUEST. */
    add(id: bigint, index: bigint, chunk: Uint8Array): void {
      const message = pendingOf(id)
      const { chunks, chunkBytes, totalBytes } = message
      if (index >= BigInt(chunks.length))
        throw new ZerogError('BAD_REQUEST', `message(${id}): chunk(${index}) out of range`)
      const at = Number(index)
      if (chunks[at] !== undefined)
        throw new ZerogError('BAD_REQUEST', `message(${id}): chunk(${index}) already added`)
      const expected = at === chunks.length - 1 ? totalBytes - at * chunkBytes : chunkBytes
      if (chunk.length !== expected)
        throw new ZerogError('BAD_REQUEST', `message(${id}): chunk(${index}) must have ${expected} bytes`)
      chunks[at] = chunk
      message.missing -= 1
    },

    /** Hands a complete message over, and forgets it. Errors: BAD_REQUEST; an incomplete one stays. */
    finish(id: bigint): { message: Uint8Array; timeoutSec: bigint } {
      const { chunks, missing, timeoutSec } = pendingOf(id)
      if (missing > 0)
        throw new ZerogError('BAD_REQUEST', `incomplete message(${id}): ${missing} chunks are missing`)
      remove(id)
      return { message: Buffer.concat(chunks.map((chunk) => chunk ?? new Uint8Array())), timeoutSec }
    },

    clear(): void {
      for (const id of [...pending.keys()]) remove(id)
    },
  }
}

function checkPlan({ chunks, chunkBytes, totalBytes }: ChunkPlan, maxBytes: number) {
  if (totalBytes > BigInt(maxBytes))
    throw new ZerogError('DA_PAYLOAD_TOO_LARGE', `a message has at most ${maxBytes} bytes here`)
  if (totalBytes === 0n) throw new ZerogError('DA_EMPTY_PAYLOAD')
  if (chunkBytes < BigInt(MIN_CHUNK_BYTES) && chunks !== 1n)
    throw new ZerogError('BAD_REQUEST', `a chunk has at least ${MIN_CHUNK_BYTES} bytes`)
  if (chunkBytes === 0n || chunks !== (totalBytes + chunkBytes - 1n) / chunkBytes)
    throw new ZerogError('BAD_REQUEST', 'number, size and total of the chunks do not fit together')
  return { chunks: Number(chunks), chunkBytes: Number(chunkBytes), totalBytes: Number(totalBytes) }
}

import { setTimeout as sleep } from 'node:timers/promises'
import { errorCode, isZerogError, ZerogError } from '../../sdk/protocol/errors.ts'
import type { Hasher } from '../../sdk/protocol/hasher.ts'
import { bytesEqual, toHex } from '../../sdk/protocol/hex.ts'
import type { Log } from '../kernel/log.ts'
import type { Store } from '../kernel/store.ts'
import { type Budget, createBudget } from './budget.ts'

/** What the rollup fronts need of the agent. Periods are those of the Beacon; ids and hashes are 32 B of hex. */
export type RollupPorts = {
  /** Publishes and pays for a payload; returns once it is as far as the operator wants (SOFT or FINAL). */
  publish(
    payload: Uint8Array,
    options: { retentionPeriods: bigint; signal: AbortSignal },
  ): Promise<{ blobId: string; expiresAt: bigint }>
  /** The verified payload, from the columns that the network has. Errors: DA_UNKNOWN_BLOB, DA_EXPIRED, DA_INVALID_BLOB, DA_TOO_FEW_COLUMNS. */
  read(blobId: string, signal: AbortSignal): Promise<Uint8Array>
  /** Confirmed blobs whose disperser claims this payload, the likeliest first. A claim may be false. */
  blobsClaiming(payloadHash: string): readonly string[]
  currentPeriod(): bigint
  /** The latest period to which a blob can be kept that is published now. */
  latestExpiry(signal: AbortSignal): Promise<bigint>
  /** The period in which a moment of Unix time surely lies in the past. */
  periodAfter(timeSec: bigint, signal: AbortSignal): Promise<bigint>
  readonly minRetentionPeriods: bigint
}

export type RollupBlobs = ReturnType<typeof createRollupBlobs>

export declare namespace createRollupBlobs {
  type Options = {
    ports: RollupPorts
    store: Store
    hasher: Hasher
    inFlight: number
    timeoutMs: number
    signal: AbortSignal
    log: Log
  }
}

type BlobRow = { blob_id: string; expires_at: number }

const STEPS = [
  `CREATE TABLE rollup_blob (
     payload_hash TEXT NOT NULL,
     blob_id TEXT NOT NULL,
     expires_at INTEGER NOT NULL,
     PRIMARY KEY (payload_hash, blob_id)
   ) STRICT;`,
]
const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 4_000

/**
 * Payloads of rollups: published once however often they are put, read back before the answer, found again by their keccak256.
 * At most `inFlight` are published at a time; the others wait their turn.
 */
export function createRollupBlobs(options: createRollupBlobs.Options) {
  const { ports, store, hasher, inFlight, timeoutMs, signal, log } = options
  store.migrate('rollup-blobs', STEPS)
  const places = createBudget(inFlight)
  const putting = new Map<string, Promise<string>>()

  /** The blob of ours with this payload that lives longest, if it reaches `until`. */
  function kept(payloadHash: string, until: bigint): string | undefined {
    const row = store.get<BlobRow>(
      'SELECT blob_id, expires_at FROM rollup_blob WHERE payload_hash = ? ORDER BY expires_at DESC LIMIT 1',
      payloadHash,
    )
    return row !== undefined && BigInt(row.expires_at) >= until ? row.blob_id : undefined
  }

  async function publishAndCheck(
    payload: Uint8Array,
    payloadHash: string,
    { retentionPeriods, until }: { retentionPeriods: bigint; until: bigint },
  ): Promise<string> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    const place = await takePlace(places, deadline)
    try {
      const { blobId, expiresAt } = await persist(
        () => ports.publish(payload, { retentionPeriods, signal: deadline }),
        { signal: deadline, log },
      )
      const back = await persist(() => ports.read(blobId, deadline), { signal: deadline, log })
      if (!bytesEqual(back, payload))
        throw new ZerogError('INTERNAL', `blob ${blobId} does not read back as it was put`)
      if (expiresAt < until)
        throw new ZerogError('INTERNAL', `blob ${blobId} is kept to period ${expiresAt} only`)
      store.run(
        'INSERT OR REPLACE INTO rollup_blob (payload_hash, blob_id, expires_at) VALUES (?, ?, ?)',
        payloadHash,
        blobId,
        expiresAt,
      )
      return blobId
    } finally {
      place.release()
    }
  }

  const read = (blobId: string): Promise<Uint8Array> =>
    ports.read(blobId, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]))

  return {
    read,

    /**
     * Returns the blob of a payload, which lives until period `until` at least: one that was put before, else a new one that is kept for
     * `retentionPeriods`. The same payload put at the same time is published once. What is under way goes on when the caller leaves.
     */
    async put(
      payload: Uint8Array,
      terms: { retentionPeriods: bigint; until: bigint },
    ): Promise<{ blobId: string; payloadHash: string }> {
      const payloadHash = toHex(hasher.keccak256(payload))
      const before = kept(payloadHash, terms.until)
      if (before !== undefined) return { blobId: before, payloadHash }
      const key = `${payloadHash} ${terms.until}`
      const running = putting.get(key)
      if (running !== undefined) return { blobId: await running, payloadHash }
      const started = publishAndCheck(payload, payloadHash, terms).finally(() => putting.delete(key))
      putting.set(key, started)
      return { blobId: await started, payloadHash }
    },

    /** The payload with this keccak256, from our blobs first, then from whoever claims to have published it. Errors: those of the last one. */
    async readByHash(payloadHash: string): Promise<Uint8Array> {
      const own = store
        .all<BlobRow>(
          'SELECT blob_id, expires_at FROM rollup_blob WHERE payload_hash = ? ORDER BY expires_at DESC',
          payloadHash,
        )
        .map((row) => row.blob_id)
      let failure = new ZerogError('DA_UNKNOWN_BLOB', 'nobody has published a payload with this hash')
      for (const blobId of new Set([...own, ...ports.blobsClaiming(payloadHash)])) {
        try {
          return await read(blobId)
        } catch (error) {
          // A claim may be false, and one blob may be gone while another is there.
          failure = isZerogError(error) ? error : new ZerogError('INTERNAL', undefined, { cause: error })
          if (signal.aborted) throw failure
        }
      }
      throw failure
    },

    /** Forgets what has expired. */
    prune(): void {
      store.run('DELETE FROM rollup_blob WHERE expires_at < ?', ports.currentPeriod())
    },
  }
}

async function takePlace(places: Budget, signal: AbortSignal) {
  try {
    return await places.take(1, signal)
  } catch (cause) {
    throw new ZerogError('DA_BUSY', 'the payload waited too long for its turn', { cause })
  }
}

/** Calls again while the failure is one that may pass; the signal ends it with the last failure. */
async function persist<T>(
  work: () => Promise<T>,
  { signal, log }: { signal: AbortSignal; log: Log },
): Promise<T> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    try {
      return await work()
    } catch (error) {
      if (signal.aborted || !isZerogError(error) || !error.retryable) throw error
      log.debug({ code: errorCode(error) }, 'rollup payload waits')
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
      if (signal.aborted) throw error
    }
  }
}

import { readFee } from '../../sdk/chain/da.ts'
import { read } from '../../sdk/chain/read.ts'
import { blobCountOf, MAX_PAYLOAD_BYTES } from '../../sdk/protocol/blob.ts'
import {
  type BlobHeader,
  blobIdOf,
  HEADER_VERSION,
  type SignedHeader,
  signHeader,
} from '../../sdk/protocol/blob-header.ts'
import { errorCode, isZerogError, ZerogError } from '../../sdk/protocol/errors.ts'
import { collectAndConfirm } from './collect.ts'
import { type DaContext, periodOf } from './context.ts'
import type { Dispersal, UsedPermission } from './dispersal-journal.ts'
import { type EncodedPayload, encodePayload } from './encode-payload.ts'
import { createParking } from './parking.ts'
import { payBlob } from './pay-blob.ts'

/** Which quorum a publisher waits for. */
export type Until = 'soft' | 'final'

/** What is asked of the disperser. `pays`: it pays the fee itself. */
export type PublishRequest = {
  readonly payload: Uint8Array
  readonly retentionPeriods: bigint
  readonly pays: boolean
  readonly publisher: string
  /** What the publisher showed; kept with the blob. */
  readonly permission?: UsedPermission
  readonly signal: AbortSignal
}

/** A header that is signed and on its way. */
export type Published = SignedHeader & { readonly blobId: string; readonly feeWei: bigint }

/** Milliseconds of each step of a blob in this process, from the request on. */
export type Timings = Partial<Record<'encode' | 'pay' | 'disperse' | 'soft' | 'final', number>>

export type Dispersals = ReturnType<typeof createDispersals>

type Running = { readonly startedAt: number; readonly waitMs: number; readonly release: () => void }

/** Blocks between a header and its submission for which its retention is still long enough. */
const SUBMIT_MARGIN_BLOCKS = 8
/** How long an encoded blob is kept in memory for its publisher to pay; later it is encoded again. */
const PUBLISHER_WAIT_MS = 30_000
const KEPT_TIMINGS = 256
/** Blobs that may wait for FINAL beside each that is in hand. */
const PARKED_PER_PLACE = 8

/**
 * The blobs that this disperser has in hand. Each goes through encoded, header bound and journalled, signed, paid,
 * dispersed, confirmed; a killed process takes each up where it stood, from journal and chain.
 */
export function createDispersals(ctx: DaContext) {
  const encodedBlobs = new Map<string, EncodedPayload>()
  const running = new Map<string, Promise<void>>()
  const waiters = new Map<string, Record<Until, PromiseWithResolvers<void>>>()
  const timings = new Map<string, Timings>()
  const parking = createParking({
    mostBlobs: PARKED_PER_PLACE * ctx.config.DA_BLOBS_IN_FLIGHT,
    mostBytes: ctx.config.DA_BYTES_IN_FLIGHT / 2,
  })
  let reservedBlobs = 0
  let reservedBytes = 0

  /** Takes room for a payload of this length, or says how busy it is. Returns the function that gives it back. */
  function reserve(payloadBytes: number): () => void {
    const { DA_BLOBS_IN_FLIGHT: mostBlobs, DA_BYTES_IN_FLIGHT: mostBytes } = ctx.config
    const isFirst = reservedBlobs === 0
    if (reservedBlobs >= mostBlobs || (!isFirst && reservedBytes + payloadBytes > mostBytes))
      throw new ZerogError('DA_BUSY', undefined, { meta: { inFlight: reservedBlobs, mostBlobs } })
    reservedBlobs++
    reservedBytes += payloadBytes
    ctx.daMetrics.inFlight.set(reservedBlobs)
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      reservedBlobs--
      reservedBytes -= payloadBytes
      ctx.daMetrics.inFlight.set(reservedBlobs)
    }
  }

  /**
   * Encodes a payload, signs its header, and starts to disperse it. Errors: DA_EMPTY_PAYLOAD, DA_PAYLOAD_TOO_LARGE, DA_BUSY,
   * DA_WRONG_EPOCH before the first committee, BAD_REQUEST for the retention.
   */
  async function publish(request: PublishRequest, release?: () => void): Promise<Published> {
    const { payload, signal } = request
    blobCountOf(payload.length)
    const most = Math.min(ctx.config.DA_MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES)
    if (payload.length > most)
      throw new ZerogError('DA_PAYLOAD_TOO_LARGE', undefined, { meta: { maxBytes: most } })
    const giveBack = release ?? reserve(payload.length)
    try {
      const startedAt = performance.now()
      const encodeTime = ctx.daMetrics.stepSeconds.startTimer({ step: 'encode' })
      const encoded = await encodePayload(ctx, payload, { signal })
      encodeTime()
      ctx.crashPoint('after-encode')
      const { header, feeWei } = await bindHeader(request, encoded)
      const blobId = blobIdOf(header)
      remember(blobId, { encode: Math.round(performance.now() - startedAt) })
      const signed = await signHeader(ctx.wallet, header)
      ctx.crashPoint('after-header')
      encodedBlobs.set(blobId, encoded)
      waiters.set(blobId, { soft: quietly(), final: quietly() })
      void run(blobId, { startedAt, waitMs: PUBLISHER_WAIT_MS, release: giveBack }).finally(() =>
        encodedBlobs.delete(blobId),
      )
      return { ...signed, blobId, feeWei }
    } catch (error) {
      giveBack()
      throw error
    }
  }

  /** The header of an encoded payload with its fee, bound to a fresh nonce and journalled, its payload on disk before. */
  async function bindHeader(
    { payload, retentionPeriods, pays, publisher, permission, signal }: PublishRequest,
    encoded: EncodedPayload,
  ): Promise<{ header: BlobHeader; feeWei: bigint }> {
    const committee = await ctx.committees.active({ signal })
    if (!committee)
      throw new ZerogError('DA_WRONG_EPOCH', 'no committee has been formed yet', { retryable: true })
    const head = await read(ctx.provider.getBlockNumber(), { signal })
    const expiresAt = checkedExpiry(ctx, head, retentionPeriods)
    const { blobCount, payloadBytes, payloadHash, commitmentsRoot, cellsRoot } = encoded
    const make = (nonce: bigint): BlobHeader => ({
      version: HEADER_VERSION,
      chainId: ctx.chain.chainId,
      da: ctx.chain.da.addresses.DataAvailability,
      disperser: ctx.self,
      epoch: committee.epoch,
      nonce,
      ...{ blobCount, payloadBytes, payloadHash, commitmentsRoot, cellsRoot, expiresAt },
    })
    // The last that can fail from outside: what is journalled goes its way, and whoever heard of a failure asks again.
    const feeWei = await feeOf({ blobCount, expiresAt })
    const header = ctx.guard.bind(make)
    await ctx.journal.writePayload(blobIdOf(header), payload)
    ctx.journal.insert({ header, pays, publisher, createdBlock: head, permission })
    return { header, feeWei }
  }

  /** What `publish` returned for this blob, also in an earlier process. */
  async function published(blobId: string): Promise<Published> {
    const bound = ctx.guard.ownHeader(blobId)
    if (!bound) throw new ZerogError('INTERNAL', 'the header is not bound to its nonce')
    return { ...(await signHeader(ctx.wallet, bound)), blobId, feeWei: await feeOf(bound) }
  }

  async function feeOf({
    blobCount,
    expiresAt,
  }: Pick<BlobHeader, 'blobCount' | 'expiresAt'>): Promise<bigint> {
    const head = await read(ctx.provider.getBlockNumber(), { signal: ctx.signal })
    const period = periodOf(ctx, head)
    const retentionPeriods = expiresAt > period ? expiresAt - period : 0n
    return readFee(ctx.chain, { blobCount, retentionPeriods }, { signal: ctx.signal })
  }

  /**
   * Works on a journalled blob until it is done or has to wait for its publisher. One at a time for each blob. `release` gives
   * its room back as soon as it needs none: what waits for FINAL must not keep others from SOFT.
   */
  function run(
    blobId: string,
    { startedAt = performance.now(), waitMs = 0, release }: Partial<Running> & Pick<Running, 'release'>,
  ): Promise<void> {
    const known = running.get(blobId)
    const dispersal = ctx.journal.get(blobId)
    if (known || dispersal?.state !== 'open') {
      release()
      return known ?? Promise.resolve()
    }
    const work = advance(dispersal, { startedAt, waitMs, release })
      .catch((error) => fail(dispersal, error))
      // Nobody may be waiting: a full disk must not end the process for it.
      .catch((error) => ctx.log.error({ blobId, err: error }, 'the end of a dispersal could not be recorded'))
      .finally(() => {
        running.delete(blobId)
        release()
      })
    running.set(blobId, work)
    return work
  }

  async function advance(dispersal: Dispersal, { startedAt, waitMs, release }: Running): Promise<void> {
    const { blobId, header } = dispersal
    const mark = (step: keyof Timings) =>
      remember(blobId, { [step]: Math.round(performance.now() - startedAt) })
    const bound = ctx.guard.ownHeader(blobId)
    if (!bound) throw new ZerogError('INTERNAL', 'the header is not bound to its nonce')
    // Nothing is paid for what cannot be dispersed any more.
    if (!encodedBlobs.has(blobId) && !(await ctx.journal.hasPayload(blobId)))
      throw new ZerogError('STORE_CORRUPT', 'the payload of an open dispersal is gone from the outbox')
    // Deterministic (RFC 6979): after a restart the same header has the same signature.
    const signed = await signHeader(ctx.wallet, bound)
    const payTime = ctx.daMetrics.stepSeconds.startTimer({ step: 'pay' })
    const record = await payBlob(ctx, dispersal, {
      ...{ signed, waitMs },
      feeWei: () => feeOf(header),
    })
    if (!record) return
    payTime()
    mark('pay')
    ctx.crashPoint('after-pay')
    const encoded = await encodedOf(blobId)
    const place = parking.place(header.payloadBytes)
    const outcome = await collectAndConfirm(ctx, {
      ...{ dispersal, signed, encoded, record },
      enough: place.signal,
      onStage: (stage) => {
        mark(stage)
        release()
        place.park()
        waiters.get(blobId)?.soft.resolve()
        if (stage === 'final') waiters.get(blobId)?.final.resolve()
      },
    }).finally(place.leave)
    await ctx.journal.close(blobId)
    ctx.daMetrics.published.inc({ outcome })
    if (outcome === 'soft')
      waiters
        .get(blobId)
        ?.final.reject(new ZerogError('DA_NOT_CONFIRMED', 'only SOFT stands', { retryable: false }))
    waiters.delete(blobId)
  }

  async function encodedOf(blobId: string): Promise<EncodedPayload> {
    const known = encodedBlobs.get(blobId)
    if (known) return known
    const payload = await ctx.journal.readPayload(blobId)
    if (!payload) throw new ZerogError('INTERNAL', 'the payload of an open dispersal is gone')
    return encodePayload(ctx, payload, { signal: ctx.signal })
  }

  /** What may succeed later stays open for the next try; the rest is over. */
  async function fail({ blobId }: Dispersal, error: unknown): Promise<void> {
    const code = errorCode(error)
    // Stopping: the next process goes on.
    if (code === 'ABORTED') return
    const isRetryable = isZerogError(error) ? error.retryable : true
    if (isRetryable || code === 'INTERNAL') {
      ctx.log.warn({ blobId, code, err: error }, 'dispersal stopped, it goes on at the next block')
      return
    }
    ctx.log.warn({ blobId, code, err: error }, 'dispersal failed')
    await ctx.journal.close(blobId, code)
    ctx.daMetrics.published.inc({ outcome: 'failed' })
    for (const waiter of Object.values(waiters.get(blobId) ?? {})) waiter.reject(error)
    waiters.delete(blobId)
  }

  function remember(blobId: string, step: Timings): void {
    timings.set(blobId, { ...timings.get(blobId), ...step })
    const [oldest] = timings.keys()
    if (timings.size > KEPT_TIMINGS && oldest !== undefined) timings.delete(oldest)
  }

  return {
    reserve,
    publish,
    published,
    run,
    isRunning: (blobId: string) => running.has(blobId),
    /** Milliseconds from the request to the end of each step; undefined for blobs of an earlier process. */
    timingsOf: (blobId: string): Timings | undefined => timings.get(blobId),
    /** Resolves when a blob published in this process has its quorum; rejects with what ended it. */
    reached: (blobId: string, until: Until): Promise<void> | undefined =>
      waiters.get(blobId)?.[until].promise,
  }
}

/** Nobody has to wait for it. */
function quietly(): PromiseWithResolvers<void> {
  const waiter = Promise.withResolvers<void>()
  waiter.promise.catch(() => undefined)
  return waiter
}

/** The period in which a blob expires. Throws BAD_REQUEST when the retention is not one that the contract takes. */
function checkedExpiry(ctx: DaContext, head: number, retentionPeriods: bigint): bigint {
  const { minRetentionPeriods, maxRetentionPeriods } = ctx.chain.daTerms
  const meta = { retentionPeriods, minRetentionPeriods, maxRetentionPeriods }
  if (retentionPeriods < minRetentionPeriods || retentionPeriods > maxRetentionPeriods)
    throw new ZerogError(
      'BAD_REQUEST',
      `a blob is kept for ${minRetentionPeriods} to ${maxRetentionPeriods} periods`,
      { meta },
    )
  const { bucketPeriods } = ctx
  const latest = ((periodOf(ctx, head) + maxRetentionPeriods) / bucketPeriods) * bucketPeriods
  const least = periodOf(ctx, head + SUBMIT_MARGIN_BLOCKS) + retentionPeriods
  const wanted = ((least + bucketPeriods - 1n) / bucketPeriods) * bucketPeriods
  return wanted <= latest ? wanted : latest
}

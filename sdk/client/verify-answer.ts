import { z } from 'zod'
import { readPriceEpoch, readService } from '../chain/compute.ts'
import { type ErrorCode, errorCode, ZerogError } from '../protocol/errors.ts'
import { modelHash, type Receipt } from '../protocol/receipt.ts'
import { parseResponseText, responseSigner } from '../protocol/response-text.ts'
import { askProvider, jsonObject, wholeBody } from './ask-provider.ts'
import type { ServiceOffer, UnitPrices } from './inference-api.ts'
import type { InferenceContext } from './inference-context.ts'
import { pause } from './pause.ts'
import type { Reservation } from './spending-book.ts'

/** One request and what came of it, as seen here. Hashes are 64 hex digits. */
export type Exchange = {
  readonly offer: ServiceOffer
  readonly chatId: string | undefined
  readonly requestSha256: string
  readonly responseSha256: string
  /** Most units that can have been used. */
  readonly bound: Units
  /** What the answer itself says. */
  readonly usage: Units | undefined
  readonly model: string | undefined
  readonly reservation: Reservation
}

export type Units = { readonly inputUnits: number; readonly outputUnits: number }

export type SignedReceipt = { readonly receipt: Receipt; readonly signature: string }

/** Failures that no honest provider causes. */
export const LIES: readonly ErrorCode[] = [
  'INFERENCE_BYTES_DIFFER',
  'INFERENCE_SIGNER_WRONG',
  'INFERENCE_REPLAYED',
  'INFERENCE_MODEL_DIFFERS',
  'INFERENCE_FEE_WRONG',
]

const QUICK_MS = 10_000
const SMALL_BYTES = 64 * 1024
const TRIES = 3
/** An epoch that began so long ago has begun on every clock. */
const BEGUN_SEC = 600
const TRY_MS = 200

const hash = z.string().regex(/^0x[0-9a-f]{64}$/)
const whole = z
  .union([z.string().regex(/^\d{1,39}$/), z.number().int().nonnegative()])
  .transform((value) => BigInt(value))
const signedSchema = z.object({
  text: z.string().max(1024),
  signature: z.string().regex(/^0x[0-9a-fA-F]{130}$/),
  receipt: z.object({
    requestHash: hash,
    responseHash: hash,
    modelHash: hash,
    inputUnits: whole,
    outputUnits: whole,
    feeWei: whole,
    priceEpoch: whole,
    nonce: whole,
    traceRoot: hash,
  }),
})

/**
 * Holds an answer against its signature and receipt: the signed hashes are those of the bytes sent and received, the service's signer on chain
 * signed them, the model is the one asked for, the fee is at most the units' at the price on chain, and neither signature nor nonce was used before.
 * How many units a prompt has is the provider's count; it is held against a bound.
 *
 * Errors: INFERENCE_UNVERIFIED, and those of {@link LIES}; RPC_UNREACHABLE; TIMEOUT; ABORTED.
 */
export async function verifyAnswer(
  context: InferenceContext,
  exchange: Exchange,
  signal: AbortSignal,
): Promise<SignedReceipt> {
  const { offer, requestSha256, responseSha256, reservation, bound, usage } = exchange
  const { text, signature, receipt } = await fetchSigned(context, exchange, signal)
  const meta = { provider: offer.provider, chatId: exchange.chatId }
  const lie = (code: ErrorCode, message: string) => new ZerogError(code, message, { meta })

  if (!(await isSigner(context, offer, responseSigner(text, signature), signal)))
    throw lie('INFERENCE_SIGNER_WRONG', "the answer is not signed by the service's signer")
  const hashes = parseResponseText(text)
  const isBound =
    hashes?.requestSha256 === requestSha256 &&
    hashes.responseSha256 === responseSha256 &&
    receipt.requestHash === `0x${requestSha256}` &&
    receipt.responseHash === `0x${responseSha256}`
  if (receipt.nonce <= reservation.floorNonce)
    throw lie('INFERENCE_REPLAYED', 'the receipt is of an earlier answer')
  if (!isBound) throw lie('INFERENCE_BYTES_DIFFER', 'what was signed is not what was sent and received')
  if (!context.book.useNonce(offer.provider, receipt.nonce))
    throw lie('INFERENCE_REPLAYED', 'the receipt was shown before')
  if (receipt.modelHash !== modelHash(offer.model) || (exchange.model ?? offer.model) !== offer.model)
    throw lie('INFERENCE_MODEL_DIFFERS', `the answer is not of the model ${offer.model}`)

  const { inputPriceWei, outputPriceWei } = await pricesOf(context, offer, receipt.priceEpoch, signal)
  // A model's gate may give units for nothing.
  if (receipt.feeWei > receipt.inputUnits * inputPriceWei + receipt.outputUnits * outputPriceWei)
    throw lie('INFERENCE_FEE_WRONG', 'the fee is above that of the units at the price on chain')
  if (receipt.inputUnits > BigInt(bound.inputUnits) || receipt.outputUnits > BigInt(bound.outputUnits))
    throw lie('INFERENCE_FEE_WRONG', 'the receipt counts more units than the request can have')
  const isSame =
    usage === undefined ||
    (receipt.inputUnits === BigInt(usage.inputUnits) && receipt.outputUnits === BigInt(usage.outputUnits))
  if (!isSame) throw lie('INFERENCE_FEE_WRONG', 'the receipt counts other units than the answer')
  return { receipt, signature }
}

/** The signature and receipt of an answer. Nothing of it is verified yet. */
async function fetchSigned(
  { fetch }: InferenceContext,
  { offer, chatId }: Exchange,
  signal: AbortSignal,
): Promise<z.output<typeof signedSchema>> {
  const unverified = (cause?: unknown) =>
    new ZerogError('INFERENCE_UNVERIFIED', undefined, { cause, meta: { provider: offer.provider, chatId } })
  if (chatId === undefined || !/^[A-Za-z0-9_-]{1,64}$/.test(chatId)) throw unverified()
  const path = `/v1/proxy/signature/${chatId}?model=${encodeURIComponent(offer.model)}`
  for (let tried = 1; ; tried++) {
    try {
      const answer = await askProvider({
        ...{ fetch, url: offer.url, path, signal, maxBytes: SMALL_BYTES },
        ...{ timeoutMs: QUICK_MS, silenceMs: QUICK_MS },
      })
      return signedSchema.parse(jsonObject(new TextDecoder().decode(await wholeBody(answer))))
    } catch (cause) {
      if (errorCode(cause) === 'ABORTED') throw cause
      const isPassing = cause instanceof ZerogError && cause.retryable
      if (!isPassing || tried === TRIES) throw unverified(cause)
    }
    await pause(TRY_MS * tried, signal)
  }
}

async function isSigner(
  { chain }: InferenceContext,
  { provider, signer }: ServiceOffer,
  found: string | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  if (found === undefined || found === signer) return found === signer
  // The service may have changed since it was listed.
  return (await readService(chain, provider, { signal }))?.signer === found
}

/** The prices of an epoch that may be billed: those of the offer, or those in force now within the caller's maximum. */
async function pricesOf(
  context: InferenceContext,
  offer: ServiceOffer,
  priceEpoch: bigint,
  signal: AbortSignal,
): Promise<UnitPrices> {
  const { chain, options } = context
  const { maxPrice } = options
  const prices = await epochPrices(context, offer.provider, priceEpoch, signal)
  const isWithin = (most: UnitPrices) =>
    prices !== undefined &&
    prices.inputPriceWei <= most.inputPriceWei &&
    prices.outputPriceWei <= most.outputPriceWei
  if (prices !== undefined && isWithin(offer)) return prices
  const service = await readService(chain, offer.provider, { signal })
  const isInForce = service?.priceEpoch === priceEpoch && maxPrice !== undefined && isWithin(maxPrice)
  if (prices !== undefined && isInForce) return prices
  throw new ZerogError('INFERENCE_FEE_WRONG', 'the receipt names a price that does not hold', {
    meta: { provider: offer.provider, priceEpoch },
  })
}

async function epochPrices(
  { chain, prices: known }: InferenceContext,
  provider: string,
  priceEpoch: bigint,
  signal: AbortSignal,
): Promise<UnitPrices | undefined> {
  const key = `${provider}-${priceEpoch}`
  const old = known.get(key)
  if (old !== undefined) return old
  const prices = await readPriceEpoch(chain, { provider, priceEpoch }, { signal })
  if (prices !== undefined && Number(prices.fromSec) + BEGUN_SEC < Date.now() / 1000) known.set(key, prices)
  return prices
}

import { sha256 } from '@noble/hashes/sha2.js'
import { type ErrorCode, errorCode, isZerogError, ZerogError } from '../protocol/errors.ts'
import { toHex } from '../protocol/hex.ts'
import { askProvider, type ProviderAnswer } from './ask-provider.ts'
import type {
  FailedAttempt,
  InferenceKind,
  ServiceOffer,
  StreamOptions,
  StreamPiece,
  VerifiedAnswer,
} from './inference-api.ts'
import type { InferenceContext } from './inference-context.ts'
import { pause } from './pause.ts'
import type { PreparedRequest, ProviderAccounts } from './provider-account.ts'
import type { ServiceList } from './service-list.ts'
import type { SessionKeys } from './session-keys.ts'
import { committedWei, limitReached } from './spending-book.ts'
import { LIES, type Units, verifyAnswer } from './verify-answer.ts'

/** What the answer's body said; nothing of it is verified. */
export type Content<T> = {
  readonly value: T
  readonly usage: Units | undefined
  readonly model: string | undefined
  /** The answer's id, for providers that send no `ZG-Res-Key`. */
  readonly id: string | undefined
}

/** A request that any provider of a model can answer. */
export type NetworkRequest<T> = {
  readonly model: string
  readonly kind: InferenceKind
  readonly path: string
  readonly body: Uint8Array
  /** Most units that an answer can use. */
  readonly bound: Units
  readonly maxBytes: number
  /** Reads the answer to its end. */
  read(answer: ProviderAnswer): AsyncGenerator<StreamPiece, Content<T>>
}

/** The parts that ask. */
export type Network = InferenceContext & {
  readonly services: ServiceList
  readonly accounts: ProviderAccounts
  readonly keys: SessionKeys
}

type Waiting = { readonly offer: ServiceOffer; readonly notBeforeMs: number; readonly isAgain: boolean }

const ATTEMPTS = 4
const TIMEOUT_MS = 120_000
const SILENCE_MS = 30_000
/** A provider that is busy is asked again after this at most. */
const MAX_RETRY_MS = 5000
/** A claim takes a moment to follow what was settled. */
const REVIEWS = 3
const REVIEW_MS = 500
/** The request itself is at fault. One provider may say so wrongly; after two, others are not asked. */
const BAD_REQUESTS: readonly ErrorCode[] = [
  'BAD_REQUEST',
  'BODY_TOO_LARGE',
  'COMPUTE_INPUT_INVALID',
  'COMPUTE_CONTEXT_TOO_LONG',
]
/** What this client lacks is no failure of the provider's. */
const OWN_LACKS: readonly ErrorCode[] = [
  ...[
    'INFERENCE_LIMIT_REACHED',
    'INSUFFICIENT_FUNDS',
    'COMPUTE_BALANCE_TOO_LOW',
    'PRICE_TOO_LOW',
    'RPC_UNREACHABLE',
  ],
  ...['TX_REVERTED', 'TX_REFUSED', 'NONCE_CONFLICT', 'FORBIDDEN', 'COMPUTE_GATE_CLOSED'],
] as ErrorCode[]

/**
 * Asks one provider after the other, the best first, until an answer is verified. A broken answer begins anew at the next provider: one that two
 * providers wrote could be verified against neither.
 */
export async function* askNetwork<T>(
  network: Network,
  request: NetworkRequest<T>,
  options: StreamOptions & { readonly signal: AbortSignal },
): AsyncGenerator<StreamPiece, VerifiedAnswer & T> {
  const { signal, provider, modelRoot, attempts = ATTEMPTS, onBreak = 'restart' } = options
  const { model, kind } = request
  const offers = await network.services.find({ model, kind, modelRoot, provider, signal })
  const queue: Waiting[] = offers
    .filter(({ fault }) => fault === undefined)
    .map((offer) => ({ offer, notBeforeMs: 0, isAgain: false }))
  const failures: FailedAttempt[] = []
  let lastError: unknown
  for (let asked = 0; asked < attempts; asked++) {
    const next = queue.shift()
    if (next === undefined) break
    const { offer } = next
    const waitMs = next.notBeforeMs - performance.now()
    if (waitMs > 0) await pause(waitMs, signal)
    const shown = { isStarted: false, hasText: false }
    try {
      return yield* attempt(network, { request, offer, options, failures, shown })
    } catch (error) {
      const code = errorCode(error)
      if (signal.aborted) throw new ZerogError('ABORTED', undefined, { cause: error })
      const message = error instanceof Error ? error.message : String(error)
      failures.push({ provider: offer.provider, code, message })
      lastError = error
      network.emit({ type: 'failure', provider: offer.provider, code, message })
      if (code === 'INTERNAL' || code === 'STORE_CORRUPT') throw error
      if (failures.filter((failure) => BAD_REQUESTS.includes(failure.code)).length > 1) throw error
      if (!isOurs(code)) network.services.avoid(offer.provider)
      // What was listed may be what is wrong: prices, signer, address.
      network.services.forget()
      if (code === 'COMPUTE_BUSY' && !next.isAgain)
        queue.push({ offer, notBeforeMs: performance.now() + retryMs(error), isAgain: true })
      if (shown.hasText && onBreak === 'fail') throw error
      if (shown.isStarted && queue.length > 0 && asked + 1 < attempts)
        yield { type: 'restart', provider: offer.provider, code, message }
    }
  }
  throw finalError(request, { offers, failures, lastError })
}

async function* attempt<T>(
  network: Network,
  {
    request,
    offer,
    options,
    failures,
    shown,
  }: {
    request: NetworkRequest<T>
    offer: ServiceOffer
    options: StreamOptions & { readonly signal: AbortSignal }
    failures: readonly FailedAttempt[]
    shown: { isStarted: boolean; hasText: boolean }
  },
): AsyncGenerator<StreamPiece, VerifiedAnswer & T> {
  const { book } = network
  const { provider, model, modelRoot } = offer
  const { signal } = options
  network.emit({ type: 'attempt', provider, model })
  // No account is opened, and no money moved, for a stranger that does not answer.
  const isStranger = options.provider === undefined && offer.verifiedAnswers === 0
  if (isStranger && offer.latencyMs === undefined)
    throw new ZerogError('PEER_UNREACHABLE', undefined, { meta: { url: offer.url } })
  const { prepared, answer, startedMs } = await send(network, request, offer, options)
  const { reservation } = prepared
  const firstByteMs = performance.now() - startedMs
  let isOver = false
  try {
    shown.isStarted = true
    yield { type: 'start', provider, model }
    const pieces = request.read(answer)
    let step = await pieces.next()
    try {
      for (; !step.done; step = await pieces.next()) {
        if (step.value.type === 'text' && step.value.text !== '') shown.hasText = true
        yield step.value
      }
    } finally {
      // A reader that left ends the request at the provider.
      if (!step.done) await pieces.return(undefined as never)
    }
    const { value, usage, model: named, id } = step.value
    const chatId = answer.chatId ?? id
    const exchange = {
      ...{ offer, chatId, usage, reservation, bound: request.bound, model: named },
      ...{ requestSha256: toHex(sha256(request.body)).slice(2), responseSha256: answer.digest() },
    }
    const { receipt, signature } = await verifyAnswer(network, exchange, signal)
    isOver = true
    await book.settle(reservation, receipt)
    network.services.heard(provider, firstByteMs)
    network.emit({ type: 'verified', provider, feeWei: receipt.feeWei })
    return {
      ...value,
      ...{ verified: true, provider, model, modelRoot, feeWei: receipt.feeWei, receipt, signature },
      usage: { inputUnits: Number(receipt.inputUnits), outputUnits: Number(receipt.outputUnits) },
      chatId: chatId ?? '',
      failures: [...failures],
      ...{ firstByteMs, totalMs: performance.now() - startedMs },
    }
  } catch (error) {
    if (!isOver) await book.drop(reservation, failureOf(error, signal))
    isOver = true
    throw error
  } finally {
    answer.cancel()
    if (!isOver) await book.drop(reservation, { isFree: false, isFailure: false })
  }
}

/** Sends the request; a provider that refuses to be paid, or refuses the key, is asked again once its reason is gone. */
async function send<T>(
  network: Network,
  request: NetworkRequest<T>,
  offer: ServiceOffer,
  options: StreamOptions & { readonly signal: AbortSignal },
): Promise<{ prepared: PreparedRequest; answer: ProviderAnswer; startedMs: number }> {
  const { accounts, keys, book } = network
  const { provider, inputPriceWei, outputPriceWei } = offer
  const { signal, gateTokenId, timeoutMs = TIMEOUT_MS, silenceMs = SILENCE_MS } = options
  const { inputUnits, outputUnits } = request.bound
  const worstWei = BigInt(inputUnits) * inputPriceWei + BigInt(outputUnits) * outputPriceWei
  let isNewKey = false
  for (let reviews = 0; ; ) {
    const prepared = await accounts.prepare(offer, worstWei, signal)
    const startedMs = performance.now()
    try {
      const answer = await askProvider({
        ...{ fetch: network.fetch, url: offer.url, path: request.path, body: request.body },
        ...{ key: prepared.key, gateTokenId, timeoutMs, silenceMs, maxBytes: request.maxBytes, signal },
      })
      return { prepared, answer, startedMs }
    } catch (error) {
      const code = errorCode(error)
      const isRefused = isZerogError(error) && typeof error.meta.status === 'number'
      let isOwed = true
      try {
        if (code === 'COMPUTE_BALANCE_TOO_LOW' && reviews++ < REVIEWS) {
          isOwed = await accounts.review(offer, prepared.reservation, signal)
          if (!isOwed && reviews === REVIEWS)
            throw new ZerogError('INFERENCE_OVERBILLED', undefined, { meta: { provider } })
          const committed = committedWei(await book.all())
          const { maxSpendWei } = network.options
          // Once what was signed is certainly there, the limit is what the request is too dear for.
          if (isOwed && reviews > 1 && maxSpendWei !== undefined && committed >= maxSpendWei)
            throw limitReached(maxSpendWei, committed)
          if (reviews === REVIEWS) throw error
          if (reviews > 1 || !isOwed) await pause(REVIEW_MS * reviews, signal)
        } else if (code === 'UNAUTHORIZED' && !isNewKey) {
          isNewKey = true
          keys.forget(provider)
          accounts.forget(provider)
        } else throw error
      } catch (final) {
        const { isFailure } = failureOf(final, signal)
        await book.drop(prepared.reservation, { isFree: isRefused, isFailure })
        throw final
      }
      await book.drop(prepared.reservation, { isFree: true, isFailure: false })
    }
  }
}

function failureOf(error: unknown, signal: AbortSignal) {
  const code = errorCode(error)
  return {
    isFree: false,
    isFailure: !signal.aborted && !isOurs(code),
    ...(LIES.includes(code) ? { fault: code } : {}),
  }
}

function isOurs(code: ErrorCode): boolean {
  return OWN_LACKS.includes(code) || BAD_REQUESTS.includes(code)
}

function retryMs(error: unknown): number {
  const { retryAfterSec } = isZerogError(error) ? error.meta : {}
  return typeof retryAfterSec === 'number' ? Math.min(retryAfterSec * 1000, MAX_RETRY_MS) : 1000
}

/** The only failure's own error; else INFERENCE_NO_PROVIDER. */
function finalError<T>(
  { model, kind }: NetworkRequest<T>,
  {
    offers,
    failures,
    lastError,
  }: { offers: readonly ServiceOffer[]; failures: readonly FailedAttempt[]; lastError: unknown },
): unknown {
  const codes = new Set(failures.map(({ code }) => code))
  if (codes.size === 1 && failures.every(({ code }) => failures.length === 1 || isOurs(code)))
    return lastError
  const distrusted = offers.flatMap(({ provider, fault }) =>
    fault === undefined ? [] : [{ provider, code: fault }],
  )
  const message =
    failures.length > 0
      ? `none of ${failures.length} attempts gave a verified answer: ${failures.map(({ provider, code }) => `${provider} ${code}`).join(', ')}`
      : distrusted.length > 0
        ? `all providers of ${model} have lied to this client before`
        : `no provider lists ${model} as ${kind} within the maximum price`
  return new ZerogError('INFERENCE_NO_PROVIDER', message, {
    cause: lastError,
    meta: { model, kind, failures, distrusted },
  })
}

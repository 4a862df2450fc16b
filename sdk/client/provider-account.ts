import type { ChainCall } from '../chain/chain-call.ts'
import { type InferenceAccount, readInferenceAccount } from '../chain/compute.ts'
import { acknowledgeSignerCall, setMaxPriceCall } from '../chain/compute-user.ts'
import { depositFundCall, readLedger, readLedgerTerms, transferFundCall } from '../chain/ledger.ts'
import { read } from '../chain/read.ts'
import { sendCall } from '../chain/send.ts'
import { errorCode, ZerogError } from '../protocol/errors.ts'
import { inferenceDomain, signInferenceMessage, type Voucher } from '../protocol/voucher.ts'
import { askProvider, jsonObject, wholeBody } from './ask-provider.ts'
import type { ServiceOffer } from './inference-api.ts'
import type { InferenceContext } from './inference-context.ts'
import type { SessionKeys } from './session-keys.ts'
import type { Reservation, SpendingRecord } from './spending-book.ts'

/** A request that is paid for: the key to send it with, and what was set aside. */
export type PreparedRequest = { readonly key: string; readonly reservation: Reservation }

/** One user's accounts at the providers: opened, funded and covered by ceilings as requests need it. */
export type ProviderAccounts = {
  /**
   * Makes the account ready for a request of at most `worstWei`.
   *
   * Errors: INFERENCE_LIMIT_REACHED, INSUFFICIENT_FUNDS, PRICE_TOO_LOW when the price is above the account's maximum, INFERENCE_OVERBILLED,
   * those of transactions, signatures and `askProvider`.
   */
  prepare(offer: ServiceOffer, worstWei: bigint, signal: AbortSignal): Promise<PreparedRequest>
  /** Looks again after a provider refused to be paid; false when it counts more than was verified. */
  review(offer: ServiceOffer, refused: Reservation, signal: AbortSignal): Promise<boolean>
  /** The next request reads the account anew, and asks what the provider counts. */
  forget(provider: string): void
}

type Known = { readonly account: InferenceAccount; readonly readMs: number; postedWei: bigint }

const ACCOUNT_MS = 20_000
const QUICK_MS = 10_000
const SIGN_MS = 300_000
const SMALL_BYTES = 64 * 1024
const VOUCHER_SEC = 30n * 24n * 3600n
/** Ceilings and top-ups cover this many requests like the one at hand, unless told otherwise. */
const STEP_REQUESTS = 4n
const ANY_MODEL = `0x${'00'.repeat(32)}`

export function createProviderAccounts(context: InferenceContext, keys: SessionKeys): ProviderAccounts {
  const { chain, book, options } = context
  const known = new Map<string, Known>()
  const met = new Set<string>()
  const queues = new Map<string, Promise<unknown>>()
  let depositedWei = 0n
  let ledgerQueue: Promise<unknown> = Promise.resolve()

  async function send(call: ChainCall, label: string, signal: AbortSignal): Promise<void> {
    await sendCall(await context.sender(), { ...call, label, signal })
  }

  async function look(provider: string, signal: AbortSignal): Promise<Known | undefined> {
    const old = known.get(provider)
    if (old !== undefined && performance.now() - old.readMs < ACCOUNT_MS) return old
    const user = await context.user()
    const account = await readInferenceAccount(chain, { user, provider }, { signal })
    if (account === undefined) return undefined
    const postedWei =
      old !== undefined && old.postedWei > account.ceilingWei ? old.postedWei : account.ceilingWei
    const fresh = { account, readMs: performance.now(), postedWei }
    known.set(provider, fresh)
    return fresh
  }

  async function mustLook(provider: string, signal: AbortSignal): Promise<Known> {
    known.delete(provider)
    const found = await look(provider, signal)
    if (found) return found
    throw new ZerogError('INTERNAL', 'the account that was opened is not there')
  }

  /** An account that is there, accepts the signer and the price. */
  async function ready(offer: ServiceOffer, worstWei: bigint, signal: AbortSignal): Promise<Known> {
    const { provider, inputPriceWei, outputPriceWei } = offer
    let found = await look(provider, signal)
    if (found === undefined) {
      await topUp(provider, { neededWei: worstWei, freeWei: 0n, pendingWei: 0n, isNew: true }, signal)
      found = await mustLook(provider, signal)
    }
    const { account } = found
    let isChanged = false
    if (!account.isAcknowledged) {
      await send(acknowledgeSignerCall(chain, provider), `acknowledge-${provider}`, signal)
      isChanged = true
    }
    if (account.maxInputPriceWei < inputPriceWei || account.maxOutputPriceWei < outputPriceWei) {
      const prices = options.maxPrice
      if (prices === undefined)
        throw new ZerogError(
          'PRICE_TOO_LOW',
          'the provider asks more than the maximum of the account there; give a maximum price to accept more',
          { meta: { inputPriceWei, outputPriceWei } },
        )
      context.emit({ type: 'max-price', provider, prices })
      await send(setMaxPriceCall(chain, { provider, ...prices }), `max-price-${provider}`, signal)
      isChanged = true
    }
    return isChanged ? mustLook(provider, signal) : found
  }

  /** Moves money from the ledger to the sub-account, and into the ledger when that is allowed. One at a time. */
  function topUp(
    provider: string,
    wish: { neededWei: bigint; freeWei: bigint; pendingWei: bigint; isNew: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const next = ledgerQueue.then(async () => {
      if (options.topUp === false)
        throw new ZerogError(
          'INSUFFICIENT_FUNDS',
          'the account at this provider is too low, and is not topped up',
        )
      const user = await context.user()
      const [ledger, terms] = await Promise.all([
        readLedger(chain, user, { signal }),
        readLedgerTerms(chain, { signal }),
      ])
      const least = wish.isNew ? terms.minTransferWei : 0n
      const targetWei =
        options.topUp?.targetWei ?? boundedBy(options.maxSpendWei, wish.neededWei * STEP_REQUESTS)
      const neededWei = most(wish.neededWei - wish.freeWei, least)
      const wishedWei = most(most(targetWei, wish.neededWei) - wish.freeWei, least)
      // What was asked back from the sub-account is taken into use first.
      let availableWei = (ledger?.availableWei ?? 0n) + wish.pendingWei
      if (availableWei < neededWei) {
        const missingWei = most(wishedWei - availableWei, ledger === undefined ? terms.minAccountWei : 0n)
        if (depositedWei + missingWei > (options.depositWei ?? 0n))
          throw new ZerogError('INSUFFICIENT_FUNDS', 'the ledger of compute is too low: fund it', {
            meta: { availableWei, neededWei },
          })
        depositedWei += missingWei
        context.emit({ type: 'deposit', amountWei: missingWei })
        await send(depositFundCall(chain, missingWei), `deposit-${user}`, signal)
        availableWei += missingWei
      }
      const amountWei = availableWei < wishedWei ? availableWei : wishedWei
      context.emit({ type: 'top-up', provider, amountWei })
      await send(transferFundCall(chain, { provider, amountWei }), `top-up-${provider}`, signal)
    })
    ledgerQueue = next.catch(() => undefined)
    return next
  }

  /** All that the provider has taken and says to be owed. */
  async function claimOf(
    offer: ServiceOffer,
    account: InferenceAccount,
    signal: AbortSignal,
  ): Promise<{ settledWei: bigint; owedWei: bigint }> {
    const user = await context.user()
    const key = await keys.of(offer.provider, account.generation, signal)
    const answer = await askProvider({
      ...{ fetch: context.fetch, url: offer.url, path: `/v1/user/${user}/unsettledfee`, key, signal },
      ...{ timeoutMs: QUICK_MS, silenceMs: QUICK_MS, maxBytes: SMALL_BYTES },
    })
    const { unsettledFee } = jsonObject(new TextDecoder().decode(await wholeBody(answer))) ?? {}
    if (typeof unsettledFee !== 'string' || !/^\d{1,78}$/.test(unsettledFee))
      throw new ZerogError('PEER_MISBEHAVED', 'the provider does not say what is owed', {
        meta: { url: offer.url },
      })
    return { settledWei: account.settledWei, owedWei: BigInt(unsettledFee) }
  }

  /**
   * Makes the record of a provider, or holds its count against the one of an earlier process; again when answers were lost, which
   * may not have been billed.
   */
  async function meet(
    offer: ServiceOffer,
    { account }: Known,
    worstWei: bigint,
    signal: AbortSignal,
  ): Promise<void> {
    const { provider } = offer
    const record = await book.find(provider)
    const isFresh = account.settledWei === 0n && account.ceilingWei === 0n && account.nonce === 0n
    if (record === undefined) {
      const claim = isFresh ? { settledWei: 0n, owedWei: 0n } : await claimOf(offer, account, signal)
      // Nothing is known here of what it says to be owed: it is believed as far as the chain would let it take that today.
      const roomWei = account.ceilingWei - account.settledWei
      if (claim.owedWei > most(roomWei, account.dailyCapWei))
        throw new ZerogError(
          'INFERENCE_OVERBILLED',
          'the provider says to be owed more than the account allows',
          {
            meta: { provider, owedWei: claim.owedWei },
          },
        )
      await book.open(provider, { ...claim, ceilingWei: account.ceilingWei })
    } else if (await isUnclear(provider, record, worstWei)) {
      await count(offer, account, signal)
    }
    met.add(provider)
  }

  /** Whether what the provider counts would tell more than the record does. */
  async function isUnclear(provider: string, record: SpendingRecord, worstWei: bigint): Promise<boolean> {
    if (record.isForgiven || record.lostWei > worstWei) return true
    const doubtWei = await book.idleDoubtWei(provider)
    return doubtWei > (met.has(provider) ? worstWei * STEP_REQUESTS : 0n)
  }

  async function count(
    offer: ServiceOffer,
    account: InferenceAccount,
    signal: AbortSignal,
    refused?: Reservation,
  ): Promise<boolean> {
    const { settledWei, owedWei } = await claimOf(offer, account, signal)
    return book.reconcile(offer.provider, settledWei + owedWei, refused)
  }

  async function post(offer: ServiceOffer, record: SpendingRecord, state: Known, signal: AbortSignal) {
    if (record.ceilingWei <= state.postedWei || record.validUntilSec === 0n) return
    const { ceilingWei, inputPriceWei, outputPriceWei, modelRoot, validUntilSec } = record
    const voucher: Voucher = {
      ...{ user: await context.user(), provider: offer.provider, ceilingWei },
      ...{ inputPriceWei, outputPriceWei, modelRoot, validUntilSec },
    }
    const domain = inferenceDomain(chain.chainId, chain.compute.addresses.InferenceServing)
    const signing = signInferenceMessage(context.signer, domain, { type: 'Voucher', message: voucher })
    const signature = await read(signing, { signal, timeoutMs: SIGN_MS })
    const text = JSON.stringify({ voucher, signature }, (_, value) =>
      typeof value === 'bigint' ? String(value) : value,
    )
    const answer = await askProvider({
      ...{ fetch: context.fetch, url: offer.url, path: '/v1/voucher', body: new TextEncoder().encode(text) },
      ...{ signal, timeoutMs: QUICK_MS, silenceMs: QUICK_MS, maxBytes: SMALL_BYTES },
    })
    await wholeBody(answer)
    state.postedWei = ceilingWei
    context.emit({ type: 'ceiling', provider: offer.provider, ceilingWei })
  }

  async function prepare(
    offer: ServiceOffer,
    worstWei: bigint,
    signal: AbortSignal,
  ): Promise<PreparedRequest> {
    const { provider, inputPriceWei, outputPriceWei } = offer
    let state = await ready(offer, worstWei, signal)
    await meet(offer, state, worstWei, signal)
    const nowSec = BigInt(Math.floor(Date.now() / 1000))
    const wish = {
      ...{ worstWei, nowSec, limitWei: options.maxSpendWei, postedWei: state.postedWei },
      stepWei: options.ceilingStepWei ?? worstWei * STEP_REQUESTS,
      terms: {
        ...(options.maxPrice ?? { inputPriceWei, outputPriceWei }),
        modelRoot: offer.modelRoot ?? ANY_MODEL,
        validUntilSec: nowSec + VOUCHER_SEC,
      },
    }
    const { reservation, record } = await book.reserve(provider, wish).catch(async (error: unknown) => {
      const isLimit = errorCode(error) === 'INFERENCE_LIMIT_REACHED'
      if (!isLimit || (await book.idleDoubtWei(provider)) === 0n) throw error
      // What broke may have cost less than it could have.
      await count(offer, state.account, signal)
      return book.reserve(provider, wish)
    })
    try {
      const { balanceWei, pendingRefundWei, settledWei } = state.account
      const neededWei = record.spentWei + record.doubtWei - settledWei
      const freeWei = balanceWei - pendingRefundWei
      if (freeWei < neededWei) {
        await topUp(provider, { neededWei, freeWei, pendingWei: pendingRefundWei, isNew: false }, signal)
        state = await mustLook(provider, signal)
      }
      await post(offer, record, state, signal)
      return { key: await keys.of(provider, state.account.generation, signal), reservation }
    } catch (error) {
      await book.drop(reservation, { isFree: true, isFailure: false })
      throw error
    }
  }

  return {
    prepare(offer, worstWei, signal) {
      const last = queues.get(offer.provider) ?? Promise.resolve()
      const next = last.then(() => prepare(offer, worstWei, signal))
      queues.set(
        offer.provider,
        next.catch(() => undefined),
      )
      return next
    },

    async review(offer, refused, signal) {
      const { account } = await mustLook(offer.provider, signal)
      const state = known.get(offer.provider)
      // It may have lost what was posted.
      if (state) state.postedWei = account.ceilingWei
      return count(offer, account, signal, refused)
    },

    forget(provider) {
      known.delete(provider)
      met.delete(provider)
    },
  }
}

function boundedBy(limitWei: bigint | undefined, amountWei: bigint): bigint {
  return limitWei !== undefined && limitWei < amountWei ? limitWei : amountWei
}

function most(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

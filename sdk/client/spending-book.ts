import { z } from 'zod'
import { type ErrorCode, isErrorCode, ZerogError } from '../protocol/errors.ts'
import type { StateStore } from './state-store.ts'

/** What a client knows of its spending at one provider. Amounts in wei, all counted from the first wei ever settled. */
export type SpendingRecord = {
  /** Settled on chain when this store first met the provider. */
  readonly startWei: bigint
  /** `startWei`, what was owed then, and every verified fee since. */
  readonly spentWei: bigint
  /** What requests that have no verified receipt may have cost at most; those under way among them. */
  readonly doubtWei: bigint
  /** The part of both that failed answers took, or may have; verified fees make up for it, wei by wei. */
  readonly lostWei: bigint
  /** Highest ceiling that was ever written down, and so may be signed. */
  readonly ceilingWei: bigint
  /** What that ceiling was signed with. */
  readonly inputPriceWei: bigint
  readonly outputPriceWei: bigint
  readonly modelRoot: string
  readonly validUntilSec: bigint
  /** Highest nonce of a verified receipt. */
  readonly lastNonce: bigint
  readonly verified: number
  readonly failed: number
  readonly fault: ErrorCode | undefined
  /** The caller has forgiven it: what it counts is taken over, once. */
  readonly isForgiven: boolean
}

/** Fields that a ceiling is signed with besides its amount. */
export type CeilingTerms = Pick<
  SpendingRecord,
  'inputPriceWei' | 'outputPriceWei' | 'modelRoot' | 'validUntilSec'
>

/** Money set aside for a request under way; ended by `settle` or `drop`, once. */
export type Reservation = {
  readonly provider: string
  readonly worstWei: bigint
  /** Receipts of this request lie above it. */
  readonly floorNonce: bigint
}

/**
 * What was signed and what was verified, on disk before it counts: nothing is signed that is not written down, and a request
 * is written down before it is sent. One record holds all providers, so that one limit binds them all.
 */
export type SpendingBook = {
  find(provider: string): Promise<SpendingRecord | undefined>
  all(): Promise<ReadonlyMap<string, SpendingRecord>>
  /** Makes a record of a provider met for the first time. */
  open(provider: string, start: { settledWei: bigint; owedWei: bigint; ceilingWei: bigint }): Promise<void>
  /**
   * Sets the worst case aside and raises the ceiling as far as that needs it, and no further than the limit of all. The caller
   * signs what the record says then.
   */
  reserve(
    provider: string,
    wish: {
      worstWei: bigint
      stepWei: bigint
      terms: CeilingTerms
      limitWei: bigint | undefined
      /** The ceiling that the chain has: what was posted is not signed again. */
      postedWei: bigint
      nowSec: bigint
    },
  ): Promise<{ reservation: Reservation; record: SpendingRecord }>
  settle(reservation: Reservation, receipt: { feeWei: bigint; nonce: bigint }): Promise<void>
  /** Ends a reservation without a verified receipt. `isFree`: nothing can have been billed. */
  drop(
    reservation: Reservation,
    end: { isFree: boolean; isFailure: boolean; fault?: ErrorCode },
  ): Promise<void>
  /**
   * Holds the provider's count (settled and claimed) against the record: false when it is above what was verified and what is
   * in doubt, unless it is forgiven. Else the doubt falls to what the count leaves room for: requests under way, and those that broke just now,
   * which the provider may not have counted yet.
   */
  reconcile(provider: string, claimedWei: bigint, refused?: Reservation): Promise<boolean>
  /** Doubt that a look at the provider's count would end. */
  idleDoubtWei(provider: string): Promise<bigint>
  /** Notes a receipt's nonce as used; false when it was before. */
  useNonce(provider: string, nonce: bigint): boolean
  forgive(provider: string): Promise<void>
}

const amount = z
  .string()
  .regex(/^\d{1,78}$/)
  .transform(BigInt)
const recordSchema = z.object({
  startWei: amount,
  spentWei: amount,
  doubtWei: amount,
  ceilingWei: amount,
  inputPriceWei: amount,
  outputPriceWei: amount,
  modelRoot: z.string(),
  validUntilSec: amount,
  lastNonce: amount,
  verified: z.number(),
  failed: z.number(),
  lostWei: amount,
  isForgiven: z.boolean(),
  fault: z.string().optional(),
})
const bookSchema = z.record(z.string(), recordSchema)

const NO_TERMS: CeilingTerms = {
  inputPriceWei: 0n,
  outputPriceWei: 0n,
  modelRoot: `0x${'00'.repeat(32)}`,
  validUntilSec: 0n,
}
/** A voucher that expires sooner than this may not make it to the chain. */
const POSTING_SEC = 86_400n
/** A provider may lose so many requests before nothing more is signed for it. */
const LOST_REQUESTS = 8n
/** By then a provider has counted a request that broke. */
const COUNTED_MS = 60_000
/** Nonces of answers under way that are remembered one by one. */
const MAX_NONCES = 10_000

/** A book in one entry of a store. Error of its functions: STORE_CORRUPT when the entry is damaged. */
export function openSpendingBook(
  stateStore: StateStore,
  keyOf: () => Promise<string>,
  nowMs: () => number = () => performance.now(),
): SpendingBook {
  const used = new Map<string, Set<bigint>>()
  const underWayWei = new Map<string, bigint>()
  const broken = new Map<string, { readonly atMs: number; readonly worstWei: bigint }[]>()
  let records: Map<string, SpendingRecord> | undefined
  let last: Promise<unknown> = Promise.resolve()

  /** One change at a time. */
  function alone<T>(work: (book: Map<string, SpendingRecord>) => Promise<T>): Promise<T> {
    const next = last.then(async () => {
      if (records === undefined) {
        const key = await keyOf()
        records = parseBook(key, await stateStore.get(key))
      }
      return work(records)
    })
    last = next.catch(() => undefined)
    return next
  }

  /** What cannot be written does not count. */
  async function write(book: Map<string, SpendingRecord>, provider: string, record: SpendingRecord) {
    const text = JSON.stringify(Object.fromEntries([...book, [provider, record]]), (_, value) =>
      typeof value === 'bigint' ? String(value) : value,
    )
    await stateStore.set(await keyOf(), text)
    book.set(provider, record)
  }

  function known(book: Map<string, SpendingRecord>, provider: string): SpendingRecord {
    const record = book.get(provider)
    if (record) return record
    throw new ZerogError('INTERNAL', `no record of spending at ${provider}`)
  }

  function underWay(provider: string, changeWei: bigint): bigint {
    const sumWei = (underWayWei.get(provider) ?? 0n) + changeWei
    underWayWei.set(provider, sumWei)
    return sumWei
  }

  /** The worst case of what ended without a receipt a moment ago. */
  function brokenWei(provider: string): bigint {
    const recent = (broken.get(provider) ?? []).filter(({ atMs }) => nowMs() - atMs < COUNTED_MS)
    broken.set(provider, recent)
    return recent.reduce((sum, { worstWei }) => sum + worstWei, 0n)
  }

  return {
    find: (provider) => alone(async (book) => book.get(provider)),
    all: () => alone(async (book) => new Map(book)),

    open: (provider, { settledWei, owedWei, ceilingWei }) =>
      alone(async (book) => {
        if (book.has(provider)) return
        await write(book, provider, {
          ...{ startWei: settledWei, spentWei: settledWei + owedWei, doubtWei: 0n, ceilingWei },
          ...{ ...NO_TERMS, lastNonce: 0n, verified: 0, failed: 0 },
          ...{ lostWei: 0n, fault: undefined, isForgiven: false },
        })
      }),

    reserve: (provider, wish) =>
      alone(async (book) => {
        const { worstWei } = wish
        const old = known(book, provider)
        const record = { ...old, ...raised(book, provider, wish), doubtWei: old.doubtWei + worstWei }
        await write(book, provider, record)
        underWay(provider, worstWei)
        return { reservation: { provider, worstWei, floorNonce: old.lastNonce }, record }
      }),

    settle: ({ provider, worstWei }, { feeWei, nonce }) =>
      alone(async (book) => {
        const old = known(book, provider)
        underWay(provider, -worstWei)
        await write(book, provider, {
          ...old,
          spentWei: old.spentWei + feeWei,
          doubtWei: old.doubtWei - least(worstWei, old.doubtWei),
          lostWei: old.lostWei - least(feeWei, old.lostWei),
          lastNonce: most(nonce, old.lastNonce),
          verified: old.verified + 1,
        })
      }),

    drop: ({ provider, worstWei }, { isFree, isFailure, fault }) =>
      alone(async (book) => {
        const old = known(book, provider)
        underWay(provider, -worstWei)
        if (!isFree) broken.set(provider, [...(broken.get(provider) ?? []), { atMs: nowMs(), worstWei }])
        await write(book, provider, {
          ...old,
          doubtWei: isFree ? old.doubtWei - least(worstWei, old.doubtWei) : old.doubtWei,
          lostWei: isFailure && !isFree ? old.lostWei + worstWei : old.lostWei,
          failed: old.failed + (isFailure ? 1 : 0),
          fault: fault ?? old.fault,
        })
      }),

    idleDoubtWei: (provider) =>
      alone(async (book) => {
        const { doubtWei = 0n } = book.get(provider) ?? {}
        return doubtWei - least(underWay(provider, 0n) + brokenWei(provider), doubtWei)
      }),

    reconcile: (provider, claimedWei, refused) =>
      alone(async (book) => {
        const old = known(book, provider)
        const ownWei = refused?.worstWei ?? 0n
        const countedWei = old.doubtWei - least(ownWei, old.doubtWei)
        if (claimedWei > old.spentWei + countedWei && !old.isForgiven) return false
        const excessWei = claimedWei - least(old.spentWei, claimedWei)
        const othersWei = underWay(provider, 0n) - ownWei
        // What is claimed above the verified may be of requests under way: then it stays in doubt until they are settled.
        const takenWei = othersWei > 0n && !old.isForgiven ? 0n : excessWei
        const restWei = othersWei + brokenWei(provider) + excessWei - takenWei
        const doubtWei = least(countedWei - least(takenWei, countedWei), restWei)
        // What turns out not to have been billed is not lost.
        const freedWei = countedWei - least(doubtWei + takenWei, countedWei)
        await write(book, provider, {
          ...old,
          spentWei: old.spentWei + takenWei,
          doubtWei: doubtWei + ownWei,
          lostWei: old.lostWei - least(freedWei, old.lostWei),
          isForgiven: false,
        })
        return true
      }),

    useNonce(provider, nonce) {
      const seen = used.get(provider) ?? new Set()
      used.set(provider, seen)
      if (seen.has(nonce)) return false
      seen.add(nonce)
      const [oldest] = seen
      if (seen.size > MAX_NONCES && oldest !== undefined) seen.delete(oldest)
      return true
    },

    forgive: (provider) =>
      alone(async (book) => {
        const old = book.get(provider)
        if (old !== undefined)
          await write(book, provider, { ...old, fault: undefined, lostWei: 0n, isForgiven: true })
      }),
  }
}

type Wish = Parameters<SpendingBook['reserve']>[1]

/** What changes of the ceiling so that it covers the wish. Errors: INFERENCE_LIMIT_REACHED; INFERENCE_UNVERIFIED when too much was lost. */
function raised(
  book: ReadonlyMap<string, SpendingRecord>,
  provider: string,
  { worstWei, stepWei, terms, limitWei, postedWei, nowSec }: Wish,
): Partial<SpendingRecord> {
  const old = book.get(provider)
  if (old === undefined) return {}
  const isSigned = old.ceilingWei > postedWei
  const isDear = terms.inputPriceWei > old.inputPriceWei || terms.outputPriceWei > old.outputPriceWei
  // A voucher that nobody posted is of no use when it is too cheap or for another model; a higher one takes its place.
  const isStale = isSigned && (isDear || old.modelRoot !== terms.modelRoot)
  const takenWei = old.spentWei + old.doubtWei
  if (old.lostWei > worstWei * LOST_REQUESTS)
    throw new ZerogError('INFERENCE_UNVERIFIED', 'too many answers of this provider broke: it gets no more', {
      meta: { provider, lostWei: old.lostWei },
    })
  if (takenWei + worstWei > old.ceilingWei || isStale) {
    const wishedWei = takenWei + most(stepWei, worstWei)
    const raisedWei = most(wishedWei, old.ceilingWei + 1n)
    const ceilingWei =
      limitWei === undefined
        ? raisedWei
        : least(raisedWei, old.startWei + limitWei - committedWei(book, provider))
    if (ceilingWei > old.ceilingWei && ceilingWei > takenWei) return { ...terms, ceilingWei }
    // The worst case is seldom the case: what is left of the ceiling may do.
    if (old.ceilingWei <= takenWei || isStale) throw limitReached(limitWei, committedWei(book))
  }
  return isSigned && old.validUntilSec <= nowSec + POSTING_SEC ? terms : {}
}

/** Ceilings above what was settled at first; of all providers, or of all but one. */
export function committedWei(book: ReadonlyMap<string, SpendingRecord>, except?: string): bigint {
  let sumWei = 0n
  for (const [provider, { ceilingWei, startWei }] of book)
    if (provider !== except && ceilingWei > startWei) sumWei += ceilingWei - startWei
  return sumWei
}

/** The error of a request for which nothing is left. */
export function limitReached(limitWei: bigint | undefined, committed: bigint): ZerogError {
  return new ZerogError('INFERENCE_LIMIT_REACHED', undefined, { meta: { limitWei, committedWei: committed } })
}

function most(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

function parseBook(key: string, text: string | undefined): Map<string, SpendingRecord> {
  if (text === undefined) return new Map()
  try {
    const book = Object.entries(bookSchema.parse(JSON.parse(text)))
    return new Map(
      book.map(([provider, { fault, ...record }]) => [
        provider,
        { ...record, fault: isErrorCode(fault) ? fault : undefined },
      ]),
    )
  } catch (cause) {
    // Ignoring a damaged record could sign for the same spending twice.
    throw new ZerogError('STORE_CORRUPT', `the record ${key} of spending is damaged`, { cause })
  }
}

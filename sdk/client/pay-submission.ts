import type { TransactionReceipt } from 'ethers'
import { z } from 'zod'
import type { Chain } from '../chain/connect.ts'
import { decodeStorageEvent } from '../chain/events.ts'
import { eventsBackwards } from '../chain/logs.ts'
import { read } from '../chain/read.ts'
import { type SendRequest, sendCall, type TxSender } from '../chain/send.ts'
import {
  type DealState,
  readDealState,
  readEscrow,
  readPrice,
  readSubmission,
  type SubmissionRecord,
  type SubmissionTerms,
} from '../chain/storage.ts'
import { configureCall, submitCall } from '../chain/storage-calls.ts'
import { periodAt } from '../protocol/clock.ts'
import { escrowNeeded, expiry, storedSectors } from '../protocol/deal-price.ts'
import { errorCode, ZerogError } from '../protocol/errors.ts'
import { submissionIdentity } from '../protocol/submission.ts'
import { pause } from './pause.ts'
import type { PreparedFile } from './prepare.ts'
import type { Quote } from './price.ts'
import type { StateStore } from './state-store.ts'

/** A submission that is paid for; `submittedAt` is its block. `gasUsed` is 0 where an earlier attempt had paid. */
export type PaidSubmission = {
  readonly txSeq: bigint
  readonly state: DealState
  readonly submittedAt: bigint
  readonly adopted: boolean
  readonly gasUsed: bigint
}

export type PayContext = {
  readonly chain: Chain
  readonly sender: TxSender
  readonly stateStore: StateStore
  readonly signal?: AbortSignal
}

/** What is written before money leaves. With the nonce, a second attempt replaces the first or finds it mined. */
const intentSchema = z.object({
  version: z.literal(1),
  fromBlock: z.number().int(),
  nonce: z.number().int().optional(),
  txSeq: z.string().regex(/^\d+$/).optional(),
})
type Intent = z.output<typeof intentSchema>

/** Wei kept back for gas when the balance is checked: a submission and a seal, generously. */
const GAS_ROOM = 1_500_000n
const POLL_MS = 500
const MINED_TIMEOUT_MS = 120_000
/** How long nodes may lag behind each other. */
const LAG_MS = 10_000

/**
 * Finds the sender's own submission of this file that may still be sealed (or was sealed in the same attempt), or pays
 * for a new one. However often it is interrupted and repeated, it pays once: the intent is recorded first, and looked up
 * on chain before any new payment.
 *
 * Errors: INSUFFICIENT_FUNDS before anything is paid; those of the sender.
 */
export async function paySubmission(
  context: PayContext,
  { prepared, quote }: { prepared: PreparedFile; quote: Quote },
): Promise<PaidSubmission> {
  const key = intentKey(context, prepared)
  const recorded = await readIntent(context, key)
  // Counted before the look-up: a nonce spent by now whose submission is not found was spent on something else.
  const isSpent = await isNonceSpent(context, recorded?.nonce)
  const head = await readHead(context)
  const [found, lack, nextNonce] = await Promise.all([
    findOwn(context, prepared, { recorded, head }),
    fundsMissing(context, quote),
    isSpent ? context.sender.nextNonce?.() : recorded?.nonce,
  ])
  if (found !== undefined) return found
  if (recorded?.nonce !== undefined && isSpent && isOpen(context, recorded, head)) {
    const late = await findLate(context, prepared, recorded)
    if (late !== undefined) return late
  }
  if (lack !== undefined) throw lack
  const intent: Intent = {
    version: 1,
    fromBlock: isOpen(context, recorded, head) ? recorded.fromBlock : head,
    nonce: nextNonce,
  }
  await context.stateStore.set(key, JSON.stringify(intent))
  const { byteLength, nodes } = prepared.submission
  const call = submitCall(context.chain, {
    submission: { byteLength: BigInt(byteLength), nodes },
    submitter: context.sender.address,
    valueWei: quote.feeWei,
  })
  const request = { ...call, label: `submit-${prepared.digest}-${intent.fromBlock}` }
  const { nonce } = intent
  const receipt = await sendOnce(context, { ...request, ...(nonce === undefined ? {} : { nonce }) })
  const mined = receipt === undefined ? await awaitOwn(context, prepared, intent) : undefined
  if (mined !== undefined) return mined
  const paid = receipt === undefined ? undefined : submissionOf(context, receipt)
  if (paid === undefined)
    throw new ZerogError('INTERNAL', 'the transaction was mined without a Submit event of the flow')
  await context.stateStore.set(key, JSON.stringify({ ...intent, txSeq: `${paid.txSeq}` } satisfies Intent))
  return paid
}

/** Forgets the intent once the deal is sealed and its result is in the caller's hands. */
export async function forgetPayment(context: PayContext, prepared: PreparedFile): Promise<void> {
  await context.stateStore.delete(intentKey(context, prepared))
}

/**
 * Buys the wanted parity and term for a submission, unless its present terms are these. Returns the gas used.
 *
 * Errors: those of the sender.
 */
export async function configureSubmission(
  context: PayContext,
  {
    txSeq,
    submittedAt,
    terms,
    quote,
  }: { txSeq: bigint; submittedAt: bigint; terms: SubmissionTerms; quote: Quote },
): Promise<bigint> {
  const { chain, sender } = context
  const { parityShards, termPeriods, layout } = quote
  if (terms.parityShards === parityShards && terms.termPeriods === termPeriods) return 0n
  const [escrowWei, { perSectorPeriodWei }] = await Promise.all([
    readEscrow(chain, txSeq, signalOf(context)),
    readPrice(chain, signalOf(context)),
  ])
  const deadlinePeriod = periodAt(chain.terms, submittedAt + chain.terms.sealDeadlineBlocks)
  const periods = expiry(chain.terms, deadlinePeriod, termPeriods) - (periodAt(chain.terms, submittedAt) + 1n)
  const stored = storedSectors(layout.paddedSectors, parityShards)
  const neededWei = escrowNeeded(stored, periods, perSectorPeriodWei)
  const valueWei = neededWei > escrowWei ? neededWei - escrowWei : 0n
  const receipt = await sendCall(sender, {
    ...configureCall(chain, { txSeq, parityShards, termPeriods, valueWei }),
    label: `configure-${txSeq}-${parityShards}-${termPeriods}`,
    ...signalOf(context),
  })
  return receipt.gasUsed
}

/** Reads a submission that the caller names, and checks that it is this file by this owner. */
export async function adoptSubmission(
  context: PayContext,
  { prepared, txSeq }: { prepared: PreparedFile; txSeq: bigint },
): Promise<PaidSubmission> {
  const record = await readSubmission(context.chain, txSeq, signalOf(context))
  if (record === undefined)
    throw new ZerogError('UNKNOWN_SUBMISSION', undefined, { meta: { txSeq: `${txSeq}` } })
  if (record.digest !== prepared.digest)
    throw new ZerogError('ROOT_MISMATCH', `submission ${txSeq} is of another file`, {
      meta: { txSeq: `${txSeq}` },
    })
  if (!isOwn(context, record))
    throw new ZerogError('FORBIDDEN', `submission ${txSeq} belongs to ${record.owner}`)
  const state = await readDealState(context.chain, txSeq, signalOf(context))
  return { txSeq, state, submittedAt: record.submittedAt, adopted: true, gasUsed: 0n }
}

/** Whether a recorded intent may still become a submission that can be sealed; later ones need a label of their own. */
function isOpen({ chain }: PayContext, intent: Intent | undefined, head: number): intent is Intent {
  if (intent === undefined || intent.txSeq !== undefined) return false
  return BigInt(head - intent.fromBlock) < chain.terms.sealDeadlineBlocks
}

/** Whether a transaction with this nonce has been mined; true as well when none was recorded. */
async function isNonceSpent(context: PayContext, nonce: number | undefined): Promise<boolean> {
  if (nonce === undefined) return true
  const mined = context.chain.provider.getTransactionCount(context.sender.address, 'latest')
  return (await read(mined, signalOf(context))) > nonce
}

function readHead(context: PayContext): Promise<number> {
  return read(context.chain.provider.getBlockNumber(), signalOf(context))
}

/** An own submission of this file inside its seal deadline, newest first; a recorded one wins. */
async function findOwn(
  context: PayContext,
  prepared: PreparedFile,
  { recorded: intent, head }: { recorded: Intent | undefined; head: number },
): Promise<PaidSubmission | undefined> {
  const { chain } = context
  if (intent?.txSeq !== undefined) {
    const recorded = await tryAdopt(context, { prepared, txSeq: BigInt(intent.txSeq), head })
    if (recorded !== undefined) return recorded
  }
  const fromBlock = head - Number(chain.terms.sealDeadlineBlocks)
  const submits = eventsBackwards(chain, {
    name: 'Submit',
    indexed: [null, submissionIdentity(prepared.submission.nodes)],
    fromBlock: Math.max(fromBlock, chain.book.deployedAtBlock),
    toBlock: head,
    ...signalOf(context),
  })
  for await (const { args } of submits) {
    const found = await tryAdopt(context, { prepared, txSeq: args.submissionIndex, head })
    if (found !== undefined) return found
  }
  return undefined
}

async function tryAdopt(
  context: PayContext,
  { prepared, txSeq, head }: { prepared: PreparedFile; txSeq: bigint; head: number },
): Promise<PaidSubmission | undefined> {
  const { chain } = context
  const record = await readSubmission(chain, txSeq, signalOf(context))
  if (record === undefined || record.digest !== prepared.digest || !isOwn(context, record)) return undefined
  const state = await readDealState(chain, txSeq, signalOf(context))
  const paid = { txSeq, state, submittedAt: record.submittedAt, adopted: true, gasUsed: 0n }
  if (state === 'sealed') return paid
  const isInTime = BigInt(head) < record.submittedAt + chain.terms.sealDeadlineBlocks
  return state === 'submitted' && isInTime ? paid : undefined
}

/** Sends with the recorded nonce; undefined when an earlier attempt with that nonce is in the pool or mined. */
async function sendOnce(context: PayContext, request: SendRequest): Promise<TransactionReceipt | undefined> {
  try {
    return await sendCall(context.sender, { ...request, ...signalOf(context) })
  } catch (error) {
    const code = errorCode(error)
    if (request.nonce !== undefined && (code === 'NONCE_CONFLICT' || code === 'TX_UNDERPRICED'))
      return undefined
    throw error
  }
}

/**
 * Looks again for an earlier attempt whose nonce is spent: of several nodes behind one address, the one that was asked for
 * logs may lag behind the one that counted.
 */
async function findLate(
  context: PayContext,
  prepared: PreparedFile,
  recorded: Intent,
): Promise<PaidSubmission | undefined> {
  const endsAt = performance.now() + LAG_MS
  while (performance.now() < endsAt) {
    await pause(POLL_MS, context.signal)
    const found = await findOwn(context, prepared, { recorded, head: await readHead(context) })
    if (found !== undefined) return found
  }
  return undefined
}

/** Waits until the earlier attempt with the same nonce shows on chain. */
async function awaitOwn(
  context: PayContext,
  prepared: PreparedFile,
  intent: Intent | undefined,
): Promise<PaidSubmission> {
  const endsAt = Date.now() + MINED_TIMEOUT_MS
  while (Date.now() < endsAt) {
    const found = await findOwn(context, prepared, { recorded: intent, head: await readHead(context) })
    if (found !== undefined) return found
    await pause(POLL_MS, context.signal)
  }
  throw new ZerogError('TIMEOUT', 'an earlier payment for this file waits to be mined', { retryable: true })
}

/** INSUFFICIENT_FUNDS unless there is enough for the deal and its gas. */
async function fundsMissing(
  { chain, sender, signal }: PayContext,
  quote: Quote,
): Promise<ZerogError | undefined> {
  const options = signal === undefined ? {} : { signal }
  const [balanceWei, fees] = await read(
    Promise.all([chain.provider.getBalance(sender.address), chain.provider.getFeeData()]),
    options,
  )
  const gasWei = GAS_ROOM * (fees.maxFeePerGas ?? fees.gasPrice ?? 0n)
  const neededWei = quote.totalWei + gasWei
  if (balanceWei >= neededWei) return undefined
  return new ZerogError('INSUFFICIENT_FUNDS', `storing this file takes ${neededWei} wei with gas`, {
    meta: {
      neededWei: `${neededWei}`,
      balanceWei: `${balanceWei}`,
      feeWei: `${quote.feeWei + quote.topUpWei}`,
    },
  })
}

function submissionOf({ chain }: PayContext, receipt: TransactionReceipt): PaidSubmission | undefined {
  for (const log of receipt.logs) {
    const event = decodeStorageEvent(chain.book, log)
    if (event?.name !== 'Submit') continue
    return {
      txSeq: event.args.submissionIndex,
      state: 'submitted',
      submittedAt: BigInt(receipt.blockNumber),
      adopted: false,
      gasUsed: receipt.gasUsed,
    }
  }
  return undefined
}

async function readIntent({ stateStore }: PayContext, key: string): Promise<Intent | undefined> {
  const text = await stateStore.get(key)
  if (text === undefined) return undefined
  try {
    return intentSchema.parse(JSON.parse(text))
  } catch (cause) {
    // Ignoring a damaged record could pay twice.
    throw new ZerogError('STORE_CORRUPT', `the record ${key} of an upload is damaged`, { cause })
  }
}

function intentKey({ chain, sender }: PayContext, { digest, parityShards }: PreparedFile): string {
  return `upload-${chain.chainId}-${sender.address.toLowerCase()}-${digest}-${parityShards}`
}

function isOwn({ sender }: PayContext, { owner }: SubmissionRecord): boolean {
  return owner.toLowerCase() === sender.address.toLowerCase()
}

function signalOf({ signal }: { signal?: AbortSignal }): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal }
}

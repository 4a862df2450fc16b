import type { Signer } from 'ethers'
import type { Chain } from '../chain/connect.ts'
import { read } from '../chain/read.ts'
import { signerSender, type TxSender } from '../chain/send.ts'
import { readDeal, readLeastStake, readSealTerms, readSubmissionTerms } from '../chain/storage.ts'
import { storedSectors } from '../protocol/deal-price.ts'
import { loadErasureEngine } from '../protocol/erasure-wasm.ts'
import { type ErrorCode, errorCode, ZerogError } from '../protocol/errors.ts'
import { shardBytes } from '../protocol/layout.ts'
import { collectCustody } from './collect-custody.ts'
import { custodyPlan } from './custody-plan.ts'
import type { FileSource } from './file-source.ts'
import { askProviders, findCandidates, type ProviderAnswer } from './find-candidates.ts'
import { createCulprits } from './find-culprits.ts'
import { dealCustody } from './find-deal.ts'
import type { HttpTransport } from './http.ts'
import {
  adoptSubmission,
  configureSubmission,
  forgetPayment,
  type PaidSubmission,
  type PayContext,
  paySubmission,
} from './pay-submission.ts'
import { createPlacement, type Placement } from './place-shards.ts'
import { type HashPool, type PreparedFile, prepareFile } from './prepare.ts'
import { type DealWish, type Quote, quoteUpload } from './price.ts'
import { sealDeal } from './seal-deal.ts'
import { createShardReader } from './shard-reader.ts'
import { memoryStateStore, type StateStore } from './state-store.ts'
import { canSign, createWritePermission, type SigningSender } from './write-permission.ts'

/** How far an upload is; `replaced` tells of a provider that dropped out, with the code of its failure. */
export type UploadProgress =
  | { readonly stage: 'prepare' | 'send'; readonly doneBytes: number; readonly totalBytes: number }
  | { readonly stage: 'pay' | 'sign' | 'seal' }
  | { readonly stage: 'replaced'; readonly provider: string; readonly code: ErrorCode }

/** A sealed upload. Seconds are wall time per stage; gas is 0 for what an earlier attempt had paid. */
export type UploadResult = {
  readonly root: string
  readonly txSeq: bigint
  readonly byteLength: number
  readonly custodyRoot: string
  readonly custodians: readonly { readonly provider: string; readonly shards: readonly number[] }[]
  /** First period that the deal does not cover. */
  readonly expiresAt: bigint
  readonly feeWei: bigint
  readonly bondWei: bigint
  readonly gas: { readonly submit: bigint; readonly configure: bigint; readonly seal: bigint }
  readonly sentBytes: number
  readonly seconds: {
    readonly prepare: number
    readonly pay: number
    readonly send: number
    readonly seal: number
  }
  /** Whether a submission of an earlier attempt was used, so that nothing was paid for now. */
  readonly resumed: boolean
}

/** Blocks that must be left for the seal itself. */
const SEAL_ROOM_BLOCKS = 2n
/**
 * Windows of shards in bodies that are sent as they are read. Where each window is a request of its own they are as long as
 * a request may be; shorter ones take less memory, and parity shards that are out of step use more of what is kept.
 */
const STREAM_WINDOW_BYTES = 256 * 1024

/**
 * Stores a file: hashes it, pays once, spreads its shards over staked providers, collects their signatures and seals.
 *
 * It may be repeated after any failure or crash: an own submission of the same file that can still be sealed is found and
 * used, and providers keep what they have. What is paid but never sealed returns after the deadline through `refund`.
 *
 * Providers take shards from the owner only: once paid, the sender signs a text that says so (a wallet asks its user), and
 * again every few hours. Where the owner is a contract account, it must have named a key with `setSealerCall` first, and the
 * sender's `signMessage` must sign with that key.
 *
 * Errors: EMPTY_FILE, FILE_TOO_LARGE, BAD_REQUEST; INSUFFICIENT_FUNDS, or CONFIG_INVALID for a sender without `signMessage`,
 * before anything is paid; FORBIDDEN when it does not sign, or not as owner or sealer; CUSTODIANS_MISSING with the reasons;
 * FILE_CHANGED; DEADLINE_PASSED; TX_REVERTED; RPC_UNREACHABLE; ABORTED. Those after payment carry `meta.txSeq`.
 */
export function uploadFile(options: uploadFile.Options): Promise<UploadResult> {
  return upload(options)
}

export declare namespace uploadFile {
  type Options = DealWish & {
    chain: Chain
    source: FileSource
    /** Who pays and owns the deal; the chain's signer when neither is given. */
    signer?: Signer
    sender?: TxSender
    /** Where the payment is recorded; without one a crash of the process is covered by the chain alone. */
    stateStore?: StateStore
    /** Threads for the hashing, closed when it is done; this thread alone by default. */
    pool?: HashPool
    onProgress?: (progress: UploadProgress) => void
    /** A provider that takes longer for one chunk, twice in a row, is replaced; 10 s, or 64 KiB/s, by default. */
    chunkTimeoutMs?: number
    /** What carries requests to providers; `fetch` by default. */
    transport?: HttpTransport
    signal?: AbortSignal
  }
}

/** Goes on with a submission that is paid for. Errors: those of {@link uploadFile}, UNKNOWN_SUBMISSION, ROOT_MISMATCH. */
export function resumeUpload({
  txSeq,
  ...options
}: Omit<uploadFile.Options, keyof DealWish> & DealWish & { txSeq: bigint }): Promise<UploadResult> {
  return upload(options, txSeq)
}

async function upload(options: uploadFile.Options, resumedTxSeq?: bigint): Promise<UploadResult> {
  const { chain, source, onProgress, signal } = options
  const clock = stopwatch()
  const context: UploadContext = {
    chain,
    sender: await senderOf(options),
    stateStore: options.stateStore ?? memoryStateStore(),
    ...(signal === undefined ? {} : { signal }),
  }
  const wish = {
    ...(options.parityShards === undefined ? {} : { parityShards: options.parityShards }),
    ...(options.termPeriods === undefined ? {} : { termPeriods: options.termPeriods }),
  }
  const quote = await quoteUpload(chain, { ...wish, byteLength: source.byteLength, ...signalOf(signal) })
  const prepared = await prepareFile({
    source,
    parityShards: quote.parityShards,
    onProgress: (progress) => onProgress?.({ stage: 'prepare', ...progress }),
    ...(options.pool === undefined ? {} : { pool: options.pool }),
    ...signalOf(signal),
  })
  await options.pool?.close()
  const prepareSec = clock()

  onProgress?.({ stage: 'pay' })
  // Whom to send to does not depend on the payment, so they are asked meanwhile.
  const asked = askProviders(chain, { transport: options.transport, ...signalOf(signal) })
  asked.catch(() => undefined)
  const paid =
    resumedTxSeq === undefined
      ? await paySubmission(context, { prepared, quote })
      : await adoptSubmission(context, { prepared, txSeq: resumedTxSeq })
  try {
    const summary = await finish(context, { options, paid, quote, prepared, asked, clock })
    await forgetPayment(context, prepared)
    return { ...summary, seconds: { prepare: prepareSec, ...summary.seconds } }
  } catch (error) {
    throw withTxSeq(error, paid.txSeq)
  }
}

type UploadContext = PayContext & { readonly sender: SigningSender }

type Summary = Omit<UploadResult, 'seconds'> & { seconds: Omit<UploadResult['seconds'], 'prepare'> }

async function finish(
  context: UploadContext,
  job: {
    options: uploadFile.Options
    paid: PaidSubmission
    quote: Quote
    prepared: PreparedFile
    asked: Promise<ProviderAnswer[]>
    clock: () => number
  },
): Promise<Summary> {
  const { chain, signal } = context
  const { paid, quote, prepared, clock } = job
  const { txSeq } = paid
  if (paid.state === 'sealed') return summarizeSealed(context, job)
  if (paid.state === 'refunded') throw new ZerogError('DEAL_REFUNDED')
  if (paid.state === 'ended') throw new ZerogError('DEAL_ENDED')
  const [terms, head] = await Promise.all([
    readSubmissionTerms(chain, txSeq, signalOf(signal)),
    read(chain.provider.getBlockNumber(), signalOf(signal)),
  ])
  checkDeadline(chain, paid, head)
  const { submittedAt } = paid
  const configureGas = await configureSubmission(context, { txSeq, submittedAt, terms, quote })
  const paySec = clock()

  const placement = await startPlacement(context, job)
  const culprits = createCulprits()
  let sendSec = 0
  for (;;) {
    await placement.send().catch(async (error) => {
      // Providers refuse what is too late, each for itself: the chain says whether that was the reason.
      if (!signal?.aborted)
        checkDeadline(chain, paid, await read(chain.provider.getBlockNumber(), signalOf(signal)))
      throw error
    })
    sendSec += clock()
    const sealed = await trySeal(context, { ...job, placement, culprits })
    if (sealed === undefined) continue
    const { plan, gasUsed, args } = sealed
    return {
      root: prepared.root,
      txSeq,
      byteLength: prepared.layout.byteLength,
      custodyRoot: plan.root,
      custodians: plan.custodians.map(({ provider, shards }) => ({ provider, shards })),
      expiresAt: args.endPeriod,
      feeWei: quote.feeWei + quote.topUpWei,
      bondWei: chain.terms.parityBondWei,
      gas: { submit: paid.gasUsed, configure: configureGas, seal: gasUsed },
      sentBytes: placement.bytesSent(),
      seconds: { pay: paySec, send: sendSec, seal: clock() },
      resumed: paid.adopted,
    }
  }
}

async function startPlacement(
  context: UploadContext,
  {
    options,
    paid,
    prepared,
    asked,
  }: {
    options: uploadFile.Options
    paid: PaidSubmission
    prepared: PreparedFile
    asked: Promise<ProviderAnswer[]>
  },
): Promise<Placement> {
  const { chain, signal } = context
  const { source, onProgress } = options
  const { txSeq } = paid
  const authorize = createWritePermission(context, txSeq)
  await authorize()
  const terms = await readSealTerms(chain, txSeq, signalOf(signal))
  const { layout, parityShards } = prepared
  const stored = storedSectors(layout.paddedSectors, parityShards)
  const [leastStakeWei, answers] = await Promise.all([
    readLeastStake(chain, { ...terms, storedSectors: stored }, signalOf(signal)),
    asked,
  ])
  const found = findCandidates(answers, {
    txSeq,
    shardBytes: shardBytes(prepared.layout),
    sectorPriceWei: terms.sectorPriceWei,
    leastStakeWei,
    transport: options.transport,
    authorize,
  })
  const smallestChunk = Math.min(...found.candidates.map(({ chunkBytes }) => chunkBytes))
  const longestWindow = options.transport?.canStream ? STREAM_WINDOW_BYTES : smallestChunk
  const engines = { erasure: await loadErasureEngine() }
  return createPlacement({
    txSeq,
    prepared,
    isNew: !paid.adopted,
    reader: createShardReader(engines, source, {
      ...prepared,
      maxWindowBytes: Math.min(smallestChunk, longestWindow),
    }),
    ...found,
    limit: Math.floor(prepared.parityShards / Number(chain.terms.faultTolerance)),
    spare: Number(chain.terms.faultTolerance),
    assertUnchanged: async () => source.assertUnchanged?.(),
    onBytes: (doneBytes, totalBytes) => onProgress?.({ stage: 'send', doneBytes, totalBytes }),
    onReplace: (provider, error) => onProgress?.({ stage: 'replaced', provider, code: errorCode(error) }),
    ...(options.chunkTimeoutMs === undefined ? {} : { chunkTimeoutMs: options.chunkTimeoutMs }),
    ...signalOf(signal),
  })
}

/** One attempt to have all custodians sign and to seal; undefined when some were dropped and shards must move. */
async function trySeal(
  context: PayContext,
  job: {
    options: uploadFile.Options
    paid: PaidSubmission
    prepared: PreparedFile
    placement: Placement
    culprits: ReturnType<typeof createCulprits>
  },
) {
  const { chain, signal } = context
  const { options, paid, prepared, placement } = job
  const { txSeq } = paid
  const plan = custodyPlan(placement.assignment(), prepared.shardRoots)
  options.onProgress?.({ stage: 'sign' })
  const { custodians, failures, head } = await collectCustody(chain, {
    txSeq,
    prepared,
    plan,
    clientOf: placement.clientOf,
    ...signalOf(signal),
  })
  checkDeadline(chain, paid, head)
  if (failures.size > 0) {
    const nameOf = new Map(plan.custodians.map(({ provider }) => [provider.toLowerCase(), provider]))
    for (const [culprit, error] of job.culprits(failures)) {
      const provider = nameOf.get(culprit.toLowerCase())
      // Whoever names a stranger has nobody else to blame.
      if (provider !== undefined) placement.drop(provider, error)
      else for (const accuser of failures.keys()) placement.drop(accuser, error)
    }
    return undefined
  }
  options.onProgress?.({ stage: 'seal' })
  const result = await sealDeal(context, { txSeq, prepared, plan, custodians })
  if (result.kind === 'sealed') return { plan, gasUsed: result.gasUsed, args: result.sealed }
  placement.drop(result.provider, result.error)
  return undefined
}

async function summarizeSealed(
  context: PayContext,
  {
    paid,
    quote,
    prepared,
    clock,
  }: { paid: PaidSubmission; quote: Quote; prepared: PreparedFile; clock: () => number },
): Promise<Summary> {
  const { chain, signal } = context
  const { txSeq } = paid
  const deal = await readDeal(chain, txSeq, signalOf(signal))
  if (deal === undefined) throw new ZerogError('UNKNOWN_DEAL')
  const custody = await dealCustody(chain, { txSeq, submittedAt: paid.submittedAt, ...signalOf(signal) })
  return {
    root: prepared.root,
    txSeq,
    byteLength: prepared.layout.byteLength,
    custodyRoot: custody.custodyRoot,
    custodians: custodyPlan(
      new Map(custody.shards.map(({ index, provider }) => [index, provider])),
      custody.shards.map(({ root }) => root),
    ).custodians.map(({ provider, shards }) => ({ provider, shards })),
    expiresAt: deal.endPeriod,
    feeWei: quote.feeWei + quote.topUpWei,
    bondWei: deal.bondWei,
    gas: { submit: 0n, configure: 0n, seal: 0n },
    sentBytes: 0,
    seconds: { pay: clock(), send: 0, seal: 0 },
    resumed: true,
  }
}

function checkDeadline({ terms }: Chain, { submittedAt }: PaidSubmission, head: number): void {
  const deadline = submittedAt + terms.sealDeadlineBlocks
  if (BigInt(head) + SEAL_ROOM_BLOCKS <= deadline) return
  throw new ZerogError('DEADLINE_PASSED', 'the seal deadline has passed; the payment can be refunded', {
    meta: { head: `${head}`, deadline: `${deadline}` },
  })
}

async function senderOf({ chain, sender, signer }: uploadFile.Options): Promise<SigningSender> {
  const own = signer ?? chain.signer
  const found = sender ?? (own && (await signerSender(chain, own)))
  if (found === undefined) throw new ZerogError('CONFIG_INVALID', 'an upload needs a signer or a sender')
  if (canSign(found)) return found
  throw new ZerogError(
    'CONFIG_INVALID',
    'the sender of an upload needs signMessage: providers ask who writes',
  )
}

function withTxSeq(error: unknown, txSeq: bigint): ZerogError {
  const code = errorCode(error)
  const known = error instanceof ZerogError ? error : undefined
  return new ZerogError(code, error instanceof Error ? error.message : undefined, {
    cause: error,
    meta: { ...known?.meta, txSeq: `${txSeq}` },
    ...(known === undefined ? {} : { retryable: known.retryable }),
  })
}

/** Seconds since it was last asked. */
function stopwatch(): () => number {
  let lastMs = performance.now()
  return () => {
    const nowMs = performance.now()
    const seconds = (nowMs - lastMs) / 1000
    lastMs = nowMs
    return seconds
  }
}

function signalOf(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal }
}

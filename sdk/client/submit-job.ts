import { sha256 } from '@noble/hashes/sha2.js'
import { type Signer, type TransactionReceipt, ZeroAddress } from 'ethers'
import { z } from 'zod'
import { readService } from '../chain/compute.ts'
import type { ComputeChain } from '../chain/compute-chain.ts'
import { openJobCall } from '../chain/job-calls.ts'
import { decodeJobEvent } from '../chain/job-events.ts'
import { type JobTerms, readJob, readJobBond, readJobCount, readJobParams } from '../chain/jobs.ts'
import { readModel } from '../chain/models.ts'
import { read } from '../chain/read.ts'
import { sendCall, signerSender, type TxSender } from '../chain/send.ts'
import { errorCode, ZerogError } from '../protocol/errors.ts'
import { toHex } from '../protocol/hex.ts'
import { BATCH_INFERENCE, formatJobInput, type JobRequest } from '../protocol/job-input.ts'
import { jobKind } from '../protocol/job-output.ts'
import { modelHash } from '../protocol/receipt.ts'
import { bytesSource } from './file-source.ts'
import type { HttpTransport } from './http.ts'
import { boundJobUnits } from './job-units.ts'
import { pause } from './pause.ts'
import type { DealWish } from './price.ts'
import { memoryStateStore, type StateStore } from './state-store.ts'
import { type UploadProgress, uploadFile } from './upload.ts'

/** How far the opening of a job is. */
export type SubmitJobProgress =
  | { readonly stage: 'store'; readonly upload: UploadProgress }
  | { readonly stage: 'open'; readonly terms: JobTerms; readonly bondWei: bigint }

/** A job that is on chain. `resumed`: an earlier attempt had opened it, and nothing was paid for now. */
export type SubmittedJob = {
  readonly jobId: bigint
  readonly terms: JobTerms
  readonly bondWei: bigint
  readonly resumed: boolean
}

const DURATION_SEC = 3600n
const BID_WINDOW_SEC = 60n
const STORAGE_PERIODS = 8n
const POLL_MS = 500
const MINED_TIMEOUT_MS = 120_000

/**
 * Has many requests answered as one job: stores them as the input, and opens the job with its price and the client's bond in escrow.
 *
 * It may be repeated after any failure or crash: with a state store that lasts, the job of an earlier attempt is found, and a
 * transaction that may be under way is replaced, never added to. `waitJob` takes the result.
 *
 * Errors: BAD_REQUEST; COMPUTE_MODEL_UNKNOWN when nobody says which manifest the model has; those of `uploadFile`; INSUFFICIENT_FUNDS; TX_REVERTED;
 * STORE_CORRUPT; RPC_UNREACHABLE; TIMEOUT; ABORTED.
 */
export async function submitJob(options: submitJob.Options): Promise<SubmittedJob> {
  const { chain, requests, stateStore = memoryStateStore() } = options
  const signer = options.signer ?? chain.signer
  if (options.sender === undefined && signer === undefined)
    throw new ZerogError('CONFIG_INVALID', 'a job needs a signer')
  const sender = options.sender ?? (await signerSender(chain, signer as Signer))
  const input = new TextEncoder().encode(formatJobInput(requests))
  const context: Context = { ...options, stateStore, sender }
  const key = intentKey(context, input)
  const earlier = await readIntent(context, key)
  // Counted before the look-up: a nonce spent by now whose job is not found was spent on something else.
  const isSpent = await isNonceSpent(context, earlier?.nonce)
  if (earlier !== undefined) {
    const jobId = await findOwn(context, earlier)
    if (jobId !== undefined) return { jobId, ...offerOf(earlier), resumed: true }
  }
  const isOpen = earlier !== undefined && (await canBegin(context, earlier.terms))
  const planned = isOpen ? earlier : await plan(context, input)
  // Kept where it may be under way, also for new terms: only one of the two can be mined then.
  const nonce = isSpent ? await sender.nextNonce?.() : earlier?.nonce
  const afterJob = earlier !== undefined && !isSpent ? earlier.afterJob : planned.afterJob
  const intent: Intent = { ...planned, afterJob, ...(nonce === undefined ? {} : { nonce }) }
  await stateStore.set(key, formatIntent(intent))
  options.onProgress?.({ stage: 'open', ...offerOf(intent) })
  return { jobId: await open(context, intent), ...offerOf(intent), resumed: false }
}

export declare namespace submitJob {
  type Options = {
    chain: ComputeChain
    /** Each with an id of its own; the routes of the provider, without streams. */
    requests: readonly JobRequest[]
    /** Id of the model, as its services list it. */
    model: string
    /** Its manifest; by default the registry's, or the one that the named provider lists. */
    modelRoot?: string
    /** Who does it; without one the cheapest bid. */
    provider?: string
    /** Most that it may cost; the named provider's price by default. */
    maxPriceWei?: bigint
    /** From now to the deadline, in chain seconds; an hour by default. */
    durationSec?: bigint
    /** How long a cheaper bid replaces another; 60 s, or none with a named provider, by default. */
    bidWindowSec?: bigint
    /** What the price is reckoned with; `boundJobUnits` by default. */
    inputUnits?: bigint
    maxUnits?: bigint
    minUnits?: bigint
    maxOutputBytes?: bigint
    /** How long the output is stored, at least; 8 periods by default. */
    minStoragePeriods?: bigint
    /** Who decides a dispute; the deployment's arbiter by default. */
    arbiter?: string
    /** Two jobs with the same requests have different names. */
    name?: string
    /** How the input is stored. */
    storage?: DealWish
    /** Who asks and pays; the chain's signer when neither is given. */
    signer?: Signer
    sender?: TxSender
    /** Where the job is recorded; without one a crash of the process may leave a job that a new attempt does not find. */
    stateStore?: StateStore
    /** What carries the input to storage; `fetch` by default. */
    transport?: HttpTransport
    onProgress?: (progress: SubmitJobProgress) => void
    signal?: AbortSignal
  }
}

type Context = submitJob.Options & { readonly stateStore: StateStore; readonly sender: TxSender }

/** What is written before money leaves: terms, the number of jobs then, and the nonce that only one attempt can take. */
type Intent = {
  readonly terms: JobTerms
  readonly bondWei: bigint
  readonly afterJob: bigint
  readonly nonce?: number | undefined
}

const amount = z
  .string()
  .regex(/^\d{1,78}$/)
  .transform(BigInt)
const hex = z.string().regex(/^0x[0-9a-fA-F]*$/)
const intentSchema = z.object({
  terms: z.object({
    ...{
      provider: hex,
      modelHash: hex,
      modelRoot: hex,
      inputRoot: hex,
      kind: hex,
      arbiter: hex,
      params: hex,
    },
    ...{ maxPriceWei: amount, verificationMode: amount, bidWindowSec: amount, deadlineSec: amount },
    ...{ inputUnits: amount, minUnits: amount, maxUnits: amount, maxOutputBytes: amount },
    minStoragePeriods: amount,
  }),
  bondWei: amount,
  afterJob: amount,
  nonce: z.number().int().optional(),
})

/** Stores the input and settles the terms. */
async function plan(context: Context, input: Uint8Array): Promise<Intent> {
  const { chain, requests, model, provider, sender, stateStore, onProgress, transport, signal } = context
  const limits = signal === undefined ? {} : { signal }
  const bound = boundJobUnits(requests)
  const service = provider === undefined ? undefined : await readService(chain, provider, limits)
  const inputUnits = context.inputUnits ?? bound.inputUnits
  const maxUnits = context.maxUnits ?? bound.maxUnits
  const priceWei = service && service.inputPriceWei * inputUnits + service.outputPriceWei * maxUnits
  const maxPriceWei = context.maxPriceWei ?? priceWei
  if (maxPriceWei === undefined)
    throw new ZerogError('BAD_REQUEST', 'give a maximum price, or a provider that lists one')
  const modelRoot = context.modelRoot ?? (await rootOf(context, service?.additionalInfo))
  const { root: inputRoot } = await uploadFile({
    ...{ chain, source: bytesSource(input), sender, stateStore, ...context.storage, ...limits },
    ...(transport === undefined ? {} : { transport }),
    onProgress: (upload) => onProgress?.({ stage: 'store', upload }),
  })
  const [nowSec, bondWei, afterJob] = await Promise.all([
    chainTime(context),
    readJobBond(chain, maxPriceWei, limits),
    readJobCount(chain, limits),
  ])
  const terms: JobTerms = {
    ...{ provider: provider ?? ZeroAddress, maxPriceWei, modelHash: modelHash(model), modelRoot, inputRoot },
    ...{ kind: jobKind(BATCH_INFERENCE), arbiter: context.arbiter ?? ZeroAddress, verificationMode: 0n },
    bidWindowSec: context.bidWindowSec ?? (provider === undefined ? BID_WINDOW_SEC : 0n),
    deadlineSec: nowSec + (context.durationSec ?? DURATION_SEC),
    ...{ inputUnits, maxUnits, minUnits: context.minUnits ?? 0n, params: '0x' },
    maxOutputBytes: context.maxOutputBytes ?? bound.maxOutputBytes,
    minStoragePeriods: context.minStoragePeriods ?? STORAGE_PERIODS,
  }
  return { terms, bondWei, afterJob }
}

async function rootOf({ chain, model, signal }: Context, listed: string | undefined): Promise<string> {
  const record = await readModel(chain, model, signal === undefined ? {} : { signal })
  if (record !== undefined) return record.terms.manifestRoot
  const [, root] = /"manifestRoot":"(0x[0-9a-fA-F]{64})"/.exec(listed ?? '') ?? []
  if (root !== undefined) return root
  throw new ZerogError('COMPUTE_MODEL_UNKNOWN', `${model} is not registered: give the root of its manifest`)
}

/** Sends the opening; an attempt that is under way with the same nonce is waited for. */
async function open(context: Context, intent: Intent): Promise<bigint> {
  const { chain, sender, signal } = context
  const { terms, bondWei, nonce } = intent
  let receipt: TransactionReceipt
  try {
    receipt = await sendCall(sender, {
      ...openJobCall(chain, { terms, bondWei }),
      label: `open-job-${terms.inputRoot}-${terms.deadlineSec}`,
      ...(nonce === undefined ? {} : { nonce }),
      ...(signal && { signal }),
    })
  } catch (error) {
    const code = errorCode(error)
    if (nonce === undefined || (code !== 'NONCE_CONFLICT' && code !== 'TX_UNDERPRICED')) throw error
    return awaitOwn(context, intent)
  }
  for (const log of receipt.logs) {
    const event = decodeJobEvent(chain.book, log)
    if (event?.name === 'JobOpened') return event.args.jobId
  }
  throw new ZerogError('INTERNAL', 'the transaction was mined without a JobOpened event of the escrow')
}

async function awaitOwn(context: Context, intent: Intent): Promise<bigint> {
  const endsAt = performance.now() + MINED_TIMEOUT_MS
  while (performance.now() < endsAt) {
    const found = await findOwn(context, intent)
    if (found !== undefined) return found
    await pause(POLL_MS, context.signal)
  }
  throw new ZerogError('TIMEOUT', 'the opening of the job was not mined in time')
}

/** The job of this intent; the newest first, because it is one of the last. */
async function findOwn({ chain, sender, signal }: Context, intent: Intent): Promise<bigint | undefined> {
  const limits = signal === undefined ? {} : { signal }
  for (let jobId = await readJobCount(chain, limits); jobId > intent.afterJob; jobId--) {
    const job = await readJob(chain, jobId, limits)
    if (job?.client === sender.address && isSame(job.terms, intent.terms)) return jobId
  }
  return undefined
}

/** Whether the contract would still take these terms. */
async function canBegin(context: Context, { deadlineSec, bidWindowSec }: JobTerms): Promise<boolean> {
  const { minWorkSec } = await readJobParams(context.chain, context.signal && { signal: context.signal })
  return (await chainTime(context)) + bidWindowSec + minWorkSec < deadlineSec
}

async function chainTime({ chain, signal }: Context): Promise<bigint> {
  const block = await read(chain.provider.getBlock('latest'), signal === undefined ? {} : { signal })
  return BigInt(block?.timestamp ?? 0)
}

/** Whether a transaction with this nonce has been mined; true as well when none was recorded. */
async function isNonceSpent({ chain, sender, signal }: Context, nonce: number | undefined): Promise<boolean> {
  if (nonce === undefined) return true
  const mined = chain.provider.getTransactionCount(sender.address, 'latest')
  return (await read(mined, signal === undefined ? {} : { signal })) > nonce
}

function intentKey(
  {
    chain,
    sender,
    model,
    name = '',
  }: Pick<Context, 'chain' | 'model' | 'name'> & { sender: Pick<TxSender, 'address'> },
  input: Uint8Array,
): string {
  const hash = sha256
    .create()
    .update(new TextEncoder().encode(`${model}\n${name}\n`))
    .update(input)
    .digest()
  const escrow = chain.compute.addresses.JobEscrow
  return `job-${chain.chainId}-${escrow}-${sender.address}-${toHex(hash)}`.toLowerCase()
}

async function readIntent({ stateStore }: Context, key: string): Promise<Intent | undefined> {
  const text = await stateStore.get(key)
  if (text === undefined) return undefined
  try {
    return intentSchema.parse(JSON.parse(text))
  } catch (cause) {
    // Ignoring a damaged record could pay twice.
    throw new ZerogError('STORE_CORRUPT', `the record ${key} of a job is damaged`, { cause })
  }
}

function formatIntent(intent: Intent): string {
  return JSON.stringify(intent, (_, value) => (typeof value === 'bigint' ? String(value) : value))
}

function offerOf({ terms, bondWei }: Intent): { terms: JobTerms; bondWei: bigint } {
  return { terms, bondWei }
}

function isSame(a: JobTerms, b: JobTerms): boolean {
  const names = Object.keys(b) as (keyof JobTerms)[]
  return names.every((name) => String(a[name]).toLowerCase() === String(b[name]).toLowerCase())
}

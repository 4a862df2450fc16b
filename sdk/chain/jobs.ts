import type { ComputeChain } from './compute-chain.ts'
import { isRevert } from './decode-error.ts'
import { at, type ReadOptions, read } from './read.ts'

/** States of a job, in the order of the contract. */
export const JOB_STATES = [
  'none',
  'open',
  'assigned',
  'delivered',
  'disputed',
  'settled',
  'refunded',
  'timed-out',
] as const
export type JobState = (typeof JOB_STATES)[number]

/** Why a job is over, in the order of the contract. */
export const JOB_OUTCOMES = [
  'none',
  'accepted',
  'unchallenged',
  'for-provider',
  'for-client',
  'cancelled',
  'untaken',
  'late',
  'arbiter-silent',
] as const
export type JobOutcome = (typeof JOB_OUTCOMES)[number]

/** What a client asks for. Addresses and hashes as hex; `provider` and `arbiter` may be the zero address. */
export type JobTerms = {
  /** Whom the client names; zero for nobody. */
  readonly provider: string
  readonly maxPriceWei: bigint
  /** keccak256 of the model id that the bidder's service must list: {@link modelHash}. */
  readonly modelHash: string
  readonly modelRoot: string
  readonly inputRoot: string
  /** keccak256 of the kind's name: {@link jobKind}. */
  readonly kind: string
  /** Who decides a dispute; zero for the deployment's default. */
  readonly arbiter: string
  readonly verificationMode: bigint
  readonly bidWindowSec: bigint
  /** Moment (seconds) before which the output must be delivered. */
  readonly deadlineSec: bigint
  readonly inputUnits: bigint
  readonly minUnits: bigint
  readonly maxUnits: bigint
  readonly maxOutputBytes: bigint
  readonly minStoragePeriods: bigint
  /** Hex, at most 1,024 bytes. */
  readonly params: string
}

/** A job; `untilSec` is the end of the present window: deadline, challenge or ruling. */
export type JobView = {
  readonly jobId: bigint
  readonly state: JobState
  readonly client: string
  readonly arbiter: string
  /** Who is assigned; the zero address while open. */
  readonly provider: string
  /** What it is paid; while open, what a bid of somebody not named must undercut. */
  readonly priceWei: bigint
  /** Bond of each side. */
  readonly bondWei: bigint
  readonly openedAtSec: bigint
  readonly bidsUntilSec: bigint
  readonly untilSec: bigint
  readonly outputTxSeq: bigint
  readonly outputUnits: bigint
  readonly outputBytes: bigint
  /** What a bid repeats. */
  readonly termsHash: string
  readonly outputRoot: string
  readonly terms: JobTerms
}

/** Parameters of the escrow, fixed at deployment. Times in seconds. */
export type JobParams = {
  readonly bondBps: bigint
  readonly arbiterBps: bigint
  readonly stepBps: bigint
  readonly challengeSec: bigint
  readonly arbiterSec: bigint
  readonly minWorkSec: bigint
  readonly maxDurationSec: bigint
  readonly minBondWei: bigint
}

/** A job by its number; undefined when there is none. */
export async function readJob(
  { compute: { jobs } }: ComputeChain,
  jobId: bigint,
  options: ReadOptions = {},
): Promise<JobView | undefined> {
  const job = await read(jobs.jobOf(jobId, at(options)), options)
  const state = JOB_STATES[Number(job.state)] ?? 'none'
  if (state === 'none') return undefined
  const { client, arbiter, provider, priceWei, bondWei, termsHash, outputRoot, terms } = job
  const { openedAtSec, bidsUntilSec, untilSec, outputTxSeq, outputUnits, outputBytes } = job
  return {
    ...{ jobId, state, client, arbiter, provider, priceWei, bondWei, termsHash, outputRoot },
    ...{ openedAtSec, bidsUntilSec, untilSec, outputTxSeq, outputUnits, outputBytes },
    terms: {
      provider: terms.provider,
      maxPriceWei: terms.maxPriceWei,
      modelHash: terms.modelHash,
      modelRoot: terms.modelRoot,
      inputRoot: terms.inputRoot,
      kind: terms.kind,
      arbiter: terms.arbiter,
      verificationMode: terms.verificationMode,
      bidWindowSec: terms.bidWindowSec,
      deadlineSec: terms.deadlineSec,
      inputUnits: terms.inputUnits,
      minUnits: terms.minUnits,
      maxUnits: terms.maxUnits,
      maxOutputBytes: terms.maxOutputBytes,
      minStoragePeriods: terms.minStoragePeriods,
      params: terms.params,
    },
  }
}

/** The number of jobs ever opened; they are numbered from 1. */
export function readJobCount(
  { compute: { jobs } }: ComputeChain,
  options: ReadOptions = {},
): Promise<bigint> {
  return read(jobs.jobCount(at(options)), options)
}

/** Reasons for which a provider may not bid: it is unfit, too dear, too late, or not the one named. */
const UNFIT = [
  'NotListed',
  'InsufficientStake',
  'ServiceRevoked',
  'WrongModel',
  'NotNamed',
  'SameParty',
  'AlreadyAssigned',
  'WrongState',
  'WindowClosed',
  'BidWindowClosed',
  'PriceTooHigh',
] as const

/** What a bid of `provider` would cost the client and put at stake, in wei; or the contract's reason why it may not bid. */
export async function readBid(
  { compute: { jobs } }: ComputeChain,
  { jobId, provider }: { jobId: bigint; provider: string },
  options: ReadOptions = {},
): Promise<{ priceWei: bigint; bondWei: bigint } | { refused: (typeof UNFIT)[number] }> {
  try {
    const [priceWei, bondWei] = await read(jobs.bidOf(jobId, provider, at(options)), options)
    return { priceWei, bondWei }
  } catch (error) {
    const refused = UNFIT.find((name) => isRevert(error, name))
    if (refused === undefined) throw error
    return { refused }
  }
}

/** The bond of either side for a job of this maximum price, in wei. */
export function readJobBond(
  { compute: { jobs } }: ComputeChain,
  maxPriceWei: bigint,
  options: ReadOptions = {},
): Promise<bigint> {
  return read(jobs.bondFor(maxPriceWei, at(options)), options)
}

/** What an account may withdraw from the escrow, in wei. */
export function readJobCredit(
  { compute: { jobs } }: ComputeChain,
  account: string,
  options: ReadOptions = {},
): Promise<bigint> {
  return read(jobs.creditOf(account, at(options)), options)
}

/** The escrow's parameters and the arbiter of jobs that name none. */
export async function readJobParams(
  { compute: { jobs } }: ComputeChain,
  options: ReadOptions = {},
): Promise<JobParams & { readonly defaultArbiter: string }> {
  const [params, defaultArbiter] = await read(
    Promise.all([jobs.params(at(options)), jobs.defaultArbiter(at(options))]),
    options,
  )
  const { bondBps, arbiterBps, stepBps, challengeSec, arbiterSec, minWorkSec, maxDurationSec, minBondWei } =
    params
  return {
    ...{ bondBps, arbiterBps, stepBps, challengeSec, arbiterSec, minWorkSec, maxDurationSec, minBondWei },
    defaultArbiter,
  }
}

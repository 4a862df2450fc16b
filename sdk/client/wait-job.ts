import { type Signer, ZeroHash } from 'ethers'
import type { ChainCall } from '../chain/chain-call.ts'
import type { ComputeChain } from '../chain/compute-chain.ts'
import { isRevert } from '../chain/decode-error.ts'
import { acceptJobCall, closeJobCall, disputeJobCall, withdrawJobCreditCall } from '../chain/job-calls.ts'
import { type JobState, type JobView, readJob, readJobCredit, readJobParams } from '../chain/jobs.ts'
import { read } from '../chain/read.ts'
import { sendCall, signerSender, type TxSender } from '../chain/send.ts'
import { errorCode, ZerogError } from '../protocol/errors.ts'
import { type JobAnswer, parseJobOutput } from '../protocol/job-input.ts'
import { jobOutputKey, unwrapJobOutput } from '../protocol/job-output.ts'
import { downloadFile } from './download.ts'
import { memorySink } from './file-sink.ts'
import type { HttpTransport } from './http.ts'
import { pause } from './pause.ts'

/** A job that was done and paid. */
export type JobResult = {
  readonly jobId: bigint
  readonly provider: string
  readonly priceWei: bigint
  readonly outputRoot: string
  readonly outputTxSeq: bigint
  readonly outputUnits: bigint
  /** One for each request, in their order. */
  readonly answers: readonly JobAnswer[]
  /** What was taken back from the escrow now: the rest of the price, and the bond. */
  readonly creditWei: bigint
}

const POLL_MS = 1000
/** An output that cannot be fetched is disputed in this part of the challenge window, its last. */
const LAST_PART = 4n
/** Reverts that mean that somebody was faster. */
const DONE = ['WrongState', 'WindowClosed', 'WindowOpen']

/**
 * Waits for a job, downloads its output and holds it against the terms, and accepts it, which pays the provider. Output that is not of
 * the agreed form, that `check` refuses, or that storage does not give until the last quarter of the challenge window, is disputed. A job whose time is over is closed. What the escrow then owes is withdrawn.
 *
 * It may be repeated after any failure or crash: what is done is read from the chain. Only the client of the job can accept or
 * dispute.
 *
 * Errors: JOB_UNKNOWN; JOB_UNTAKEN, JOB_LATE and JOB_REFUNDED with `meta.creditWei`; JOB_OUTPUT_INVALID once disputed, while
 * the arbiter has not decided; those of `downloadFile` for a job that is settled; TX_REVERTED; RPC_UNREACHABLE; ABORTED.
 */
export async function waitJob(options: waitJob.Options): Promise<JobResult> {
  const { chain, jobId, signal, onState, pollMs = POLL_MS } = options
  const limits = signal === undefined ? {} : { signal }
  const sender = await senderOf(options)
  const context: Context = { ...options, sender }
  let answers: readonly JobAnswer[] | undefined
  let last: JobState | undefined
  for (;;) {
    const job = await readJob(chain, jobId, limits)
    if (job === undefined) throw new ZerogError('JOB_UNKNOWN', undefined, { meta: { jobId } })
    if (job.client !== sender.address)
      throw new ZerogError('FORBIDDEN', `the job belongs to ${job.client}`, { meta: { jobId } })
    if (job.state !== last) onState?.(job.state, job)
    last = job.state
    switch (job.state) {
      case 'open':
      case 'assigned':
        if (await isOver(context, job)) await act(context, closeJobCall(chain, jobId), `close-job-${jobId}`)
        break
      case 'delivered': {
        const output = answers === undefined ? await tryFetch(context, job) : undefined
        if (output === 'not-yet') break
        if (output !== undefined && output !== 'withheld') answers = await judge(context, job, output)
        const call =
          answers === undefined
            ? disputeJobCall(chain, { jobId, evidenceRoot: options.evidenceRoot ?? ZeroHash })
            : acceptJobCall(chain, { jobId, outputRoot: job.outputRoot })
        const label = `${answers === undefined ? 'dispute' : 'accept'}-job-${jobId}`
        if (!(await act(context, call, label)) && (await isOver(context, job)))
          await act(context, closeJobCall(chain, jobId), `close-job-${jobId}`)
        break
      }
      case 'disputed':
        if (!(await isOver(context, job)))
          throw new ZerogError('JOB_OUTPUT_INVALID', undefined, {
            meta: { jobId, arbiter: job.arbiter, untilSec: job.untilSec },
          })
        await act(context, closeJobCall(chain, jobId), `close-job-${jobId}`)
        break
      case 'settled': {
        const creditWei = await withdraw(context)
        answers ??= await judge(context, job, await fetchOutput(context, job))
        if (answers === undefined)
          throw new ZerogError('JOB_OUTPUT_INVALID', 'the output is at fault, and the job is settled', {
            meta: { jobId, creditWei },
          })
        const { provider, priceWei, outputRoot, outputTxSeq, outputUnits } = job
        return { jobId, provider, priceWei, outputRoot, outputTxSeq, outputUnits, answers, creditWei }
      }
      default: {
        const meta = { jobId, creditWei: await withdraw(context) }
        if (job.state === 'refunded') throw new ZerogError('JOB_REFUNDED', undefined, { meta })
        if (job.outputRoot !== ZeroHash)
          throw new ZerogError('JOB_REFUNDED', 'the arbiter kept silent: the price was split', { meta })
        throw new ZerogError(job.provider === ZERO ? 'JOB_UNTAKEN' : 'JOB_LATE', undefined, { meta })
      }
    }
    const after = await readJob(chain, jobId, limits)
    if (after?.state === job.state) await pause(pollMs, signal)
  }
}

export declare namespace waitJob {
  type Options = {
    chain: ComputeChain
    jobId: bigint
    /** Requests of the input, which the output must answer one by one; not checked when not given. */
    lines?: number | undefined
    /** Whether the answers will do; `false` disputes them, with the client's bond at stake. */
    check?: ((answers: readonly JobAnswer[]) => boolean | Promise<boolean>) | undefined
    /** What a dispute shows to the arbiter: a file in storage. */
    evidenceRoot?: string | undefined
    /** The client; the chain's signer when neither is given. */
    signer?: Signer | undefined
    sender?: TxSender | undefined
    /** What carries the output; `fetch` by default. */
    transport?: HttpTransport | undefined
    onState?: ((state: JobState, job: JobView) => void) | undefined
    pollMs?: number | undefined
    signal?: AbortSignal | undefined
  }
}

type Context = waitJob.Options & { readonly sender: TxSender }

const ZERO = `0x${'00'.repeat(20)}`

async function senderOf({ chain, signer = chain.signer, sender }: waitJob.Options): Promise<TxSender> {
  if (sender !== undefined) return sender
  if (signer === undefined) throw new ZerogError('CONFIG_INVALID', 'a job needs a signer')
  return signerSender(chain, signer)
}

/**
 * The output of a delivered job. Being sealed, it is with its custodians, but these need not hand it out: one that nobody gives
 * in time is disputed as withheld, before the provider is paid for it. Errors: RPC_UNREACHABLE, ABORTED.
 */
async function tryFetch(context: Context, job: JobView): Promise<Uint8Array | 'not-yet' | 'withheld'> {
  try {
    return await fetchOutput(context, job)
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ABORTED' || code === 'RPC_UNREACHABLE') throw error
    const { chain, signal } = context
    const limits = signal === undefined ? {} : { signal }
    const { challengeSec } = await readJobParams(chain, limits)
    const block = await read(chain.provider.getBlock('latest'), limits)
    const isLast = BigInt(block?.timestamp ?? 0) >= job.untilSec - challengeSec / LAST_PART
    return isLast ? 'withheld' : 'not-yet'
  }
}

/** Errors: those of the download. */
async function fetchOutput(
  { chain, transport, signal }: Context,
  { outputRoot }: JobView,
): Promise<Uint8Array> {
  const sink = memorySink()
  await downloadFile({
    ...{ chain, root: outputRoot, sink, ...(signal && { signal }) },
    ...(transport === undefined ? {} : { transport }),
  })
  return sink.bytes()
}

/** The answers of a delivered output; undefined when they are not what was asked for. Errors: those of `check`. */
async function judge(
  { chain, lines, check }: Context,
  { jobId, provider, terms, outputUnits }: JobView,
  output: Uint8Array,
): Promise<readonly JobAnswer[] | undefined> {
  const escrow = chain.compute.addresses.JobEscrow
  const expected = {
    key: jobOutputKey({ chainId: chain.chainId, escrow, jobId, provider }),
    ...{ modelRoot: terms.modelRoot, inputRoot: terms.inputRoot, kind: terms.kind, units: outputUnits },
  }
  let answers: JobAnswer[]
  try {
    const { body } = unwrapJobOutput(output, expected)
    answers = parseJobOutput(new TextDecoder('utf-8', { fatal: true }).decode(body), lines)
  } catch (error) {
    const code = errorCode(error)
    if (code === 'BAD_REQUEST' || error instanceof TypeError) return undefined
    throw error
  }
  return (await check?.(answers)) === false ? undefined : answers
}

/** Sends a call; false when somebody was faster. */
async function act({ sender, signal }: Context, call: ChainCall, label: string): Promise<boolean> {
  try {
    await sendCall(sender, { ...call, label, ...(signal && { signal }) })
    return true
  } catch (error) {
    if (DONE.some((name) => isRevert(error, name))) return false
    throw error
  }
}

async function withdraw(context: Context): Promise<bigint> {
  const { chain, sender, signal } = context
  const creditWei = await readJobCredit(chain, sender.address, signal === undefined ? {} : { signal })
  if (creditWei === 0n) return 0n
  const call = withdrawJobCreditCall(chain, sender.address)
  await sendCall(sender, {
    ...call,
    label: `withdraw-job-credit-${context.jobId}`,
    ...(signal && { signal }),
  })
  return creditWei
}

async function isOver(
  { chain, signal }: Context,
  { untilSec, bidsUntilSec, state, terms }: JobView,
): Promise<boolean> {
  const block = await read(chain.provider.getBlock('latest'), signal === undefined ? {} : { signal })
  const endSec = state === 'open' ? terms.deadlineSec : untilSec
  return endSec > 0n && bidsUntilSec <= endSec && BigInt(block?.timestamp ?? 0) >= endSec
}

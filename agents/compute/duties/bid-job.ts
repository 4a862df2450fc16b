import { bidCall } from '../../../sdk/chain/job-calls.ts'
import { type JobView, readBid, readJob, readJobParams } from '../../../sdk/chain/jobs.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { backoffMs } from '../../kernel/backoff.ts'
import type { Duty } from '../../kernel/duty.ts'
import type { ComputeConfig } from '../config.ts'
import type { ComputeContext } from '../context.ts'
import { inputFault, termsFault } from '../examine-job.ts'
import { jobFiles } from '../job-files.ts'
import { submit } from '../submit.ts'

type Bid = { job: JobView; priceWei: bigint; bondWei: bigint }

/** What could not be bid on is looked at again after this long, then twice as long. */
const AGAIN_MS = 5000
const LONGEST_PAUSE_MS = 600_000
const NOBODY = `0x${'00'.repeat(20)}`
/** Reverts after which there is nothing to bid on. */
const TOO_LATE = [
  'WrongState',
  'WindowClosed',
  'BidWindowClosed',
  'PriceTooHigh',
  'AlreadyAssigned',
  'NotNamed',
] as const

/** Bids on the jobs that the configuration allows and that this provider can do for its posted price. */
export function bidJob(config: ComputeConfig): Duty<Bid, ComputeContext> {
  /** Jobs that were looked at and left, until the next start. */
  const left = new Set<bigint>()
  /** Jobs whose input could not be had, or on which no bid is taken now: the others come first. */
  const later = new Map<bigint, { times: number; untilMs: number }>()
  return {
    name: 'bid-job',
    wakeOn: ['JobOpened', 'JobAssigned'],
    local: true,

    async due(ctx) {
      const { chain, self, runtime, jobs, head, signal } = ctx
      if (config.JOB_BIDS === 'none' || runtime.state().state !== 'ready') return []
      const nowSec = BigInt(head.timestampSec)
      const known = jobs.biddable(nowSec)
      forgetOthers(known)
      const times = ({ jobId }: { jobId: bigint }) => later.get(jobId)?.times ?? 0
      const wanted = known
        .filter(({ jobId, named }) => !left.has(jobId) && (config.JOB_BIDS === 'any' || named === self))
        .filter(({ jobId }) => (later.get(jobId)?.untilMs ?? 0) <= performance.now())
        .sort((a, b) => times(a) - times(b))
      const undone = jobs.own().filter((jobId) => jobs.work(jobId)?.outputTxSeq === undefined).length
      const room = Math.max(0, config.JOB_PARALLEL - undone)
      if (wanted.length === 0 || room === 0) return []
      const options = { blockTag: head.number, signal }
      const { defaultArbiter, minBondWei } = await readJobParams(chain, options)
      const arbiters = [defaultArbiter, ...config.JOB_ARBITERS]
      const bids: Bid[] = []
      for (const { jobId } of wanted) {
        if (bids.length >= room) break
        const job = await readJob(chain, jobId, options)
        if (job === undefined || (job.state !== 'open' && job.state !== 'assigned')) continue
        const fault = termsFault(ctx, { job, nowSec, arbiters })
        if (fault !== undefined) {
          leave(ctx, job, fault)
          continue
        }
        const bid = await readBid(chain, { jobId, provider: self }, options)
        // Whoever is too dear or not listed now may bid later.
        if ('refused' in bid || bid.priceWei < config.JOB_MIN_PRICE_WEI) {
          putOff(jobId)
          continue
        }
        // The bond follows the maximum price, which costs a client nothing to name: it must not be worth more than the work.
        if (bid.bondWei > minBondWei && bid.bondWei > bid.priceWei) {
          leave(ctx, job, `the bond of ${bid.bondWei} wei is above the price of ${bid.priceWei}`)
          continue
        }
        bids.push({ job, ...bid })
      }
      return bids
    },

    id: ({ job, priceWei }) => `bid-${job.jobId}-${priceWei}`,

    async perform({ job, priceWei, bondWei }, ctx) {
      const { jobId, termsHash } = job
      const nowSec = BigInt(ctx.head.timestampSec)
      const fault = await (async () => {
        try {
          return (
            (await gateFault(ctx, job.client)) ??
            (await inputFault(ctx, { job, priceWei, nowSec }, ctx.signal))
          )
        } catch (error) {
          putOff(jobId)
          throw error
        }
      })()
      if (fault !== undefined) {
        await jobFiles(ctx, jobId).remove()
        return leave(ctx, job, fault)
      }
      await submit(ctx, {
        ...bidCall(ctx.chain, { jobId, termsHash, bondWei }),
        label: `bid-${jobId}-${priceWei}`,
        done: TOO_LATE,
      })
      ctx.crashPoint('job-bid')
    },
  }

  function putOff(jobId: bigint): void {
    const times = (later.get(jobId)?.times ?? 0) + 1
    later.set(jobId, { times, untilMs: performance.now() + backoffMs(times, AGAIN_MS, LONGEST_PAUSE_MS) })
  }

  /** What is over needs no memory. */
  function forgetOthers(known: readonly { jobId: bigint }[]): void {
    const alive = new Set(known.map(({ jobId }) => jobId))
    for (const jobId of [...left, ...later.keys()]) {
      if (alive.has(jobId)) continue
      left.delete(jobId)
      later.delete(jobId)
    }
  }

  function leave({ log, self }: ComputeContext, { jobId, terms }: JobView, fault: string): void {
    left.add(jobId)
    const line = { jobId: String(jobId), fault }
    if (terms.provider === self || terms.provider === NOBODY) log.info(line, 'job left to others')
    else log.debug(line, 'job left to others')
  }
}

/** A gated model works for nobody else, whatever way the work comes. */
async function gateFault({ gate }: ComputeContext, client: string): Promise<string | undefined> {
  try {
    await gate.pass(client, undefined)
    return undefined
  } catch (error) {
    if (error instanceof ZerogError && error.code === 'COMPUTE_GATE_CLOSED') return error.message
    throw error
  }
}

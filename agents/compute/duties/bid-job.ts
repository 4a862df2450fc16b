import { bidCall } from '../../../sdk/chain/job-calls.ts'
import { type JobView, readBid, readJob, readJobParams } from '../../../sdk/chain/jobs.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import type { Duty } from '../../kernel/duty.ts'
import type { ComputeConfig } from '../config.ts'
import type { ComputeContext } from '../context.ts'
import { inputFault, termsFault } from '../examine-job.ts'
import { jobFiles } from '../job-files.ts'
import { submit } from '../submit.ts'

type Bid = { job: JobView; priceWei: bigint; bondWei: bigint }

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
  return {
    name: 'bid-job',
    wakeOn: ['JobOpened', 'JobAssigned'],
    local: true,

    async due(ctx) {
      const { chain, self, runtime, jobs, head, signal } = ctx
      if (config.JOB_BIDS === 'none' || runtime.state().state !== 'ready') return []
      const nowSec = BigInt(head.timestampSec)
      const wanted = jobs
        .biddable(nowSec)
        .filter(({ jobId, named }) => !left.has(jobId) && (config.JOB_BIDS === 'any' || named === self))
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
        if ('refused' in bid || bid.priceWei < config.JOB_MIN_PRICE_WEI) continue
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
      const fault =
        (await gateFault(ctx, job.client)) ??
        (await inputFault(ctx, { job, priceWei, nowSec: BigInt(ctx.head.timestampSec) }, ctx.signal))
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

import { answerDisputeCall } from '../../../sdk/chain/job-calls.ts'
import { type JobView, readJob } from '../../../sdk/chain/jobs.ts'
import type { Duty } from '../../kernel/duty.ts'
import { readVersion } from '../../kernel/version.ts'
import type { ComputeContext } from '../context.ts'
import { storeForJob } from '../store-output.ts'
import { submit } from '../submit.ts'

/** Answers a dispute once, with what an arbiter needs to do the work again: what ran, where, on what. */
export const answerDispute: Duty<{ job: JobView }, ComputeContext> = {
  name: 'answer-dispute',
  wakeOn: ['JobDisputed'],
  local: true,

  async due({ chain, self, jobs, head, signal }) {
    const open = jobs.own().filter((jobId) => jobs.work(jobId) !== undefined && !jobs.isAnswered(jobId))
    const read = await Promise.all(
      open.map((jobId) => readJob(chain, jobId, { blockTag: head.number, signal })),
    )
    return read.flatMap((job) =>
      job?.state === 'disputed' && job.provider === self && BigInt(head.timestampSec) < job.untilSec
        ? [{ job }]
        : [],
    )
  },

  id: ({ job }) => `dispute-${job.jobId}`,

  async perform({ job }, ctx) {
    const { jobId } = job
    const bytes = new TextEncoder().encode(evidenceOf(ctx, job))
    const { root } = await storeForJob(ctx, { jobId, bytes, minPeriods: 0n, signal: ctx.signal })
    await submit(ctx, {
      ...answerDisputeCall(ctx.chain, { jobId, evidenceRoot: root }),
      label: `answer-dispute-${jobId}`,
      done: ['WrongState', 'WindowClosed'],
    })
    ctx.log.info({ jobId: String(jobId), root }, 'dispute answered')
  },
}

/** The same text however often it is asked for, so that it is stored once. */
function evidenceOf({ config, chain, chainId, self, jobs }: ComputeContext, job: JobView): string {
  const { jobId, terms, outputRoot, outputTxSeq, outputUnits } = job
  const work = jobs.work(jobId)
  const evidence = {
    job: { chainId, escrow: chain.compute.addresses.JobEscrow, jobId, provider: self },
    model: { id: config.MODEL_ID, root: terms.modelRoot, graph: config.MODEL_FILE ?? 'default' },
    inputRoot: terms.inputRoot,
    output: {
      root: outputRoot,
      txSeq: outputTxSeq,
      units: outputUnits,
      lines: work?.lines,
      errors: work?.errors,
    },
    ran: {
      software: `zerog ${readVersion()}`,
      platform: `${process.platform} ${process.arch}`,
      startedMs: work?.startedMs,
      producedMs: work?.producedMs,
    },
    seeds: 'sha256 of "seed:<seed>", else of "<sha256 of the line, hex>:job<jobId>-line-<index>"',
  }
  return `${JSON.stringify(evidence, (_, value) => (typeof value === 'bigint' ? String(value) : value), 1)}\n`
}

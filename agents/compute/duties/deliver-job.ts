import { deliverJobCall } from '../../../sdk/chain/job-calls.ts'
import { readJob } from '../../../sdk/chain/jobs.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { describeJobOutput } from '../../../sdk/protocol/job-output.ts'
import type { Duty } from '../../kernel/duty.ts'
import type { ComputeContext } from '../context.ts'
import { jobFiles } from '../job-files.ts'
import { submit } from '../submit.ts'

/** Delivers the outputs that are sealed. */
export const deliverJob: Duty<{ jobId: bigint; txSeq: bigint }, ComputeContext> = {
  name: 'deliver-job',
  local: true,

  async due({ chain, self, jobs, head, signal }) {
    const nowSec = BigInt(head.timestampSec)
    const stored = jobs.own().flatMap((jobId) => {
      const txSeq = jobs.work(jobId)?.outputTxSeq
      return txSeq === undefined ? [] : [{ jobId, txSeq }]
    })
    const states = await Promise.all(
      stored.map(async (item) => {
        const job = await readJob(chain, item.jobId, { blockTag: head.number, signal })
        return job?.state === 'assigned' && job.provider === self && nowSec < job.untilSec ? [item] : []
      }),
    )
    return states.flat()
  },

  id: ({ jobId }) => `deliver-${jobId}`,

  async perform({ jobId, txSeq }, ctx) {
    const described = describeJobOutput(await loadHasher(), await jobFiles(ctx, jobId).output())
    await submit(ctx, {
      ...deliverJobCall(ctx.chain, { jobId, delivery: { ...described, txSeq } }),
      label: `deliver-${jobId}`,
      done: ['WrongState', 'WindowClosed'],
    })
    ctx.log.info({ jobId: String(jobId), root: described.root }, 'job delivered')
    ctx.crashPoint('job-delivered')
  },
}

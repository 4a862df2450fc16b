import { type JobView, readJob } from '../../../sdk/chain/jobs.ts'
import type { Duty } from '../../kernel/duty.ts'
import type { ComputeContext } from '../context.ts'
import { jobFiles } from '../job-files.ts'
import { runJob } from '../run-job.ts'
import { storeForJob } from '../store-output.ts'

/** Begins, or goes on with, the work on every job that is this provider's and that nobody can take away any more. */
export const workJob: Duty<{ job: JobView }, ComputeContext> = {
  name: 'work-job',
  wakeOn: ['JobAssigned'],
  local: true,

  async due({ chain, self, runtime, jobs, jobRunner, head, signal }) {
    if (runtime.state().state !== 'ready') return []
    const { manifestRoot } = runtime.current().folder
    const nowSec = BigInt(head.timestampSec)
    const idle = jobs
      .own()
      .filter((jobId) => jobs.work(jobId)?.outputTxSeq === undefined && !jobRunner.isBusy(jobId))
    const read = await Promise.all(
      idle.map((jobId) => readJob(chain, jobId, { blockTag: head.number, signal })),
    )
    return read.flatMap((job) => {
      if (job?.state !== 'assigned' || job.provider !== self) return []
      // What is answered already only needs storing, whatever runs here now.
      const isWhole = jobs.work(job.jobId)?.producedMs !== undefined
      if (!isWhole && job.terms.modelRoot !== manifestRoot) return []
      return job.bidsUntilSec <= nowSec && nowSec < job.untilSec ? [{ job }] : []
    })
  },

  id: ({ job }) => `work-${job.jobId}`,

  async perform({ job }, ctx) {
    ctx.jobRunner.start(job.jobId, async (signal) => {
      if (ctx.jobs.work(job.jobId)?.producedMs === undefined) await runJob(ctx, job, signal)
      await storeOutput(ctx, job, signal)
    })
  },
}

async function storeOutput(
  ctx: ComputeContext,
  { jobId, terms }: JobView,
  signal: AbortSignal,
): Promise<void> {
  const bytes = await jobFiles(ctx, jobId).output()
  const stored = await storeForJob(ctx, { jobId, bytes, minPeriods: terms.minStoragePeriods, signal })
  ctx.crashPoint('job-sealed')
  ctx.jobs.stored(jobId, stored.txSeq)
  ctx.log.info({ jobId: String(jobId), root: stored.root, txSeq: String(stored.txSeq) }, 'output stored')
  ctx.crashPoint('job-stored')
}

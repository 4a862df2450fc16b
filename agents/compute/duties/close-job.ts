import { closeJobCall } from '../../../sdk/chain/job-calls.ts'
import { type JobState, readJob } from '../../../sdk/chain/jobs.ts'
import type { Duty } from '../../kernel/duty.ts'
import type { ComputeContext } from '../context.ts'
import { jobFiles } from '../job-files.ts'
import { submit } from '../submit.ts'

const CLOSABLE: readonly JobState[] = ['assigned', 'delivered', 'disputed']

type Item = { jobId: bigint; isOver: boolean }

/**
 * Has jobs closed whose window is over, which credits the pay, and clears away what is left of closed ones. One that is late, too:
 * its client may never come back, and it would count among those under way for ever.
 */
export const closeJob: Duty<Item, ComputeContext> = {
  name: 'close-job',
  everyBlocks: 2,
  wakeOn: ['JobClosed'],
  local: true,

  async due({ chain, self, jobs, jobRunner, head, signal }) {
    const nowSec = BigInt(head.timestampSec)
    const own = await Promise.all(
      jobs.own().map(async (jobId) => {
        const job = await readJob(chain, jobId, { blockTag: head.number, signal })
        const isOurs = job?.provider === self && CLOSABLE.includes(job.state)
        return isOurs && job.untilSec <= nowSec ? [{ jobId, isOver: false }] : []
      }),
    )
    const over = jobs.finished().filter((jobId) => !jobRunner.isBusy(jobId))
    return [...own.flat(), ...over.map((jobId) => ({ jobId, isOver: true }))]
  },

  id: ({ jobId, isOver }) => `${isOver ? 'forget' : 'close'}-${jobId}`,

  async perform({ jobId, isOver }, ctx) {
    if (isOver) {
      await jobFiles(ctx, jobId).remove()
      ctx.jobs.forget(jobId)
      return
    }
    await submit(ctx, {
      ...closeJobCall(ctx.chain, jobId),
      label: `close-job-${jobId}`,
      done: ['WrongState'],
    })
    ctx.crashPoint('job-closed')
  },
}

import { pause, retryDelayMs } from './backoff.ts'
import type { KernelContext } from './duty.ts'
import { AttemptFailedError, type Job, type JobBoard, keyOf } from './job-board.ts'

/** Performs jobs in this process, with no Redis: for duties on what only this machine holds. */
export function createLocalJobs<C extends KernelContext>(options: {
  board: JobBoard<C>
  concurrency: number
}) {
  const { board, concurrency } = options
  const closing = new AbortController()
  const queued = new Map<string, Job<C>>()
  const active = new Map<string, Promise<void>>()

  const startMore = (): void => {
    for (const [key, job] of queued) {
      if (active.size >= concurrency || closing.signal.aborted) return
      queued.delete(key)
      const work = perform(job).finally(() => {
        active.delete(key)
        startMore()
      })
      active.set(key, work)
    }
  }

  const perform = async (job: Job<C>): Promise<void> => {
    for (let attempt = 1; !closing.signal.aborted; attempt++) {
      try {
        return await board.attempt(job, attempt)
      } catch (error) {
        if (!(error instanceof AttemptFailedError)) throw error
        await pause(retryDelayMs(attempt, job.deadline !== undefined), closing.signal).catch(() => undefined)
      }
    }
  }

  return {
    add: (jobs: readonly Job<C>[]): void => {
      for (const job of jobs) if (!active.has(keyOf(job))) queued.set(keyOf(job), job)
      startMore()
    },
    counts: () => ({ waiting: queued.size, active: active.size }),
    /** Takes no more and waits for what runs. */
    close: async (): Promise<void> => {
      closing.abort()
      queued.clear()
      await Promise.all(active.values())
    },
  }
}

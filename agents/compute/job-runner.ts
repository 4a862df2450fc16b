import { errorCode } from '../../sdk/protocol/errors.ts'
import { backoffMs } from '../kernel/backoff.ts'
import type { Log } from '../kernel/log.ts'

/** Work that takes longer than a duty may: one piece per job at a time, ended with the agent. */
export type JobRunner = {
  /** Starts the work unless it runs, or has failed a moment ago. */
  start(jobId: bigint, work: (signal: AbortSignal) => Promise<void>): void
  isBusy(jobId: bigint): boolean
  stop(): Promise<void>
}

const LONGEST_PAUSE_MS = 30_000

export function createJobRunner({ log, signal }: { log: Log; signal: AbortSignal }): JobRunner {
  const stopping = new AbortController()
  const abort = AbortSignal.any([signal, stopping.signal])
  const running = new Map<bigint, Promise<void>>()
  const failed = new Map<bigint, { failures: number; untilMs: number }>()

  async function perform(jobId: bigint, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    try {
      await work(abort)
      failed.delete(jobId)
    } catch (error) {
      if (abort.aborted) return
      const failures = (failed.get(jobId)?.failures ?? 0) + 1
      failed.set(jobId, { failures, untilMs: performance.now() + backoffMs(failures, 500, LONGEST_PAUSE_MS) })
      log.warn(
        { jobId: String(jobId), code: errorCode(error), failures, err: error },
        'job failed, trying again',
      )
    } finally {
      running.delete(jobId)
    }
  }

  return {
    isBusy: (jobId) => running.has(jobId) || performance.now() < (failed.get(jobId)?.untilMs ?? 0),
    start(jobId, work) {
      if (abort.aborted || this.isBusy(jobId)) return
      running.set(jobId, perform(jobId, work))
    },
    async stop() {
      stopping.abort()
      await Promise.all(running.values())
    },
  }
}

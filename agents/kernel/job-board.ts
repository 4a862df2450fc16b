import { errorCode, isZerogError } from '../../sdk/protocol/errors.ts'
import type { AnyDuty, KernelContext } from './duty.ts'
import type { HeadTracker } from './head.ts'
import type { Log } from './log.ts'
import type { KernelMetrics } from './metrics.ts'
import type { Head } from './rpc.ts'

export type JobOutcome = 'performed' | 'already_done' | 'failed' | 'expired'

/** What became of the last finished job of a duty. */
export type LastResult = {
  readonly id: string
  readonly outcome: JobOutcome
  readonly code?: string
  readonly block: number
}

/** One item of a duty on its way to be performed. */
export type Job<C extends KernelContext> = {
  readonly duty: AnyDuty<C>
  readonly id: string
  readonly item: unknown
  readonly deadline: bigint | undefined
}

/** Thrown by an attempt that should be made again. */
export class AttemptFailedError extends Error {
  override readonly name = 'AttemptFailedError'
}

export declare namespace createJobBoard {
  type Options<C extends KernelContext> = {
    contextAt: (head: Head, log: Log) => C
    heads: HeadTracker
    log: Log
    metrics: KernelMetrics
  }
}

/** Errors that carry no code of ours may be a bug; they are not repeated forever. */
const UNKNOWN_ERROR_ATTEMPTS = 5
const HOLD_BLOCKS = 4
const MAX_HOLD_BLOCKS = 256
/** How long the outcome of a job is remembered; only a duty that was read before it can name it again. */
const MEMORY_BLOCKS = 1024

/**
 * What is running, done or given up in this process, and how one attempt ends. Both queues share it.
 *
 * Nothing here is durable: chain state decides what is due, this only keeps one item from being performed twice at once,
 * from running again on a reading that is older than its completion, and from being tried at every block after it failed
 * for good.
 */
export function createJobBoard<C extends KernelContext>({
  contextAt,
  heads,
  log,
  metrics,
}: createJobBoard.Options<C>) {
  const running = new Set<string>()
  const idlers: (() => void)[] = []
  const doneAt = new Map<string, number>()
  const held = new Map<string, { failures: number; untilBlock: number; block: number }>()
  const last = new Map<string, LastResult>()

  const finish = (job: Job<C>, outcome: JobOutcome, code?: string): void => {
    const block = heads.current().number
    metrics.jobs.inc({ duty: job.duty.name, outcome })
    last.set(job.duty.name, { id: job.id, outcome, block, ...(code === undefined ? {} : { code }) })
    if (outcome === 'performed' || outcome === 'already_done') {
      doneAt.set(keyOf(job), block)
      held.delete(keyOf(job))
      if (job.deadline !== undefined)
        metrics.deadlineMarginBlocks.set({ duty: job.duty.name }, Number(job.deadline) - block)
      return
    }
    const failures = (held.get(keyOf(job))?.failures ?? 0) + 1
    const untilBlock = block + Math.min(HOLD_BLOCKS * 2 ** Math.min(failures - 1, 16), MAX_HOLD_BLOCKS)
    held.set(keyOf(job), { failures, untilBlock, block })
  }

  const isLate = (job: Job<C>, head: Head): boolean =>
    job.deadline !== undefined && BigInt(head.number) > job.deadline

  const concerns = (job: Job<C>, error: unknown): JobOutcome | 'again' => {
    const code = errorCode(error)
    if (job.duty.alreadyDone?.includes(code)) return 'already_done'
    if (code === 'DEADLINE_PASSED') return 'expired'
    if (code === 'ABORTED') return 'again'
    if (isZerogError(error)) return error.retryable ? 'again' : 'failed'
    return 'again'
  }

  return {
    /** Whether the item should be queued, going by what this process knows; `head` is what `due` was read at. */
    wants: (job: Job<C>, head: Head): boolean => {
      const key = keyOf(job)
      if (running.has(key)) return false
      if ((doneAt.get(key) ?? -1) >= head.number) return false
      if ((held.get(key)?.untilBlock ?? -1) > head.number) return false
      if (!isLate(job, head)) return true
      finish(job, 'expired')
      return false
    },
    /**
     * Makes one attempt. Resolves when the job is over, whatever its outcome; throws AttemptFailedError when it should
     * be tried again. `attempt` counts from 1.
     */
    attempt: async (job: Job<C>, attempt: number): Promise<void> => {
      const key = keyOf(job)
      if (running.has(key)) return
      const head = heads.current()
      if (isLate(job, head)) return finish(job, 'expired')
      const jobLog = log.child({ duty: job.duty.name, job: job.id })
      const startedAt = performance.now()
      running.add(key)
      try {
        await job.duty.perform(job.item, contextAt(head, jobLog))
        finish(job, 'performed')
        jobLog.info({ ms: Math.round(performance.now() - startedAt) }, 'job performed')
      } catch (error) {
        const code = errorCode(error)
        const found = concerns(job, error)
        const outcome =
          found === 'again' && !isZerogError(error) && attempt >= UNKNOWN_ERROR_ATTEMPTS ? 'failed' : found
        metrics.errors.inc({ code })
        if (outcome === 'again') {
          metrics.jobs.inc({ duty: job.duty.name, outcome: 'retried' })
          jobLog.warn({ code, attempt, err: error }, 'job failed, trying again')
          throw new AttemptFailedError(code, { cause: error })
        }
        finish(job, outcome, code)
        if (outcome === 'failed') jobLog.error({ code, attempt, err: error }, 'job failed')
        else jobLog.info({ code, outcome }, 'job over')
      } finally {
        running.delete(key)
        if (running.size === 0) for (const wake of idlers.splice(0)) wake()
        metrics.jobSeconds.observe({ duty: job.duty.name }, (performance.now() - startedAt) / 1000)
      }
    },
    runningCount: () => running.size,
    /** Resolves when nothing is being performed. */
    idle: (): Promise<void> =>
      new Promise((resolve) => {
        if (running.size === 0) resolve()
        else idlers.push(resolve)
      }),
    lastResults: (): ReadonlyMap<string, LastResult> => last,
    /** Forgets what is too old to matter. */
    prune: (head: Head): void => {
      for (const [key, block] of doneAt) if (block < head.number - MEMORY_BLOCKS) doneAt.delete(key)
      for (const [key, { block }] of held) if (block < head.number - MEMORY_BLOCKS) held.delete(key)
    },
  }
}

export type JobBoard<C extends KernelContext> = ReturnType<typeof createJobBoard<C>>

/** The job's id over all duties. */
export function keyOf<C extends KernelContext>(job: Pick<Job<C>, 'duty' | 'id'>): string {
  return `${job.duty.name}-${job.id}`
}

/** Reads one due item. A duty whose ids break the rules is a bug and throws. */
export function toJob<T, C extends KernelContext>(duty: AnyDuty<C>, item: T): Job<C> {
  const id = duty.id(item)
  if (id === '' || id.includes(':') || /^\d+$/.test(id))
    throw new RangeError(`duty ${duty.name}: bad job id "${id}"`)
  const deadline = duty.deadline?.(item)
  return { duty, id, item, deadline: deadline === undefined ? undefined : BigInt(deadline) }
}

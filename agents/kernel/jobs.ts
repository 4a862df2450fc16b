import { type Job as BullJob, Queue, Worker } from 'bullmq'
import { backoffMs, retryDelayMs } from './backoff.ts'
import type { AnyDuty, KernelContext } from './duty.ts'
import { type Job, type JobBoard, keyOf, toJob } from './job-board.ts'
import { createLocalJobs } from './local-jobs.ts'
import type { Log } from './log.ts'
import type { RedisAddress } from './redis.ts'
import type { Head } from './rpc.ts'

/** How many jobs wait, run, or wait to be tried again. */
export type JobCounts = { readonly waiting: number; readonly active: number; readonly delayed: number }

export type Jobs<C extends KernelContext> = {
  /** Queues the items that are not queued, running or settled yet; rejects while Redis is away. */
  add(duty: AnyDuty<C>, items: readonly unknown[], head: Head): Promise<number>
  counts(): Promise<JobCounts>
  /** Takes no more jobs and waits for those that run, `timeoutMs` at most. */
  close(timeoutMs: number): Promise<void>
}

export declare namespace createJobs {
  type Options<C extends KernelContext> = {
    /** Name of the queue: the agent's. */
    queue: string
    chainId: bigint
    operator: string
    connection: RedisAddress
    duties: readonly AnyDuty<C>[]
    board: JobBoard<C>
    concurrency: number
    log: Log
  }
}

type Payload = { item: string; deadline?: string }

/** A retry goes on until the deadline; the number only has to be out of reach. */
const ATTEMPTS = 1_000_000
const COMMAND_TIMEOUT_MS = 5000

/**
 * Opens the queue of an operator's agent on Redis and starts to work on it.
 *
 * Every process of the operator that opens it shares the work. Finished jobs are removed, so that only chain state
 * remembers what is done; a Redis that restarts empty loses nothing, since the next head derives the jobs again.
 */
export async function createJobs<C extends KernelContext>(options: createJobs.Options<C>): Promise<Jobs<C>> {
  const { queue: name, chainId, operator, connection, duties, board, concurrency, log } = options
  const prefix = `zerog-${chainId}-${operator.toLowerCase()}`
  const byName = new Map(duties.map((duty) => [duty.name, duty]))
  const retryStrategy = (attempt: number): number => backoffMs(attempt, 50, 1000)

  const queue = new Queue<Payload>(name, {
    // Adding fails at once while Redis is away; the next head adds again.
    connection: {
      ...connection,
      retryStrategy,
      enableOfflineQueue: false,
      commandTimeout: COMMAND_TIMEOUT_MS,
    },
    prefix,
    skipVersionCheck: true,
    defaultJobOptions: {
      attempts: ATTEMPTS,
      backoff: { type: 'capped' },
      removeOnComplete: true,
      removeOnFail: true,
      stackTraceLimit: 1,
    },
  })
  queue.on('error', (error) => log.debug({ err: error }, 'job queue lost redis'))
  // A Redis that is away must not keep the agent from starting: HTTP and local duties do without it.
  await within(dropOrphans(queue, log), COMMAND_TIMEOUT_MS)

  const process = async (bullJob: BullJob<Payload>): Promise<void> => {
    const duty = byName.get(bullJob.name)
    // A newer process of the same operator may know duties that this one does not.
    if (!duty) throw new Error(`unknown duty ${bullJob.name}`)
    const { item, deadline } = bullJob.data
    const job = {
      ...toJob(duty, decodeItem(item)),
      deadline: deadline === undefined ? undefined : BigInt(deadline),
    }
    await board.attempt(job, bullJob.attemptsMade + 1)
  }
  const worker = new Worker<Payload>(name, process, {
    connection: { ...connection, retryStrategy, maxRetriesPerRequest: null },
    prefix,
    skipVersionCheck: true,
    concurrency,
    lockDuration: 30_000,
    stalledInterval: 10_000,
    // A job is only ever stalled by the death of its process; chain state says when it is of no more use.
    maxStalledCount: ATTEMPTS,
    runRetryDelay: 1000,
    settings: {
      backoffStrategy: (attempt, _type, _error, job) =>
        retryDelayMs(attempt, job?.data.deadline !== undefined),
    },
  })
  worker.on('error', (error) => log.debug({ err: error }, 'job worker lost redis'))
  worker.on('stalled', (id) => log.warn({ job: id }, 'job stalled, taken over'))
  const local = createLocalJobs({ board, concurrency })

  return {
    add: async (duty, items, head) => {
      const wanted = items.map((item) => toJob(duty, item)).filter((job) => board.wants(job, head))
      if (duty.local) local.add(wanted)
      else if (wanted.length > 0) await queue.addBulk(wanted.map(toBull))
      return wanted.length
    },
    counts: async () => {
      const inProcess = local.counts()
      const { waiting = 0, prioritized = 0, active = 0, delayed = 0 } = await queue.getJobCounts()
      return {
        waiting: waiting + prioritized + inProcess.waiting,
        active: active + inProcess.active,
        delayed,
      }
    },
    close: async (timeoutMs) => {
      await within(worker.pause(true), COMMAND_TIMEOUT_MS)
      const finished = await within(Promise.all([local.close(), board.idle()]), timeoutMs)
      if (!finished)
        log.warn(
          { running: board.runningCount() },
          'stopping with jobs unfinished; chain state brings them back',
        )
      await within(worker.close(!finished), COMMAND_TIMEOUT_MS)
      await within(queue.close(), COMMAND_TIMEOUT_MS)
    },
  }
}

/** Writes an item as JSON that keeps bigints. */
export function encodeItem(item: unknown): string {
  return JSON.stringify(item, (_, value) => (typeof value === 'bigint' ? { $bigint: String(value) } : value))
}

/** Reads what {@link encodeItem} wrote. */
export function decodeItem(text: string): unknown {
  return JSON.parse(text, (_, value) => {
    const tagged =
      typeof value === 'object' && value !== null && '$bigint' in value && typeof value.$bigint === 'string'
    return tagged ? BigInt(value.$bigint) : value
  })
}

function toBull<C extends KernelContext>(job: Job<C>) {
  const data: Payload = {
    item: encodeItem(job.item),
    ...(job.deadline === undefined ? {} : { deadline: String(job.deadline) }),
  }
  return { name: job.duty.name, data, opts: { jobId: keyOf(job) } }
}

/**
 * A killed process leaves jobs locked for a while. With no other worker about, all of them may go.
 *
 * Emptying a queue pauses it first; a process that died between the two, or a failure, must not leave it so.
 */
async function dropOrphans(queue: Queue, log: Log): Promise<void> {
  try {
    if ((await queue.getWorkersCount()) === 0) await queue.obliterate({ force: true })
  } catch (error) {
    log.warn({ err: error }, 'could not clear the job queue')
  }
  await queue.resume().catch((error: unknown) => log.warn({ err: error }, 'could not resume the job queue'))
}

async function within(work: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((done) => {
    timer = setTimeout(done, timeoutMs, false)
  })
  try {
    return await Promise.race([
      work.then(
        () => true,
        () => true,
      ),
      late,
    ])
  } finally {
    clearTimeout(timer)
  }
}

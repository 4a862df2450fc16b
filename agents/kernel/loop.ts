import { errorCode } from '../../sdk/protocol/errors.ts'
import { backoffMs } from './backoff.ts'
import type { AnyDuty, KernelContext } from './duty.ts'
import type { HeadTracker } from './head.ts'
import type { Jobs } from './jobs.ts'
import type { Log } from './log.ts'
import type { KernelMetrics } from './metrics.ts'
import type { Head } from './rpc.ts'

/** How the reading of one duty stands. */
export type DutyState = {
  readonly name: string
  /** Block of the last complete reading; undefined before the first. */
  readonly readAt: number | undefined
  /** Items due at that block. */
  readonly due: number
  /** Code of the error of the last reading. */
  readonly code?: string
}

export type DutyLoop = {
  /** Reads the duties that wait for any of these events, without waiting for `everyBlocks`. */
  wake(events: ReadonlySet<string>): void
  states(): DutyState[]
  /** Starts no more readings and waits for those under way. */
  stop(): Promise<void>
}

export declare namespace startLoop {
  type Options<C extends KernelContext> = {
    duties: readonly AnyDuty<C>[]
    contextAt: (head: Head, log: Log) => C
    jobs: Jobs<C>
    heads: HeadTracker
    log: Log
    metrics: KernelMetrics
    /** Called on each head before the duties are read. */
    onHead?: (head: Head) => void
  }
}

/**
 * Reads what is due on every new head and queues it.
 *
 * A duty is never read twice at once; heads that come meanwhile are dropped on purpose and only the newest is read. A
 * duty whose `due` throws is logged and read again; the others do not notice.
 */
export function startLoop<C extends KernelContext>(options: startLoop.Options<C>): DutyLoop {
  const { duties, heads, metrics, onHead } = options
  const readers = duties.map((duty) => createReader(duty, options))
  const readAll = (): void => {
    const head = heads.current()
    metrics.headBlock.set(head.number)
    onHead?.(head)
    for (const reader of readers) reader.consider(false)
  }
  const unsubscribe = heads.subscribe(readAll)
  readAll()

  return {
    wake: (events) => {
      for (const reader of readers) if (reader.listensTo(events)) reader.consider(true)
    },
    states: () => readers.map((reader) => reader.state()),
    stop: async () => {
      unsubscribe()
      await Promise.all(readers.map((reader) => reader.stop()))
    },
  }
}

function createReader<C extends KernelContext>(
  duty: AnyDuty<C>,
  { contextAt, jobs, heads, log: parent, metrics }: startLoop.Options<C>,
) {
  const log = parent.child({ duty: duty.name })
  let state: DutyState = { name: duty.name, readAt: undefined, due: 0 }
  let current: Promise<void> | undefined
  let again: 'no' | 'head' | 'woken' = 'no'
  let failures = 0
  let retry: NodeJS.Timeout | undefined
  let stopped = false

  const isTime = (head: Head): boolean => {
    if (state.readAt === undefined || failures > 0) return true
    // A head below the last one read is a reorg.
    return head.number >= state.readAt + (duty.everyBlocks ?? 1) || head.number <= state.readAt
  }

  const read = async (): Promise<void> => {
    const head = heads.current()
    try {
      const items = await duty.due(contextAt(head, log))
      metrics.dutyDue.inc({ duty: duty.name }, items.length)
      await jobs.add(duty, items, head)
      state = { name: duty.name, readAt: head.number, due: items.length }
      failures = 0
    } catch (error) {
      if (stopped) return
      failures++
      const code = errorCode(error)
      metrics.errors.inc({ code })
      state = { ...state, code }
      log.warn({ code, failures, err: error }, 'duty could not be read, trying again')
      // The next head tries again; a chain that stands still must not end it.
      clearTimeout(retry)
      retry = setTimeout(() => consider(true), backoffMs(failures, 500, 10_000))
    }
  }

  const consider = (woken: boolean): void => {
    if (stopped) return
    if (current) {
      if (again !== 'woken') again = woken ? 'woken' : 'head'
      return
    }
    if (!woken && !isTime(heads.current())) return
    current = read().finally(() => {
      current = undefined
      const next = again
      again = 'no'
      if (next !== 'no') consider(next === 'woken')
    })
  }

  return {
    consider,
    listensTo: (events: ReadonlySet<string>): boolean =>
      duty.wakeOn?.some((event) => events.has(event)) ?? false,
    state: () => state,
    stop: async (): Promise<void> => {
      stopped = true
      clearTimeout(retry)
      await current
    },
  }
}

import { errorCode } from '../../sdk/protocol/errors.ts'
import { backoffMs } from './backoff.ts'
import type { Log } from './log.ts'

export type Ticker = {
  /** Runs as soon as the current run is over, without waiting for the interval. */
  trigger(): void
  /** Ends the loop and waits for the run in progress. */
  stop(): Promise<void>
}

export declare namespace startTicker {
  type Options = {
    name: string
    intervalMs: number
    signal: AbortSignal
    log: Log
    /** Never runs twice at once. A throw is logged, and the next run waits longer. */
    tick: () => Promise<void>
  }
}

/** The one loop of the kernel: serial, interruptible, triggerable; it outlives every error of its work. */
export function startTicker({ name, intervalMs, signal, log, tick }: startTicker.Options): Ticker {
  let stopped = false
  let triggered = false
  let wake: (() => void) | undefined
  const interrupt = (): void => wake?.()

  const sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  const run = async (): Promise<void> => {
    for (let failures = 0; !stopped && !signal.aborted; ) {
      triggered = false
      try {
        await tick()
        failures = 0
      } catch (error) {
        if (stopped || signal.aborted) return
        failures++
        const code = errorCode(error)
        log.warn({ loop: name, code, failures, err: error }, 'loop failed, trying again')
      }
      if (stopped || signal.aborted || triggered) continue
      await sleep(failures === 0 ? intervalMs : Math.max(intervalMs, backoffMs(failures, 200, 10_000)))
    }
  }

  signal.addEventListener('abort', interrupt, { once: true })
  const running = run()
  return {
    trigger: () => {
      triggered = true
      interrupt()
    },
    stop: async () => {
      stopped = true
      interrupt()
      await running
      signal.removeEventListener('abort', interrupt)
    },
  }
}

import { setImmediate } from 'node:timers/promises'

/** How long work may keep the process from everybody else. */
const TURN_MS = 10

/** Called between the parts of long work in this process: lets others have a turn now and then. Error: the signal's. */
export function createBreather(): (signal: AbortSignal) => Promise<void> {
  let sinceMs = performance.now()
  return async (signal) => {
    if (performance.now() - sinceMs < TURN_MS) return
    await setImmediate()
    signal.throwIfAborted()
    sinceMs = performance.now()
  }
}

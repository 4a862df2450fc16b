import { setTimeout as delay } from 'node:timers/promises'
import { ZerogError } from '../../sdk/protocol/errors.ts'

/** Milliseconds before attempt `attempt` (1 is the first retry): doubles up to `maxMs`, with half of it at random. */
export function backoffMs(attempt: number, baseMs = 100, maxMs = 30_000): number {
  const full = Math.min(maxMs, baseMs * 2 ** Math.min(attempt - 1, 30))
  return Math.round(full / 2 + (Math.random() * full) / 2)
}

/** Milliseconds before a job is tried again; one with a deadline may have seconds left, so it never waits long. */
export function retryDelayMs(attempt: number, hasDeadline: boolean): number {
  return backoffMs(attempt, 500, hasDeadline ? 2000 : 30_000)
}

/** Waits `ms`; rejects with ABORTED when the signal fires first. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal })
  } catch (cause) {
    throw new ZerogError('ABORTED', undefined, { cause })
  }
}

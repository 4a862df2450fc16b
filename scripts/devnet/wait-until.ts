import { setTimeout as delay } from 'node:timers/promises'

type WaitOptions = {
  what: string
  timeoutMs: number
  everyMs?: number
  signal?: AbortSignal
  fatal?: (error: unknown) => boolean
}

/** Asks again and again until `probe` gives a value; throws with the last reason once the time is over. */
export async function waitUntil<T>(probe: () => Promise<T | undefined>, options: WaitOptions): Promise<T> {
  const deadline = Date.now() + options.timeoutMs
  let reason: unknown
  for (;;) {
    options.signal?.throwIfAborted()
    try {
      const value = await probe()
      if (value !== undefined) return value
    } catch (error) {
      if (options.fatal?.(error) === true) throw error
      reason = error
    }
    if (Date.now() > deadline) {
      throw new Error(`${options.what}: not within ${options.timeoutMs / 1000} s`, { cause: reason })
    }
    await delay(options.everyMs ?? 100, undefined, options.signal && { signal: options.signal })
  }
}

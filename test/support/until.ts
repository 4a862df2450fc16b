import { setTimeout as delay } from 'node:timers/promises'

/** Polls `check` until it gives something truthy, which is returned; throws with `what` when the time is over. */
export async function until<T>(
  what: string,
  check: () => T | Promise<T>,
  timeoutMs = 30_000,
): Promise<Exclude<T, undefined | null | false>> {
  const giveUpAt = performance.now() + timeoutMs
  for (let last: unknown; ; ) {
    try {
      const value = await check()
      if (value !== undefined && value !== null && value !== false)
        return value as Exclude<T, undefined | null | false>
    } catch (error) {
      last = error
    }
    if (performance.now() > giveUpAt) throw new Error(`timed out waiting until ${what}`, { cause: last })
    await delay(20)
  }
}

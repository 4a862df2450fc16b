/** Values that are read from elsewhere and remembered for a moment. */
export type FreshCache<T> = {
  /** Fresh values at once; older ones at once too, while the next is on its way; others when they are read. */
  get(key: string, load: () => Promise<T>): Promise<T>
  /** The next `get` of the key reads. */
  forget(key: string): void
  clear(): void
}

type Entry<T> = { value: T; readMs: number; pending: Promise<T> | undefined }

/** Stale by this many times the cache's age, a value is not given out any more. */
const STALE_TIMES = 10
const MAX_ENTRIES = 10_000

/** A cache whose values are fresh for `cacheMs`. */
export function createFreshCache<T>(cacheMs: number): FreshCache<T> {
  const entries = new Map<string, Entry<T>>()

  function refresh(key: string, load: () => Promise<T>): Promise<T> {
    const startedMs = performance.now()
    const old = entries.get(key)
    const pending = load()
      .then((value) => {
        // A forgotten entry stays forgotten: what was read before may be older than what forgot it.
        if (entries.get(key)?.pending === pending)
          entries.set(key, { value, readMs: startedMs, pending: undefined })
        return value
      })
      .catch((error: unknown) => {
        const entry = entries.get(key)
        if (entry?.pending === pending) entries.set(key, { ...entry, pending: undefined })
        throw error
      })
    const never = Number.NEGATIVE_INFINITY
    entries.set(key, { value: old?.value as T, readMs: old?.readMs ?? never, pending })
    const oldest = entries.keys().next().value
    if (entries.size > MAX_ENTRIES && oldest !== undefined) entries.delete(oldest)
    return pending
  }

  return {
    async get(key, load) {
      const entry = entries.get(key)
      const ageMs = entry === undefined ? Number.POSITIVE_INFINITY : performance.now() - entry.readMs
      if (entry !== undefined && ageMs < cacheMs) return entry.value
      const pending = entry?.pending ?? refresh(key, load)
      if (entry === undefined || ageMs > cacheMs * STALE_TIMES) return pending
      pending.catch(() => undefined)
      return entry.value
    },
    forget: (key) => void entries.delete(key),
    clear: () => entries.clear(),
  }
}

import {
  type InferenceAccount,
  readInferenceAccount,
  readService,
  type ServiceView,
} from '../../sdk/chain/compute.ts'
import type { ComputeChain } from '../../sdk/chain/compute-chain.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'

/** This provider's service as it counts on chain now. */
export type ListedService = ServiceView & { readonly priceEpoch: bigint }

/** What the chain says about accounts and the service, remembered for a moment. */
export type Accounts = {
  /** Undefined when the user has no account here. Errors: RPC_UNREACHABLE, TIMEOUT. */
  read(user: string): Promise<InferenceAccount | undefined>
  /** Errors: COMPUTE_UNAVAILABLE while nothing is listed; RPC_UNREACHABLE, TIMEOUT. */
  service(): Promise<ListedService>
  /** The next read of the user asks the chain. */
  forget(user: string): void
  forgetService(): void
}

export declare namespace createAccounts {
  type Options = { chain: ComputeChain; provider: string; cacheMs: number; signal: AbortSignal }
}

type Entry<T> = { value: T; readMs: number; pending: Promise<T> | undefined }

/** Stale by this many times the cache's age, a value is not given out any more. */
const STALE_TIMES = 10
const MAX_ACCOUNTS = 10_000

export function createAccounts({ chain, provider, cacheMs, signal }: createAccounts.Options): Accounts {
  const entries = new Map<string, Entry<InferenceAccount | undefined>>()
  const services = new Map<string, Entry<ListedService | undefined>>()

  /** Fresh values at once; older ones at once too, while the next is on its way; others when they are read. */
  async function cached<T>(map: Map<string, Entry<T>>, key: string, load: () => Promise<T>): Promise<T> {
    const entry = map.get(key)
    const ageMs = entry === undefined ? Number.POSITIVE_INFINITY : performance.now() - entry.readMs
    if (entry !== undefined && ageMs < cacheMs) return entry.value
    const pending = entry?.pending ?? refresh(map, key, load)
    if (entry === undefined || ageMs > cacheMs * STALE_TIMES) return pending
    pending.catch(() => undefined)
    return entry.value
  }

  function refresh<T>(map: Map<string, Entry<T>>, key: string, load: () => Promise<T>): Promise<T> {
    const startedMs = performance.now()
    const old = map.get(key)
    const pending = load()
      .then((value) => {
        // A forgotten entry stays forgotten: what was read before may be older than what forgot it.
        if (map.get(key)?.pending === pending) map.set(key, { value, readMs: startedMs, pending: undefined })
        return value
      })
      .catch((error: unknown) => {
        const entry = map.get(key)
        if (entry?.pending === pending) map.set(key, { ...entry, pending: undefined })
        throw error
      })
    const never = Number.NEGATIVE_INFINITY
    map.set(key, { value: old?.value as T, readMs: old?.readMs ?? never, pending })
    const oldest = map.keys().next().value
    if (map.size > MAX_ACCOUNTS && oldest !== undefined) map.delete(oldest)
    return pending
  }

  return {
    read: (user) => cached(entries, user, () => readInferenceAccount(chain, { user, provider }, { signal })),
    async service() {
      const service = await cached(services, '', () => readService(chain, provider, { signal }))
      if (service) return service
      throw new ZerogError('COMPUTE_UNAVAILABLE', 'this provider has not listed its service yet')
    },
    forget: (user) => void entries.delete(user),
    forgetService: () => services.clear(),
  }
}

import {
  type InferenceAccount,
  readInferenceAccount,
  readPendingService,
  readService,
  type ServiceView,
} from '../../sdk/chain/compute.ts'
import type { ComputeChain } from '../../sdk/chain/compute-chain.ts'
import { read } from '../../sdk/chain/read.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { POSTING_SEC } from './config.ts'
import { createFreshCache } from './fresh-cache.ts'

/** This provider's service as it counts on chain now. */
export type ListedService = ServiceView & {
  readonly priceEpoch: bigint
  /** Prices that come so soon that nothing can be posted for certain before they do. */
  readonly next?: Pick<ServiceView, 'inputPriceWei' | 'outputPriceWei'> | undefined
}

/** What the chain says about accounts and the service, remembered for a moment. */
export type Accounts = {
  /** Undefined when the user has no account here. Errors: RPC_UNREACHABLE, TIMEOUT. */
  read(user: string): Promise<InferenceAccount | undefined>
  /** Errors: COMPUTE_UNAVAILABLE while nothing is listed, or settlements are refused; RPC_UNREACHABLE, TIMEOUT. */
  service(): Promise<ListedService>
  /** The next read of the user asks the chain. */
  forget(user: string): void
  forgetService(): void
}

export declare namespace createAccounts {
  type Options = { chain: ComputeChain; provider: string; cacheMs: number; signal: AbortSignal }
}

export function createAccounts({ chain, provider, cacheMs, signal }: createAccounts.Options): Accounts {
  const entries = createFreshCache<InferenceAccount | undefined>(cacheMs)
  const services = createFreshCache<ListedService | undefined>(cacheMs)

  async function load(): Promise<ListedService | undefined> {
    const [service, pending, block] = await Promise.all([
      readService(chain, provider, { signal }),
      readPendingService(chain, provider, { signal }),
      read(chain.provider.getBlock('latest'), { signal }),
    ])
    const isSoon = pending && Number(pending.fromSec) - (block?.timestamp ?? 0) < POSTING_SEC
    return service && { ...service, next: isSoon ? pending : undefined }
  }

  return {
    read: (user) => entries.get(user, () => readInferenceAccount(chain, { user, provider }, { signal })),
    async service() {
      const service = await services.get('', load)
      if (service === undefined)
        throw new ZerogError('COMPUTE_UNAVAILABLE', 'this provider has not listed its service yet')
      // The contract would take no settlement of it, and users may leave before it does again.
      if (!service.isAcknowledged)
        throw new ZerogError('COMPUTE_UNAVAILABLE', 'the service is stopped, or its stake is too low')
      return service
    },
    forget: entries.forget,
    forgetService: services.clear,
  }
}

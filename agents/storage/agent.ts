import { join } from 'node:path'
import { addressesOf, loadAddressBookOf } from '../../sdk/chain/address-book-node.ts'
import { connectChain } from '../../sdk/chain/connect.ts'
import { loadErasureEngine } from '../../sdk/protocol/erasure-wasm.ts'
import { loadHasher } from '../../sdk/protocol/hasher.ts'
import { type AgentHandle, type AgentOptions, startAgent } from '../kernel/agent.ts'
import type { KernelContext } from '../kernel/duty.ts'
import { crashPoint } from '../kernel/fault.ts'
import { loadWallet } from '../kernel/keystore.ts'
import { addRoutes, EXPOSED_HEADERS } from './api.ts'
import type { StorageConfig } from './config.ts'
import type { StorageContext } from './context.ts'
import { openCustodyBook } from './custody-book.ts'
import { openDealIndex } from './deal-index.ts'
import { storageDuties } from './duties/all.ts'
import { openFolderShards } from './folder-shards.ts'
import { createStorageMetrics } from './metrics.ts'
import { createPeers } from './peers.ts'
import { readProblems, warnOfProblems } from './standing.ts'

/** An upload is many chunks; what bounds them is the number at the same time. */
const REQUESTS_PER_MINUTE = 60_000

/** A storage provider's agent, for `runAgent` (a process of its own) or `startAgent`. */
export function storageAgent(config: StorageConfig): AgentOptions<StorageContext> {
  const bookOf = (chainId: bigint) => loadAddressBookOf(chainId, config.ADDRESS_BOOK)

  return {
    name: 'storage',
    config,
    duties: storageDuties(config),
    routes: addRoutes,
    exposedHeaders: EXPOSED_HEADERS,
    limits: { perMinute: REQUESTS_PER_MINUTE },

    addresses: async (chainId) => addressesOf(await bookOf(chainId)),

    async makeContext(kernel: KernelContext): Promise<StorageContext> {
      const { provider, store, signal, self, log } = kernel
      const [addressBook, wallet, hasher, erasure] = await Promise.all([
        bookOf(kernel.chainId),
        loadWallet(config),
        loadHasher(),
        loadErasureEngine(),
      ])
      const chain = await connectChain({ provider, addressBook, signal })
      const crash = (name: string): void => crashPoint(name, config.DATA_DIR)
      const shards = await openFolderShards({
        folder: join(config.DATA_DIR, 'shards'),
        store,
        hasher,
        capacityBytes: config.CAPACITY_BYTES,
        crashPoint: crash,
      })
      void warnOfProblems(chain, { self, publicUrl: config.PUBLIC_URL, signal, log })
      return {
        ...kernel,
        config,
        chain,
        wallet,
        hasher,
        erasure,
        shards,
        index: openDealIndex(store),
        book: openCustodyBook(store),
        peers: createPeers({ chain, wallet, hasher, timeoutMs: config.PEER_TIMEOUT_MS }),
        storageMetrics: createStorageMetrics(kernel.metrics.registry, shards),
        crashPoint: crash,
      }
    },

    followers: ({ index, chain }) => [index.follower(chain.book)],

    problems: ({ chain, self, signal }) =>
      readProblems(chain, { self, publicUrl: config.PUBLIC_URL, signal }),

    status({ shards }) {
      return {
        shards: shards.counts(),
        usedBytes: shards.usedBytes(),
        capacityBytes: shards.capacityBytes,
      }
    },
  }
}

/** Starts a storage agent in this process. Errors: those of the kernel's `startAgent`, ADDRESS_BOOK_INVALID. */
export function startStorageAgent(config: StorageConfig): Promise<AgentHandle<StorageContext>> {
  return startAgent(storageAgent(config))
}

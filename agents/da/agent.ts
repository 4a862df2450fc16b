import { join } from 'node:path'
import { addressesOf, loadAddressBookOf } from '../../sdk/chain/address-book-node.ts'
import { connectChain } from '../../sdk/chain/connect.ts'
import { connectDa } from '../../sdk/chain/da-chain.ts'
import { read } from '../../sdk/chain/read.ts'
import { loadNodeKzg } from '../../sdk/client/kzg-node.ts'
import { loadHasher } from '../../sdk/protocol/hasher.ts'
import { type AgentHandle, type AgentOptions, startAgent } from '../kernel/agent.ts'
import type { KernelContext } from '../kernel/duty.ts'
import { crashPoint } from '../kernel/fault.ts'
import { loadWallet } from '../kernel/keystore.ts'
import { addRoutes } from './api.ts'
import { openBlobIndex } from './blob-index.ts'
import { deriveBlsKey } from './bls-key.ts'
import { openCellFaults } from './cell-faults.ts'
import { openColumnStore } from './column-store.ts'
import { createCommittees } from './committees.ts'
import type { DaConfig } from './config.ts'
import { openDispersalJournal } from './dispersal-journal.ts'
import { createDispersals } from './dispersals.ts'
import { daDuties } from './duties/all.ts'
import { createDaMetrics } from './metrics.ts'
import { createPeers } from './peers.ts'
import { openSeenHeaders } from './seen-headers.ts'
import type { DaService } from './service.ts'
import { openSigningGuard } from './signing-guard.ts'
import { readProblems, warnOfProblems } from './standing.ts'

/** A light client samples many columns; what bounds them is the number at the same time. */
const REQUESTS_PER_MINUTE = 60_000

/** A DA agent, disperser and node in one, for `runAgent` (a process of its own) or `startAgent`. */
export function daAgent(config: DaConfig): AgentOptions<DaService> {
  const bookOf = (chainId: bigint) => loadAddressBookOf(chainId, config.ADDRESS_BOOK)

  return {
    name: 'da',
    config,
    duties: daDuties(config),
    routes: addRoutes,
    limits: { perMinute: REQUESTS_PER_MINUTE },

    addresses: async (chainId) => addressesOf(await bookOf(chainId)),

    async makeContext(kernel: KernelContext): Promise<DaService> {
      const { provider, store, signal, self, log } = kernel
      const [addressBook, wallet, hasher, kzg] = await Promise.all([
        bookOf(kernel.chainId),
        loadWallet(config),
        loadHasher(),
        loadNodeKzg(),
      ])
      const chain = await connectDa(await connectChain({ provider, addressBook, signal }), { signal })
      const { windowBlocks } = await read(chain.da.prover.params(), { signal })
      const bucketPeriods = await read(chain.da.availability.bucketPeriods(), { signal })
      const { DATA_DIR, CAPACITY_BYTES: capacityBytes } = config
      const columns = await openColumnStore({
        ...{ folder: join(DATA_DIR, 'columns'), store, hasher, capacityBytes },
      })
      void warnOfProblems(chain, { self, publicUrl: config.PUBLIC_URL, signal, log })
      const context = {
        ...kernel,
        ...{ config, chain, wallet, hasher, kzg, columns, windowBlocks, bucketPeriods },
        bls: deriveBlsKey(wallet.privateKey),
        index: openBlobIndex(store),
        guard: openSigningGuard(store),
        seen: openSeenHeaders(store),
        faults: openCellFaults(store),
        journal: await openDispersalJournal({ folder: join(DATA_DIR, 'outbox'), store }),
        committees: createCommittees(chain),
        peers: createPeers({ chain, timeoutMs: config.PEER_TIMEOUT_MS }),
        daMetrics: createDaMetrics(kernel.metrics.registry, columns),
        crashPoint: (name: string) => crashPoint(name, DATA_DIR),
      }
      return { ...context, dispersals: createDispersals(context) }
    },

    followers: ({ index, chain }) => [index.follower(chain.book)],

    problems: ({ chain, self, signal }) =>
      readProblems(chain, { self, publicUrl: config.PUBLIC_URL, signal }),

    status({ columns, dispersals, index, journal }) {
      return {
        blobs: index.blobCount(),
        columns: columns.counts(),
        usedBytes: columns.usedBytes(),
        capacityBytes: columns.capacityBytes,
        dispersals: journal.open().map(({ blobId, pays }) => ({
          ...{ blobId, pays, running: dispersals.isRunning(blobId) },
          signatures: journal.collected(blobId).size,
        })),
      }
    },
  }
}

/** Starts a DA agent in this process. Errors: those of the kernel's `startAgent`, ADDRESS_BOOK_INVALID. */
export function startDaAgent(config: DaConfig): Promise<AgentHandle<DaService>> {
  return startAgent(daAgent(config))
}

import type { z } from 'zod'
import { addressesOf, loadAddressBookOf } from '../../sdk/chain/address-book-node.ts'
import { connectCompute } from '../../sdk/chain/compute-chain.ts'
import { connectChain } from '../../sdk/chain/connect.ts'
import { type AgentHandle, type AgentOptions, startAgent } from '../kernel/agent.ts'
import type { KernelContext } from '../kernel/duty.ts'
import { crashPoint } from '../kernel/fault.ts'
import { loadWallet } from '../kernel/keystore.ts'
import { createAccounts } from './accounts.ts'
import { createAdmission } from './admission.ts'
import { addRoutes, EXPOSED_HEADERS } from './api.ts'
import { createBilling } from './billing.ts'
import { type computeEnv, voucherSpareSec, withModel } from './config.ts'
import type { ComputeContext } from './context.ts'
import { computeDuties } from './duties/all.ts'
import { settleWithinSec } from './duties/settle-fees.ts'
import { openFreeBook } from './free-book.ts'
import { createGateKeeper } from './gate-keeper.ts'
import { openHeldBook } from './held-book.ts'
import { openJobBook } from './job-book.ts'
import { createJobRunner } from './job-runner.ts'
import { createComputeMetrics } from './metrics.ts'
import { startModelRuntime } from './model-runtime.ts'
import { openModelFolder } from './model-store.ts'
import { openReceiptBook } from './receipt-book.ts'
import { openReleaseBook } from './release-book.ts'
import { createSessionCheck } from './session-check.ts'
import { readProblems, warnOfProblems } from './standing.ts'
import { openVoucherBook } from './voucher-book.ts'

/** What bounds clients is the number of their requests at the same time, and their money. */
const REQUESTS_PER_MINUTE = 600_000

/** A compute provider's agent, for `runAgent` (a process of its own) or `startAgent`. Error: CONFIG_INVALID. */
export function computeAgent(env: z.output<typeof computeEnv>): AgentOptions<ComputeContext> {
  const config = withModel(env)
  const model = { id: config.MODEL_ID, root: config.MODEL_ROOT, owner: config.MODEL_OWNER }
  const bookOf = (chainId: bigint) => loadAddressBookOf(chainId, config.ADDRESS_BOOK)

  return {
    name: 'compute',
    config,
    duties: computeDuties(config),
    routes: addRoutes,
    exposedHeaders: EXPOSED_HEADERS,
    limits: {
      perMinute: REQUESTS_PER_MINUTE,
      bodyBytes: config.MAX_BODY_BYTES,
      // Admission answers first, in the form that clients know; this is for those that are not let in.
      concurrent: config.QUEUE_REQUESTS * 2,
    },

    addresses: async (chainId) => addressesOf(await bookOf(chainId)),

    async makeContext(kernel: KernelContext): Promise<ComputeContext> {
      const { provider, store, signal, self, log } = kernel
      const [addressBook, wallet] = await Promise.all([bookOf(kernel.chainId), loadWallet(config)])
      const chain = await connectCompute(await connectChain({ provider, addressBook, signal }), { signal })
      const receipts = openReceiptBook(store)
      const vouchers = openVoucherBook(store, { spareSec: voucherSpareSec(config) })
      const releases = openReleaseBook(store)
      const accounts = createAccounts({ chain, provider: self, cacheMs: config.ACCOUNT_CACHE_MS, signal })
      const gate = createGateKeeper({
        ...{ chain, log, signal },
        modelId: config.MODEL_ID,
        modelOwner: config.MODEL_OWNER,
        maxFreeUnits: config.MAX_FREE_UNITS,
        cacheMs: config.ACCOUNT_CACHE_MS,
      })
      const admission = createAdmission({
        ...{ receipts, vouchers, releases },
        maxRequests: config.QUEUE_REQUESTS,
        maxUserRequests: config.USER_REQUESTS,
      })
      const computeMetrics = createComputeMetrics(kernel.metrics.registry, {
        activeRequests: admission.active,
        unsettledWei: receipts.totalUnsettledWei,
        isReady: () => runtime.state().state === 'ready',
      })
      const runtime = startModelRuntime({
        ...{ config, log, signal },
        openFolder: (abort) => openModelFolder({ config, chain, log, signal: abort }),
        onRestart: () => computeMetrics.restarts.inc(),
      })
      void warnOfProblems(chain, { self, publicUrl: config.PUBLIC_URL, model, signal, log })
      return {
        ...kernel,
        ...{
          config,
          chain,
          wallet,
          runtime,
          accounts,
          receipts,
          vouchers,
          releases,
          admission,
          computeMetrics,
        },
        gate,
        free: openFreeBook(store),
        held: openHeldBook(store),
        jobs: openJobBook(store, self),
        jobRunner: createJobRunner({ log, signal }),
        checkSession: createSessionCheck({ accounts, provider: self }),
        bill: createBilling({ receipts, wallet }),
        crashPoint: (name: string) => crashPoint(name, config.DATA_DIR),
      }
    },

    followers: ({ held, jobs, chain, self }) => [held.follower(chain.book, self), jobs.follower(chain.book)],

    problems: ({ chain, self, signal }) =>
      readProblems(chain, { self, publicUrl: config.PUBLIC_URL, model, signal }),

    status({ runtime, admission, receipts, chain }) {
      const state = runtime.state()
      const served = state.state === 'ready' ? runtime.current() : undefined
      return {
        model: {
          id: config.MODEL_ID,
          ...state,
          ...(served && {
            kind: served.kind,
            workerPid: served.worker.pid,
            executionProvider: served.worker.graph.executionProvider,
          }),
          manifestRoot: served?.folder.manifestRoot,
        },
        activeRequests: admission.active(),
        unsettledWei: receipts.totalUnsettledWei(),
        unsettledSec: ageSec(receipts.unsettledSinceMs()),
        settleWithinSec: settleWithinSec(config, chain),
      }
    },

    async close({ runtime, jobRunner }) {
      await jobRunner.stop()
      await runtime.stop()
    },
  }
}

/** Seconds since then; 0 when there is no such moment. */
function ageSec(sinceMs: number | undefined): number {
  return sinceMs === undefined ? 0 : Math.max(0, Math.round((Date.now() - sinceMs) / 1000))
}

/** Starts a compute agent in this process. Errors: those of the kernel's `startAgent`, ADDRESS_BOOK_INVALID. */
export async function startComputeAgent(
  env: z.output<typeof computeEnv>,
): Promise<AgentHandle<ComputeContext>> {
  return startAgent(computeAgent(env))
}

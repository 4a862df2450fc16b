import { join } from 'node:path'
import type { KernelConfig } from './config.ts'
import type { AnyDuty, KernelContext } from './duty.ts'
import { type Follower, type FollowerHandle, startFollower } from './follower.ts'
import { bindChain } from './genesis.ts'
import { trackHead } from './head.ts'
import { createHttpServer, type HttpLimits, listen, type Routes } from './http.ts'
import { createJobBoard } from './job-board.ts'
import { createJobs, type JobCounts } from './jobs.ts'
import { type AskPassword, loadWallet } from './keystore.ts'
import { createLog, type Log } from './log.ts'
import { type DutyLoop, startLoop } from './loop.ts'
import { createMetrics } from './metrics.ts'
import { connectNode } from './provider.ts'
import { openRedis } from './redis.ts'
import type { Head } from './rpc.ts'
import { createSender } from './sender.ts'
import { shareRead } from './share-read.ts'
import { createShutdown } from './shutdown.ts'
import { openStore } from './store.ts'
import { readVersion } from './version.ts'

/** Everything that makes one agent; a new agent is this list and its duties. */
export type AgentOptions<C extends KernelContext> = {
  /** Lower-case noun: storage, da, compute, … Names the queue, the database file and the logs. */
  readonly name: string
  readonly config: KernelConfig
  /** The contract addresses that the data folder is tied to. */
  readonly addresses?: (chainId: bigint) => Record<string, string> | Promise<Record<string, string>>
  /** Steps of the agent's own tables, only ever appended to. */
  readonly migrations?: readonly string[]
  /** Adds the agent's own parts to the kernel's context, once at the start. */
  readonly makeContext: (kernel: KernelContext) => C | Promise<C>
  readonly duties: readonly AnyDuty<C>[]
  readonly followers?: (ctx: C) => readonly Follower[]
  readonly routes?: Routes<C>
  readonly limits?: Partial<HttpLimits>
  /** Response headers of the agent's own that browsers may read. */
  readonly exposedHeaders?: readonly string[]
  /** What keeps the agent from its work, by the chain, each with what to do; a field of /status. */
  readonly problems?: (ctx: C) => Promise<readonly string[]>
  /** More fields of /status, from this process alone: whoever likes may ask for it. */
  readonly status?: (ctx: C) => Record<string, unknown> | Promise<Record<string, unknown>>
  /** Ends what `makeContext` began; runs after the last job. */
  readonly close?: (ctx: C) => void | Promise<void>
  readonly askPassword?: AskPassword
  readonly log?: Log
  /** How long a stopping agent waits for its running jobs. Default 30 s. */
  readonly graceMs?: number
  /** Blocks without being mined after which a transaction's fee is raised. */
  readonly speedUpBlocks?: number
}

/** A running agent. */
export type AgentHandle<C extends KernelContext> = {
  /** Where its HTTP server listens. */
  readonly url: string
  /** The context as of the start; `head` of it is old. */
  readonly context: C
  readonly followers: readonly FollowerHandle[]
  head(): Head
  status(): Promise<Record<string, unknown>>
  /** Stops gracefully; safe to call more than once. */
  stop(): Promise<void>
}

const STALE_HEAD_MS = 30_000
const STEP_TIMEOUT_MS = 10_000

/**
 * Starts an agent in this process: key, database, chain, Redis, sender, followers, HTTP, duties, in this order; what has
 * been started is stopped again when a later part fails. Errors: CONFIG_INVALID, KEYSTORE_INVALID, DATA_DIR_IN_USE,
 * STORE_NEWER, RPC_UNREACHABLE, WRONG_CHAIN, REDIS_MISSING.
 */
export async function startAgent<C extends KernelContext>(options: AgentOptions<C>): Promise<AgentHandle<C>> {
  const { name, config, duties, graceMs = 30_000 } = options
  const log = options.log ?? createLog({ name, level: config.LOG_LEVEL })
  const shutdown = createShutdown(log, STEP_TIMEOUT_MS)
  try {
    return await assemble(options, { log, shutdown })
  } catch (error) {
    await shutdown.run()
    throw error
  }

  async function assemble(
    {
      addresses,
      migrations,
      makeContext,
      followers,
      routes,
      limits,
      exposedHeaders,
      problems,
      status,
      close,
      askPassword,
      speedUpBlocks,
    }: AgentOptions<C>,
    { log, shutdown }: { log: Log; shutdown: ReturnType<typeof createShutdown> },
  ): Promise<AgentHandle<C>> {
    // Events and status requests may come before the loop stands.
    let loop: DutyLoop | undefined
    const aborter = new AbortController()
    const { signal } = aborter
    const dataDir = config.DATA_DIR
    const metrics = createMetrics(name)
    const wallet = await loadWallet(config, askPassword)

    const store = openStore(join(dataDir, `${name}.sqlite`))
    shutdown.add('store', () => store.close())
    if (migrations) store.migrate(name, migrations)

    const chain = await connectNode({ rpcUrl: config.RPC_URL, chainId: config.CHAIN_ID, signal })
    shutdown.add('chain', () => chain.close())
    const { provider, chainId, genesisHash } = chain
    bindChain(store, { chainId, genesisHash, addresses: (await addresses?.(chainId)) ?? {} })

    const redis = await openRedis({
      url: config.REDIS_URL,
      dataDir: join(dataDir, `${name}.redis`),
      signal,
      log,
    })
    shutdown.add('redis', redis.close)
    const heads = await trackHead({ provider, signal, log })
    const startBlock = heads.current().number
    shutdown.add('heads', heads.stop)
    // Everything started from here on may still be waiting for the network; this lets go of it.
    shutdown.add('abort', () => aborter.abort())
    const sender = createSender({
      ...{ provider, wallet, chainId, store, dataDir, signal, log, metrics },
      ...{ confirmations: config.CONFIRMATIONS, maxFeeWei: config.MAX_FEE_GWEI },
      ...(speedUpBlocks === undefined ? {} : { speedUpBlocks }),
    })
    shutdown.add('sender', sender.stop)

    const kernel = { name, self: wallet.address, chainId, signal, log, metrics, provider, sender, store }
    let publicUrl = config.PUBLIC_URL ?? `http://${config.HTTP_HOST}:${config.HTTP_PORT}`
    const context = await makeContext({ ...kernel, url: publicUrl, head: heads.current() })
    if (close) shutdown.add('context', () => close(context))
    const contextAt = (head: Head, jobLog: Log): C => ({ ...context, url: publicUrl, head, log: jobLog })

    const running = (followers?.(context) ?? []).map((follower) =>
      startFollower({
        ...{ follower, provider, heads, store, dataDir, signal, log, metrics },
        confirmations: config.CONFIRMATIONS,
        onEvents: (events) => loop?.wake(events),
      }),
    )
    for (const follower of running) shutdown.add(`follower ${follower.name}`, follower.stop)

    const board = createJobBoard({ contextAt, heads, log, metrics })
    const jobs = await createJobs({
      ...{ queue: name, chainId, operator: wallet.address, connection: redis.connection, duties, board, log },
      concurrency: config.JOB_CONCURRENCY,
    })
    shutdown.add('jobs', () => jobs.close(graceMs), graceMs + STEP_TIMEOUT_MS)

    // Everybody may ask for /status, most of all when the chain or Redis hangs: the answer must come, and cost little.
    const away = 'the chain RPC does not answer'
    const readBalance = shareRead<bigint | string>(() => provider.getBalance(wallet.address), {
      otherwise: away,
    })
    const readProblems = shareRead(async () => (await problems?.(context)) ?? [], { otherwise: [away] })
    const countJobs = shareRead<JobCounts | string>(jobs.counts, {
      otherwise: 'redis does not answer',
      ttlMs: 0,
    })

    // A write that is flushed, once a second at most.
    const checkStore = shareRead<string | undefined>(
      async () => {
        store.assertWritable()
        return undefined
      },
      { otherwise: 'the database cannot be written' },
    )

    const readStatus = async (): Promise<Record<string, unknown>> => {
      const [counts, balanceWei, found] = await Promise.all([countJobs(), readBalance(), readProblems()])
      return {
        name,
        operator: wallet.address,
        version: readVersion(),
        chainId,
        head: { ...heads.current(), silentMs: Math.round(heads.silentMs()) },
        followers: running.map((follower) => ({
          name: follower.name,
          block: follower.cursor(),
          lagBlocks: follower.lag(),
        })),
        duties: loop?.states().map((state) => ({ ...state, last: board.lastResults().get(state.name) })),
        jobs: counts,
        pendingTransactions: sender.pendingCount(),
        balanceWei,
        ...(problems && { problems: found }),
        ...(await status?.(context)),
      }
    }
    const server = await createHttpServer({
      ...{ log, metrics, status: readStatus },
      ...(limits ? { limits } : {}),
      ...(exposedHeaders ? { exposedHeaders } : {}),
      checks: {
        chain: async () => (heads.silentMs() < STALE_HEAD_MS ? undefined : 'the chain RPC does not answer'),
        redis: async () => ((await redis.ping()) ? undefined : 'redis does not answer'),
        store: checkStore,
        followers: async () =>
          running.find((follower) => follower.lag() > 100) && 'logs are still being read',
        duties: async () => {
          const { number } = heads.current()
          const blind = loop
            ?.states()
            .find(({ readAt, code }) => code && number - (readAt ?? startBlock) > 100)
          return blind && `${blind.name} cannot be looked at: ${blind.code}`
        },
        running: async () => (shutdown.started() ? 'the agent is stopping' : undefined),
      },
    })
    shutdown.add('http', () => server.close())
    await routes?.(server, context)
    const url = await listen(server, config)
    publicUrl = config.PUBLIC_URL ?? url

    loop = startLoop({ duties, contextAt, jobs, heads, log, metrics, onHead: board.prune })
    shutdown.add('loop', loop.stop)
    log.info(
      { url, operator: wallet.address, chainId: String(chainId), block: heads.current().number },
      'agent started',
    )
    return { url, context, followers: running, head: heads.current, status: readStatus, stop: shutdown.run }
  }
}

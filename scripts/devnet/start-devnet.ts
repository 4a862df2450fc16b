import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JsonRpcProvider, Wallet } from 'ethers'
import { createLog } from '../../agents/kernel/log.ts'
import { openRedis, type RedisHandle } from '../../agents/kernel/redis.ts'
import { bookPath } from '../../deploy/address-book.ts'
import { deployAll } from '../../deploy/deploy-all.ts'
import { DEPLOYER_ACCOUNT, devAccount, USER_ACCOUNT } from '../../deploy/dev-account.ts'
import { localhost } from '../../deploy/params/localhost.ts'
import { loadAddressBook } from '../../sdk/chain/address-book-node.ts'
import { type ComputeChain, connectCompute } from '../../sdk/chain/compute-chain.ts'
import { connectChain } from '../../sdk/chain/connect.ts'
import { connectDa, type DaChain } from '../../sdk/chain/da-chain.ts'
import { type ChainNode, DEVNET_CHAIN_ID, mineEverySecond, startChainNode } from './chain-node.ts'
import { type Child, logTail, startChild } from './child.ts'
import { computeVariables, isServing, type ServedModel, waitListed } from './compute-agents.ts'
import { type AgentKind, createOperator, type DevnetOperator, fundKeys } from './operators.ts'
import { choosePorts } from './ports.ts'
import { waitUntil } from './wait-until.ts'

export type DevnetAgent = DevnetOperator & {
  /** The running process; a new one after `restartAgent`. */
  child: Child
}

/** A whole network on this machine. */
export type Devnet = {
  folder: string
  addressBook: string
  node: ChainNode
  chain: DaChain & ComputeChain
  provider: JsonRpcProvider
  redisUrl: string
  redis: RedisHandle
  user: Wallet
  /** The storage agents. */
  agents: DevnetAgent[]
  daAgents: DevnetAgent[]
  /** The compute agents that have been started. */
  computeAgents: DevnetAgent[]
  /** Starts one more compute agent for each of these models, and waits until their services are listed. */
  startCompute: (models: readonly ServedModel[]) => Promise<void>
  /** Starts an agent's process again, with extra variables if given. */
  restartAgent: (agent: DevnetAgent, env?: Record<string, string>) => Promise<void>
  stop: () => Promise<void>
}

export type DevnetOptions = {
  root: string
  /** Where everything lies: ports, and one folder per chain, named by its genesis. */
  base: string
  /** Storage agents. */
  agentCount: number
  /** DA agents; none by default. */
  daCount?: number
  /** Operators for compute agents, which start when there is a model to serve; none by default. */
  computeCount?: number
  /** More variables for the agents. */
  agentEnv?: Record<string, string>
  /** Another chain than Hardhat's node, and how it is told to mine by itself. */
  startNode?: typeof startChainNode
  mineEverySecond?: typeof mineEverySecond
  report?: (line: string) => void
  signal?: AbortSignal
}

/** Sixteen agents on a machine that is busy with other things take their time; one that ends is seen at once. */
const READY_TIMEOUT_MS = 300_000

const MAIN_OF: Record<AgentKind, string> = {
  storage: 'dist/agents/storage/main.js',
  da: 'dist/agents/da/main.js',
  compute: 'dist/agents/compute/main.js',
}

const agentsOf = (kind: AgentKind, count: number) =>
  Array.from({ length: count }, (_, index) => ({ kind, name: `${kind}-${index + 1}` }))

/** Starts chain, contracts, Redis and agents; everything it started is stopped when it fails. */
export async function startDevnet(options: DevnetOptions): Promise<Devnet> {
  const closers: (() => Promise<void>)[] = []
  const stop = async () => {
    for (const close of closers.splice(0).reverse()) await close()
  }
  try {
    return await start(options, closers, stop)
  } catch (error) {
    await stop()
    throw error
  }
}

async function start(
  options: DevnetOptions,
  closers: (() => Promise<void>)[],
  stop: () => Promise<void>,
): Promise<Devnet> {
  const { root, base, agentCount, daCount = 0, computeCount = 0, report = () => undefined } = options
  const signal = options.signal ?? new AbortController().signal
  const planned = [
    ...agentsOf('storage', agentCount),
    ...agentsOf('da', daCount),
    ...agentsOf('compute', computeCount),
  ]
  const names = planned.map(({ name }) => name)
  const ports = await choosePorts(join(base, 'ports.json'), ['chain', ...names])

  const node = await (options.startNode ?? startChainNode)({ root, port: ports.chain ?? 0, signal })
  closers.push(async () => {
    node.provider.destroy()
    await node.child.kill('SIGTERM')
  })
  const folder = freshFolder(base, node.genesisHash)
  report(`chain      ${node.url}  genesis ${node.genesisHash.slice(0, 10)}…`)

  const deployer = devAccount(DEPLOYER_ACCOUNT, node.provider)
  await deployAll({
    provider: node.provider,
    signer: deployer,
    network: localhost,
    directory: folder,
    signal,
  })
  const addressBook = bookPath(folder, DEVNET_CHAIN_ID)
  const storage = await connectChain({
    provider: node.provider,
    addressBook: await loadAddressBook(addressBook),
    signal,
  })
  const [da, compute] = await Promise.all([
    connectDa(storage, { signal }),
    connectCompute(storage, { signal }),
  ])
  const chain = { ...da, ...compute }
  report(`contracts  ${addressBook}`)

  const funds = await fundKeys(deployer, planned, folder)
  const operators = await Promise.all(
    funds.map((key) => createOperator(chain, { ...key, port: ports[key.name] ?? 0 })),
  )
  report(`operators  ${operators.length} staked and registered`)
  await (options.mineEverySecond ?? mineEverySecond)(node.provider)

  const log = createLog({ name: 'devnet', level: 'silent' })
  const redis = await openRedis({ dataDir: join(folder, 'redis'), signal, log })
  closers.push(() => redis.close())
  const redisUrl = redis.connection.path
    ? `unix://${redis.connection.path}`
    : `redis://127.0.0.1:${redis.connection.port}`

  const startAgent = (operator: DevnetOperator, env: Record<string, string> = {}) =>
    startChild({
      name: operator.name,
      args: ['--enable-source-maps', '--disable-warning=ExperimentalWarning', MAIN_OF[operator.kind]],
      cwd: root,
      logFile: join(operator.folder, 'agent.log'),
      env: {
        RPC_URL: node.url,
        CHAIN_ID: String(chain.chainId),
        ADDRESS_BOOK: addressBook,
        DATA_DIR: operator.folder,
        HTTP_HOST: '127.0.0.1',
        HTTP_PORT: String(operator.port),
        PUBLIC_URL: operator.url,
        REDIS_URL: redisUrl,
        CAPACITY_BYTES: String(16 * 1024 ** 3),
        ...operator.env,
        ...options.agentEnv,
        ...env,
      },
    })
  const all: DevnetAgent[] = []
  closers.push(async () => {
    await Promise.all(all.map((agent) => agent.child.kill('SIGTERM')))
  })
  const enlist = async (joining: readonly DevnetOperator[]): Promise<DevnetAgent[]> => {
    const agents = joining.map((operator) => ({ ...operator, child: startAgent(operator) }))
    all.push(...agents)
    await Promise.all(agents.map((agent) => waitReady(agent, signal)))
    return agents
  }
  await enlist(operators.filter(({ kind }) => kind !== 'compute'))
  report(`agents     ${all.length} ready`)
  const waiting = operators.filter(({ kind }) => kind === 'compute')
  const computeAgents: DevnetAgent[] = []

  return {
    folder,
    addressBook,
    node,
    chain,
    provider: node.provider,
    redis,
    redisUrl,
    user: devAccount(USER_ACCOUNT, node.provider),
    agents: all.filter(({ kind }) => kind === 'storage'),
    daAgents: all.filter(({ kind }) => kind === 'da'),
    computeAgents,
    startCompute: async (models) => {
      const chosen = waiting.splice(0, models.length)
      if (chosen.length < models.length)
        throw new Error(`${models.length} models, ${chosen.length} operators left`)
      const joining = chosen.map((operator, index) => {
        const model = models[index]
        return { ...operator, env: { ...operator.env, ...(model && computeVariables(model)) } }
      })
      const agents = await enlist(joining)
      await waitListed(chain, agents, signal)
      computeAgents.push(...agents)
    },
    restartAgent: async (agent, env) => {
      if (agent.child.ended() === undefined) await agent.child.kill('SIGTERM')
      agent.child = startAgent(agent, env)
      await waitReady(agent, signal)
    },
    stop,
  }
}

/** A folder for this chain; those of chains before it are removed. */
function freshFolder(base: string, genesisHash: string): string {
  const name = genesisHash.slice(2, 14)
  mkdirSync(base, { recursive: true })
  for (const entry of readdirSync(base)) {
    if (/^[0-9a-f]{12}$/.test(entry)) rmSync(join(base, entry), { recursive: true, force: true })
  }
  const folder = join(base, name)
  mkdirSync(folder, { recursive: true })
  return folder
}

async function waitReady(agent: DevnetAgent, signal: AbortSignal): Promise<void> {
  await waitUntil(
    async () => {
      const end = agent.child.ended()
      if (end !== undefined) throw new AgentEnded(agent, end)
      const response = await fetch(`${agent.url}/ready`, { signal: AbortSignal.timeout(2_000) })
      return response.ok && (await isAgent(agent)) ? true : undefined
    },
    {
      what: `starting ${agent.name}`,
      timeoutMs: READY_TIMEOUT_MS,
      everyMs: 200,
      signal,
      fatal: (error) => error instanceof AgentEnded,
    },
  )
}

/** Whether it is this agent that answers there, and not another network's on a port that was free for a moment. */
async function isAgent(agent: DevnetAgent): Promise<boolean> {
  const { kind, url, address } = agent
  if (kind === 'compute') return isServing(agent)
  const response = await fetch(`${url}${kind === 'da' ? '/da/info' : '/v1/info'}`, {
    signal: AbortSignal.timeout(2_000),
  })
  const info: unknown = await response.json()
  return typeof info === 'object' && info !== null && 'operator' in info && info.operator === address
}

class AgentEnded extends Error {
  constructor(agent: DevnetAgent, end: string) {
    super(`${agent.name} ended (${end}):\n${logTail(agent.child)}`)
  }
}

/** Writes what other terminals need to find the devnet; the returned function takes it away again. */
export function publishDevnet(devnet: Devnet, pointer: string): () => void {
  const { node, addressBook, redisUrl, user, agents, daAgents, computeAgents } = devnet
  const content = {
    pid: process.pid,
    rpcUrl: node.url,
    addressBook,
    redisUrl,
    userKey: user.privateKey,
    agents: [...agents, ...daAgents, ...computeAgents].map(({ name, address, url, folder, child }) => ({
      name,
      operator: address,
      url,
      folder,
      pid: child.pid,
    })),
  }
  writeFileSync(pointer, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 })
  return () => {
    if (existsSync(pointer)) rmSync(pointer)
  }
}

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { JsonRpcProvider, Network, parseEther, type Wallet } from 'ethers'
import OpenAI from 'openai'
import { startComputeAgent } from '../../../agents/compute/agent.ts'
import { computeEnv } from '../../../agents/compute/config.ts'
import { loadConfig } from '../../../agents/kernel/config.ts'
import { deployAll } from '../../../deploy/deploy-all.ts'
import { devAccount } from '../../../deploy/dev-account.ts'
import { localhost } from '../../../deploy/params/localhost.ts'
import { toJson } from '../../../deploy/write-file.ts'
import { parseAddressBook } from '../../../sdk/chain/address-book.ts'
import type { ChainCall } from '../../../sdk/chain/chain-call.ts'
import { type ComputeChain, connectCompute } from '../../../sdk/chain/compute-chain.ts'
import { connectChain } from '../../../sdk/chain/connect.ts'
import { registerCall } from '../../../sdk/chain/operators.ts'
import { sendCall, signerSender } from '../../../sdk/chain/send.ts'
import { allocateCall, stakeCall } from '../../../sdk/chain/staking.ts'
import { createSessionToken, type SessionToken } from '../../../sdk/protocol/session-token.ts'
import { type Anvil, startAnvil } from '../../support/anvil.ts'
import { freePort, type RunningProcess, startProcess } from '../../support/processes.ts'
import { startRedis } from '../../support/redis.ts'
import { ROOT } from '../../support/repository.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../../support/until.ts'

const MAIN = join(import.meta.dirname, '../../../agents/compute/main.js')
const FIRST_PROVIDER = 10
const STAKE_WEI = parseEther('200')
export const SERVICE_NAME = 'inference-v1.0'

export type ComputeAgent = Awaited<ReturnType<typeof startComputeAgent>>
export type ComputeWorld = Awaited<ReturnType<typeof startComputeWorld>>

/** A provider of the network under test: registered and staked, its agent running or not. */
export type WorldProvider = Awaited<ReturnType<ComputeWorld['addProvider']>>

/** The folder of a model that ships with the repository. */
export const modelDir = (name: string): string => join(ROOT, 'models', name)

/** What agents and clients of compute stand on: a node with the contracts, and a Redis. */
type Ground = {
  readonly anvil: Anvil
  readonly redis: Awaited<ReturnType<typeof startRedis>>
  readonly rpc: JsonRpcProvider
  readonly bookFile: string
  stop(): Promise<void>
}

async function startGround(): Promise<Ground> {
  const redis = await startRedis()
  const anvil = await startAnvil({ args: ['--accounts', '40', '--balance', '1000000'] })
  const rpc = new JsonRpcProvider(anvil.rpcUrl, Network.from(31_337), {
    staticNetwork: true,
    pollingInterval: 30,
    cacheTimeout: -1,
    batchMaxCount: 1,
  })
  const { book } = await deployAll({ provider: rpc, signer: devAccount(1, rpc), network: localhost })
  const bookFile = join(tempDir(), '31337.json')
  writeFileSync(bookFile, toJson(book))
  return {
    ...{ anvil, redis, rpc, bookFile },
    async stop() {
      rpc.destroy()
      await anvil.stop()
      await redis.stop()
    },
  }
}

/** A real node with the real contracts, a real Redis, and users with money in the ledger; or all that on a storage network. */
export async function startComputeWorld(given?: Ground) {
  const ground = given ?? (await startGround())
  const { anvil, redis, rpc, bookFile } = ground
  const account = (index: number): Wallet => devAccount(index, rpc)
  const book = parseAddressBook(JSON.parse(readFileSync(bookFile, 'utf8')))
  const chain: ComputeChain = await connectCompute(await connectChain({ provider: rpc, addressBook: book }))

  const send = async (wallet: Wallet, call: ChainCall) =>
    sendCall(await signerSender(chain, wallet), { ...call, label: 'test' })
  const running = new Set<{ stop(): Promise<void> }>()

  async function addProvider(index: number, settings: Record<string, string>) {
    const wallet = account(FIRST_PROVIDER + index)
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const dataDir = tempDir()
    const service = chain.compute.addresses.InferenceServing
    await send(wallet, registerCall(chain, ''))
    await send(wallet, stakeCall(chain, STAKE_WEI))
    await send(wallet, allocateCall(chain, { amountWei: STAKE_WEI, service }))
    const env = (change: Record<string, string> = {}) => ({
      RPC_URL: anvil.rpcUrl,
      ADDRESS_BOOK: bookFile,
      DATA_DIR: dataDir,
      HTTP_PORT: String(port),
      PUBLIC_URL: url,
      REDIS_URL: redis.url,
      PRIVATE_KEY: wallet.privateKey,
      CONFIRMATIONS: '0',
      EXECUTION_PROVIDER: 'cpu',
      THREADS: '1',
      ACCOUNT_CACHE_MS: '0',
      INPUT_PRICE_WEI: '1000',
      OUTPUT_PRICE_WEI: '3000',
      LOG_LEVEL: process.env.TEST_LOG ?? 'silent',
      ...settings,
      ...change,
    })
    const isListed = () => chain.compute.inference.serviceExists(wallet.address)
    const track = <T extends { stop(): Promise<void> }>(agent: T): T => {
      running.add(agent)
      return agent
    }
    return {
      wallet,
      url,
      dataDir,
      isListed,
      /** Starts the agent without waiting for its model. */
      startUnready: async (change?: Record<string, string>) =>
        track(await startComputeAgent(loadConfig(computeEnv, env(change)))),
      start: async (change?: Record<string, string>) => {
        const agent = track(await startComputeAgent(loadConfig(computeEnv, env(change))))
        await until('the model is loaded', () => agent.context.runtime.state().state === 'ready')
        return agent
      },
      /** Starts the agent in a process of its own, whatever becomes of it. */
      launch: (change?: Record<string, string>): RunningProcess =>
        track(startProcess(process.execPath, [MAIN], { env: env(change) })),
      /** Starts the agent in a process of its own and waits until it serves. */
      spawn: async (change?: Record<string, string>): Promise<RunningProcess> => {
        const child = track(startProcess(process.execPath, [MAIN], { env: env(change) }))
        await until('the agent serves', async () => {
          const response = await fetch(`${url}/v1/models`, { signal: AbortSignal.timeout(2000) })
          return response.ok && (await response.text()).includes('"ready":true')
        })
        return child
      },
    }
  }

  /** Gives a user an account at a provider. */
  async function fund(user: Wallet, provider: string, amountWei = parseEther('0.5')): Promise<void> {
    const ledger = chain.compute.ledger.connect(user)
    await (await ledger.depositFund({ value: amountWei + parseEther('1') })).wait()
    await (await ledger.transferFund(provider, SERVICE_NAME, amountWei)).wait()
  }

  /** An API key of the user. */
  function keyOf(user: Wallet, provider: string, change: Partial<SessionToken> = {}): Promise<string> {
    const now = Date.now()
    const token = {
      ...{
        address: user.address,
        provider,
        timestamp: now,
        expiresAt: 0,
        nonce: '1',
        generation: 0,
        tokenId: 1,
      },
      ...change,
    }
    return createSessionToken(token, (digest) => user.signMessage(digest))
  }

  return {
    anvil,
    bookFile,
    chain,
    rpc,
    redis,
    account,
    send,
    addProvider,
    fund,
    keyOf,
    inference: chain.compute.inference,
    /** The unmodified client of OpenAI, with a key of the user. */
    client: async (user: Wallet, { url, wallet }: { url: string; wallet: Wallet }) =>
      new OpenAI({
        baseURL: `${url}/v1/proxy`,
        apiKey: await keyOf(user, wallet.address),
        maxRetries: 0,
        timeout: 60_000,
      }),
    /** Moves the clock of the chain and mines. */
    elapse: async (seconds: bigint) => {
      await anvil.rpc('evm_increaseTime', Number(seconds))
      await anvil.mine(1)
    },
    stop: async () => {
      for (const agent of running) await agent.stop()
      await ground.stop()
    },
  }
}

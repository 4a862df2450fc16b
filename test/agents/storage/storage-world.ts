import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { JsonRpcProvider, Network, type Wallet } from 'ethers'
import { loadConfig } from '../../../agents/kernel/config.ts'
import { startStorageAgent } from '../../../agents/storage/agent.ts'
import { storageEnv } from '../../../agents/storage/config.ts'
import { deployAll } from '../../../deploy/deploy-all.ts'
import type { NetworkParams } from '../../../deploy/deploy-params.ts'
import { devAccount } from '../../../deploy/dev-account.ts'
import { localhost } from '../../../deploy/params/localhost.ts'
import { toJson } from '../../../deploy/write-file.ts'
import { parseAddressBook } from '../../../sdk/chain/address-book.ts'
import type { ChainCall } from '../../../sdk/chain/chain-call.ts'
import { type Chain, connectChain } from '../../../sdk/chain/connect.ts'
import { registerCall, setEndpointCall } from '../../../sdk/chain/operators.ts'
import { sendCall, signerSender } from '../../../sdk/chain/send.ts'
import { allocateCall, stakeCall } from '../../../sdk/chain/staking.ts'
import { startAnvil } from '../../support/anvil.ts'
import { at } from '../../support/content.ts'
import { freePort, type RunningProcess, startProcess } from '../../support/processes.ts'
import { startRedis } from '../../support/redis.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../../support/until.ts'

const STAKE_WEI = 10n ** 20n
const FIRST_PROVIDER = 10
const MINE_BLOCKS = 100
const MAIN = join(import.meta.dirname, '../../../agents/storage/main.js')

/** Who owns all submissions of a world: its second account. */
export const OWNER = devAccount(2)

export type StorageAgent = Awaited<ReturnType<typeof startStorageAgent>>

/** A provider of the network under test: registered and staked, its agent running or not. */
export type WorldProvider = {
  readonly wallet: Wallet
  readonly url: string
  readonly dataDir: string
  /** Variables for an agent of this provider. */
  env(change?: Record<string, string>): Record<string, string>
  /** Starts the agent inside this process. */
  start(change?: Record<string, string>): Promise<StorageAgent>
  /** Starts the agent in a process of its own and waits until it serves. */
  spawn(change?: Record<string, string>): Promise<RunningProcess>
}

export type StorageWorld = Awaited<ReturnType<typeof startWorld>>

/** A real node with the real contracts, a real Redis, and providers that are registered and staked. */
export async function startWorld({
  providers: count = 6,
  listPriceWei = 10n ** 9n,
}: {
  providers?: number
  listPriceWei?: bigint
} = {}) {
  const redis = await startRedis()
  const anvil = await startAnvil({ args: ['--accounts', '40', '--balance', '1000000'] })
  const rpc = new JsonRpcProvider(anvil.rpcUrl, Network.from(31_337), {
    staticNetwork: true,
    pollingInterval: 30,
    cacheTimeout: -1,
    batchMaxCount: 1,
  })
  const account = (index: number): Wallet => devAccount(index, rpc)
  const network: NetworkParams = {
    ...localhost,
    resolve: (measured) => ({ ...localhost.resolve(measured), listPriceWei }),
  }
  const { book } = await deployAll({ provider: rpc, signer: account(1), network })
  const folder = tempDir()
  const bookFile = join(folder, '31337.json')
  writeFileSync(bookFile, toJson(book))
  const chain: Chain = await connectChain({
    provider: rpc,
    addressBook: parseAddressBook(JSON.parse(toJson(book))),
  })

  const send = async (wallet: Wallet, call: ChainCall) =>
    sendCall(await signerSender(chain, wallet), { ...call, label: 'test' })
  const running = new Set<{ stop(): Promise<void> }>()

  async function addProvider(index: number): Promise<WorldProvider> {
    const wallet = account(FIRST_PROVIDER + index)
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const dataDir = tempDir()
    await send(wallet, registerCall(chain, ''))
    await send(wallet, setEndpointCall(chain, url))
    await send(wallet, stakeCall(chain, STAKE_WEI))
    await send(wallet, allocateCall(chain, { amountWei: STAKE_WEI }))
    const env = (change: Record<string, string> = {}) => ({
      RPC_URL: anvil.rpcUrl,
      ADDRESS_BOOK: bookFile,
      DATA_DIR: dataDir,
      HTTP_PORT: String(port),
      PUBLIC_URL: url,
      REDIS_URL: redis.url,
      PRIVATE_KEY: wallet.privateKey,
      CONFIRMATIONS: '0',
      LOG_LEVEL: process.env.TEST_LOG ?? 'silent',
      ...change,
    })
    const track = <T extends { stop(): Promise<void> }>(agent: T): T => {
      running.add(agent)
      return agent
    }
    return {
      wallet,
      url,
      dataDir,
      env,
      start: async (change) => track(await startStorageAgent(loadConfig(storageEnv, env(change)))),
      spawn: async (change) => {
        const child = track(startProcess(process.execPath, [MAIN], { env: env(change) }))
        await until('the agent serves', async () => {
          const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(2000) })
          return response.ok
        })
        return child
      },
    }
  }

  const providers: WorldProvider[] = []
  for (let index = 0; index < count; index++) providers.push(await addProvider(index))

  const head = () => rpc.getBlockNumber()

  async function advance(
    what: string,
    check: () => unknown,
    { blocks = 60, blockMs = 600 }: { blocks?: number; blockMs?: number } = {},
  ): Promise<void> {
    for (let mined = 0; ; mined++) {
      try {
        await until(what, async () => Boolean(await check()), blockMs)
        return
      } catch (error) {
        if (mined >= blocks) throw error
      }
      await anvil.mine(1)
    }
  }
  const { startBlock, periodBlocks } = chain.terms

  async function mineTo(block: bigint): Promise<void> {
    // In steps that a busy machine mines within the time-out of one request.
    for (let more = Number(block) - (await head()); more > 0; more -= MINE_BLOCKS) {
      await anvil.mine(Math.min(more, MINE_BLOCKS))
    }
  }

  return {
    anvil,
    chain,
    rpc,
    redis,
    providers,
    account,
    owner: OWNER.connect(rpc),
    send,
    head,
    provider: (index: number) => at(providers, index),
    period: async () => (BigInt(await head()) - startBlock) / periodBlocks,
    /** Starts the agent's main program with these variables, whatever becomes of it. */
    startMain: (env: Record<string, string>) => startProcess(process.execPath, [MAIN], { env }),
    /** Mines until `block` is the latest. */
    mineTo,
    /** Mines to block number `offset` of a period. */
    enterPeriod: (period: bigint, offset = 0n) => mineTo(startBlock + period * periodBlocks + offset),
    /** From now on transactions wait for the next block, as on a live chain. */
    manualBlocks: async () => {
      await anvil.rpc('evm_setAutomine', false)
    },
    /**
     * Produces a block whenever nothing has happened for `blockMs`, until `check` holds; throws with `what` after
     * `blocks` of them. Agents get their turn between two blocks, as they do on a live chain.
     */
    advance,
    /** Stops an agent while blocks go on, since it waits for what it has sent. */
    stopAgent: async (agent: StorageAgent | undefined) => {
      let stopped = agent === undefined
      const stopping = agent?.stop().then(() => {
        stopped = true
      })
      await advance('the agent has stopped', () => stopped)
      await stopping
    },
    /** Waits until agents have seen the latest block and have read its logs. */
    settle: async (agents: readonly StorageAgent[]) => {
      const block = await head()
      for (const agent of agents) {
        await until(`block ${block} is read`, () =>
          agent.followers.every((follower) => follower.cursor() >= block),
        )
      }
    },
    stop: async () => {
      // Agents wait for what they have sent.
      await anvil.rpc('evm_setAutomine', true)
      await anvil.mine(2)
      for (const agent of running) await agent.stop()
      rpc.destroy()
      await anvil.stop()
      await redis.stop()
    },
  }
}

import { join } from 'node:path'
import { type BaseWallet, JsonRpcProvider } from 'ethers'
import type { AgentHandle } from '../../../agents/kernel/agent.ts'
import { loadConfig } from '../../../agents/kernel/config.ts'
import { startStorageAgent } from '../../../agents/storage/agent.ts'
import { storageEnv } from '../../../agents/storage/config.ts'
import type { StorageContext } from '../../../agents/storage/context.ts'
import { deployAll } from '../../../deploy/deploy-all.ts'
import type { NetworkParams } from '../../../deploy/deploy-params.ts'
import { devAccount } from '../../../deploy/dev-account.ts'
import { localhost } from '../../../deploy/params/localhost.ts'
import { parseAddressBook } from '../../../sdk/chain/address-book.ts'
import type { ChainCall } from '../../../sdk/chain/chain-call.ts'
import { type Chain, connectChain } from '../../../sdk/chain/connect.ts'
import { registerCall, setEndpointCall } from '../../../sdk/chain/operators.ts'
import { allocateCall, stakeCall } from '../../../sdk/chain/staking.ts'
import { startAnvil } from '../../support/anvil.ts'
import { startRedis } from '../../support/redis.ts'
import { tempDir } from '../../support/temp-dir.ts'

const STAKE_WEI = 10n ** 19n

/** Periods so long that no audit begins within a test: a block comes with each transaction only. */
const quietNetwork: NetworkParams = {
  ...localhost,
  resolve(measured) {
    const params = localhost.resolve(measured)
    return {
      ...params,
      beacon: { ...params.beacon, periodBlocks: 6_000 },
      prover: { ...params.prover, windowBlocks: 2_000 },
    }
  },
}

export type TestProvider = {
  readonly address: string
  readonly dataDir: string
  agent: AgentHandle<StorageContext> | undefined
  /** Ends the agent; its data stays. */
  stop(): Promise<void>
  /** Starts it again on the same port and data. */
  start(): Promise<void>
}

/** A real chain, the deployed contracts and real storage agents in this process: what a client talks to. */
export async function startStorageNetwork({
  providers: count = 7,
  env = {},
}: {
  providers?: number
  env?: Record<string, string>
} = {}) {
  const anvil = await startAnvil({ args: ['--hardfork', 'prague', '--accounts', '20'] })
  const redis = await startRedis()
  const rpc = new JsonRpcProvider(anvil.rpcUrl, 31_337, {
    staticNetwork: true,
    cacheTimeout: -1,
    pollingInterval: 50,
  })
  const directory = tempDir()
  await deployAll({ provider: rpc, signer: devAccount(1, rpc), network: quietNetwork, directory, pollMs: 20 })
  const bookFile = join(directory, '31337.json')
  const { default: bookJson } = await import(bookFile, { with: { type: 'json' } })
  const book = parseAddressBook(bookJson)
  const chain = await connectChain({ provider: rpc, addressBook: book, signer: devAccount(3, rpc) })

  async function send(signer: BaseWallet, call: ChainCall): Promise<void> {
    const response = await signer.sendTransaction({ to: call.to, data: call.data, value: call.valueWei })
    await response.wait()
  }

  async function startProvider(index: number): Promise<TestProvider> {
    const wallet = devAccount(8 + index, rpc)
    const dataDir = tempDir()
    let port = '0'
    const launch = () =>
      startStorageAgent(
        loadConfig(storageEnv, {
          RPC_URL: anvil.rpcUrl,
          ADDRESS_BOOK: bookFile,
          DATA_DIR: dataDir,
          HTTP_PORT: port,
          REDIS_URL: redis.url,
          PRIVATE_KEY: wallet.privateKey,
          CONFIRMATIONS: '0',
          LOG_LEVEL: 'silent',
          ...env,
        }),
      )
    const provider: TestProvider = {
      address: wallet.address,
      dataDir,
      agent: await launch(),
      async stop() {
        await provider.agent?.stop()
        provider.agent = undefined
      },
      async start() {
        provider.agent = await launch()
      },
    }
    const url = provider.agent?.url ?? ''
    port = new URL(url).port
    await send(wallet, registerCall(chain, ''))
    await send(wallet, stakeCall(chain, STAKE_WEI))
    await send(wallet, allocateCall(chain, { amountWei: STAKE_WEI }))
    await send(wallet, setEndpointCall(chain, url))
    return provider
  }

  const providers: TestProvider[] = []
  for (let index = 0; index < count; index++) providers.push(await startProvider(index))

  return {
    anvil,
    redis,
    rpc,
    chain,
    bookFile,
    providers,
    account: (index: number) => devAccount(index, rpc),
    send,
    /** Lets clients reach a provider elsewhere, such as behind a proxy. */
    setEndpoint: (index: number, url: string) =>
      send(devAccount(8 + index, rpc), setEndpointCall(chain, url)),
    /** A chain as another account sees it. */
    chainOf: (signer: BaseWallet): Promise<Chain> =>
      connectChain({ provider: rpc, addressBook: book, signer }),
    async stop() {
      await Promise.all(providers.map((provider) => provider.stop()))
      rpc.destroy()
      await redis.stop()
      await anvil.stop()
    },
  }
}

export type StorageNetwork = Awaited<ReturnType<typeof startStorageNetwork>>

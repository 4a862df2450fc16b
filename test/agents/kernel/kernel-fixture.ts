import { Wallet } from 'ethers'
import { pino } from 'pino'
import { trackHead } from '../../../agents/kernel/head.ts'
import { createMetrics } from '../../../agents/kernel/metrics.ts'
import { connectNode } from '../../../agents/kernel/provider.ts'
import { createSender } from '../../../agents/kernel/sender.ts'
import { openStore, type Store } from '../../../agents/kernel/store.ts'
import { TallyMock__factory } from '../../../typechain-types/index.js'
import { DEV_KEYS } from '../../support/anvil.ts'
import { tempDir } from '../../support/temp-dir.ts'

export const silent = pino({ level: process.env.TEST_LOG ?? 'silent' })

/** The interface of the contract that the kernel's tests call. */
export const tallyInterface = TallyMock__factory.createInterface()

/** Deploys a TallyMock from account 1 and returns its address. */
export async function deployTally(rpcUrl: string): Promise<string> {
  const chain = await connectNode({ rpcUrl, signal: AbortSignal.timeout(60_000) })
  const deployer = new Wallet(DEV_KEYS[1], chain.provider)
  const contract = await new TallyMock__factory(deployer).deploy()
  await contract.waitForDeployment()
  chain.close()
  return await contract.getAddress()
}

type Options = {
  rpcUrl: string
  key?: string
  dataDir?: string
  store?: Store
  confirmations?: number
  maxFeeWei?: bigint
  speedUpBlocks?: number
}

const running = new Set<{ stop(): Promise<void> }>()

/** Stops every kernel that a test has started; a failed test leaves none behind. */
export async function stopKernels(): Promise<void> {
  for (const kernel of running) await kernel.stop()
}

/** A chain connection, store and sender as an agent has them; `stop` ends all of it. */
export async function startKernel(options: Options) {
  const {
    rpcUrl,
    key = DEV_KEYS[0],
    dataDir = tempDir(),
    confirmations = 0,
    maxFeeWei = 500_000_000_000n,
  } = options
  const aborter = new AbortController()
  const { signal } = aborter
  const store = options.store ?? openStore(`${dataDir}/test.sqlite`)
  const chain = await connectNode({ rpcUrl, signal })
  const metrics = createMetrics('test')
  const heads = await trackHead({ provider: chain.provider, signal, log: silent, pollMs: 50 })
  const sender = createSender({
    ...{ provider: chain.provider, chainId: chain.chainId, store, dataDir, signal, log: silent, metrics },
    ...{ wallet: new Wallet(key), confirmations, maxFeeWei, pollMs: 50 },
    ...(options.speedUpBlocks === undefined ? {} : { speedUpBlocks: options.speedUpBlocks }),
  })
  const kernel = {
    ...chain,
    ...{ sender, store, heads, metrics, dataDir, signal, log: silent },
    stop: async () => {
      running.delete(kernel)
      await sender.stop()
      aborter.abort()
      await heads.stop()
      chain.close()
      store.close()
    },
  }
  running.add(kernel)
  return kernel
}

import { JsonRpcProvider, Network } from 'ethers'
import { type Child, startChild } from './child.ts'
import { waitUntil } from './wait-until.ts'

export const DEVNET_CHAIN_ID = 31_337

/** A local chain in a process of its own: Hardhat's node on prague. */
export type ChainNode = { child: Child; url: string; provider: JsonRpcProvider; genesisHash: string }

/** Starts the chain with automine on, so that a deployment takes seconds. */
export async function startChainNode(options: {
  root: string
  port: number
  signal?: AbortSignal
}): Promise<ChainNode> {
  const child = startChild({
    name: 'chain',
    args: [
      'node_modules/hardhat/dist/src/cli.js',
      ...['node', '--network', 'default', '--hostname', '127.0.0.1', '--port', String(options.port)],
    ],
    cwd: options.root,
    env: { HARDHAT_DISABLE_TELEMETRY_PROMPT: 'true' },
  })
  const url = `http://127.0.0.1:${options.port}`
  const provider = devnetProvider(url)
  const genesisHash = await waitUntil(
    async () => {
      if (child.ended() !== undefined) throw new Error(`the chain ended: ${child.ended()}`)
      return (await provider.getBlock(0))?.hash ?? undefined
    },
    { what: 'starting the chain', timeoutMs: 60_000, ...(options.signal && { signal: options.signal }) },
  )
  return { child, url, provider, genesisHash }
}

/** From now on one block a second, as a network would. */
export async function mineEverySecond(provider: JsonRpcProvider): Promise<void> {
  await provider.send('evm_setAutomine', [false])
  await provider.send('evm_setIntervalMining', [1000])
}

/** A provider that looks at the head four times a second and caches nothing. */
export function devnetProvider(url: string): JsonRpcProvider {
  const network = Network.from(DEVNET_CHAIN_ID)
  const provider = new JsonRpcProvider(url, network, { staticNetwork: network, cacheTimeout: -1 })
  provider.pollingInterval = 250
  return provider
}

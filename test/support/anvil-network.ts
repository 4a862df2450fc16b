import { join } from 'node:path'
import { devnetProvider } from '../../scripts/devnet/chain-node.ts'
import type { Child } from '../../scripts/devnet/child.ts'
import { type Devnet, type DevnetOptions, startDevnet } from '../../scripts/devnet/start-devnet.ts'
import { waitUntil } from '../../scripts/devnet/wait-until.ts'
import { type Anvil, startAnvil } from './anvil.ts'
import { ROOT } from './repository.ts'
import { tempDir } from './temp-dir.ts'

export type AnvilNetwork = Devnet & {
  anvil: () => Anvil
  /** Stops the chain, keeps its state, and starts it again on the same port. */
  restartChain: () => Promise<void>
}

/** The devnet on anvil, a second and different node: it can be reorganized and restarted. */
export async function startAnvilNetwork(
  options: Pick<DevnetOptions, 'agentCount' | 'daCount' | 'agentEnv'>,
): Promise<AnvilNetwork> {
  const base = tempDir()
  const stateFile = join(base, 'anvil-state.json')
  const args = ['--hardfork', 'prague', '--state', stateFile, '--silent']
  let anvil: Anvil | undefined
  const running = (): Anvil => {
    if (anvil === undefined) throw new Error('the chain does not run')
    return anvil
  }
  const devnet = await startDevnet({
    ...options,
    root: ROOT,
    base,
    startNode: async ({ port }) => {
      anvil = await startAnvil({ port, args })
      const provider = devnetProvider(anvil.rpcUrl)
      const genesisHash = await waitUntil(async () => (await provider.getBlock(0))?.hash ?? undefined, {
        what: 'the genesis block',
        timeoutMs: 10_000,
      })
      return { child: childOf(running), url: anvil.rpcUrl, provider, genesisHash }
    },
    mineEverySecond: async (provider) => {
      await provider.send('evm_setAutomine', [false])
      await provider.send('evm_setIntervalMining', [1])
    },
  })
  return {
    ...devnet,
    anvil: running,
    restartChain: async () => {
      const { port } = running()
      await running().stop()
      anvil = await startAnvil({ port, args: [...args, '--no-mining'] })
      await anvil.rpc('evm_setIntervalMining', 1)
    },
  }
}

/** The chain as the devnet ends it: whatever process it is by then. */
function childOf(running: () => Anvil): Child {
  return {
    name: 'chain',
    pid: running().pid,
    logFile: undefined,
    ended: () => undefined,
    kill: async (signal) => {
      running().kill(signal)
      await running().exited
    },
  }
}

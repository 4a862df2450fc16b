import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { freePort, type RunningProcess, startProcess } from './processes.ts'
import { tempDir } from './temp-dir.ts'
import { until } from './until.ts'

export type Anvil = RunningProcess & {
  readonly port: number
  readonly rpcUrl: string
  /** One JSON-RPC call; throws on an error answer. */
  rpc(method: string, ...params: unknown[]): Promise<unknown>
  mine(blocks?: number): Promise<void>
}

/** Private keys of the accounts that anvil and Hardhat fund, by index. */
export const DEV_KEYS = [
  '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
  '0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d',
  '0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a',
  '0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6',
] as const

/** Starts an anvil node on a free port; `args` are added to its command line. Mines a block per transaction by default. */
export async function startAnvil(options: { port?: number; args?: readonly string[] } = {}): Promise<Anvil> {
  const port = options.port ?? (await freePort())
  const rpcUrl = `http://127.0.0.1:${port}`
  // Old states go to disk, hundreds of megabytes of them, and by default stay in the home folder for good.
  const states = ['--cache-path', tempDir()]
  const process = startProcess(anvilBinary(), ['--port', String(port), ...states, ...(options.args ?? [])])
  let nextId = 1
  const rpc = async (method: string, ...params: unknown[]): Promise<unknown> => {
    const response = await fetch(rpcUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: nextId++, method, params }),
      signal: AbortSignal.timeout(10_000),
    })
    const answer = (await response.json()) as { result?: unknown; error?: { message: string } }
    if (answer.error) throw new Error(`${method}: ${answer.error.message}`)
    return answer.result
  }
  await until('anvil answers', () => rpc('eth_chainId'))
  return {
    ...process,
    port,
    rpcUrl,
    rpc,
    mine: async (blocks = 1) => {
      await rpc('anvil_mine', `0x${blocks.toString(16)}`)
    },
  }
}

/** The native program: signals to the npm wrapper would not all reach it. */
function anvilBinary(): string {
  const require = createRequire(import.meta.url)
  const arch = process.arch === 'x64' ? 'amd64' : process.arch
  const platform = `@foundry-rs/anvil-${process.platform}-${arch}/package.json`
  return join(
    dirname(createRequire(require.resolve('@foundry-rs/anvil/package.json')).resolve(platform)),
    'bin',
    'anvil',
  )
}

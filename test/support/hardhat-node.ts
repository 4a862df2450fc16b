import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { freePort, type RunningProcess, startProcess } from './processes.ts'
import { until } from './until.ts'

/** Starts Hardhat's own node on a free port. */
export async function startHardhatNode(): Promise<RunningProcess & { port: number; rpcUrl: string }> {
  const port = await freePort()
  const rpcUrl = `http://127.0.0.1:${port}`
  const cli = join(dirname(createRequire(import.meta.url).resolve('hardhat/package.json')), 'dist/src/cli.js')
  const node = startProcess(process.execPath, [
    cli,
    'node',
    '--hostname',
    '127.0.0.1',
    '--port',
    String(port),
  ])
  await until('the node answers', async () => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] })
    const headers = { 'content-type': 'application/json' }
    return (await fetch(rpcUrl, { method: 'POST', headers, body, signal: AbortSignal.timeout(2000) })).ok
  })
  return { ...node, port, rpcUrl }
}

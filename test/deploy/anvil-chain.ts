import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { JsonRpcProvider } from 'ethers'
import { ROOT } from '../support/repository.ts'

/** A real EVM node on a free port; it mines a block per transaction unless `args` say otherwise. */
export async function startAnvil(...args: string[]) {
  const hardfork = args.includes('--hardfork') ? [] : ['--hardfork', 'prague']
  const child = spawn(
    process.execPath,
    [join(ROOT, 'node_modules/@foundry-rs/anvil/bin.mjs'), '--port', '0', ...hardfork, ...args],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const ended = once(child, 'close')
  const listening = (async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      const port = /Listening on 127\.0\.0\.1:(\d+)/.exec(line)?.[1]
      if (port !== undefined) return `http://127.0.0.1:${port}`
    }
    throw new Error('anvil ended before it listened')
  })()
  const url = await listening
  child.stdout.resume()
  child.stderr.resume()
  const provider = new JsonRpcProvider(url, undefined, {
    cacheTimeout: -1,
    pollingInterval: 50,
    batchMaxCount: 1,
  })
  return {
    url,
    provider,
    nonceOf: async (address: string) => await provider.getTransactionCount(address, 'latest'),
    async [Symbol.asyncDispose]() {
      provider.destroy()
      child.kill('SIGTERM')
      await ended
    },
  }
}

// A process of its own that uploads one file and says what it took: what a user's program is, measured alone.
// Usage: node uploader.js RPC_URL ADDRESS_BOOK FILE, the key in the environment variable BENCH_KEY.
import { readFile } from 'node:fs/promises'
import { JsonRpcProvider, Wallet } from 'ethers'
import { loadAddressBook } from '../../../sdk/chain/address-book-node.ts'
import { connectChain } from '../../../sdk/chain/connect.ts'
import { uploadPath } from '../../../sdk/client/paths-node.ts'
import type { UploadResult } from '../../../sdk/client/upload.ts'

/** What the process prints. `peakBytes` is the largest resident set it ever had. */
export type UploaderReport = Pick<UploadResult, 'root' | 'sentBytes' | 'seconds'> & {
  totalSec: number
  peakBytes: number
  /** Processor time of all threads. */
  cpuSec: number
}

const [rpcUrl = '', bookPath = '', path = ''] = process.argv.slice(2)
const addressBook = await loadAddressBook(bookPath)
// As in sdk/examples/store-a-file.ts.
const options = { staticNetwork: true, cacheTimeout: -1, batchStallTime: 0, pollingInterval: 50 }
const provider = new JsonRpcProvider(rpcUrl, addressBook.chainId, options)
const signer = new Wallet(process.env.BENCH_KEY ?? '', provider)
const chain = await connectChain({ provider, addressBook, signer })
const startedMs = performance.now()
const { root, sentBytes, seconds } = await uploadPath({ chain, path })
const report: UploaderReport = {
  root,
  sentBytes,
  seconds,
  totalSec: (performance.now() - startedMs) / 1000,
  cpuSec: (process.cpuUsage().user + process.cpuUsage().system) / 1e6,
  peakBytes: await peakBytes(),
}
provider.destroy()
process.stdout.write(`${JSON.stringify(report)}\n`)

/** Linux counts the parent's memory before exec into maxRSS, but not into VmHWM. */
async function peakBytes(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '')
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]
  return (kib === undefined ? process.resourceUsage().maxRSS : Number(kib)) * 1024
}

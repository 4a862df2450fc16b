// What the page of browser.test.ts runs: the SDK in a browser, against a real chain and real nodes.
import { JsonRpcProvider } from 'ethers'
import {
  blobSource,
  connectChain,
  connectDa,
  createLightClient,
  errorCode,
  loadBrowserKzg,
  parseAddressBook,
  prepareFile,
  readBlob,
  verifyFinal,
} from '../../../sdk/index.ts'

type Task = { rpcUrl: string; book: unknown; blobId: string }

async function connect({ rpcUrl, book }: Task) {
  const provider = new JsonRpcProvider(rpcUrl, 31_337, { staticNetwork: true, cacheTimeout: -1 })
  return connectDa(await connectChain({ provider, addressBook: parseAddressBook(book) }))
}

/** The functions that the test calls; what they return must survive JSON. */
const page = {
  async sample(task: Task) {
    const verdict = await createLightClient({ chain: await connect(task) }).sample(task.blobId)
    if (verdict.verdict === 'INVALID') return { verdict: verdict.verdict }
    return {
      verdict: verdict.verdict,
      confidence: verdict.verdict === 'AVAILABLE' ? verdict.confidence : 0,
      samples: verdict.samples.length,
      operators: verdict.samples.flatMap((sample) => (sample.isServed ? [sample.operator] : [])),
      codes: verdict.faults.map(({ code }) => code),
    }
  },

  async verifyFinal(task: Task) {
    const { header, finalAtBlock } = await verifyFinal({ chain: await connect(task), blobId: task.blobId })
    return { payloadHash: header.payloadHash, finalAtBlock: `${finalAtBlock}` }
  },

  async read(task: Task) {
    const kzg = await loadBrowserKzg()
    const { payload, isRebuilt } = await readBlob({ chain: await connect(task), blobId: task.blobId, kzg })
    return { payload: Array.from(payload), isRebuilt }
  },

  async readError(task: Task) {
    const kzg = await loadBrowserKzg()
    return readBlob({ chain: await connect(task), blobId: task.blobId, kzg }).then(
      () => 'none',
      (error: unknown) => errorCode(error),
    )
  },

  async storageRoot(bytes: number[]) {
    const source = blobSource(new Blob([Uint8Array.from(bytes)]))
    return (await prepareFile({ source, parityShards: 8 })).root
  },
}

export type Page = typeof page

Object.assign(globalThis, { page })

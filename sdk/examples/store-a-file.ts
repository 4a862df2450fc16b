import { JsonRpcProvider, Wallet } from 'ethers'
import {
  bytesSource,
  connectChain,
  downloadFile,
  memorySink,
  parseAddressBook,
  quoteUpload,
  uploadFile,
} from '../index.ts'

/** Stores some bytes on the network, reads them back by their root, and returns what came. Runs in browsers as well. */
export async function storeAFile({
  rpcUrl,
  addressBook,
  privateKey,
  bytes,
}: {
  rpcUrl: string
  /** The JSON of `deploy/addresses/<chainId>.json`. */
  addressBook: unknown
  privateKey: string
  bytes: Uint8Array
}) {
  const book = parseAddressBook(addressBook)
  // By default ethers asks for the chain's id with every request, and lets each wait 10 ms for others to come.
  const options = { staticNetwork: true, cacheTimeout: -1, batchStallTime: 0 }
  const provider = new JsonRpcProvider(rpcUrl, book.chainId, options)
  try {
    const signer = new Wallet(privateKey, provider)
    const chain = await connectChain({ provider, addressBook: book, signer })

    const { totalWei } = await quoteUpload(chain, { byteLength: bytes.length })
    const { root, txSeq } = await uploadFile({ chain, source: bytesSource(bytes) })

    const sink = memorySink()
    await downloadFile({ chain, root, sink })
    return { root, txSeq, totalWei, bytes: sink.bytes() }
  } finally {
    provider.destroy()
  }
}

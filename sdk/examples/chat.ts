import { JsonRpcProvider, Wallet } from 'ethers'
import { connectChain, connectCompute, createInference, parseAddressBook, type StateStore } from '../index.ts'

/** Asks a model of the network, shows its answer as it is written, and returns what it cost once it is verified. Runs in browsers as well. */
export async function chat({
  rpcUrl,
  addressBook,
  privateKey,
  model,
  prompt,
  limitWei,
  stateStore,
  show,
}: {
  rpcUrl: string
  /** The JSON of `deploy/addresses/<chainId>.json`. */
  addressBook: unknown
  privateKey: string
  model: string
  prompt: string
  /** The most that providers may ever take, and that goes from the wallet into the ledger. */
  limitWei: bigint
  /** `folderStateStore` or `webStateStore`: what was signed must outlive the process. */
  stateStore: StateStore
  show: (text: string) => void
}) {
  const book = parseAddressBook(addressBook)
  const provider = new JsonRpcProvider(rpcUrl, book.chainId, { staticNetwork: true, cacheTimeout: -1 })
  const signer = new Wallet(privateKey, provider)
  const chain = await connectCompute(await connectChain({ provider, addressBook: book, signer }))
  const inference = createInference({ chain, stateStore, maxSpendWei: limitWei, depositWei: limitWei })
  try {
    const stream = inference.streamChat({
      model,
      messages: [{ role: 'user', content: prompt }],
      temperature: 0,
    })
    for await (const piece of stream) {
      if (piece.type === 'text') show(piece.text)
      if (piece.type === 'restart') show('\n')
    }
    const { text, provider: writer, feeWei } = await stream.result
    return { text, writer, feeWei }
  } finally {
    inference.close()
    provider.destroy()
  }
}

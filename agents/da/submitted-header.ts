import type { DaChain } from '../../sdk/chain/da-chain.ts'
import { type ReadOptions, read } from '../../sdk/chain/read.ts'
import { blobIdOf, type SignedHeader, verifyHeader } from '../../sdk/protocol/blob-header.ts'
import { isZerogError } from '../../sdk/protocol/errors.ts'
import type { IndexedBlob } from './blob-index.ts'

/**
 * A header that is on chain with its disperser's signature, from the transaction that submitted it; undefined when that was
 * a call through another contract, or the RPC has the transaction no more.
 */
export async function readSubmittedHeader(
  chain: DaChain,
  { blobId, header, submittedTx }: Pick<IndexedBlob, 'blobId' | 'header' | 'submittedTx'>,
  options: ReadOptions = {},
): Promise<SignedHeader | undefined> {
  const tx = await read(chain.provider.getTransaction(submittedTx), options)
  const { availability, addresses } = chain.da
  if (tx?.to?.toLowerCase() !== addresses.DataAvailability.toLowerCase()) return undefined
  const call = availability.interface.parseTransaction({ data: tx.data, value: tx.value })
  const signature: unknown = call?.name === 'submit' ? call.args[1] : undefined
  if (typeof signature !== 'string' || blobIdOf(header) !== blobId) return undefined
  const signed = { header, signature }
  try {
    verifyHeader(signed, { chainId: header.chainId, da: header.da })
    return signed
  } catch (error) {
    if (isZerogError(error)) return undefined
    throw error
  }
}

import { getAddress, verifyMessage, type Wallet } from 'ethers'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { ShardKey } from './shard-files.ts'

/** Longest time ahead that a signed permission to read may reach. */
const MAX_VALID_SEC = 3600
const HEADER = /^ZeroG (0x[0-9a-fA-F]{40}) (\d{1,12}) (0x[0-9a-fA-F]{130})$/

/** The text that a co-custodian signs (EIP-191) to read an unsealed shard. */
export function readText(chainId: bigint, key: ShardKey, validUntilSec: number): string {
  return `zerog read ${chainId} ${key.txSeq} ${key.index} ${validUntilSec}`
}

/** The Authorization header for reading one unsealed shard. */
export async function readHeader(
  wallet: Wallet,
  { chainId, key, validUntilSec }: { chainId: bigint; key: ShardKey; validUntilSec: number },
): Promise<string> {
  const signature = await wallet.signMessage(readText(chainId, key, validUntilSec))
  return `ZeroG ${wallet.address} ${validUntilSec} ${signature}`
}

/** Who signed the header. Errors: NOT_SEALED without one, UNAUTHORIZED for one that is malformed, expired or forged. */
export function readerOf(
  header: string | undefined,
  { chainId, key, nowSec }: { chainId: bigint; key: ShardKey; nowSec: number },
): string {
  if (header === undefined) {
    throw new ZerogError('NOT_SEALED', 'before the seal only co-custodians may read this shard')
  }
  const [, address, until, signature] = HEADER.exec(header) ?? []
  if (address === undefined || until === undefined || signature === undefined) {
    throw new ZerogError('UNAUTHORIZED', 'expected: ZeroG <address> <validUntilUnixSec> <signature>')
  }
  const validUntilSec = Number(until)
  if (validUntilSec < nowSec || validUntilSec > nowSec + MAX_VALID_SEC) {
    throw new ZerogError('UNAUTHORIZED', `validUntil lies in the past or over ${MAX_VALID_SEC} s ahead`)
  }
  const text = readText(chainId, key, validUntilSec)
  const signer = recover(text, signature)
  if (signer.toLowerCase() === address.toLowerCase()) return getAddress(signer)
  throw new ZerogError('UNAUTHORIZED', 'the signature is not by this address')
}

/** Signers of the last texts: one permission comes with each of many chunks, and recovery costs more than a chunk. */
const recovered = new Map<string, string>()
const MAX_RECOVERED = 4096

function recover(text: string, signature: string): string {
  const id = `${text} ${signature}`
  const known = recovered.get(id)
  if (known !== undefined) return known
  try {
    const signer = verifyMessage(text, signature)
    if (recovered.size >= MAX_RECOVERED) recovered.clear()
    recovered.set(id, signer)
    return signer
  } catch (cause) {
    throw new ZerogError('UNAUTHORIZED', 'the signature is malformed', { cause })
  }
}

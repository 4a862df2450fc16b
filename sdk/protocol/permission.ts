import { verifyMessage } from 'ethers'
import { ZerogError } from './errors.ts'

/** What a provider is asked to allow: reading the unsealed shards of a submission, or writing its shards and proposals. */
export type Permission = {
  readonly action: 'read' | 'write'
  readonly chainId: bigint
  readonly txSeq: bigint
}

/** A permission as it travels. */
export type SignedPermission = {
  readonly address: string
  readonly validUntilSec: number
  readonly signature: string
}

/** Longest time ahead, in seconds, that providers accept of each. */
export const MAX_PERMISSION_SEC = { read: 3600, write: 8 * 3600 } as const

const HEADER = /^ZeroG (0x[0-9a-fA-F]{40}) (\d{1,12}) (0x[0-9a-fA-F]{130})$/

/** The text to sign (EIP-191 personal message); `validUntilSec` is Unix time. */
export function permissionText(permission: Permission, validUntilSec: number): string {
  const { action, chainId, txSeq } = permission
  return `zerog ${action} ${chainId} ${txSeq} ${validUntilSec}`
}

/** The account behind a signed text. Throws UNAUTHORIZED when the signature is malformed. */
export function textSigner(text: string, signature: string): string {
  try {
    return verifyMessage(text, signature)
  } catch (cause) {
    throw new ZerogError('UNAUTHORIZED', 'the signature is malformed', { cause })
  }
}

/** The value of the Authorization header. */
export function formatPermission({ address, validUntilSec, signature }: SignedPermission): string {
  return `ZeroG ${address} ${validUntilSec} ${signature}`
}

/** Reads an Authorization header; what it says is not verified yet. Throws UNAUTHORIZED. */
export function parsePermission(header: string): SignedPermission {
  const [, address, until, signature] = HEADER.exec(header) ?? []
  if (address === undefined || until === undefined || signature === undefined) {
    throw new ZerogError('UNAUTHORIZED', 'expected: ZeroG <address> <validUntilUnixSec> <signature>')
  }
  return { address, validUntilSec: Number(until), signature }
}

import { recoverAddress } from 'ethers'
import { dastreeHash } from '../../sdk/protocol/dastree.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { Hasher } from '../../sdk/protocol/hasher.ts'
import { toHex } from '../../sdk/protocol/hex.ts'

/** Keeps signatures of other protocols from being used here. */
const PREFIX = new TextEncoder().encode('Arbitrum Nitro DAS API Store:')
const SIGNATURE_BYTES = 65

/** The hash that a batch poster signs for a call: `dastree` of prefix ‖ each field as uint64 ‖ data. */
export function anyTrustRequestHash(hasher: Hasher, data: Uint8Array, fields: readonly bigint[]): Uint8Array {
  const numbers = new Uint8Array(8 * fields.length)
  const view = new DataView(numbers.buffer)
  fields.forEach((field, index) => {
    view.setBigUint64(8 * index, field)
  })
  return dastreeHash(hasher, Buffer.concat([PREFIX, numbers, data]))
}

/** Checks that one of `posters` signed a call (65 B: r ‖ s ‖ v, v 0/1 or 27/28). Errors: UNAUTHORIZED. */
export function requireBatchPoster(
  hasher: Hasher,
  posters: readonly string[],
  request: { data: Uint8Array; fields: readonly bigint[]; signature: Uint8Array },
): void {
  const signer = recover(anyTrustRequestHash(hasher, request.data, request.fields), request.signature)
  if (posters.some((poster) => poster.toLowerCase() === signer?.toLowerCase())) return
  throw new ZerogError('UNAUTHORIZED', 'request not properly signed by a batch poster of this node')
}

function recover(hash: Uint8Array, signature: Uint8Array): string | undefined {
  if (signature.length !== SIGNATURE_BYTES) return undefined
  const bytes = Uint8Array.from(signature)
  const v = bytes[SIGNATURE_BYTES - 1] ?? 0
  bytes[SIGNATURE_BYTES - 1] = v < 27 ? v + 27 : v
  try {
    return recoverAddress(toHex(hash), toHex(bytes))
  } catch {
    // No key has such a signature.
    return undefined
  }
}

import { g1Add, verify } from './bls.ts'
import { fromHex } from './hex.ts'

/**
 * Whether `signature` (256 B) is the aggregate of all these keys (128 B each, EIP-2537) over one 32-byte digest (hex). Malformed points, points
 * outside of the subgroups, infinity and an empty list of keys give false. The keys must have proved possession.
 */
export function verifyAttestation({
  publicKeys,
  digest,
  signature,
}: {
  publicKeys: readonly Uint8Array[]
  digest: string
  signature: Uint8Array
}): boolean {
  if (publicKeys.length === 0) return false
  try {
    return verify(publicKeys.reduce(g1Add), fromHex(digest, 32), signature)
  } catch {
    return false
  }
}

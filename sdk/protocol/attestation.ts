import { bls12_381 as bls } from '@noble/curves/bls12-381.js'
import { fromHex, toHex } from './hex.ts'

/** Domain separation tag of all BLS signatures here (RFC 9380, proof of possession scheme). */
export const BLS_DST = 'BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_'
/** Bytes of a public key: a G1 point x ‖ y, each 64 B big-endian (EIP-2537). */
export const PUBLIC_KEY_BYTES = 128
/** Bytes of a signature: a G2 point x.c0 ‖ x.c1 ‖ y.c0 ‖ y.c1, each 64 B big-endian (EIP-2537). */
export const SIGNATURE_BYTES = 256

const COORDINATE_BYTES = 64
const scheme = bls.longSignatures

/**
 * Whether `signature` (256 B) is the aggregate of all these keys (128 B each) over one 32-byte digest (hex). Malformed points, points
 * outside the group, infinity and an empty list of keys give false. The keys must have proved possession.
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
    const aggregate = publicKeys.map(g1Of).reduce((sum, key) => sum.add(key))
    const point = g2Of(signature)
    if (aggregate.is0() || point.is0()) return false
    return scheme.verify(point, scheme.hash(fromHex(digest, 32), BLS_DST), aggregate)
  } catch {
    return false
  }
}

function g1Of(bytes: Uint8Array): typeof bls.G1.Point.BASE {
  if (bytes.length !== PUBLIC_KEY_BYTES) throw new RangeError('a key has 128 bytes')
  const point = bls.G1.Point.fromAffine({ x: coordinate(bytes, 0), y: coordinate(bytes, 1) })
  point.assertValidity()
  return point
}

function g2Of(bytes: Uint8Array): typeof bls.G2.Point.BASE {
  if (bytes.length !== SIGNATURE_BYTES) throw new RangeError('a signature has 256 bytes')
  const point = bls.G2.Point.fromAffine({
    x: { c0: coordinate(bytes, 0), c1: coordinate(bytes, 1) },
    y: { c0: coordinate(bytes, 2), c1: coordinate(bytes, 3) },
  })
  point.assertValidity()
  return point
}

function coordinate(bytes: Uint8Array, index: number): bigint {
  const value = BigInt(toHex(bytes.subarray(index * COORDINATE_BYTES, (index + 1) * COORDINATE_BYTES)))
  if (value >= bls.fields.Fp.ORDER) throw new RangeError('a coordinate is not below the field modulus')
  return value
}

import { aggregateSignatures, PublicKey, Signature, verify } from '@chainsafe/blst'
import { ZerogError } from '../../sdk/protocol/errors.ts'

/** A base field element: 48 bytes; the contracts' form (EIP-2537) puts 16 zeros before it. */
const ELEMENT_BYTES = 48
const PADDED_BYTES = 64

/** Bytes of a compressed G2 point. */
export const SIGNATURE_BYTES = 96

/** A compressed G1 point (48 bytes) as the contracts take it: x ‖ y, 128 bytes. Throws SIGNATURE_INVALID. */
export function g1Point(compressed: Uint8Array): Uint8Array {
  const flat = wellFormed(() => PublicKey.fromBytes(compressed, true).toBytes(false))
  return padded(flat, [0, 1])
}

/** A compressed G2 point (96 bytes) as the contracts take it: x.c0 ‖ x.c1 ‖ y.c0 ‖ y.c1, 256 bytes. Throws SIGNATURE_INVALID. */
export function g2Point(compressed: Uint8Array): Uint8Array {
  const flat = wellFormed(() => Signature.fromBytes(compressed, true).toBytes(false))
  return g2Padded(flat)
}

/** The sum of compressed signatures as the contracts take it, 256 bytes. Throws SIGNATURE_INVALID. */
export function aggregatePoint(signatures: readonly Uint8Array[]): Uint8Array {
  const points = signatures.map((bytes) => wellFormed(() => Signature.fromBytes(bytes, true)))
  return g2Padded(aggregateSignatures(points).toBytes(false))
}

/** Whether `signature` (compressed) over `digest` is by the key whose 128-byte point is given; malformed ones are not. */
export function isSignedBy(
  publicKeyPoint: Uint8Array,
  { digest, signature }: { digest: Uint8Array; signature: Uint8Array },
): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false
  try {
    const key = PublicKey.fromBytes(unpadded(publicKeyPoint), true)
    return verify(digest, key, Signature.fromBytes(signature, true), false, false)
  } catch {
    return false
  }
}

/** The library writes the parts of an Fp2 element the other way round. */
function g2Padded(flat: Uint8Array): Uint8Array {
  return padded(flat, [1, 0, 3, 2])
}

function padded(flat: Uint8Array, order: readonly number[]): Uint8Array {
  const point = new Uint8Array(order.length * PADDED_BYTES)
  order.forEach((element, place) => {
    const bytes = flat.subarray(element * ELEMENT_BYTES, (element + 1) * ELEMENT_BYTES)
    point.set(bytes, place * PADDED_BYTES + PADDED_BYTES - ELEMENT_BYTES)
  })
  return point
}

function unpadded(point: Uint8Array): Uint8Array {
  const flat = new Uint8Array((point.length / PADDED_BYTES) * ELEMENT_BYTES)
  for (let place = 0; place * PADDED_BYTES < point.length; place++) {
    const end = (place + 1) * PADDED_BYTES
    flat.set(point.subarray(end - ELEMENT_BYTES, end), place * ELEMENT_BYTES)
  }
  return flat
}

function wellFormed<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new ZerogError('SIGNATURE_INVALID', 'this is no point of the group', { cause })
  }
}

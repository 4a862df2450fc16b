import { aggregateSignatures, PublicKey, Signature, verify } from '@chainsafe/blst'
import { ZerogError } from '../../sdk/protocol/errors.ts'

/** A base field element: 48 bytes; the contracts' form (EIP-2537) puts 16 zeros before it. */
const ELEMENT_BYTES = 48
const PADDED_BYTES = 64

const G1_ORDER = [0, 1]
/** The library writes the parts of an Fp2 element the other way round. */
const G2_ORDER = [1, 0, 3, 2]

/** Bytes of a compressed G2 point. */
export const SIGNATURE_BYTES = 96

/** A compressed G1 point (48 bytes) as the contracts take it: x ‖ y, 128 bytes. Throws SIGNATURE_INVALID. */
export function g1Point(compressed: Uint8Array): Uint8Array {
  const flat = wellFormed(() => PublicKey.fromBytes(compressed, true).toBytes(false))
  return padded(flat, G1_ORDER)
}

/** A compressed G2 point (96 bytes) as the contracts take it: x.c0 ‖ x.c1 ‖ y.c0 ‖ y.c1, 256 bytes. Throws SIGNATURE_INVALID. */
export function g2Point(compressed: Uint8Array): Uint8Array {
  const flat = wellFormed(() => Signature.fromBytes(compressed, true).toBytes(false))
  return g2Padded(flat)
}

/**
 * The sum of compressed signatures, and of `sum` in the contracts' form where others have begun, as the contracts take it:
 * 256 bytes. Throws SIGNATURE_INVALID.
 */
export function aggregatePoint(signatures: readonly Uint8Array[], sum?: Uint8Array): Uint8Array {
  const parts = sum === undefined ? signatures : [unpadded(sum, G2_ORDER), ...signatures]
  const points = parts.map((bytes) => wellFormed(() => Signature.fromBytes(bytes, true)))
  return g2Padded(aggregateSignatures(points).toBytes(false))
}

/** Whether `signature` (compressed) over `digest` is by the key whose 128-byte point is given; malformed ones are not. */
export function isSignedBy(
  publicKeyPoint: Uint8Array,
  { digest, signature }: { digest: Uint8Array; signature: Uint8Array },
): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false
  try {
    const key = PublicKey.fromBytes(unpadded(publicKeyPoint, G1_ORDER), true)
    return verify(digest, key, Signature.fromBytes(signature, true), false, false)
  } catch {
    return false
  }
}

function g2Padded(flat: Uint8Array): Uint8Array {
  return padded(flat, G2_ORDER)
}

function padded(flat: Uint8Array, order: readonly number[]): Uint8Array {
  const point = new Uint8Array(order.length * PADDED_BYTES)
  order.forEach((element, place) => {
    const bytes = flat.subarray(element * ELEMENT_BYTES, (element + 1) * ELEMENT_BYTES)
    point.set(bytes, place * PADDED_BYTES + PADDED_BYTES - ELEMENT_BYTES)
  })
  return point
}

function unpadded(point: Uint8Array, order: readonly number[]): Uint8Array {
  const flat = new Uint8Array(order.length * ELEMENT_BYTES)
  order.forEach((element, place) => {
    const end = (place + 1) * PADDED_BYTES
    flat.set(point.subarray(end - ELEMENT_BYTES, end), element * ELEMENT_BYTES)
  })
  return flat
}

function wellFormed<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new ZerogError('SIGNATURE_INVALID', 'this is no point of the group', { cause })
  }
}

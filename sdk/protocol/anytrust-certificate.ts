import { bls12_381 } from '@noble/curves/bls12-381.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { dastreeHash } from './dastree.ts'
import { ZerogError } from './errors.ts'
import type { Hasher } from './hasher.ts'

/** Version of a certificate whose data hash is a `dastree` root. */
export const CERTIFICATE_VERSION = 1
/** Longest signature and key of the scheme, in bytes: uncompressed points. */
export const ANYTRUST_SIGNATURE_BYTES = 96

const KEY_BYTES = 192

/** The typings describe the map before the cofactor is cleared; the function takes one element and returns a point of the group. */
const mapToG1 = bls12_381.G1.mapToCurve as unknown as (element: bigint) => typeof bls12_381.G1.Point.BASE

/**
 * A key of Nitro's BLS scheme: public keys in G2, signatures in G1, messages mapped by keccak256 as one field element (no XMD). It is not
 * the scheme of our committee, so a key of its own is used for it. `publicKey` is the form in keysets: length of the proof ‖ proof of
 * possession (96 B) ‖ key (192 B), all points uncompressed.
 */
export type AnyTrustKey = {
  readonly publicKey: Uint8Array
  readonly sign: (message: Uint8Array) => Uint8Array
}

/** What a committee member signs for data that it keeps: `timeoutSec` is Unix time, `dataHash` the `dastree` root (32 B). */
export type AnyTrustClaim = { readonly dataHash: Uint8Array; readonly timeoutSec: bigint }

/** Makes the key of a secret, taken modulo the group order: 48 random bytes leave no bias. Throws KEYSTORE_INVALID for a secret that is zero there. */
export function anyTrustKey(secret: Uint8Array): AnyTrustKey {
  const { G2, fields } = bls12_381
  const scalar = fields.Fr.create(secret.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n))
  if (scalar === 0n) throw new ZerogError('KEYSTORE_INVALID', 'this secret is no key')
  const sign = (message: Uint8Array, isProof: boolean) =>
    messagePoint(message, isProof).multiply(scalar).toBytes(false)
  const key = G2.Point.BASE.multiply(scalar)
  const proof = sign(key.toBytes(true), true)
  return {
    publicKey: concat(Uint8Array.of(proof.length), proof, key.toBytes(false)),
    sign: (message) => sign(message, false),
  }
}

/** Whether `signature` (96 B) over `message` is by `publicKey`, and the key's proof of possession holds. Malformed input gives false. */
export function verifyAnyTrustSignature(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    const proofBytes = publicKey[0] ?? 0
    const key = publicKey.subarray(1 + proofBytes)
    if (proofBytes !== ANYTRUST_SIGNATURE_BYTES || key.length !== KEY_BYTES) return false
    const compressed = bls12_381.G2.Point.fromBytes(key).toBytes(true)
    return (
      isSigned(key, compressed, publicKey.subarray(1, 1 + proofBytes), true) &&
      isSigned(key, message, signature, false)
    )
  } catch {
    // Points that do not decode are what "malformed" means here.
    return false
  }
}

/** The bytes that are signed: data hash ‖ uint64 time-out ‖ version. */
export function anyTrustMessage({ dataHash, timeoutSec }: AnyTrustClaim): Uint8Array {
  return concat(dataHash, uint64(timeoutSec), Uint8Array.of(CERTIFICATE_VERSION))
}

/** The keyset of one member that must be honest: uint64 1 ‖ uint64 1 ‖ uint16 length ‖ key; its `dastree` hash names it on chain. */
export function soleKeyset(
  hasher: Hasher,
  { publicKey }: Pick<AnyTrustKey, 'publicKey'>,
): { bytes: Uint8Array; hash: Uint8Array } {
  const length = Uint8Array.of(publicKey.length >> 8, publicKey.length & 0xff)
  const bytes = concat(uint64(1n), uint64(1n), length, publicKey)
  return { bytes, hash: dastreeHash(hasher, bytes) }
}

function isSigned(key: Uint8Array, message: Uint8Array, signature: Uint8Array, isProof: boolean): boolean {
  const { G1, G2, pairing, fields } = bls12_381
  const publicKey = G2.Point.fromBytes(key)
  const point = G1.Point.fromBytes(signature)
  publicKey.assertValidity()
  point.assertValidity()
  if (publicKey.is0() || point.is0()) return false
  const left = pairing(messagePoint(message, isProof), publicKey)
  return fields.Fp12.eql(left, pairing(point, G2.Point.BASE))
}

/** The message as a point of G1: 16 bytes (1 first for proofs of possession, else zeros) ‖ keccak256, mapped as one field element. */
function messagePoint(message: Uint8Array, isProof: boolean) {
  const element = concat(Uint8Array.of(isProof ? 1 : 0), new Uint8Array(15), keccak_256(message))
  return mapToG1(element.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n))
}

function uint64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, value)
  return bytes
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

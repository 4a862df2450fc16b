import assert from 'node:assert/strict'
import { aggregateSignatures, type PublicKey, SecretKey, type Signature } from '@chainsafe/blst'
import { getBytes, toBeHex } from 'ethers'

/** Order of the groups. */
export const GROUP_ORDER = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001n

const COORDINATE_BYTES = 48

/** A BLS key whose public half is in the form that contracts take: 128 B of hex. */
export type BlsKey = { readonly secret: SecretKey; readonly publicKey: string }

/** Key `index` (from 0): the same one in every run. */
export function blsKey(index: number): BlsKey {
  return blsKeyOf(SecretKey.fromKeygen(getBytes(toBeHex(index + 1, 32))).toBytes())
}

/** The key of a secret scalar: 32 B, or a number below the group's order. */
export function blsKeyOf(secretScalar: Uint8Array | bigint): BlsKey {
  const bytes = typeof secretScalar === 'bigint' ? getBytes(toBeHex(secretScalar, 32)) : secretScalar
  const secret = SecretKey.fromBytes(bytes)
  return { secret, publicKey: g1Hex(secret.toPublicKey()) }
}

/** Signature of one key over a digest, 256 B of hex. */
export function signDigest({ secret }: BlsKey, digest: string): string {
  return g2Hex(secret.sign(getBytes(digest)))
}

/** Aggregate signature of several keys over one digest, 256 B of hex. */
export function signTogether(keys: readonly BlsKey[], digest: string): string {
  return g2Hex(aggregateSignatures(keys.map(({ secret }) => secret.sign(getBytes(digest)))))
}

/** A public key as EIP-2537 has it: x ‖ y, each filled up to 64 B. */
export function g1Hex(key: PublicKey): string {
  return padded(key.toBytes(false), [0, 1])
}

/** A signature as EIP-2537 has it. The serialisation of BLS has the second coordinate of Fp2 first. */
export function g2Hex(signature: Signature): string {
  return padded(signature.toBytes(false), [1, 0, 3, 2])
}

function padded(bytes: Uint8Array, order: readonly number[]): string {
  assert.equal(bytes.length, order.length * COORDINATE_BYTES)
  const part = (i: number) => Buffer.from(bytes.subarray(i * COORDINATE_BYTES, (i + 1) * COORDINATE_BYTES))
  return `0x${order.map((i) => '00'.repeat(16) + part(i).toString('hex')).join('')}`
}

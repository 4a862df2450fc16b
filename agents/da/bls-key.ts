import { hkdfSync } from 'node:crypto'
import { SecretKey } from '@chainsafe/blst'
import { getBytes } from 'ethers'
import { g1Point } from './bls-points.ts'

/** A committee member's BLS12-381 key; the secret stays inside. */
export type BlsKey = {
  /** Compressed, 48 bytes. */
  readonly publicKey: Uint8Array
  /** As the contracts take it (EIP-2537), 128 bytes. */
  readonly publicKeyPoint: Uint8Array
  /** Signature (compressed, 96 bytes) over a 32-byte digest; the same digest always gives the same bytes. */
  sign(digest: Uint8Array): Uint8Array
}

const SALT = 'ZeroG DA committee'
const INFO = 'BLS12-381 signing key, version 1'
const SEED_BYTES = 32

/**
 * The BLS key of an operator: KeyGen (draft-irtf-cfrg-bls-signature) over HKDF-SHA256(operator key, SALT, INFO).
 *
 * Derived, so that one keystore is all that an operator keeps and backs up; HKDF keeps either key from telling the other.
 */
export function deriveBlsKey(operatorKey: string): BlsKey {
  const seed = new Uint8Array(hkdfSync('sha256', getBytes(operatorKey), SALT, INFO, SEED_BYTES))
  const secret = SecretKey.fromKeygen(seed)
  const publicKey = secret.toPublicKey().toBytes(true)
  return {
    publicKey,
    publicKeyPoint: g1Point(publicKey),
    sign: (digest) => secret.sign(digest).toBytes(true),
  }
}

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bls12_381 } from '@noble/curves/bls12-381.js'
import { concat, getBytes, hexlify, id, keccak256, randomBytes, toBeHex } from 'ethers'
import {
  anyTrustKey,
  anyTrustMessage,
  soleKeyset,
  verifyAnyTrustSignature,
} from '../../../sdk/protocol/anytrust-certificate.ts'
import { dastreeHash } from '../../../sdk/protocol/dastree.ts'
import { referenceHasher } from '../../../sdk/protocol/hasher.ts'

const SECRET = getBytes(id('secret'))
const scalar = bls12_381.fields.Fr.create(BigInt(id('secret')))
const key = anyTrustKey(SECRET)
const message = randomBytes(41)

describe('AnyTrust certificate', () => {
  it('the key stands with its proof of possession, uncompressed', () => {
    const point = bls12_381.G2.Point.BASE.multiply(scalar)
    assert.equal(key.publicKey.length, 1 + 96 + 192)
    assert.equal(key.publicKey[0], 96)
    assert.deepEqual(key.publicKey.subarray(97), point.toBytes(false))
  })

  it('a signature is secret times the point that the message is mapped to', () => {
    // RFC 9380 J.9.2 (BLS12381G1_XMD:SHA-256_SSWU_NU_, empty message): the map itself, with its cofactor cleared.
    const map = bls12_381.G1.mapToCurve as unknown as (u: bigint) => typeof bls12_381.G1.Point.BASE
    const u =
      0x156c8a6a2c184569d69a76be144b5cdc5141d2d2ca4fe341f011e25e3969c55ad9e9b9ce2eb833c81a908e5fa4ac5f03n
    const mapped = map(u)
    assert.equal(
      mapped.x,
      0x184bb665c37ff561a89ec2122dd343f20e0f4cbcaec84e3c3052ea81d1834e192c426074b02ed3dca4e7676ce4ce48ban,
    )
    const expected = map(BigInt(keccak256(message))).multiply(scalar)
    assert.equal(hexlify(key.sign(message)), hexlify(expected.toBytes(false)))
    const proof = map(
      (1n << 376n) | BigInt(keccak256(bls12_381.G2.Point.BASE.multiply(scalar).toBytes(true))),
    )
    assert.deepEqual(key.publicKey.subarray(1, 97), proof.multiply(scalar).toBytes(false))
  })

  it('verifies its own; another message, key or proof does not', () => {
    const signature = key.sign(message)
    assert.equal(verifyAnyTrustSignature(key.publicKey, message, signature), true)
    assert.equal(verifyAnyTrustSignature(key.publicKey, randomBytes(41), signature), false)
    const other = anyTrustKey(getBytes(id('other')))
    assert.equal(verifyAnyTrustSignature(other.publicKey, message, signature), false)
    const unproved = Uint8Array.from(key.publicKey)
    unproved.set(other.publicKey.subarray(1, 97), 1)
    assert.equal(verifyAnyTrustSignature(unproved, message, signature), false)
  })

  it('malformed points are false, never a throw', () => {
    const signature = key.sign(message)
    for (const [publicKey, sig] of [
      [key.publicKey.subarray(1), signature],
      [key.publicKey, signature.subarray(1)],
      [key.publicKey, new Uint8Array(96).fill(0xff)],
      [key.publicKey, bls12_381.G1.Point.ZERO.toBytes(false)],
      [new Uint8Array(), signature],
    ] as const)
      assert.equal(verifyAnyTrustSignature(publicKey, message, sig), false)
  })

  it('signs data hash, time-out and version', () => {
    const dataHash = getBytes(id('data'))
    const expected = concat([dataHash, toBeHex(1_800_000_000n, 8), '0x01'])
    assert.equal(hexlify(anyTrustMessage({ dataHash, timeoutSec: 1_800_000_000n })), expected)
  })

  it('a keyset of one: one must be honest, one key, its length, the key', () => {
    const { bytes, hash } = soleKeyset(referenceHasher, key)
    const expected = concat([toBeHex(1, 8), toBeHex(1, 8), toBeHex(289, 2), key.publicKey])
    assert.equal(hexlify(bytes), expected)
    assert.deepEqual(hash, dastreeHash(referenceHasher, bytes))
  })

  it('error: a secret that is zero', () => {
    assert.throws(() => anyTrustKey(new Uint8Array(32)), { code: 'KEYSTORE_INVALID' })
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import { getBytes, id } from 'ethers'
import { deriveBlsKey } from '../../../agents/da/bls-key.ts'
import { aggregatePoint, g1Point, g2Point, isSignedBy } from '../../../agents/da/bls-points.ts'
import { g1Uncompress, g2Add, g2Uncompress, verify } from '../../../sdk/protocol/bls.ts'

const [KEY_A, KEY_B] = [id('operator a'), id('operator b')]
const digest = getBytes(id('a blob'))

describe('deriveBlsKey', () => {
  it('default: one operator key gives one BLS key, another another', () => {
    const key = deriveBlsKey(KEY_A)
    assert.deepEqual(deriveBlsKey(KEY_A).publicKey, key.publicKey)
    assert.notDeepEqual(deriveBlsKey(KEY_B).publicKey, key.publicKey)
    assert.deepEqual(key.sign(digest), deriveBlsKey(KEY_A).sign(digest))
  })

  it('behavior: points and signatures are those of an independent implementation', () => {
    const key = deriveBlsKey(KEY_A)
    const signature = key.sign(digest)
    assert.deepEqual(key.publicKeyPoint, g1Uncompress(key.publicKey))
    assert.deepEqual(g2Point(signature), g2Uncompress(signature))
    assert.ok(verify(key.publicKeyPoint, digest, g2Point(signature)))
    const other = deriveBlsKey(KEY_B).sign(digest)
    assert.deepEqual(aggregatePoint([signature, other]), g2Add(g2Uncompress(signature), g2Uncompress(other)))
  })

  it('behavior: nothing that is shown of a key tells the secret', () => {
    const shown = inspect(deriveBlsKey(KEY_A), { depth: 10, showHidden: true })
    assert.equal(shown.includes(KEY_A.slice(2)), false)
    assert.deepEqual(Object.keys(deriveBlsKey(KEY_A)).sort(), ['publicKey', 'publicKeyPoint', 'sign'])
  })
})

describe('isSignedBy', () => {
  const key = deriveBlsKey(KEY_A)
  const signature = key.sign(digest)

  it('default: only this key’s signature over this digest', () => {
    assert.ok(isSignedBy(key.publicKeyPoint, { digest, signature }))
    assert.equal(isSignedBy(deriveBlsKey(KEY_B).publicKeyPoint, { digest, signature }), false)
    assert.equal(isSignedBy(key.publicKeyPoint, { digest: getBytes(id('another')), signature }), false)
  })

  it('error: malformed points and signatures are nobody’s', () => {
    const zeros = new Uint8Array(96)
    const infinity = new Uint8Array(96)
    infinity.set([0xc0])
    for (const bad of [zeros, infinity, signature.subarray(1), new Uint8Array()])
      assert.equal(isSignedBy(key.publicKeyPoint, { digest, signature: bad }), false)
    assert.equal(isSignedBy(new Uint8Array(128), { digest, signature }), false)
    assert.throws(() => g1Point(new Uint8Array(48)), { code: 'SIGNATURE_INVALID' })
    assert.throws(() => aggregatePoint([zeros]), { code: 'SIGNATURE_INVALID' })
  })
})

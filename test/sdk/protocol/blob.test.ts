import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  blobCountOf,
  decodePayload,
  encodeBlob,
  encodePayload,
  type InvalidReason,
  MAX_PAYLOAD_BYTES,
  PAYLOAD_BYTES_PER_BLOB,
  PREFIX_BYTES,
} from '../../../sdk/protocol/blob.ts'
import { BLOB_BYTES, ELEMENT_BYTES } from '../../../sdk/protocol/cell-layout.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { toHex } from '../../../sdk/protocol/hex.ts'
import { isElement } from '../../../sdk/protocol/kzg-engine.ts'
import { at, randomBytes } from '../../support/content.ts'

const hasher = await loadHasher()

const claimOf = (payload: Uint8Array) => ({
  blobCount: blobCountOf(payload.length),
  payloadBytes: payload.length,
  payloadHash: toHex(hasher.keccak256(payload)),
})

describe('encodePayload', () => {
  it('puts version, length and payload into the low 31 bytes of each element', () => {
    const [blob] = encodePayload(Uint8Array.of(1, 2, 3))
    assert(blob !== undefined)
    assert.equal(blob.length, BLOB_BYTES)
    assert.equal(toHex(blob.subarray(0, ELEMENT_BYTES)), `0x0001${'00'.repeat(7)}03${'00'.repeat(22)}`)
    assert.equal(toHex(blob.subarray(ELEMENT_BYTES, 2 * ELEMENT_BYTES)), `0x00010203${'00'.repeat(28)}`)
    assert(blob.subarray(2 * ELEMENT_BYTES).every((byte) => byte === 0))
  })

  it('starts a new blob exactly when the last one is full', () => {
    const full = PAYLOAD_BYTES_PER_BLOB - PREFIX_BYTES
    const counts = [1, full, full + 1, full + PAYLOAD_BYTES_PER_BLOB, full + PAYLOAD_BYTES_PER_BLOB + 1]
    assert.deepEqual(counts.map(blobCountOf), [1, 1, 2, 2, 3])
    assert.equal(blobCountOf(MAX_PAYLOAD_BYTES), 256)
  })

  it('gives elements below the field order whatever the payload', () => {
    const [blob] = encodePayload(new Uint8Array(PAYLOAD_BYTES_PER_BLOB - PREFIX_BYTES).fill(0xff))
    assert(blob !== undefined)
    for (let start = 0; start < BLOB_BYTES; start += ELEMENT_BYTES)
      assert(isElement(blob.subarray(start, start + ELEMENT_BYTES)))
  })

  it('error: no bytes, too many, no such blob', () => {
    assert.throws(() => encodePayload(new Uint8Array()), { code: 'DA_EMPTY_PAYLOAD' })
    assert.throws(() => blobCountOf(MAX_PAYLOAD_BYTES + 1), { code: 'DA_PAYLOAD_TOO_LARGE' })
    assert.throws(() => encodeBlob(Uint8Array.of(1), 1), { code: 'RANGE_INVALID' })
  })
})

describe('decodePayload', () => {
  it('behavior: gives back what was encoded, at every length', () => {
    const edges = [1, 30, 31, 32, 61, 62, 63].concat(
      [-1, 0, 1, 31].map((offset) => PAYLOAD_BYTES_PER_BLOB - PREFIX_BYTES + offset),
      [-1, 0, 1].map((offset) => 2 * PAYLOAD_BYTES_PER_BLOB - PREFIX_BYTES + offset),
    )
    const lengths = fc.oneof(fc.constantFrom(...edges), fc.integer({ min: 1, max: 300_000 }))
    fc.assert(
      fc.property(lengths, fc.integer(), (length, seed) => {
        const payload = randomBytes(length, seed)
        assert.deepEqual(decodePayload(hasher, encodePayload(payload), claimOf(payload)), payload)
      }),
      { numRuns: 40 },
    )
  })

  it('behavior: any changed bit makes it invalid', () => {
    const payload = randomBytes(200, 7)
    const [blob] = encodePayload(payload)
    assert(blob !== undefined)
    fc.assert(
      fc.property(fc.integer({ min: 0, max: BLOB_BYTES * 8 - 1 }), (bit) => {
        const changed = Uint8Array.from(blob)
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        assert.throws(() => decodePayload(hasher, [changed], claimOf(payload)), { code: 'DA_INVALID_BLOB' })
      }),
      { numRuns: 200 },
    )
  })

  const payload = randomBytes(PAYLOAD_BYTES_PER_BLOB + 500, 3)
  const claim = claimOf(payload)
  /** What one byte of a blob does: blob, offset, new value. */
  const bytes: Record<string, [InvalidReason, number, number, number]> = {
    'the top byte of an element is not zero': ['element', 1, 5 * ELEMENT_BYTES, 1],
    'another version': ['version', 0, 1, 2],
    'a flag': ['flags', 0, 10, 1],
    'a reserved byte': ['reserved', 0, 11, 1],
    'the last reserved byte': ['reserved', 0, 31, 1],
    'a length over every limit': ['length', 0, 2, 1],
    'another length': ['length', 0, 9, (payload.length + 1) & 0xff],
    'padding right behind the payload': ['padding', 1, offsetOf(payload.length), 1],
    'padding in the last byte': ['padding', 1, BLOB_BYTES - 1, 1],
    'another payload byte': ['hash', 0, 100, 0],
  }
  for (const [name, [reason, blobIndex, offset, value]] of Object.entries(bytes)) {
    it(`error: ${name}: ${reason}`, () => {
      const blobs = encodePayload(payload)
      const blob = at(blobs, blobIndex)
      blob[offset] = blob[offset] === value ? value ^ 0xff : value
      assertInvalid(() => decodePayload(hasher, blobs, claim), reason)
    })
  }

  it('error: a length of zero', () => {
    const blobs = encodePayload(payload)
    at(blobs, 0).fill(0, 2, 10)
    assertInvalid(() => decodePayload(hasher, blobs, { ...claim, payloadBytes: 0 }), 'length')
  })

  it('error: more blobs than the length needs, and fewer', () => {
    const blobs = encodePayload(payload)
    const more = [...blobs, new Uint8Array(BLOB_BYTES)]
    assertInvalid(() => decodePayload(hasher, more, { ...claim, blobCount: 3 }), 'length')
    assertInvalid(() => decodePayload(hasher, more, claim), 'count')
    assertInvalid(() => decodePayload(hasher, blobs.slice(0, 1), { ...claim, blobCount: 1 }), 'length')
    assertInvalid(() => decodePayload(hasher, [], { ...claim, blobCount: 0 }), 'count')
  })

  it('error: a blob of another length', () => {
    const short = encodePayload(payload).map((blob) => blob.subarray(1))
    assertInvalid(() => decodePayload(hasher, short, claim), 'count')
  })

  it('error: the header claims another length or hash', () => {
    const blobs = encodePayload(payload)
    assertInvalid(
      () => decodePayload(hasher, blobs, { ...claim, payloadBytes: payload.length - 1 }),
      'length',
    )
    const payloadHash = `0x${'00'.repeat(32)}`
    assertInvalid(() => decodePayload(hasher, blobs, { ...claim, payloadHash }), 'hash')
  })
})

/** Where byte `position` of the payload lies in the second of two blobs. */
function offsetOf(position: number): number {
  const inBlob = position + PREFIX_BYTES - PAYLOAD_BYTES_PER_BLOB
  return Math.floor(inBlob / 31) * ELEMENT_BYTES + 1 + (inBlob % 31)
}

function assertInvalid(work: () => unknown, reason: InvalidReason): void {
  assert.throws(work, (error: { code: string; meta: { reason: string } }) => {
    assert.equal(error.code, 'DA_INVALID_BLOB')
    assert.equal(error.meta.reason, reason)
    return true
  })
}

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { concat, hexlify, keccak256, randomBytes, toBeHex } from 'ethers'
import { DASTREE_BIN_BYTES, dastreeHash } from '../../../sdk/protocol/dastree.ts'
import { loadHasher, referenceHasher } from '../../../sdk/protocol/hasher.ts'

const leaf = (bin: Uint8Array) => keccak256(concat(['0xfe', keccak256(bin)]))
const node = (left: string, right: string, bytes: number) =>
  keccak256(concat(['0xff', left, right, toBeHex(bytes, 4)]))
const flipped = (root: string) => toBeHex(BigInt(root) ^ (1n << 255n), 32)
const hash = (data: Uint8Array) => hexlify(dastreeHash(referenceHasher, data))

describe('dastreeHash', () => {
  const bin = DASTREE_BIN_BYTES
  const data = randomBytes(5 * bin)
  const leaves = [0, 1, 2, 3, 4].map((index) => leaf(data.subarray(index * bin, (index + 1) * bin)))
  const [l0 = '', l1 = '', l2 = '', l3 = '', l4 = ''] = leaves

  it('nothing, one byte and one bin are one leaf', () => {
    assert.equal(hash(new Uint8Array()), flipped(leaf(new Uint8Array())))
    assert.equal(hash(Uint8Array.of(0x32)), flipped(leaf(Uint8Array.of(0x32))))
    assert.equal(hash(data.subarray(0, bin)), flipped(l0))
  })

  it('a last bin may be short, and its length counts', () => {
    const last = leaf(data.subarray(bin, bin + 1))
    assert.equal(hash(data.subarray(0, bin + 1)), flipped(node(l0, last, bin + 1)))
  })

  it('an odd node moves up unchanged', () => {
    assert.equal(hash(data.subarray(0, 3 * bin)), flipped(node(node(l0, l1, 2 * bin), l2, 3 * bin)))
    const four = node(node(l0, l1, 2 * bin), node(l2, l3, 2 * bin), 4 * bin)
    assert.equal(hash(data), flipped(node(four, l4, 5 * bin)))
  })

  it('both hash engines agree', async () => {
    const fast = await loadHasher()
    for (const bytes of [0, 1, bin - 1, bin, bin + 1, 4 * bin, 5 * bin])
      assert.equal(hexlify(dastreeHash(fast, data.subarray(0, bytes))), hash(data.subarray(0, bytes)))
  })
})

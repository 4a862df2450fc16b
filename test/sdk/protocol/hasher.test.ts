import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadHasher, loadScalarHasher, referenceHasher } from '../../../sdk/protocol/hasher.ts'
import { loadTreeKernels } from '../../../sdk/protocol/keccak-wasm.ts'
import { randomBytes } from '../../support/content.ts'

const engines = [await loadHasher(), await loadScalarHasher()]

describe('loadHasher', () => {
  it('default: SIMD kernels on this platform, one instance for all callers', async () => {
    assert.ok(await loadTreeKernels())
    assert.equal((await loadHasher()).name, 'wasm-simd')
    assert.equal(await loadHasher(), await loadHasher())
  })
})

for (const engine of engines) {
  describe(`hasher ${engine.name}`, () => {
    it('behavior: single messages as the reference', () => {
      for (const length of [0, 1, 64, 135, 136, 137, 256, 1000]) {
        const bytes = randomBytes(length, length)
        assert.deepEqual(engine.keccak256(bytes), referenceHasher.keccak256(bytes))
      }
    })

    it('behavior: sectors as the reference, odd counts, partial last sectors and several batches', () => {
      for (const length of [
        0,
        1,
        255,
        256,
        257,
        512,
        700,
        5 * 256,
        1023 * 256 + 17,
        262_144,
        262_145,
        600_000,
      ]) {
        const data = randomBytes(length, length)
        assert.deepEqual(engine.hashSectors(data), referenceHasher.hashSectors(data), `${length} B`)
      }
    })

    it('behavior: pairs as the reference, also onto themselves', () => {
      for (const pairs of [0, 1, 2, 3, 64, 4095, 4097]) {
        const level = randomBytes(pairs * 64, pairs)
        const expected = referenceHasher.hashPairs(level)
        assert.deepEqual(engine.hashPairs(level), expected, `${pairs} pairs`)
        assert.deepEqual(engine.hashPairs(level, level), expected, `${pairs} pairs in place`)
      }
    })

    it('behavior: writes only its own part of the output', () => {
      const out = new Uint8Array(100).fill(9)
      const hashes = engine.hashSectors(randomBytes(512, 1), out)
      assert.equal(hashes.length, 64)
      assert.deepEqual(out.subarray(0, 64), hashes)
      assert.deepEqual(out.subarray(64), new Uint8Array(36).fill(9))
    })

    it('error: half a pair, an output that is too small', () => {
      assert.throws(() => engine.hashPairs(new Uint8Array(96)), { code: 'BAD_REQUEST' })
      assert.throws(() => engine.hashSectors(new Uint8Array(257), new Uint8Array(63)), {
        code: 'BAD_REQUEST',
      })
    })
  })
}

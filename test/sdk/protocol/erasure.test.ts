import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  createStripeDecoder,
  createStripeEncoder,
  type ErasureEngine,
  referenceErasure,
} from '../../../sdk/protocol/erasure.ts'
import { decodeMatrix } from '../../../sdk/protocol/erasure-matrix.ts'
import { loadErasureEngine, loadPlainSimdEngine } from '../../../sdk/protocol/erasure-wasm.ts'
import { fromHex, toHex } from '../../../sdk/protocol/hex.ts'
import { randomBytes } from '../../support/content.ts'
import { readVectors } from '../../support/vectors.ts'

type Vector = { d: number; m: number; data: string[]; parity: string[] }

const wasm = await loadErasureEngine()
const plainSimd = await loadPlainSimdEngine()
const engines = [referenceErasure, plainSimd, wasm]

const dataOf = (d: number, byteLength: number, seed = 0) =>
  Array.from({ length: d }, (_, i) => randomBytes(byteLength, 1000 * d + 17 * seed + i))

/** All ways to pick `count` of 0 … total - 1, at most `limit` of them; beyond that, random ones. */
function picks(total: number, count: number, limit: number): number[][] {
  const all: number[][] = []
  const extend = (picked: number[], next: number): void => {
    if (all.length > limit) return
    if (picked.length === count) all.push(picked)
    else for (let i = next; i < total; i++) extend([...picked, i], i + 1)
  }
  extend([], 0)
  if (all.length <= limit) return all
  const indexes = Array.from({ length: total }, (_, i) => i)
  const some = fc.shuffledSubarray(indexes, { minLength: count, maxLength: count })
  return fc.sample(some, { numRuns: limit, seed: 1000 * total + count })
}

/** Encodes, keeps just the shards of `kept`, restores everything and compares. */
function restores(
  engine: ErasureEngine,
  shards: readonly Uint8Array[],
  d: number,
  kept: readonly number[],
): void {
  const m = shards.length - d
  const there = shards.map((shard, i) => (kept.includes(i) ? shard : undefined))
  const missing = shards.filter((_, i) => !kept.includes(i))
  const restored = engine.reconstruct(there, d, m)
  assert.ok(
    restored.length === missing.length &&
      restored.every((shard, i) => Buffer.compare(shard, missing[i] ?? shard.subarray(1)) === 0),
    `${engine.name}: ${d} + ${m} from ${kept.join()}`,
  )
}

describe('erasure engines', () => {
  it('default: relaxed and plain SIMD run on this platform', () => {
    assert.deepEqual(
      engines.map((engine) => engine.name),
      ['reference', 'wasm-simd', 'wasm-relaxed-simd'],
    )
  })

  it('default: every engine makes the parity of the vectors', () => {
    for (const { d, m, data, parity } of readVectors<Vector[]>('erasure')) {
      assert.equal(data.length, d)
      for (const engine of engines) {
        const made = engine.encode(
          data.map((hex) => fromHex(hex)),
          m,
        )
        assert.deepEqual(made.map(toHex), parity, engine.name)
      }
    }
  })

  for (const m of [4, 8, 16, 32]) {
    it(`behavior: any d of d + ${m} restore the file, for every d from 1 to 16`, () => {
      for (let d = 1; d <= 16; d++) {
        const data = dataOf(d, 19, m)
        const shards = [...data, ...wasm.encode(data, m)]
        for (const kept of picks(d + m, d, 500)) restores(wasm, shards, d, kept)
        for (const kept of picks(d + m, d, 30)) {
          restores(referenceErasure, shards, d, kept)
          restores(plainSimd, shards, d, kept)
        }
      }
    })
  }

  it('behavior: engines agree on random shapes, lengths and losses', () => {
    const shape = fc.record({
      d: fc.integer({ min: 1, max: 16 }),
      m: fc.integer({ min: 1, max: 64 }),
      byteLength: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 16_300, max: 16_500 })),
      seed: fc.nat(1000),
    })
    fc.assert(
      fc.property(shape, fc.gen(), ({ d, m, byteLength, seed }, gen) => {
        const data = dataOf(d, byteLength, seed)
        const parity = referenceErasure.encode(data, m)
        assert.deepEqual(wasm.encode(data, m), parity)
        assert.deepEqual(plainSimd.encode(data, m), parity)
        const indexes = Array.from({ length: d + m }, (_, i) => i)
        const kept = gen(fc.shuffledSubarray, indexes, { minLength: d, maxLength: d + m })
        const there = [...data, ...parity].map((shard, i) => (kept.includes(i) ? shard : undefined))
        const want = gen(fc.shuffledSubarray, indexes, { maxLength: 5 })
        const expected = want.map((i) => [...data, ...parity][i])
        for (const engine of engines) assert.deepEqual(engine.reconstruct(there, d, m, want), expected)
      }),
      { numRuns: 60, seed: 7 },
    )
  })

  it('behavior: absent data shards are zeros, whatever d is (shortened code)', () => {
    const data = dataOf(5, 40)
    const padded = [...data, ...Array.from({ length: 11 }, () => new Uint8Array(40))]
    assert.deepEqual(wasm.encode(data, 8), wasm.encode(padded, 8))
  })

  it('behavior: shards without bytes have parity without bytes', () => {
    for (const engine of engines)
      assert.deepEqual(engine.encode([new Uint8Array()], 4), Array(4).fill(new Uint8Array()))
  })

  it('error: one shard too few', () => {
    for (const engine of engines) {
      const shards = [undefined, undefined, ...dataOf(3, 8)]
      assert.throws(() => engine.reconstruct(shards, 4, 1), {
        code: 'SHARDS_MISSING',
        meta: { present: 3, needed: 4 },
      })
    }
  })

  it('error: counts and lengths outside the code', () => {
    const refused = { name: 'ZerogError', code: 'ERASURE_INVALID' }
    for (const engine of engines) {
      assert.throws(() => engine.encode([], 4), refused)
      assert.throws(() => engine.encode(dataOf(17, 1), 4), refused)
      assert.throws(() => engine.encode(dataOf(1, 1), 65), refused)
      assert.throws(() => engine.encode(dataOf(1, 1), 0), refused)
      assert.throws(() => engine.encode([new Uint8Array(1), new Uint8Array(2)], 4), refused)
      assert.throws(() => engine.reconstruct(dataOf(3, 1), 2, 2), refused)
      assert.throws(() => engine.reconstruct(dataOf(3, 1), 2, 1, [3]), refused)
    }
    assert.throws(() => decodeMatrix({ d: 2, m: 1 }, { present: [0, 0], wanted: [1] }), refused)
  })
})

describe('createStripeEncoder', () => {
  for (const engine of engines) {
    it(`behavior: ${engine.name} encodes and restores a long file piece by piece`, () => {
      const [d, m, stripeBytes, byteLength] = [11, 6, 4096, 10_001]
      const data = dataOf(d, byteLength)
      const parity = referenceErasure.encode(data, m)
      const encoder = createStripeEncoder(engine, { d, m, stripeBytes })
      const present = [1, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15]
      const wanted = [0, 2, 13]
      const decoder = createStripeDecoder(engine, { d, m, present, wanted, stripeBytes })
      const all = [...data, ...parity]
      for (let start = 0; start < byteLength; start += stripeBytes) {
        const end = Math.min(start + stripeBytes, byteLength)
        encoder.data.forEach((buffer, i) => {
          assert.equal(buffer.length, stripeBytes)
          buffer.set(data[i]?.subarray(start, end) ?? [])
        })
        encoder.encode(end - start)
        encoder.parity.forEach((buffer, p) => {
          assert.deepEqual(buffer.slice(0, end - start), parity[p]?.slice(start, end))
        })
        decoder.present.forEach((buffer, i) => {
          buffer.set(all[present[i] ?? 0]?.subarray(start, end) ?? [])
        })
        decoder.decode(end - start)
        decoder.wanted.forEach((buffer, i) => {
          assert.deepEqual(buffer.slice(0, end - start), all[wanted[i] ?? 0]?.slice(start, end))
        })
      }
    })
  }
})

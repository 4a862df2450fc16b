import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { drawRandom, foolChance, samplesFor } from '../../../sdk/protocol/sampling.ts'

const closeTo = (got: number, wanted: number) =>
  assert(Math.abs(got / wanted - 1) < 0.02, `${got} is not about ${wanted}`)

describe('foolChance', () => {
  it('behavior: the published figures for 63 of 128 columns', () => {
    const figures: [number, number][] = [
      [8, 2.7e-3],
      [10, 5.6e-4],
      [16, 3.925e-6],
      [20, 1.127e-7],
      [30, 5.6e-12],
      [40, 3.69e-17],
    ]
    for (const [samples, chance] of figures)
      closeTo(foolChance({ population: 128, samples, misses: 0 }), chance)
  })

  it('behavior: zero once more columns are sampled than can be served, one when nothing is at stake', () => {
    assert.equal(foolChance({ population: 128, samples: 64, misses: 0 }), 0)
    assert.equal(foolChance({ population: 128, samples: 1, misses: 1 }), 1)
    assert.equal(foolChance({ population: 63, samples: 10, misses: 0 }), 1)
  })

  it('behavior: equals the count over all draws of a small population', () => {
    // 66 columns of which 63 are served, 2 samples: 3 are hidden.
    const hidden = (a: number, b: number) => Number(a >= 63) + Number(b >= 63)
    const draws = [0, 1, 2].map((misses) => {
      let passed = 0
      for (let a = 0; a < 66; a++)
        for (let b = 0; b < 66; b++) if (a !== b && hidden(a, b) <= misses) passed++
      return passed / (66 * 65)
    })
    draws.forEach((chance, misses) => {
      assert(Math.abs(foolChance({ population: 66, samples: 2, misses }) - chance) < 1e-12)
    })
  })
})

describe('samplesFor', () => {
  it('behavior: the least number that keeps the chance', () => {
    const chance = foolChance({ population: 128, samples: 16, misses: 0 })
    assert.equal(samplesFor({ population: 128, misses: 0, chance }), 16)
    for (const population of [86, 107, 128])
      for (const misses of [0, 1, 5]) {
        const samples = samplesFor({ population, misses, chance })
        assert(samples !== undefined)
        assert(foolChance({ population, samples, misses }) <= chance)
        assert(foolChance({ population, samples: samples - 1, misses }) > chance)
      }
  })

  it('is undefined when all columns prove nothing', () => {
    assert.equal(samplesFor({ population: 63, misses: 0, chance: 0.1 }), undefined)
  })
})

describe('drawRandom', () => {
  it('behavior: different members, each about equally often', () => {
    const items = Array.from({ length: 10 }, (_, i) => i)
    const counts = new Array<number>(10).fill(0)
    for (let round = 0; round < 4000; round++) {
      const drawn = drawRandom(items, 3)
      assert.equal(new Set(drawn).size, 3)
      for (const item of drawn) counts[item] = (counts[item] ?? 0) + 1
    }
    // 1200 expected, standard deviation 29: nine of them is far beyond luck.
    for (const count of counts) assert(Math.abs(count - 1200) < 260, `${counts}`)
    assert.deepEqual(drawRandom(items).sort(), items)
    assert.deepEqual(drawRandom([], 3), [])
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { drawCount, drawPosition } from '../../../sdk/protocol/draw.ts'
import { DrawHarness__factory } from '../../../typechain-types/index.js'
import { createChain } from '../../support/chain.ts'
import { anyHash } from '../../support/content.ts'
import { readVectors } from '../../support/vectors.ts'

type Vectors = {
  counts: Record<'targetDraws' | 'span' | 'live' | 'draws', string>[]
  positions: Record<'seed' | 'index' | 'tail' | 'span' | 'position', string>[]
}

const chain = await createChain()
const library = await new DrawHarness__factory(chain.signer(0)).deploy()
const { counts, positions } = readVectors<Vectors>('draw')

describe('drawCount', () => {
  it('default: the vectors, in both', async () => {
    for (const vector of counts) {
      const [targetDraws, span, live] = [BigInt(vector.targetDraws), BigInt(vector.span), BigInt(vector.live)]
      assert.equal(drawCount({ targetDraws, span, live }), BigInt(vector.draws))
      assert.equal(await library.count(targetDraws, span, live), BigInt(vector.draws))
    }
  })

  it('behavior: equals DrawLib, and a live sector is drawn at least target / live times in the mean below the cap', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.bigInt(1n, 1n << 16n),
        fc.bigInt(0n, 1n << 64n),
        fc.bigInt(0n, 1n << 64n),
        async (targetDraws, dead, live) => {
          const span = live + dead
          const draws = drawCount({ targetDraws, span, live })
          assert.equal(await library.count(targetDraws, span, live), draws)
          assert.ok(draws <= 8n * targetDraws)
          if (live > 0n && draws < 8n * targetDraws) assert.ok(draws * live >= targetDraws * span)
        },
      ),
      { numRuns: 100 },
    )
  })
})

describe('drawPosition', () => {
  it('default: the vectors, in both', async () => {
    for (const vector of positions) {
      const [index, tail, span] = [BigInt(vector.index), BigInt(vector.tail), BigInt(vector.span)]
      assert.equal(drawPosition({ seed: vector.seed, index, tail, span }), BigInt(vector.position))
      assert.equal(await library.position(vector.seed, index, tail, span), BigInt(vector.position))
    }
  })

  it('behavior: equals DrawLib and stays on the line', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyHash,
        fc.bigInt(0n, 1n << 32n),
        fc.bigInt(0n, 1n << 64n),
        fc.bigInt(1n, 1n << 64n),
        async (seed, index, tail, span) => {
          const position = drawPosition({ seed, index, tail, span })
          assert.equal(await library.position(seed, index, tail, span), position)
          assert.ok(position >= tail && position < tail + span)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('error: an empty line', async () => {
    const seed = `0x${'00'.repeat(32)}`
    assert.throws(() => drawPosition({ seed, index: 0n, tail: 0n, span: 0n }), { code: 'RANGE_INVALID' })
    await assert.rejects(library.position(seed, 0, 0, 0))
  })
})

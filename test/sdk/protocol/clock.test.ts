import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { bucketCeil, periodAt, periodStart } from '../../../sdk/protocol/clock.ts'
import { ClockHarness__factory } from '../../../typechain-types/index.js'
import { createChain } from '../../support/chain.ts'

const chain = await createChain()
const library = await new ClockHarness__factory(chain.signer(0)).deploy()

const anyClock = fc.record({
  startBlock: fc.bigInt(0n, 1n << 40n),
  periodBlocks: fc.bigInt(1n, 1n << 20n),
  bucketPeriods: fc.bigInt(1n, 1n << 12n),
})

describe('periodAt', () => {
  it('behavior: equals ClockLib, before the start too', async () => {
    await fc.assert(
      fc.asyncProperty(anyClock, fc.bigInt(0n, 1n << 41n), async (clock, block) => {
        const period = periodAt(clock, block)
        assert.equal(await library.periodAt(clock.startBlock, clock.periodBlocks, block), period)
        const start = periodStart(clock, period)
        assert.equal(await library.periodStart(clock.startBlock, clock.periodBlocks, period), start)
        if (block >= clock.startBlock) assert.ok(start <= block && block < periodStart(clock, period + 1n))
        else assert.equal(period, 0n)
      }),
      { numRuns: 80 },
    )
  })

  it('behavior: a boundary block belongs to the period it begins', () => {
    const clock = { startBlock: 100n, periodBlocks: 24n, bucketPeriods: 5n }
    assert.deepEqual(
      [99n, 100n, 123n, 124n].map((block) => periodAt(clock, block)),
      [0n, 0n, 0n, 1n],
    )
  })
})

describe('bucketCeil', () => {
  it('behavior: the next whole bucket, and a boundary is its own', () => {
    fc.assert(
      fc.property(anyClock, fc.bigInt(0n, 1n << 40n), (clock, period) => {
        const bucket = bucketCeil(clock, period)
        assert.equal(bucket % clock.bucketPeriods, 0n)
        assert.ok(bucket >= period && bucket - period < clock.bucketPeriods)
        assert.equal(bucketCeil(clock, bucket), bucket)
      }),
    )
  })
})

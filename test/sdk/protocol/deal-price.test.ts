import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { bucketCeil } from '../../../sdk/protocol/clock.ts'
import {
  DEFAULT_PARITY,
  dealPrice,
  EXPANSION,
  escrowNeeded,
  expiry,
  MAX_PARITY,
  MIN_PARITY,
  paddedSectorPrice,
  sectorPrice,
  shardRate,
  storedSectors,
} from '../../../sdk/protocol/deal-price.ts'
import { fileLayout } from '../../../sdk/protocol/layout.ts'
import { DealPriceHarness__factory } from '../../../typechain-types/index.js'
import { createChain } from '../../support/chain.ts'

const chain = await createChain()
const library = await new DealPriceHarness__factory(chain.signer(0)).deploy()

const uint = (bits: number, least = 0n) => fc.bigInt(least, (1n << BigInt(bits)) - 1n)

describe('dealPrice', () => {
  it('default: the constants are the contract’s', async () => {
    assert.deepEqual(
      [...(await library.constants())],
      [EXPANSION, BigInt(DEFAULT_PARITY), BigInt(MIN_PARITY), BigInt(MAX_PARITY)],
    )
  })

  it('behavior: every function equals its Solidity twin on random inputs', async () => {
    await fc.assert(
      fc.asyncProperty(
        uint(96),
        uint(56, 1n),
        uint(32, 1n),
        uint(20, 1n),
        fc.bigInt(0n, 10_000n),
        async (price, stored, periods, bucketPeriods, potBps) => {
          const clock = { startBlock: 0n, periodBlocks: 1n, bucketPeriods }
          assert.equal(await library.paddedSectorPrice(price, periods), paddedSectorPrice(price, periods))
          assert.equal(await library.bucketCeil(stored, bucketPeriods), bucketCeil(clock, stored))
          assert.equal(await library.expiry(stored, periods, bucketPeriods), expiry(clock, stored, periods))
          assert.equal(
            await library.escrowNeeded(stored, periods, price),
            escrowNeeded(stored, periods, price),
          )
          assert.equal(await library.sectorPrice(price, stored, periods), sectorPrice(price, stored, periods))
          assert.equal(await library.shardRate(price, stored, potBps), shardRate(price, stored, potBps))
        },
      ),
      { numRuns: 60 },
    )
  })

  it('behavior: nothing is lost, and custodians and pot share what a period costs', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 30 }),
        fc.integer({ min: MIN_PARITY, max: MAX_PARITY }),
        uint(96),
        uint(20, 1n),
        fc.bigInt(0n, 10_000n),
        (byteLength, parityShards, escrowWei, periods, potBps) => {
          const { paddedSectors, dataShards } = fileLayout(byteLength)
          const price = dealPrice({ escrowWei, paddedSectors, parityShards, periods, potBps })
          assert.equal(price.grossPerPeriodWei * periods + price.remainderWei, escrowWei)
          assert.ok(price.remainderWei < storedSectors(paddedSectors, parityShards) * periods)
          assert.ok(price.shardRateWei * BigInt(dataShards + parityShards) <= price.grossPerPeriodWei)
        },
      ),
    )
  })

  it('behavior: the public fee pays at least the list price for a file of 9 data shards or more', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 9 * 256, max: 2 ** 40 }),
        uint(60, 1n),
        uint(20, 1n),
        (byteLength, list, term) => {
          const { paddedSectors } = fileLayout(byteLength)
          const feeWei = BigInt(paddedSectors) * paddedSectorPrice(list, term)
          assert.ok(feeWei >= escrowNeeded(storedSectors(paddedSectors, DEFAULT_PARITY), term, list))
        },
      ),
    )
  })
})

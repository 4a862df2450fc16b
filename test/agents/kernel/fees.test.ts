import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { replacementFees } from '../../../agents/kernel/fees.ts'

const wei = fc.bigInt({ min: 0n, max: 10n ** 13n })
const fees = fc
  .record({ tipWei: wei, restWei: wei })
  .map(({ tipWei, restWei }) => ({ maxFeeWei: tipWei + restWei, tipWei }))

describe('replacementFees', () => {
  it('default: both fees rise by an eighth or to what is suggested', () => {
    const old = { maxFeeWei: 800n, tipWei: 80n }
    assert.deepEqual(replacementFees(old, { maxFeeWei: 100n, tipWei: 10n }, 10_000n), {
      maxFeeWei: 901n,
      tipWei: 91n,
    })
    assert.deepEqual(replacementFees(old, { maxFeeWei: 2000n, tipWei: 200n }, 10_000n), {
      maxFeeWei: 2000n,
      tipWei: 200n,
    })
  })

  it('error: none when the cap is in the way', () => {
    assert.equal(
      replacementFees({ maxFeeWei: 800n, tipWei: 80n }, { maxFeeWei: 800n, tipWei: 80n }, 900n),
      undefined,
    )
  })

  it('behavior: a suggested tip above the cap is cut to the fee', () => {
    const next = replacementFees({ maxFeeWei: 0n, tipWei: 0n }, { maxFeeWei: 2n, tipWei: 2n }, 1n)
    assert.deepEqual(next, { maxFeeWei: 1n, tipWei: 1n })
  })

  it('behavior: nodes accept every replacement, and the cap holds', () => {
    fc.assert(
      fc.property(fees, fees, wei, (old, suggested, capWei) => {
        const next = replacementFees(old, suggested, capWei)
        if (!next) return
        assert.ok(next.maxFeeWei * 10n >= old.maxFeeWei * 11n)
        assert.ok(next.tipWei * 10n >= old.tipWei * 11n)
        assert.ok(next.maxFeeWei <= capWei)
        assert.ok(next.tipWei <= next.maxFeeWei, 'a tip above the whole fee is invalid')
      }),
      { seed: 42 },
    )
  })
})

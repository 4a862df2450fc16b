import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  isWiped,
  MAX_SHARES_PER_WEI,
  toSharesDown,
  toWeiDown,
  toWeiUp,
  VIRTUAL_SHARES,
} from '../../../sdk/protocol/shares.ts'
import { ShareHarness__factory } from '../../../typechain-types/index.js'
import { createChain } from '../../support/chain.ts'

const chain = await createChain()
const harness = await new ShareHarness__factory(chain.signer(0)).deploy()

describe('shares', () => {
  const wei = fc.bigInt(0n, 2n ** 128n - 1n)
  const pool = fc.record({ tokensWei: wei, shares: fc.bigInt(0n, 2n ** 190n) })

  it('equals its Solidity twin on random pools', async () => {
    const property = fc.asyncProperty(pool, wei, async ({ tokensWei, shares }, amount) => {
      const some = { tokensWei, shares }
      // Tokens below shares / 1e18 cannot be: such a pool has been wiped. The twins must agree on that too.
      assert.equal(await harness.isWiped(tokensWei, shares), isWiped(some))
      if (isWiped(some)) return
      assert.equal(await harness.toSharesDown(amount, tokensWei, shares), toSharesDown(some, amount))
      const part = shares === 0n ? 0n : amount % (shares + 1n)
      assert.equal(await harness.toWeiDown(part, tokensWei, shares), toWeiDown(some, part))
      assert.equal(await harness.toWeiUp(part, tokensWei, shares), toWeiUp(some, part))
    })
    await fc.assert(property, { numRuns: 150, seed: 42 })
  })

  it('never pays back more than was paid in', () => {
    const property = fc.property(pool, wei, (before, amountWei) => {
      fc.pre(!isWiped(before))
      const shares = toSharesDown(before, amountWei)
      const after = { tokensWei: before.tokensWei + amountWei, shares: before.shares + shares }
      assert.ok(toWeiDown(after, shares) <= amountWei)
      assert.ok(toWeiUp(after, shares) - toWeiDown(after, shares) <= 1n)
    })
    fc.assert(property, { seed: 42 })
  })

  it('first price: a million shares per wei', () => {
    assert.equal(toSharesDown({ tokensWei: 0n, shares: 0n }, 5n), 5n * VIRTUAL_SHARES)
  })

  it('an empty pool is not wiped, one below the least price is', () => {
    assert.equal(isWiped({ tokensWei: 0n, shares: 0n }), false)
    assert.equal(isWiped({ tokensWei: 0n, shares: 1n }), true)
    assert.equal(isWiped({ tokensWei: 7n, shares: 7n * MAX_SHARES_PER_WEI }), true)
    assert.equal(isWiped({ tokensWei: 7n, shares: 7n * MAX_SHARES_PER_WEI - 1n }), false)
  })
})

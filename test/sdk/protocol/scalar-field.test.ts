import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bls12_381 } from '@noble/curves/bls12-381.js'
import fc from 'fast-check'
import * as scalars from '../../../sdk/protocol/scalar-field.ts'
import { ScalarHarness__factory } from '../../../typechain-types/index.js'
import { createChain } from '../../support/chain.ts'
import { revertsWith } from '../../support/reverts.ts'

const chain = await createChain()
const library = await new ScalarHarness__factory(chain.signer(0)).deploy()
const { Fr } = bls12_381.fields
const R = scalars.FIELD_ORDER

const element = fc.oneof(fc.constantFrom(1n, 2n, R - 1n, R - 2n), fc.bigInt({ min: 1n, max: R - 1n }))

describe('ScalarLib', () => {
  it('behavior: agrees with the twin and with an independent field', async () => {
    assert.equal(R, Fr.ORDER)
    await fc.assert(
      fc.asyncProperty(fc.array(element, { minLength: 1, maxLength: 9 }), async (elements) => {
        const [a = 1n] = elements
        assert.equal(await library.inverse(a), Fr.inv(a))
        assert.equal(scalars.inverse(a), Fr.inv(a))
        assert.equal(await library.pow64(a), Fr.pow(a, 64n))
        assert.equal(scalars.pow64(a), Fr.pow(a, 64n))
        const inverses = elements.map((one) => Fr.inv(one))
        assert.deepEqual(scalars.invertAll(elements), inverses)
      }),
      { numRuns: 40 },
    )
  })

  it('behavior: canonical means below r', async () => {
    for (const a of [0n, 1n, R - 1n, R, R + 1n, (1n << 256n) - 1n]) {
      assert.equal(await library.isCanonical(a), a < R)
      assert.equal(scalars.isCanonical(a), a < R)
    }
  })

  it('error: zero has no inverse, alone or among others, also as r', async () => {
    for (const zero of [0n, R, 2n * R]) {
      await revertsWith(library.inverse(zero), library, 'ZeroHasNoInverse')
      assert.throws(() => scalars.inverse(zero), { code: 'RANGE_INVALID' })
    }
    assert.throws(() => scalars.invertAll([5n, 0n, 7n]), { code: 'RANGE_INVALID' })
  })
})

describe('fourier', () => {
  it('behavior: gives the values of the polynomial', () => {
    const root = scalars.power(7n, (R - 1n) / 16n)
    const coefficients = Array.from({ length: 16 }, (_, i) => BigInt(i * i + 3))
    const expected = coefficients.map((_, i) => {
      const x = scalars.power(root, BigInt(i))
      return coefficients.reduceRight((sum, coefficient) => scalars.reduce(sum * x + coefficient), 0n)
    })
    assert.deepEqual(scalars.fourier(coefficients, root), expected)
  })
})

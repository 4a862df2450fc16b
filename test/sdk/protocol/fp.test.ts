import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bls12_381 } from '@noble/curves/bls12-381.js'
import fc from 'fast-check'
import * as fp from '../../../sdk/protocol/fp.ts'
import { FpHarness__factory } from '../../../typechain-types/index.js'
import { createChain } from '../../support/chain.ts'

const chain = await createChain()
const library = await new FpHarness__factory(chain.signer(0)).deploy()
const { Fp } = bls12_381.fields

const P = fp.FP_ORDER
const words = (a: bigint): [bigint, bigint] => [a >> 256n, a & ((1n << 256n) - 1n)]
const number = ([hi, lo]: readonly bigint[]) => ((hi ?? 0n) << 256n) | (lo ?? 0n)

const EDGES = [0n, 1n, 2n, 3n, (P - 1n) / 2n, (P + 1n) / 2n, P - 4n, P - 1n, (1n << 256n) - 1n, 1n << 256n]
const element = fc.oneof(fc.constantFrom(...EDGES), fc.bigInt({ min: 0n, max: P - 1n }))
const anyNumber = fc.oneof(
  fc.constantFrom(...EDGES, P, P + 1n, 2n * P),
  fc.bigInt({ min: 0n, max: (1n << 512n) - 1n }),
)

describe('FpLib', () => {
  it('behavior: agrees with the twin and with an independent field', async () => {
    await fc.assert(
      fc.asyncProperty(element, fc.bigInt({ min: 0n, max: 1000n }), async (a, small) => {
        const [hi, lo] = words(a)
        assert.equal(await library.isLarger(hi, lo), fp.isLarger(a))
        assert.equal(number(await library.negate(hi, lo)), Fp.neg(a))
        assert.equal(fp.negate(a), Fp.neg(a))
        assert.equal(number(await library.addSmall(hi, lo, small)), fp.addSmall(a, small))
        assert.equal(number(await library.square(hi, lo)), Fp.sqr(a))
        assert.equal(fp.square(a), Fp.sqr(a))
        assert.equal(number(await library.curveSide(hi, lo)), Fp.add(Fp.pow(a, 3n), 4n))
        assert.equal(fp.curveSide(a), Fp.add(Fp.pow(a, 3n), 4n))
        const square = Fp.is0(a) || Fp.eql(Fp.pow(a, (P - 1n) / 2n), Fp.ONE)
        assert.equal(await library.isSquare(hi, lo), square)
        assert.equal(fp.isSquare(a), square)
        if (square) assert.equal(fp.square(fp.squareRoot(a)), a)
      }),
      { numRuns: 40 },
    )
  })

  it('behavior: canonical means below p, in both languages; any number is reduced', async () => {
    await fc.assert(
      fc.asyncProperty(anyNumber, async (a) => {
        const [hi, lo] = words(a)
        assert.equal(await library.isCanonical(hi, lo), a < P)
        assert.equal(fp.isCanonical(a), a < P)
        assert.equal(number(await library.reduce(hi, lo)), a % P)
      }),
      { numRuns: 40 },
    )
  })

  it('behavior: only canonical coordinates of the curve are on it', async () => {
    const onCurve = async (x: bigint, y: bigint) => {
      const answer = await library.isOnCurve(...words(x), ...words(y))
      assert.equal(fp.isOnCurve(x, y), answer)
      return answer
    }
    for (let k = 1n; k < 8n; k++) {
      const { x, y } = bls12_381.G1.Point.BASE.multiply(k).toAffine()
      assert.equal(await onCurve(x, y), true)
      assert.equal(await onCurve(x, Fp.neg(y)), true)
      assert.equal(await onCurve(x, y + 1n), false)
      assert.equal(await onCurve(x + P, y), false)
      assert.equal(await onCurve(x, y + P), false)
    }
    assert.equal(await onCurve(0n, 0n), false)
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { leafHash, type Receipt, requestsHash } from '../../../sdk/protocol/receipt.ts'
import { ReceiptHarness__factory } from '../../../typechain-types/index.js'
import { createChain } from '../../support/chain.ts'
import { receiptOf } from '../../support/inference-fixture.ts'

const chain = await createChain()
const library = await new ReceiptHarness__factory(chain.signer(0)).deploy()

const hash = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => `0x${Buffer.from(bytes).toString('hex')}`)
const receipt: fc.Arbitrary<Receipt> = fc.record({
  requestHash: hash,
  responseHash: hash,
  modelHash: hash,
  inputUnits: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  outputUnits: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  feeWei: fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }),
  priceEpoch: fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }),
  nonce: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  traceRoot: hash,
})

describe('leafHash', () => {
  it('behavior: equals ReceiptLib', async () => {
    await fc.assert(
      fc.asyncProperty(receipt, async (one) => assert.equal(leafHash(one), await library.leafHash(one))),
      { numRuns: 25 },
    )
  })
})

describe('requestsHash', () => {
  it('behavior: equals ReceiptLib for any number of receipts', async () => {
    for (const count of [0, 1, 2, 3, 4, 5, 7, 8, 33, 64]) {
      const receipts = Array.from({ length: count }, (_, i) => receiptOf(BigInt(i + 1)))
      const { hash: ours, sumWei } = requestsHash(receipts)
      assert.deepEqual([ours, sumWei], [...(await library.requestsHash(receipts))], `${count} receipts`)
    }
    await fc.assert(
      fc.asyncProperty(fc.array(receipt, { maxLength: 12 }), async (receipts) => {
        const { hash: ours, sumWei } = requestsHash(receipts)
        assert.deepEqual([ours, sumWei], [...(await library.requestsHash(receipts))])
      }),
      { numRuns: 25 },
    )
  })

  it('behavior: the sum is that of the leaves, and every leaf and the order count', () => {
    const receipts = [1n, 2n, 3n].map((nonce) => receiptOf(nonce))
    const { hash: whole, sumWei } = requestsHash(receipts)
    assert.equal(sumWei, 3n * 80n)
    for (const other of [receipts.toReversed(), receipts.slice(0, 2), [...receipts, receiptOf(4n)]]) {
      assert.notEqual(requestsHash(other).hash, whole)
    }
    const dearer = receipts.with(1, receiptOf(2n, { feeWei: 81n }))
    assert.notEqual(requestsHash(dearer).hash, whole)
  })
})

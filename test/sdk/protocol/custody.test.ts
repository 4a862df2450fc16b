import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  type Custody,
  custodyLeaf,
  custodyProof,
  custodyRoot,
  verifyCustodyProof,
} from '../../../sdk/protocol/custody.ts'
import { CustodyHarness__factory } from '../../../typechain-types/index.js'
import { createChain } from '../../support/chain.ts'
import { anyHash, at } from '../../support/content.ts'
import { revertsWith } from '../../support/reverts.ts'
import { readVectors } from '../../support/vectors.ts'

type Vector = { custodies: Custody[]; root: string; proofs: string[][] }

const chain = await createChain()
const library = await new CustodyHarness__factory(chain.signer(0)).deploy()
const vectors = readVectors<Vector[]>('custody')

describe('custodyRoot', () => {
  it('default: leaves, roots and proofs of the vectors, in both', async () => {
    for (const { custodies, root, proofs } of vectors) {
      const leaves = custodies.map(custodyLeaf)
      for (const [i, { index, provider, shardRoot }] of custodies.slice(0, 3).entries()) {
        assert.equal(await library.leaf(index, provider, shardRoot), leaves[i])
      }
      assert.equal(custodyRoot(leaves), root)
      assert.equal(await library.root(leaves), root)
      for (const [index, path] of proofs.entries()) {
        assert.deepEqual(custodyProof(leaves, index), path)
        const leaf = at(leaves, index)
        assert.ok(verifyCustodyProof({ root, count: leaves.length, index, leaf, path }))
        assert.ok(await library.verify(root, leaves.length, index, leaf, path))
      }
    }
  })

  it('error: no shard', async () => {
    assert.throws(() => custodyRoot([]), { code: 'BAD_REQUEST' })
    await revertsWith(library.root([]), library, 'NoCustody')
  })
})

describe('custodyProof', () => {
  it('behavior: true and bent claims get the same answer from both', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(anyHash, { minLength: 1, maxLength: 80 }),
        fc.nat(),
        fc.constantFrom('none', 'index', 'count', 'leaf', 'root', 'shorter', 'longer', 'swapped'),
        anyHash,
        async (leaves, pick, bend, other) => {
          const index = pick % leaves.length
          const path = custodyProof(leaves, index)
          const claim = {
            root: custodyRoot(leaves),
            count: leaves.length,
            index,
            leaf: at(leaves, index),
            path,
          }
          const bent = {
            none: claim,
            index: { ...claim, index: index + 1 },
            count: { ...claim, count: Math.max(index, 1) },
            leaf: { ...claim, leaf: other },
            root: { ...claim, root: other },
            shorter: { ...claim, path: path.slice(0, -1) },
            longer: { ...claim, path: [...path, other] },
            swapped: { ...claim, path: [...path.slice(0, -1), other] },
          }
          const tried = path.length === 0 && bend === 'shorter' ? claim : bent[bend]
          const answer = verifyCustodyProof(tried)
          assert.equal(
            await library.verify(tried.root, tried.count, tried.index, tried.leaf, tried.path),
            answer,
          )
          const same = tried === claim || (bend === 'count' && tried.count === claim.count)
          if (same) assert.equal(answer, true)
          else if (bend !== 'count') assert.equal(answer, false)
        },
      ),
      { numRuns: 150 },
    )
  })

  it('error: an index outside', async () => {
    const { custodies, root, proofs } = at(vectors, 2)
    const leaves = custodies.map(custodyLeaf)
    for (const index of [-1, 3, 0.5])
      assert.throws(() => custodyProof(leaves, index), { code: 'RANGE_INVALID' })
    const path = at(proofs, 2)
    assert.equal(await library.verify(root, 3, (1n << 256n) - 1n, at(leaves, 2), path), false)
    assert.equal(await library.verify(root, 0, 0, at(leaves, 0), []), false)
    assert.equal(verifyCustodyProof({ root, count: 0, index: 0, leaf: at(leaves, 0), path: [] }), false)
  })
})

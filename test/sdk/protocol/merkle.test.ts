import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { toHex } from '../../../sdk/protocol/hex.ts'
import { fileLayout } from '../../../sdk/protocol/layout.ts'
import {
  foldsToNodes,
  joinNodes,
  merkleLevels,
  merkleProof,
  merkleRoot,
  rootOfNodes,
  sectorHashes,
  verifyMerkleProof,
  verifyMerkleProofs,
} from '../../../sdk/protocol/merkle.ts'
import { zeroHash, zeroTreeRoot } from '../../../sdk/protocol/zero-hashes.ts'
import { MerkleHarness__factory } from '../../../typechain-types/index.js'
import { createChain } from '../../support/chain.ts'
import { at, randomBytes } from '../../support/content.ts'
import { revertsWith } from '../../support/reverts.ts'

const chain = await createChain()
const library = await new MerkleHarness__factory(chain.signer(0)).deploy()
const hasher = await loadHasher()

/** A random hash for each number. */
const hashOf = (seed: number) => hasher.keccak256(randomBytes(8, seed))
/** A hash of none of these. */
const STRANGER = hasher.keccak256(new Uint8Array(1))

describe('merkleRoot', () => {
  it('behavior: pads with zero sectors up to the wanted size', () => {
    const data = randomBytes(1000, 1)
    const whole = new Uint8Array(8 * 256)
    whole.set(data)
    assert.deepEqual(merkleRoot(hasher, data, 8), merkleRoot(hasher, whole))
    assert.deepEqual(merkleRoot(hasher, new Uint8Array(), 13), zeroTreeRoot(13))
  })

  it('behavior: splits at the largest power of two below the leaf count', () => {
    const node = (leaves: Uint8Array[]): Uint8Array => {
      if (leaves.length === 1) return at(leaves, 0)
      let left = 1
      while (left * 2 < leaves.length) left *= 2
      return hasher.keccak256(joinNodes([node(leaves.slice(0, left)), node(leaves.slice(left))]))
    }
    for (let count = 1; count <= 70; count++) {
      const leaves = Array.from({ length: count }, (_, i) => hashOf(i))
      assert.deepEqual(rootOfNodes(hasher, joinNodes(leaves)), node(leaves))
    }
  })

  it('error: no leaf, half a hash, more data than room', () => {
    assert.throws(() => rootOfNodes(hasher, new Uint8Array()), { code: 'BAD_REQUEST' })
    assert.throws(() => rootOfNodes(hasher, new Uint8Array(33)), { code: 'BAD_REQUEST' })
    assert.throws(() => merkleRoot(hasher, new Uint8Array(257), 1), { code: 'RANGE_INVALID' })
    assert.throws(() => merkleRoot(hasher, new Uint8Array()), { code: 'RANGE_INVALID' })
  })
})

describe('zeroHash', () => {
  it('default: the published values', () => {
    assert.equal(toHex(zeroHash(0)), '0xd397b3b043d87fcd6fad1291ff0bfd16401c274896d8c63a923727f077b8e0b5')
    assert.equal(toHex(zeroHash(10)), '0xe68d02859bb6211cec64f52368b77d422de3b8eac34bf615942b814b643301b5')
    assert.throws(() => zeroHash(64), { code: 'BAD_REQUEST' })
  })
})

describe('sectorHashes', () => {
  it('behavior: equals MerkleLib.sectorHash', async () => {
    for (let seed = 0; seed < 8; seed++) {
      const sector = randomBytes(256, seed)
      assert.equal(toHex(sectorHashes(hasher, sector)), await library.sectorHash(sector))
    }
  })

  it('error: a sector of another size', async () => {
    for (const length of [0, 255, 257])
      await revertsWith(library.sectorHash(new Uint8Array(length)), library, 'NotASector')
  })
})

describe('merkleProof', () => {
  it('behavior: proofs hold in TypeScript and Solidity, and only for their own place', async () => {
    for (const height of [0, 1, 3, 6]) {
      const leaves = Array.from({ length: 2 ** height }, (_, i) => hashOf(i))
      const levels = merkleLevels(hasher, joinNodes(leaves))
      const root = at(levels, -1)
      const all = leaves.map((leaf, index) => ({ root, leaf, index, path: merkleProof(levels, index) }))
      assert.ok(verifyMerkleProofs(hasher, all))
      for (const [i, claim] of all.entries()) {
        assert.equal(verifyMerkleProofs(hasher, all.with(i, { ...claim, leaf: hashOf(1000) })), false)
        assert.equal(verifyMerkleProofs(hasher, all.with(i, { ...claim, root: hashOf(1000) })), false)
        const longer = { ...claim, path: [...claim.path, hashOf(1)] }
        assert.equal(verifyMerkleProofs(hasher, all.with(i, longer)), false)
      }
      for (let index = 0; index < leaves.length; index++) {
        const claim = { root, leaf: at(leaves, index), index, path: merkleProof(levels, index) }
        assert.ok(verifyMerkleProof(hasher, claim))
        assert.ok(await library.verify(root, claim.leaf, index, claim.path))
        const wrong = [
          { ...claim, index: index ^ 1 },
          { ...claim, index: index + leaves.length },
          { ...claim, leaf: hashOf(1000) },
          { ...claim, root: hashOf(1000) },
          { ...claim, path: [...claim.path, hashOf(1)] },
        ]
        for (const other of wrong) {
          assert.equal(verifyMerkleProof(hasher, other), false)
          assert.equal(await library.verify(other.root, other.leaf, other.index, other.path), false)
        }
      }
    }
  })

  it('behavior: random claims get the same answer from both', async () => {
    const anyClaim = fc.record({
      height: fc.integer({ min: 0, max: 5 }),
      pick: fc.nat(),
      bend: fc.integer({ min: 0, max: 6 }),
    })
    await fc.assert(
      fc.asyncProperty(anyClaim, async ({ height, pick, bend }) => {
        const levels = merkleLevels(
          hasher,
          joinNodes(Array.from({ length: 2 ** height }, (_, i) => hashOf(i + pick))),
        )
        const index = pick % 2 ** height
        const path = merkleProof(levels, index)
        if (bend < path.length) path[bend] = STRANGER
        const claim = {
          root: at(levels, -1),
          leaf: at(levels, 0).slice(index * 32, index * 32 + 32),
          index,
          path,
        }
        const holds = verifyMerkleProof(hasher, claim)
        assert.equal(holds, bend >= path.length)
        assert.equal(await library.verify(claim.root, claim.leaf, index, path), holds)
      }),
      { numRuns: 60 },
    )
  })

  it('error: an imperfect tree, an index outside, malformed parts', () => {
    const levels = merkleLevels(hasher, joinNodes([hashOf(1), hashOf(2), hashOf(3)]))
    assert.throws(() => merkleProof(levels, 0), { code: 'BAD_REQUEST' })
    assert.throws(() => merkleProof([], 0), { code: 'BAD_REQUEST' })
    const perfect = merkleLevels(hasher, joinNodes([hashOf(1), hashOf(2)]))
    for (const index of [-1, 2, 0.5])
      assert.throws(() => merkleProof(perfect, index), { code: 'RANGE_INVALID' })
    const claim = { root: at(perfect, -1), leaf: hashOf(1), index: 0, path: [hashOf(2)] }
    assert.ok(verifyMerkleProof(hasher, claim))
    assert.equal(verifyMerkleProof(hasher, { ...claim, index: 0.5 }), false)
    assert.equal(verifyMerkleProof(hasher, { ...claim, path: [hashOf(2).subarray(1)] }), false)
    assert.equal(verifyMerkleProof(hasher, { ...claim, leaf: new Uint8Array(31) }), false)
  })

  it('error: an index with bits above 2^255 of the path', async () => {
    const path = Array.from({ length: 3 }, (_, i) => hashOf(i))
    assert.equal(await library.verify(hashOf(0), hashOf(1), 1n << 255n, path), false)
    assert.equal(
      await library.verify(
        hashOf(0),
        hashOf(1),
        0,
        Array.from({ length: 256 }, () => hashOf(2)),
      ),
      false,
    )
  })
})

describe('foldsToNodes', () => {
  it('behavior: the shards of any file fold to its nodes, in both; nothing else does', async () => {
    for (const byteLength of [1, 256, 257, 3000, 4096, 4097, 5000, 17 * 256, 70_000, 262_145, 600_000]) {
      const layout = fileLayout(byteLength)
      const height = Math.log2(layout.shardSectors)
      const roots = Array.from({ length: layout.dataShards }, (_, i) => hashOf(i + byteLength))
      let used = 0
      const nodes = layout.nodeHeights.map((nodeHeight) => {
        const own = roots.slice(used, used + 2 ** (nodeHeight - height))
        used += own.length
        return { root: rootOfNodes(hasher, joinNodes(own)), height: nodeHeight }
      })
      const both = async (shardRoots: Uint8Array[], shardHeight: number, list: typeof nodes) => {
        const answer = foldsToNodes(hasher, { roots: shardRoots, height: shardHeight }, list)
        const heights = list.map((node) => node.height)
        const listRoots = list.map((node) => node.root)
        assert.equal(await library.foldsToNodes(shardRoots, shardHeight, listRoots, heights), answer)
        return answer
      }
      assert.equal(await both(roots, height, nodes), true)
      assert.equal(await both(roots.slice(1), height, nodes), false)
      assert.equal(await both([...roots, STRANGER], height, nodes), false)
      assert.equal(await both(roots.with(0, STRANGER), height, nodes), false)
      assert.equal(await both(roots.with(-1, STRANGER), height, nodes), false)
      assert.equal(await both(roots, height + 20, nodes), false)
      assert.equal(await both(roots, height, []), false)
      assert.equal(await both([], height, nodes), false)
    }
  })

  it('error: lists of different lengths, a node of absurd height', async () => {
    assert.equal(await library.foldsToNodes([STRANGER], 0, [STRANGER], []), false)
    assert.equal(await library.foldsToNodes([STRANGER], 0, [STRANGER], [(1n << 256n) - 1n]), false)
  })
})

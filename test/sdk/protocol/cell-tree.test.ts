import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  blobDepth,
  cellDepth,
  cellLeaf,
  cellPath,
  cellsLevels,
  columnLevels,
  columnRoot,
  commitmentLeaf,
  commitmentLevels,
  commitmentsRoot,
  treePath,
  treeRoot,
  verifyCell,
  verifyColumnRoot,
  verifyCommitment,
} from '../../../sdk/protocol/cell-tree.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { CellTreeHarness__factory } from '../../../typechain-types/index.js'
import { createChain } from '../../support/chain.ts'
import { at, randomBytes } from '../../support/content.ts'
import { revertsWith } from '../../support/reverts.ts'

const chain = await createChain()
const library = await new CellTreeHarness__factory(chain.signer(0)).deploy()
const hasher = await loadHasher()

const BLOB_COUNTS = [1, 2, 3, 5, 16, 17]

/** A header's worth of made-up commitments, proofs and cells: the trees do not look inside. */
function matrix(blobCount: number, seed: number) {
  const commitments = Array.from({ length: blobCount }, (_, b) => randomBytes(48, seed + b))
  const columns = Array.from({ length: 128 }, (_, k) =>
    Array.from({ length: blobCount }, (_, b) => ({
      proof: randomBytes(48, seed + 1000 * k + b),
      cell: randomBytes(2048, seed + 1_000_000 + 1000 * k + b),
    })),
  )
  const roots = columns.map((cells, k) => columnRoot(hasher, k, cells))
  return { commitments, columns, levels: cellsLevels(hasher, roots) }
}

function claimOf(world: ReturnType<typeof matrix>, blobIndex: number, column: number) {
  const cells = at(world.columns, column)
  const within = treePath(columnLevels(hasher, column, cells), blobIndex)
  return {
    root: treeRoot(world.levels),
    blobCount: cells.length,
    blobIndex,
    column,
    ...at(cells, blobIndex),
    path: cellPath(within, treePath(world.levels, column)),
  }
}

const onChain = (claim: ReturnType<typeof claimOf>) =>
  library.verifyCell(
    claim.root,
    claim.blobCount,
    claim.blobIndex,
    claim.column,
    claim.proof,
    hasher.keccak256(claim.cell),
    claim.path,
  )

describe('cell tree', () => {
  it('behavior: depths and leaves agree with Solidity', async () => {
    for (const blobCount of [...BLOB_COUNTS, 255, 256]) {
      assert.equal(await library.blobDepth(blobCount), BigInt(blobDepth(blobCount)))
      assert.equal(await library.cellDepth(blobCount), BigInt(cellDepth(blobCount)))
    }
    const leaf = { blobIndex: 255, column: 127, proof: randomBytes(48, 1), cell: randomBytes(2048, 2) }
    const hash = await library.cellLeaf(255, 127, leaf.proof, hasher.keccak256(leaf.cell))
    assert.deepEqual(Buffer.from(hash.slice(2), 'hex'), Buffer.from(cellLeaf(hasher, leaf)))
    const commitment = await library.commitmentLeaf(200, leaf.proof)
    assert.deepEqual(
      Buffer.from(commitment.slice(2), 'hex'),
      Buffer.from(commitmentLeaf(hasher, 200, leaf.proof)),
    )
  })

  it('behavior: the column-major rule, from its definition', () => {
    const world = matrix(3, 7)
    const node = (left: Uint8Array, right: Uint8Array) =>
      hasher.keccak256(Uint8Array.from([1, ...left, ...right]))
    let level = world.columns.flatMap((cells, column) => [
      ...cells.map(({ proof, cell }, b) =>
        hasher.keccak256(Uint8Array.from([0, 0, b, column, ...proof, ...hasher.keccak256(cell)])),
      ),
      new Uint8Array(32),
    ])
    while (level.length > 1)
      level = Array.from({ length: level.length / 2 }, (_, i) => node(at(level, 2 * i), at(level, 2 * i + 1)))
    assert.deepEqual(treeRoot(world.levels), at(level, 0))
  })

  it('behavior: every place proves, in both languages; no other place does', async () => {
    for (const blobCount of BLOB_COUNTS) {
      const world = matrix(blobCount, blobCount)
      const root = commitmentsRoot(hasher, world.commitments)
      const levels = commitmentLevels(hasher, world.commitments)
      for (const [blobIndex, column] of [
        [0, 0],
        [blobCount - 1, 127],
        [blobCount >> 1, 64],
      ] as const) {
        const claim = claimOf(world, blobIndex, column)
        assert.equal(verifyCell(hasher, claim), true)
        assert.equal(await onChain(claim), true)
        const moved = { ...claim, column: (column + 1) % 128 }
        assert.equal(verifyCell(hasher, moved), false)
        assert.equal(await onChain(moved), false)
        assert.equal(
          verifyColumnRoot(hasher, {
            root: claim.root,
            column,
            columnRoot: columnRoot(hasher, column, at(world.columns, column)),
            siblings: treePath(world.levels, column),
          }),
          true,
        )
        const commitment = at(world.commitments, blobIndex)
        const path = treePath(levels, blobIndex)
        assert.equal(verifyCommitment(hasher, { root, blobCount, blobIndex, commitment, path }), true)
        assert.equal(await library.verifyCommitment(root, blobCount, blobIndex, commitment, path), true)
      }
    }
  })

  it('behavior: a change of any part of a claim is refused by both', async () => {
    const claim = claimOf(matrix(5, 3), 4, 77)
    const flip = (bytes: Uint8Array, position: number) => {
      const copy = bytes.slice()
      copy[position % copy.length] = (copy[position % copy.length] ?? 0) ^ 1
      return copy
    }
    await fc.assert(
      fc.asyncProperty(fc.nat(4), fc.nat(10_000), async (part, position) => {
        const changed = [
          { ...claim, proof: flip(claim.proof, position) },
          { ...claim, cell: flip(claim.cell, position) },
          { ...claim, root: flip(claim.root, position) },
          { ...claim, blobIndex: position % 4 },
          {
            ...claim,
            path: claim.path.map((s, i) => (i === position % claim.path.length ? flip(s, position) : s)),
          },
        ]
        const one = at(changed, part)
        assert.equal(verifyCell(hasher, one), false)
        assert.equal(await onChain(one), false)
      }),
      { numRuns: 50 },
    )
  })

  it('error: a path of another depth, a padding leaf, a place outside', async () => {
    const claim = claimOf(matrix(3, 9), 2, 5)
    for (const path of [claim.path.slice(1), [...claim.path, new Uint8Array(32)], []]) {
      assert.equal(verifyCell(hasher, { ...claim, path }), false)
      assert.equal(await onChain({ ...claim, path }), false)
    }
    for (const blobIndex of [3, 4, -1, 1.5]) assert.equal(verifyCell(hasher, { ...claim, blobIndex }), false)
    assert.equal(await onChain({ ...claim, blobIndex: 3 }), false)
    assert.equal(verifyCell(hasher, { ...claim, column: 128 }), false)
    assert.equal(await onChain({ ...claim, column: 128 }), false)
    for (const blobCount of [0, 257]) {
      assert.throws(() => blobDepth(blobCount), { code: 'RANGE_INVALID' })
      assert.equal(verifyCell(hasher, { ...claim, blobCount }), false)
      await revertsWith(library.blobDepth(blobCount), library, 'BlobCountInvalid', [BigInt(blobCount)])
    }
    const short = claim.proof.slice(1)
    assert.equal(verifyCell(hasher, { ...claim, proof: short }), false)
    await revertsWith(onChain({ ...claim, proof: short }), library, 'PointLengthInvalid', [47n])
    assert.throws(() => cellLeaf(hasher, { ...claim, column: 128 }), { code: 'RANGE_INVALID' })
    assert.throws(() => commitmentLeaf(hasher, 256, claim.proof), { code: 'RANGE_INVALID' })
    assert.throws(() => cellsLevels(hasher, [claim.root]), { code: 'RANGE_INVALID' })
    assert.throws(() => columnRoot(hasher, 0, []), { code: 'RANGE_INVALID' })
    assert.throws(() => treePath(commitmentLevels(hasher, [short]), 0), { code: 'BAD_REQUEST' })
    assert.throws(() => treePath([claim.root], 1), { code: 'RANGE_INVALID' })
    assert.throws(() => cellPath([], claim.path), { code: 'BAD_REQUEST' })
  })
})

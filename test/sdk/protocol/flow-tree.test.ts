import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { concat, id, keccak256, ZeroHash } from 'ethers'
import fc from 'fast-check'
import { createFlowTree, flowAppend, flowPad, flowRoot } from '../../../sdk/protocol/flow-tree.ts'
import { toHex } from '../../../sdk/protocol/hex.ts'
import { fileLayout } from '../../../sdk/protocol/layout.ts'
import { type SubmissionNode, submissionSectors } from '../../../sdk/protocol/submission.ts'
import { zeroHash } from '../../../sdk/protocol/zero-hashes.ts'
import { FlowTreeHarness__factory } from '../../../typechain-types/index.js'
import { createChain } from '../../support/chain.ts'
import { at, type Content } from '../../support/content.ts'
import { revertsWith } from '../../support/reverts.ts'
import { readVectors } from '../../support/vectors.ts'

type Published = {
  flow: { content: Content; startPos: number; sectors: number; flowLength: number; flowRoot: string }[]
}
type FlowVector = {
  content: Content
  nodes: SubmissionNode[]
  startPos: string
  flowLength: string
  flowRoot: string
}

const chain = await createChain()
const deployTree = () => new FlowTreeHarness__factory(chain.signer(0)).deploy()

/** One submission on both trees; returns where it starts. */
async function submit(
  tree: ReturnType<typeof createFlowTree>,
  contract: Awaited<ReturnType<typeof deployTree>>,
  nodes: readonly SubmissionNode[],
): Promise<bigint> {
  const startPos = flowPad(tree, at(nodes, 0).height, BigInt(submissionSectors(nodes)))
  nodes.forEach(({ height, root }, i) => {
    const start = flowAppend(tree, height, root)
    if (i === 0) assert.equal(start, startPos)
  })
  const sent = await contract.submit(
    nodes.map(({ height }) => height),
    nodes.map(({ root }) => root),
  )
  const receipt = await sent.wait()
  const event = contract.interface.parseLog(at(receipt?.logs ?? [], 0))
  assert.equal(event?.args.startPos, startPos)
  assert.equal(await contract.length(), tree.length)
  assert.equal(await contract.root(), flowRoot(tree))
  return startPos
}

/** The root by its definition: a list of all leaves, gaps and the unused end being zero sectors. */
function rootOfLeaves(leaves: readonly string[]): string {
  let level = [...leaves]
  const zero = toHex(zeroHash(0))
  while (level.length & (level.length - 1)) level.push(zero)
  while (level.length > 1) {
    level = level.flatMap((node, i) => (i % 2 === 0 ? [keccak256(concat([node, at(level, i + 1)]))] : []))
  }
  return at(level, 0)
}

describe('flow tree', () => {
  it('default: the published sequence of flow roots, in both', async () => {
    const tree = createFlowTree()
    const contract = await deployTree()
    const vectors = readVectors<FlowVector[]>('flow')
    const published = readVectors<Published>('published').flow
    assert.equal(vectors.length, published.length)
    for (const [i, expected] of published.entries()) {
      const { content, nodes } = at(vectors, i)
      assert.deepEqual(content, expected.content)
      assert.equal(submissionSectors(nodes), expected.sectors)
      assert.equal(await submit(tree, contract, nodes), BigInt(expected.startPos))
      assert.equal(tree.length, BigInt(expected.flowLength))
      assert.equal(flowRoot(tree), expected.flowRoot)
    }
  })

  it('behavior: a fresh tree is the leaf of position 0, once', async () => {
    const contract = await deployTree()
    assert.equal(flowRoot(createFlowTree()), ZeroHash)
    assert.equal(await contract.root(), ZeroHash)
    await revertsWith(contract.initialize(), contract, 'TreeNotFresh')
  })

  it('behavior: the root is the one over all leaves by definition', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 40 * 256 }), { minLength: 1, maxLength: 30 }),
        (sizes) => {
          const tree = createFlowTree()
          const leaves = [ZeroHash]
          const zero = toHex(zeroHash(0))
          for (const [file, size] of sizes.entries()) {
            const { nodeHeights, paddedSectors } = fileLayout(size)
            const start = Number(flowPad(tree, at(nodeHeights, 0), BigInt(paddedSectors)))
            for (const height of nodeHeights) {
              const own = Array.from({ length: 2 ** height }, (_, i) => id(`${file} ${height} ${i}`))
              const position = Number(flowAppend(tree, height, rootOfLeaves(own)))
              while (leaves.length < position) leaves.push(zero)
              leaves.push(...own)
            }
            assert.equal(leaves.length, start + paddedSectors)
            assert.equal(tree.length, BigInt(leaves.length))
            assert.equal(flowRoot(tree), rootOfLeaves(leaves))
          }
        },
      ),
      { numRuns: 40 },
    )
  })

  it('behavior: no submission straddles a segment boundary unless it starts on one', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 60 }), (sizes) => {
        const tree = createFlowTree()
        for (const sectors of sizes) {
          const { nodeHeights, paddedSectors } = fileLayout(sectors * 256)
          const start = flowPad(tree, at(nodeHeights, 0), BigInt(paddedSectors))
          const starts = nodeHeights.map((height) => flowAppend(tree, height, ZeroHash))
          assert.equal(starts[0], start)
          assert.equal(tree.length, start + BigInt(paddedSectors))
          const last = start + BigInt(paddedSectors) - 1n
          assert.ok(start % 1024n === 0n || start / 1024n === last / 1024n)
        }
      }),
      { numRuns: 200 },
    )
  })

  it('behavior: a submission may end exactly on a segment boundary, yet not pass it', async () => {
    const nodes = (...heights: number[]) => heights.map((height) => ({ height, root: id(`${height}`) }))
    const tree = createFlowTree()
    const contract = await deployTree()
    assert.equal(await submit(tree, contract, nodes(9)), 512n)
    assert.equal(await submit(tree, contract, nodes(9, 7)), 1024n)
    assert.equal(await submit(tree, contract, nodes(8, 7)), 2048n)
  })

  it('behavior: random histories give the same places and roots in both', async () => {
    const sizes = fc.oneof(fc.integer({ min: 1, max: 10_000 }), fc.integer({ min: 1, max: 2 ** 34 }))
    for (const history of fc.sample(fc.array(sizes, { minLength: 12, maxLength: 12 }), 6)) {
      const tree = createFlowTree()
      const contract = await deployTree()
      for (const [i, size] of history.entries()) {
        const { nodeHeights } = fileLayout(size)
        await submit(
          tree,
          contract,
          nodeHeights.map((height) => ({ height, root: id(`${i} ${height}`) })),
        )
      }
    }
  })

  it('error: a node that does not fit the log any more', async () => {
    const contract = await deployTree()
    const tree = createFlowTree()
    for (const height of [64, 65, 300]) {
      assert.throws(() => flowAppend(tree, height, ZeroHash), { code: 'SUBMISSION_INVALID' })
      await revertsWith(contract.append(height, ZeroHash), contract, 'FlowFull')
    }
    // The second half of the log would end at 2^64, which a uint64 cannot hold.
    assert.throws(() => flowAppend(tree, 63, ZeroHash), { code: 'SUBMISSION_INVALID' })
    await revertsWith(contract.append(63, ZeroHash), contract, 'FlowFull')
    await contract.append(62, ZeroHash)
    await contract.append(62, ZeroHash)
    await revertsWith(contract.append(62, ZeroHash), contract, 'FlowFull')
    flowAppend(tree, 62, ZeroHash)
    flowAppend(tree, 62, ZeroHash)
    assert.equal(await contract.root(), flowRoot(tree))
    assert.throws(() => flowAppend(tree, 62, ZeroHash), { code: 'SUBMISSION_INVALID' })
  })

  it('behavior: a node on a log of 2^20 sectors costs less than 90,000 gas in the tree, at its worst', async () => {
    const contract = await deployTree()
    // Two rounds leave every frontier slot written and all of the low bits of the length set.
    for (const round of [19, 20]) {
      for (let height = round; height >= 0; height--) await contract.append(height, id(`${round} ${height}`))
    }
    let worst = 0n
    for (let height = 0; height <= 20; height++) {
      const gas = await chain.rolledBack(async () => {
        const used = async (call: Promise<{ wait(): Promise<{ gasUsed: bigint } | null> }>) =>
          (await (await call).wait())?.gasUsed ?? 0n
        const heights = [height]
        const roots = [id('node')]
        return (
          (await used(contract.submit(heights, roots))) - (await used(contract.submitNothing(heights, roots)))
        )
      })
      if (gas > worst) worst = gas
    }
    assert.ok(worst > 0n && worst < 90_000n, `${worst} gas`)
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadHasher, loadScalarHasher, referenceHasher } from '../../../sdk/protocol/hasher.ts'
import { fromHex, toHex } from '../../../sdk/protocol/hex.ts'
import { fileLayout, shardRange } from '../../../sdk/protocol/layout.ts'
import { joinNodes, merkleRoot } from '../../../sdk/protocol/merkle.ts'
import { createRootBuilder } from '../../../sdk/protocol/root-builder.ts'
import {
  checkSubmission,
  fileTree,
  fileTreeOf,
  type Submission,
  type SubmissionNode,
  submissionDigest,
  submissionFeeWei,
  submissionIdentity,
  submissionRoot,
  submissionSectors,
} from '../../../sdk/protocol/submission.ts'
import { type Content, contentOf } from '../../support/content.ts'
import { readVectors } from '../../support/vectors.ts'

type Published = {
  files: { content: Content; sectors: number; paddedSectors: number; heights: number[]; root: string }[]
}
type FileVector = {
  content: Content
  paddedSectors: number
  root: string
  nodes: SubmissionNode[]
  digest: string
  identity: string
  shardRoots: string[]
}

const hasher = await loadHasher()
const invalid = { name: 'ZerogError', code: 'SUBMISSION_INVALID' }

function nodesOf(...heights: number[]): SubmissionNode[] {
  return heights.map((height) => ({ root: `0x${'11'.repeat(32)}`, height }))
}

describe('fileTreeOf', () => {
  for (const { content, sectors, paddedSectors, heights, root } of readVectors<Published>('published')
    .files) {
    it(`default: the published root of ${content.byteLength} B of ${JSON.stringify(content.fill)}`, () => {
      const layout = fileLayout(content.byteLength)
      const tree = fileTreeOf(hasher, contentOf(content))
      assert.deepEqual([layout.sectors, layout.paddedSectors], [sectors, paddedSectors])
      assert.deepEqual(
        tree.submission.nodes.map((node) => node.height),
        heights,
      )
      assert.equal(tree.root, root)
    })
  }

  it('behavior: every engine finds the roots of the vectors', async () => {
    for (const engine of [referenceHasher, await loadScalarHasher(), hasher]) {
      for (const vector of readVectors<FileVector[]>('files').filter(
        ({ content }) => content.byteLength < 5000,
      )) {
        assert.equal(fileTreeOf(engine, contentOf(vector.content)).root, vector.root)
      }
    }
  })

  it('error: a file without bytes', () => {
    assert.throws(() => fileTreeOf(hasher, new Uint8Array()), { code: 'EMPTY_FILE' })
  })
})

describe('fileTree', () => {
  it('default: shard roots alone give the file’s root, nodes, digest and identity', () => {
    for (const vector of readVectors<FileVector[]>('files')) {
      const layout = fileLayout(vector.content.byteLength)
      const tree = fileTree(hasher, layout, joinNodes(vector.shardRoots.map((root) => fromHex(root, 32))))
      assert.equal(tree.root, vector.root)
      assert.deepEqual(tree.submission.nodes, vector.nodes)
      assert.equal(submissionRoot(vector.nodes), vector.root)
      assert.equal(submissionDigest(tree.submission), vector.digest)
      assert.equal(submissionIdentity(vector.nodes), vector.identity)
      assert.equal(submissionSectors(vector.nodes), vector.paddedSectors)
    }
  })

  it('error: too few shard roots', () => {
    assert.throws(() => fileTree(hasher, fileLayout(5000), new Uint8Array(32)), { code: 'BAD_REQUEST' })
  })
})

describe('createRootBuilder', () => {
  it('behavior: pieces of any length give the root of the whole, in every tree of the vectors', () => {
    for (const vector of readVectors<FileVector[]>('files')) {
      const data = contentOf(vector.content)
      for (const piece of [1, 100, 256, 70_001, 1 << 20].filter((length) => data.length / length < 5000)) {
        const builder = createRootBuilder(hasher, { sectors: vector.paddedSectors })
        for (let start = 0; start < data.length; start += piece)
          builder.push(data.subarray(start, start + piece))
        assert.equal(toHex(builder.root()), vector.root, `${data.length} bytes in pieces of ${piece}`)
        assert.equal(toHex(builder.root()), vector.root)
      }
    }
  })

  for (const nodeHeight of [10, 5, 0]) {
    it(`behavior: tells every node of height ${nodeHeight} once, in order, padding included`, () => {
      const data = contentOf({ byteLength: (1 << 21) + 1, fill: { seed: 1 } })
      const sectors = fileLayout(data.length).paddedSectors
      const heard: string[] = []
      const builder = createRootBuilder(hasher, {
        sectors,
        nodeHeight,
        onNodes: (roots, index) => {
          assert.equal(index, heard.length)
          for (let at = 0; at < roots.length; at += 32) heard.push(toHex(roots.subarray(at, at + 32)))
        },
      })
      for (let start = 0; start < data.length; start += 100_000)
        builder.push(data.subarray(start, start + 100_000))
      builder.root()
      const width = 2 ** nodeHeight
      assert.equal(heard.length, sectors / width)
      heard.forEach((root, i) => {
        const part = data.subarray(i * width * 256, (i + 1) * width * 256)
        assert.equal(root, toHex(merkleRoot(hasher, part.length > 0 ? part : new Uint8Array(1), width)))
      })
    })
  }

  it('behavior: a shard that ends early is filled up with zeros', () => {
    const data = contentOf({ byteLength: 4097, fill: 'mod251' })
    const layout = fileLayout(data.length)
    const last = layout.dataShards - 1
    const { start, end } = shardRange(layout, last)
    const builder = createRootBuilder(hasher, { sectors: layout.shardSectors })
    builder.push(data.subarray(start, end))
    const vector = readVectors<FileVector[]>('files').find(({ content }) => content.byteLength === 4097)
    assert.equal(toHex(builder.root()), vector?.shardRoots[last])
  })

  it('error: more bytes than the tree holds, bytes after the root', () => {
    const builder = createRootBuilder(hasher, { sectors: 2 })
    assert.throws(() => builder.push(new Uint8Array(513)), { code: 'FILE_TOO_LARGE' })
    builder.push(new Uint8Array(512))
    builder.root()
    assert.throws(() => builder.push(new Uint8Array(1)), { code: 'BAD_REQUEST' })
    assert.throws(() => createRootBuilder(hasher, { sectors: 0 }), { code: 'EMPTY_FILE' })
  })
})

describe('checkSubmission', () => {
  it('default: takes every file of the vectors', () => {
    for (const { content, nodes } of readVectors<FileVector[]>('files')) {
      checkSubmission({ byteLength: content.byteLength, nodes })
    }
  })

  it('behavior: takes exactly the lengths that pad to its nodes', () => {
    for (let sectors = 1; sectors <= 700; sectors++) {
      const { nodeHeights, paddedSectors } = fileLayout(sectors * 256)
      const nodes = nodesOf(...nodeHeights)
      checkSubmission({ byteLength: sectors * 256, nodes })
      checkSubmission({ byteLength: sectors * 256 - 255, nodes })
      assert.throws(() => checkSubmission({ byteLength: paddedSectors * 256 + 1, nodes }), invalid)
    }
  })

  const refused: [string, Submission][] = [
    ['no node', { byteLength: 1, nodes: [] }],
    ['a length of 0', { byteLength: 0, nodes: nodesOf(0) }],
    ['equal heights', { byteLength: 512, nodes: nodesOf(0, 0) }],
    ['ascending heights', { byteLength: 768, nodes: nodesOf(0, 1) }],
    ['heights 4 apart', { byteLength: 17 * 256, nodes: nodesOf(4, 0) }],
    ['height 64', { byteLength: 256, nodes: nodesOf(64) }],
    ['a broken height', { byteLength: 256, nodes: nodesOf(0.5) }],
    ['over-padding with one small node', { byteLength: 256, nodes: nodesOf(1) }],
    ['over-padding with one big node', { byteLength: 960 * 256, nodes: nodesOf(10) }],
    ['over-padding with several nodes', { byteLength: 1024 * 256, nodes: nodesOf(10, 7) }],
  ]
  for (const [what, submission] of refused) {
    it(`error: ${what}`, () => {
      assert.throws(() => checkSubmission(submission), invalid)
    })
  }

  it('error: a root that is no hash', () => {
    const nodes = [{ root: '0x12', height: 0 }]
    assert.throws(() => checkSubmission({ byteLength: 256, nodes }), { code: 'BAD_HEX' })
  })
})

describe('submissionFeeWei', () => {
  it('default: the example that the public SDK was seen to pay', () => {
    assert.equal(submissionFeeWei(fileLayout(600_000).paddedSectors, 30_733_644_962n), 78_678_131_102_720n)
  })
})

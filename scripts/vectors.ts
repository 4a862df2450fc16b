// Writes test/vectors/*.json from the TypeScript twins: known answers for the tests and for other languages.
// Usage, from the root of the checkout: node dist/scripts/vectors.js [--check]   (--check compares with the committed files and writes nothing)
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { id, toBeHex, zeroPadValue } from 'ethers'
import { custodyLeaf, custodyProof, custodyRoot } from '../sdk/protocol/custody.ts'
import { drawCount, drawPosition } from '../sdk/protocol/draw.ts'
import { referenceErasure } from '../sdk/protocol/erasure.ts'
import { createFlowTree, flowAppend, flowPad, flowRoot } from '../sdk/protocol/flow-tree.ts'
import { loadHasher } from '../sdk/protocol/hasher.ts'
import { toHex } from '../sdk/protocol/hex.ts'
import { fileLayout, SEGMENT_BYTES, shardBytes, shardRange } from '../sdk/protocol/layout.ts'
import { joinNodes, merkleRoot } from '../sdk/protocol/merkle.ts'
import {
  paddedSegmentRoots,
  segmentCounts,
  segmentProof,
  segmentRoot,
} from '../sdk/protocol/segment-proof.ts'
import {
  fileTreeOf,
  submissionDigest,
  submissionIdentity,
  submissionSectors,
} from '../sdk/protocol/submission.ts'
import { hashStorageMessage, marketDomain, type StorageMessage } from '../sdk/protocol/typed-data.ts'
import { type Content, contentOf, randomBytes } from './vectors/content.ts'

const FILES: Content[] = [
  { byteLength: 1, fill: 0 },
  { byteLength: 1, fill: 97 },
  { byteLength: 255, fill: 97 },
  { byteLength: 256, fill: 97 },
  { byteLength: 257, fill: 97 },
  { byteLength: 4095, fill: 'mod251' },
  { byteLength: 4096, fill: 'mod251' },
  { byteLength: 4097, fill: 'mod251' },
  { byteLength: 17 * 256, fill: 'mod251' },
  { byteLength: SEGMENT_BYTES - 1, fill: 'mod251' },
  { byteLength: SEGMENT_BYTES, fill: 97 },
  { byteLength: SEGMENT_BYTES + 1, fill: 97 },
  { byteLength: 600_000, fill: 'mod251' },
  { byteLength: 1 << 20, fill: 97 },
  { byteLength: 1 << 20, fill: 'mod251' },
  { byteLength: (1 << 20) + 1, fill: 97 },
  { byteLength: 3_000_000, fill: 'mod251' },
  { byteLength: (1 << 23) + 1, fill: { seed: 1 } },
]

/** The order in which 0G's published flow roots take files of the table. */
const FLOW: Content[] = [
  { byteLength: 256, fill: 97 },
  { byteLength: 1, fill: 97 },
  { byteLength: 257, fill: 97 },
  { byteLength: 600_000, fill: 'mod251' },
  { byteLength: 1 << 20, fill: 97 },
  { byteLength: 17 * 256, fill: 'mod251' },
  { byteLength: (1 << 20) + 1, fill: 97 },
]

const hasher = await loadHasher()

function files() {
  return FILES.map((content) => {
    const data = contentOf(content)
    const layout = fileLayout(content.byteLength)
    const { root, submission } = fileTreeOf(hasher, data)
    const shardRoots = Array.from({ length: layout.dataShards }, (_, i) => {
      const { start, end } = shardRange(layout, i)
      return toHex(merkleRoot(hasher, data.subarray(start, end), layout.shardSectors))
    })
    return {
      content,
      sectors: layout.sectors,
      paddedSectors: layout.paddedSectors,
      shardSectors: layout.shardSectors,
      dataShards: layout.dataShards,
      root,
      nodes: submission.nodes,
      digest: submissionDigest(submission),
      identity: submissionIdentity(submission.nodes),
      shardRoots,
    }
  })
}

function flow() {
  const tree = createFlowTree()
  return FLOW.map((content) => {
    const { nodes } = fileTreeOf(hasher, contentOf(content)).submission
    const startPos = flowPad(tree, nodes[0]?.height ?? 0, BigInt(submissionSectors(nodes)))
    for (const { height, root } of nodes) flowAppend(tree, height, root)
    return { content, nodes, startPos, flowLength: tree.length, flowRoot: flowRoot(tree) }
  })
}

function segmentProofs() {
  const contents: Content[] = [
    { byteLength: 1000, fill: 'mod251' },
    { byteLength: 600_000, fill: 'mod251' },
    { byteLength: (1 << 20) + 1, fill: 97 },
    { byteLength: (1 << 23) + 1, fill: { seed: 1 } },
  ]
  return contents.map((content) => {
    const layout = fileLayout(content.byteLength)
    const data = contentOf(content)
    const realRoots = Array.from({ length: segmentCounts(layout).real }, (_, i) =>
      segmentRoot(hasher, layout, i, data.subarray(i * SEGMENT_BYTES, (i + 1) * SEGMENT_BYTES)),
    )
    const roots = paddedSegmentRoots(layout, joinNodes(realRoots))
    const indexes = [...new Set([0, Math.floor(realRoots.length / 2), realRoots.length - 1])]
    return {
      content,
      root: fileTreeOf(hasher, data).root,
      proofs: indexes.map((index) => ({ index, ...segmentProof(hasher, roots, index) })),
    }
  })
}

function custody() {
  return [1, 2, 3, 5, 9, 24, 80].map((count) => {
    const custodies = Array.from({ length: count }, (_, index) => ({
      index,
      provider: zeroPadValue(toBeHex(0xc0ffee + (index % 6)), 20),
      shardRoot: id(`shard ${index}`),
    }))
    const leaves = custodies.map(custodyLeaf)
    return { custodies, root: custodyRoot(leaves), proofs: leaves.map((_, i) => custodyProof(leaves, i)) }
  })
}

function draw() {
  const counts = [
    { targetDraws: 24n, span: 0n, live: 0n },
    { targetDraws: 24n, span: 1000n, live: 1000n },
    { targetDraws: 24n, span: 1001n, live: 1000n },
    { targetDraws: 24n, span: 1_000_000n, live: 1n },
    { targetDraws: 1n, span: 1n << 60n, live: 1n << 58n },
  ].map((input) => ({ ...input, draws: drawCount(input) }))
  const positions = [0n, 1n, 191n].flatMap((index) =>
    [1n, 24n, (1n << 56n) + 1n].map((span) => {
      const input = { seed: id('seed'), index, tail: 12_306n, span }
      return { ...input, position: drawPosition(input) }
    }),
  )
  return { counts, positions }
}

function erasure() {
  const codes = [
    { d: 1, m: 4 },
    { d: 3, m: 5 },
    { d: 9, m: 8 },
    { d: 16, m: 8 },
    { d: 16, m: 64 },
  ]
  return codes.map(({ d, m }) => {
    const data = Array.from({ length: d }, (_, i) => randomBytes(24, 100 * d + i))
    return { d, m, data: data.map(toHex), parity: referenceErasure.encode(data, m).map(toHex) }
  })
}

function typedData() {
  const chainId = 31_337n
  const verifyingContract = '0x00000000000000000000000000000000c0ffee00'
  const messages: StorageMessage[] = [
    {
      type: 'Custody',
      message: {
        txSeq: 7n,
        digest: id('digest'),
        custodyRoot: id('custody'),
        shardBitmap: 0b1001n,
        ratePerPeriod: 10n ** 12n,
        expiresAt: 3605n,
        validUntil: 120n,
      },
    },
    { type: 'Approve', message: { txSeq: 7n, custodyRoot: id('custody') } },
    {
      type: 'Takeover',
      message: {
        txSeq: 7n,
        shardIndex: 3n,
        custodyRoot: id('custody'),
        ratePerPeriod: 10n ** 12n,
        validUntil: 120n,
      },
    },
  ]
  const domain = marketDomain(chainId, verifyingContract)
  const hashed = messages.map((entry) => ({ ...entry, hash: hashStorageMessage(domain, entry) }))
  return { chainId, verifyingContract, messages: hashed }
}

/** Where the data shards of each file lie. */
function layouts() {
  return FILES.map(({ byteLength }) => {
    const layout = fileLayout(byteLength)
    const ranges = Array.from({ length: layout.dataShards }, (_, i) => shardRange(layout, i))
    return { ...layout, shardBytes: shardBytes(layout), ranges }
  })
}

const VECTORS = {
  files: files(),
  layouts: layouts(),
  flow: flow(),
  'segment-proofs': segmentProofs(),
  custody: custody(),
  draw: draw(),
  erasure: erasure(),
  'typed-data': typedData(),
}

const check = process.argv.includes('--check')
const folder = 'test/vectors'
await mkdir(folder, { recursive: true })
for (const [name, value] of Object.entries(VECTORS)) {
  const path = join(folder, `${name}.json`)
  const text = `${JSON.stringify(value, (_, field) => (typeof field === 'bigint' ? field.toString() : field), 2)}\n`
  const committed = await readFile(path, 'utf8').catch(() => '')
  if (committed === text) continue
  if (check) {
    process.stderr.write(`test/vectors/${name}.json is not what the code computes\n`)
    process.exitCode = 1
  } else {
    await writeFile(path, text)
    process.stdout.write(`wrote test/vectors/${name}.json\n`)
  }
}

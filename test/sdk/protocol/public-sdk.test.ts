import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { fileLayout, SEGMENT_BYTES } from '../../../sdk/protocol/layout.ts'
import { joinNodes } from '../../../sdk/protocol/merkle.ts'
import {
  paddedSegmentRoots,
  type SegmentProof,
  segmentCounts,
  segmentProof,
  segmentRoot,
  verifySegmentProof,
} from '../../../sdk/protocol/segment-proof.ts'
import { fileTreeOf, type SubmissionNode, submissionFeeWei } from '../../../sdk/protocol/submission.ts'
import { at, randomBytes } from '../../support/content.ts'
import { ROOT } from '../../support/repository.ts'

type PublicFile = {
  root: string
  byteLength: number
  nodes: SubmissionNode[]
  feeWei: string
  proofs: SegmentProof[]
}

const KIB = 1024
const MIB = 1024 * KIB
const SIZES = [
  ...[1, 255, 256, 257, 511, 513, 4 * KIB - 1, 4 * KIB, 4 * KIB + 1, 16 * KIB + 1, 100_000],
  ...[256 * KIB - 1, 256 * KIB, 256 * KIB + 1, 500_000, MIB - 1, MIB, MIB + 1],
  ...[3_333_333, 4 * MIB + 1, 7 * MIB - 300, 16 * MIB, 16 * MIB + 1],
]
const PRICE_WEI = 30_733_644_962n

const folder = await mkdtemp(join(tmpdir(), 'zerog-public-'))
after(() => rm(folder, { recursive: true }))
const hasher = await loadHasher()

/** What the public SDK, in a process and with packages of its own, says about each file. */
async function askPublicSdk(files: Uint8Array[]): Promise<PublicFile[]> {
  const paths = await Promise.all(
    files.map(async (data, i) => {
      const path = join(folder, `${i}.bin`)
      await writeFile(path, data)
      return path
    }),
  )
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [join(ROOT, 'test/clients/public-files.mjs'), PRICE_WEI.toString(), ...paths],
    { maxBuffer: 64 * MIB, timeout: 240_000 },
  )
  return JSON.parse(at(stdout.trim().split('\n'), -1)) as PublicFile[]
}

const inputs = SIZES.map((byteLength) => randomBytes(byteLength, byteLength))
const answers = await askPublicSdk(inputs)

describe('public SDK', () => {
  SIZES.forEach((byteLength, i) => {
    it(`behavior: root, nodes, fee and segment proofs of ${byteLength} B are the same`, () => {
      const data = at(inputs, i)
      const answer = at(answers, i)
      const layout = fileLayout(byteLength)
      const { root, submission } = fileTreeOf(hasher, data)
      assert.equal(root, answer.root)
      assert.deepEqual(submission, { byteLength: answer.byteLength, nodes: answer.nodes })
      assert.equal(submissionFeeWei(layout.paddedSectors, PRICE_WEI), BigInt(answer.feeWei))

      const segment = (index: number) => data.subarray(index * SEGMENT_BYTES, (index + 1) * SEGMENT_BYTES)
      const { real } = segmentCounts(layout)
      const roots = Array.from({ length: real }, (_, index) =>
        segmentRoot(hasher, layout, index, segment(index)),
      )
      const padded = paddedSegmentRoots(layout, joinNodes(roots))
      assert.equal(answer.proofs.length, real)
      answer.proofs.forEach((proof, index) => {
        assert.deepEqual(segmentProof(hasher, padded, index), proof)
        const whole = new Uint8Array(Math.ceil(segment(index).length / 256) * 256)
        whole.set(segment(index))
        verifySegmentProof(hasher, { layout, root, index, data: whole, proof })
      })
    })
  })
})

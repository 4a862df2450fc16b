import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { keccak256 } from 'ethers'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { toHex } from '../../../sdk/protocol/hex.ts'
import { fileLayout, SEGMENT_BYTES } from '../../../sdk/protocol/layout.ts'
import { joinNodes } from '../../../sdk/protocol/merkle.ts'
import {
  paddedSegmentRoots,
  type SegmentProof,
  segmentCounts,
  segmentLength,
  segmentProof,
  segmentRoot,
  verifySegmentProof,
} from '../../../sdk/protocol/segment-proof.ts'
import { at, type Content, contentOf } from '../../support/content.ts'
import { readVectors } from '../../support/vectors.ts'

type Vector = { content: Content; root: string; proofs: (SegmentProof & { index: number })[] }

const vectors = readVectors<Vector[]>('segment-proofs')
const hasher = await loadHasher()

/** Segment `index` as it travels. */
function segmentOf(content: Content, index: number): Uint8Array {
  const data = new Uint8Array(segmentLength(fileLayout(content.byteLength), index))
  data.set(contentOf(content).subarray(index * SEGMENT_BYTES, index * SEGMENT_BYTES + data.length))
  return data
}

function claims() {
  return vectors.flatMap(({ content, root, proofs }) =>
    proofs.map(({ index, lemma, path }) => ({
      layout: fileLayout(content.byteLength),
      root,
      index,
      data: segmentOf(content, index),
      proof: { lemma, path },
    })),
  )
}

describe('verifySegmentProof', () => {
  it('default: the proofs of the vectors hold', () => {
    for (const claim of claims()) verifySegmentProof(hasher, claim)
  })

  it('error: any changed byte', () => {
    for (const claim of claims()) {
      for (const position of [0, claim.data.length >> 1, claim.data.length - 1]) {
        const data = claim.data.slice()
        data[position] = at([...data], position) ^ 1
        assert.throws(() => verifySegmentProof(hasher, { ...claim, data }), { code: 'PROOF_INVALID' })
      }
    }
  })

  it('error: another index', () => {
    const content = { byteLength: 600_000, fill: 97 } // its first two segments are equal: only the position differs
    const layout = fileLayout(content.byteLength)
    const roots = Array.from({ length: 3 }, (_, i) => segmentRoot(hasher, layout, i, segmentOf(content, i)))
    const padded = paddedSegmentRoots(layout, joinNodes(roots))
    const proof = segmentProof(hasher, padded, 0)
    const root = at(proof.lemma, -1)
    const data = segmentOf(content, 0)
    verifySegmentProof(hasher, { layout, root, index: 0, data, proof })
    assert.throws(() => verifySegmentProof(hasher, { layout, root, index: 1, data, proof }), {
      code: 'PROOF_INVALID',
    })
    assert.throws(() => verifySegmentProof(hasher, { layout, root, index: 2, data, proof }), {
      code: 'RANGE_INVALID',
    })
    assert.throws(() => verifySegmentProof(hasher, { layout, root, index: 3, data, proof }), {
      code: 'RANGE_INVALID',
    })
  })

  it('error: bytes missing or to spare', () => {
    for (const claim of claims()) {
      const longer = new Uint8Array(claim.data.length + 256)
      for (const data of [claim.data.subarray(256), claim.data.subarray(1), longer, new Uint8Array()]) {
        assert.throws(() => verifySegmentProof(hasher, { ...claim, data }), { code: 'RANGE_INVALID' })
      }
    }
  })

  it('error: a proof changed anywhere', () => {
    for (const claim of claims()) {
      const { lemma, path } = claim.proof
      const broken: SegmentProof[] = [
        ...lemma.map((hash, i) => ({ lemma: lemma.with(i, keccak256(hash)), path })),
        ...path.map((side, i) => ({ lemma, path: path.with(i, !side) })),
        { lemma: lemma.slice(1), path },
        { lemma: [...lemma, at(lemma, -1)], path },
        { lemma: [...lemma, at(lemma, -1)], path: [...path, true] },
        { lemma: [], path: [] },
      ]
      for (const proof of broken) {
        assert.throws(() => verifySegmentProof(hasher, { ...claim, proof }), { code: 'PROOF_INVALID' })
      }
      assert.throws(() => verifySegmentProof(hasher, { ...claim, proof: { lemma: ['0x12'], path } }), {
        code: 'BAD_HEX',
      })
    }
  })

  it('error: another file', () => {
    for (const claim of claims()) {
      assert.throws(() => verifySegmentProof(hasher, { ...claim, root: keccak256(claim.root) }), {
        code: 'PROOF_INVALID',
      })
    }
  })

  it('error: padding that is not zero, even under a root made for it', () => {
    const content: Content = { byteLength: (1 << 23) + 1, fill: { seed: 1 } }
    const layout = fileLayout(content.byteLength)
    const { real, padded } = segmentCounts(layout)
    assert.ok(padded > real)
    const roots = Array.from({ length: real }, (_, i) =>
      segmentRoot(hasher, layout, i, segmentOf(content, i)),
    )
    const forged = paddedSegmentRoots(layout, joinNodes(roots))
    forged.set(hasher.keccak256(new Uint8Array(1)), real * 32)
    const index = real - 1
    const proof = segmentProof(hasher, forged, index)
    const claim = { layout, root: at(proof.lemma, -1), index, data: segmentOf(content, index), proof }
    assert.throws(() => verifySegmentProof(hasher, claim), { code: 'PROOF_INVALID', message: /padding/ })
  })
})

describe('segmentProof', () => {
  it('error: an index outside the file', () => {
    assert.throws(() => segmentProof(hasher, new Uint8Array(64), 2), { code: 'RANGE_INVALID' })
    assert.throws(() => paddedSegmentRoots(fileLayout(1), new Uint8Array(64)), { code: 'BAD_REQUEST' })
  })

  it('behavior: a file of one segment proves itself', () => {
    const root = hasher.keccak256(new Uint8Array(3))
    assert.deepEqual(segmentProof(hasher, root, 0), { lemma: [toHex(root)], path: [] })
  })
})

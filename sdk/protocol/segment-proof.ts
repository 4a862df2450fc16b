import { ZerogError } from './errors.ts'
import { HASH_BYTES, type Hasher } from './hasher.ts'
import { bytesEqual, fromHex, toHex } from './hex.ts'
import { type FileLayout, SECTOR_BYTES, SEGMENT_BYTES, SEGMENT_SECTORS } from './layout.ts'
import { merkleRoot, rootOfNodes } from './merkle.ts'
import { concatPair, zeroTreeRoot } from './zero-hashes.ts'

/**
 * 0G's proof of one segment: `lemma` = segment root, siblings from the bottom up, file root (hex); `path[i]` says whether the node is the
 * left child at level i. A file of one segment has lemma [root] and an empty path.
 */
export type SegmentProof = { lemma: string[]; path: boolean[] }

/** Segments of the file with padding, and without. */
export function segmentCounts(layout: FileLayout): { padded: number; real: number } {
  return {
    padded: Math.ceil(layout.paddedSectors / SEGMENT_SECTORS),
    real: Math.ceil(layout.sectors / SEGMENT_SECTORS),
  }
}

/** Bytes of segment `index` as they travel: whole sectors, the last one zero-padded, no padding sectors. */
export function segmentLength(layout: FileLayout, index: number): number {
  if (!Number.isInteger(index) || index < 0 || index >= segmentCounts(layout).real) {
    throw new ZerogError('RANGE_INVALID', 'the file has no such segment', { meta: { index } })
  }
  return Math.min(SEGMENT_BYTES, layout.sectors * SECTOR_BYTES - index * SEGMENT_BYTES)
}

/** Root of segment `index`: its own sectors, then zero sectors up to what padding gives the segment. */
export function segmentRoot(hasher: Hasher, layout: FileLayout, index: number, data: Uint8Array): Uint8Array {
  return merkleRoot(hasher, data, sectorsOf(layout, index, 1))
}

/** Roots of all segments, padding included, 32 B each, from the roots of the real ones. */
export function paddedSegmentRoots(layout: FileLayout, realRoots: Uint8Array): Uint8Array {
  const { padded, real } = segmentCounts(layout)
  if (realRoots.length !== real * HASH_BYTES)
    throw new ZerogError('BAD_REQUEST', `the file has ${real} segments`)
  const roots = new Uint8Array(padded * HASH_BYTES)
  roots.set(realRoots)
  for (let i = real; i < padded; i++) roots.set(zeroTreeRoot(sectorsOf(layout, i, 1)), i * HASH_BYTES)
  return roots
}

/** Proof of segment `index` from the roots of all segments, padding included (see {@link paddedSegmentRoots}). */
export function segmentProof(hasher: Hasher, segmentRoots: Uint8Array, index: number): SegmentProof {
  const count = segmentRoots.length / HASH_BYTES
  if (!Number.isInteger(index) || index < 0 || index >= count) {
    throw new ZerogError('RANGE_INVALID', 'the file has no such segment', { meta: { index } })
  }
  const part = (from: number, to: number) => segmentRoots.subarray(from * HASH_BYTES, to * HASH_BYTES)
  const steps = stepsTo(count, index).map(({ isLeft, siblingStart, siblingCount }) => ({
    isLeft,
    sibling: toHex(rootOfNodes(hasher, part(siblingStart, siblingStart + siblingCount))),
  }))
  const own = toHex(part(index, index + 1))
  if (steps.length === 0) return { lemma: [own], path: [] }
  return {
    lemma: [own, ...steps.map((step) => step.sibling), toHex(rootOfNodes(hasher, segmentRoots))],
    path: steps.map((step) => step.isLeft),
  }
}

/**
 * Checks the bytes of segment `index` against the file root (hex). Besides the path itself, siblings that lie wholly in the padding must be
 * the roots of zeros, as the public node demands. Throws RANGE_INVALID for a wrong index or length, PROOF_INVALID, and BAD_HEX.
 */
export function verifySegmentProof(
  hasher: Hasher,
  {
    layout,
    root,
    index,
    data,
    proof,
  }: { layout: FileLayout; root: string; index: number; data: Uint8Array; proof: SegmentProof },
): void {
  if (data.length !== segmentLength(layout, index)) {
    throw new ZerogError(
      'RANGE_INVALID',
      `segment ${index} has ${segmentLength(layout, index)} bytes, not ${data.length}`,
    )
  }
  const { padded, real } = segmentCounts(layout)
  const steps = stepsTo(padded, index)
  const lemma = proof.lemma.map((hash) => fromHex(hash, HASH_BYTES))
  const expectedLemma = steps.length === 0 ? 1 : steps.length + 2
  if (proof.path.length !== steps.length || lemma.length !== expectedLemma)
    throw invalid('its length does not fit the file')

  let node = segmentRoot(hasher, layout, index, data)
  if (!same(lemma[0], node)) throw invalid('the data do not hash to its first entry')
  steps.forEach(({ isLeft, siblingStart, siblingCount }, level) => {
    const sibling = lemma[level + 1]
    if (sibling === undefined || proof.path[level] !== isLeft) throw invalid('it is for another position')
    if (siblingStart >= real && !same(sibling, zeroTreeRoot(sectorsOf(layout, siblingStart, siblingCount)))) {
      throw invalid('its padding is not zero')
    }
    node = hasher.hashPairs(isLeft ? concatPair(node, sibling) : concatPair(sibling, node))
  })
  if (!same(lemma.at(-1), node) || !same(fromHex(root, HASH_BYTES), node))
    throw invalid('it leads to another root')
}

type Step = { isLeft: boolean; siblingStart: number; siblingCount: number }

/** The way from leaf `index` of `count` up to the root: at each level the side of the node and the leaves under its sibling. */
function stepsTo(count: number, index: number): Step[] {
  const steps: Step[] = []
  let start = 0
  let width = count
  while (width > 1) {
    let left = 1
    while (left * 2 < width) left *= 2
    const isLeft = index < start + left
    steps.push(
      isLeft
        ? { isLeft, siblingStart: start + left, siblingCount: width - left }
        : { isLeft, siblingStart: start, siblingCount: left },
    )
    start += isLeft ? 0 : left
    width = isLeft ? left : width - left
  }
  return steps.reverse()
}

/** Sectors, padding included, of `count` segments from `index` on. */
function sectorsOf(layout: FileLayout, index: number, count: number): number {
  return Math.min(count * SEGMENT_SECTORS, layout.paddedSectors - index * SEGMENT_SECTORS)
}

function same(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && bytesEqual(a, b)
}

function invalid(reason: string): ZerogError {
  return new ZerogError('PROOF_INVALID', `invalid segment proof: ${reason}`)
}

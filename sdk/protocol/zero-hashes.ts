// Not ethers: threads that only hash would load it for nothing.
import { keccak_256 } from '@noble/hashes/sha3.js'
import { ZerogError } from './errors.ts'
import { binaryHeights, SECTOR_BYTES } from './layout.ts'

/** Heights for which a zero hash exists: 0 to 63, as in `FlowTreeLib.ZEROS`. */
export const ZERO_HEIGHTS = 64

const known: Uint8Array[] = []

/** Root of the perfect tree over 2^height sectors of zeros. */
export function zeroHash(height: number): Uint8Array {
  if (!Number.isInteger(height) || height < 0 || height >= ZERO_HEIGHTS) {
    throw new ZerogError('BAD_REQUEST', `no zero hash has height ${height}`)
  }
  while (known.length <= height) {
    const below = known.at(-1)
    known.push(keccak_256(below === undefined ? new Uint8Array(SECTOR_BYTES) : concatPair(below, below)))
  }
  return known[height] ?? new Uint8Array()
}

/** Root of the tree over any positive number of sectors of zeros, by the rule that an odd last node moves up. */
export function zeroTreeRoot(sectors: number): Uint8Array {
  const heights = binaryHeights(sectors).reverse()
  const [smallest, ...rest] = heights
  let root = zeroHash(smallest ?? 0)
  for (const height of rest) root = keccak_256(concatPair(zeroHash(height), root))
  return root
}

/** left ‖ right. */
export function concatPair(left: Uint8Array, right: Uint8Array): Uint8Array {
  const pair = new Uint8Array(left.length + right.length)
  pair.set(left)
  pair.set(right, left.length)
  return pair
}

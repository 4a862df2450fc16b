import { concat, keccak256 } from 'ethers'
import { ZerogError } from './errors.ts'
import { fromHex } from './hex.ts'

const WORD_BYTES = 32
const ADDRESS_BYTES = 20

/** Who holds which shard. `shardRoot` is 32 B of hex. */
export type Custody = { index: number; provider: string; shardRoot: string }

/** Leaf of one shard: keccak256(abi.encode(uint256 index, address provider, bytes32 shardRoot)). */
export function custodyLeaf({ index, provider, shardRoot }: Custody): string {
  // Three words by hand: ethers takes some fifty times as long, and an upload makes hundreds of leaves at both ends.
  const words = new Uint8Array(3 * WORD_BYTES)
  new DataView(words.buffer).setBigUint64(WORD_BYTES - 8, BigInt(index))
  words.set(fromHex(provider, ADDRESS_BYTES), 2 * WORD_BYTES - ADDRESS_BYTES)
  words.set(fromHex(shardRoot, WORD_BYTES), 2 * WORD_BYTES)
  return keccak256(words)
}

/** Root over the leaves of all shards in shard order; an odd last node moves up unchanged. Twin of `CustodyLib.root`. */
export function custodyRoot(leaves: readonly string[]): string {
  const [root] = custodyLevels(leaves).at(-1) ?? []
  if (root === undefined) throw new ZerogError('BAD_REQUEST', 'a deal has at least one shard')
  return root
}

/** Siblings of leaf `index` from the bottom up; a level where the node is the odd last one has none. */
export function custodyProof(leaves: readonly string[], index: number): string[] {
  if (!Number.isInteger(index) || index < 0 || index >= leaves.length) {
    throw new ZerogError('RANGE_INVALID', 'the deal has no such shard', { meta: { index } })
  }
  return custodyLevels(leaves).flatMap((level, height) => level[Math.floor(index / 2 ** height) ^ 1] ?? [])
}

/** A claim that `leaf` is number `index` of `count` leaves under `root`. Hex throughout. */
export type CustodyClaim = {
  root: string
  count: number
  index: number
  leaf: string
  path: readonly string[]
}

/** Whether the claim holds; the path must have exactly the length that index and count give. Twin of `CustodyLib.verify`. */
export function verifyCustodyProof({ root, count, index, leaf, path }: CustodyClaim): boolean {
  if (!Number.isInteger(index) || index < 0 || index >= count) return false
  const rest = [...path]
  let node = leaf
  let at = index
  for (let width = count; width > 1; width = Math.ceil(width / 2)) {
    if ((at ^ 1) < width) {
      const sibling = rest.shift()
      if (sibling === undefined) return false
      node = keccak256(concat(at % 2 === 0 ? [node, sibling] : [sibling, node]))
    }
    at = Math.floor(at / 2)
  }
  return rest.length === 0 && node === root.toLowerCase()
}

function custodyLevels(leaves: readonly string[]): string[][] {
  const levels = [[...leaves]]
  for (let level = levels[0] ?? []; level.length > 1; levels.push(level)) {
    const below = level
    level = []
    for (let i = 0; i < below.length; i += 2) {
      const pair = below.slice(i, i + 2)
      level.push(pair.length === 2 ? keccak256(concat(pair)) : (pair[0] ?? ''))
    }
  }
  return levels
}

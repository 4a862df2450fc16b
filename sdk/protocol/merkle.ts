import { ZerogError } from './errors.ts'
import { HASH_BYTES, type Hasher } from './hasher.ts'
import { bytesEqual } from './hex.ts'
import { SECTOR_BYTES } from './layout.ts'
import { zeroHash } from './zero-hashes.ts'

/**
 * Root of the tree over the sectors of `data`, filled up with zeros to `sectors` sectors (default: just whole ones).
 * 0G's rule: leaves keccak256(sector), nodes keccak256(left ‖ right) without domain tags, an odd last node moves up unchanged.
 */
export function merkleRoot(hasher: Hasher, data: Uint8Array, sectors?: number): Uint8Array {
  return foldNodes(hasher, sectorHashes(hasher, data, sectors)).slice()
}

/** Leaf hashes, 32 B each, of the sectors of `data` filled up with zeros to `sectors` sectors. */
export function sectorHashes(hasher: Hasher, data: Uint8Array, sectors?: number): Uint8Array {
  const own = Math.ceil(data.length / SECTOR_BYTES)
  const count = sectors ?? own
  if (count < own || count === 0)
    throw new ZerogError('RANGE_INVALID', `${own} sectors of data do not fit ${count}`)
  const leaves = new Uint8Array(count * HASH_BYTES)
  hasher.hashSectors(data, leaves)
  for (let i = own; i < count; i++) leaves.set(zeroHash(0), i * HASH_BYTES)
  return leaves
}

/** Root over nodes, 32 B each, left to right; an odd last node moves up unchanged. */
export function rootOfNodes(hasher: Hasher, nodes: Uint8Array): Uint8Array {
  return foldNodes(hasher, nodes.slice())
}

/** The same in the memory of `nodes`, which it overwrites; the root returned is a view of it. */
export function foldNodes(hasher: Hasher, nodes: Uint8Array): Uint8Array {
  if (nodeCount(nodes) === 0) throw new ZerogError('BAD_REQUEST', 'a tree has at least one leaf')
  let level = nodes
  while (level.length > HASH_BYTES) {
    const pairs = Math.floor(level.length / (2 * HASH_BYTES))
    const odd = level.length - pairs * 2 * HASH_BYTES
    hasher.hashPairs(level.subarray(0, level.length - odd), level)
    level.copyWithin(pairs * HASH_BYTES, level.length - odd)
    level = level.subarray(0, pairs * HASH_BYTES + odd)
  }
  return level
}

/** All levels of the tree over `leaves` (32 B each), leaves first, root last. */
export function merkleLevels(hasher: Hasher, leaves: Uint8Array): Uint8Array[] {
  if (nodeCount(leaves) === 0) throw new ZerogError('BAD_REQUEST', 'a tree has at least one leaf')
  const levels = [leaves]
  for (let level = leaves; level.length > HASH_BYTES; levels.push(level)) level = parents(hasher, level)
  return levels
}

/** Siblings of leaf `index`, from the leaf upwards, in a perfect tree. Throws RANGE_INVALID for an index outside. */
export function merkleProof(levels: readonly Uint8Array[], index: number): Uint8Array[] {
  const [leaves] = levels
  if (leaves === undefined || leaves.length !== HASH_BYTES * 2 ** (levels.length - 1)) {
    throw new ZerogError('BAD_REQUEST', 'these are not the levels of a perfect tree')
  }
  if (!Number.isInteger(index) || index < 0 || index * HASH_BYTES >= leaves.length) {
    throw new ZerogError('RANGE_INVALID', 'no such leaf', { meta: { index } })
  }
  let at = index
  return levels.slice(0, -1).map((level) => {
    const sibling = at % 2 === 0 ? at + 1 : at - 1
    at = Math.floor(at / 2)
    return level.slice(sibling * HASH_BYTES, (sibling + 1) * HASH_BYTES)
  })
}

/** A claim that `leaf` is number `index` of the perfect tree of height `path.length` under `root`. */
export type MerkleClaim = { root: Uint8Array; leaf: Uint8Array; index: number; path: readonly Uint8Array[] }

/** Whether the claim holds; twin of `MerkleLib.verify`. The caller fixes the depth: compare `path.length` with the height first. */
export function verifyMerkleProof(hasher: Hasher, claim: MerkleClaim): boolean {
  return verifyMerkleProofs(hasher, [claim])
}

/**
 * Whether all of these claims hold, whose paths must be of one length. A level of all of them is hashed at once, which takes a
 * fraction of the time that one claim after the other does.
 */
export function verifyMerkleProofs(hasher: Hasher, claims: readonly MerkleClaim[]): boolean {
  const depth = claims[0]?.path.length ?? 0
  if (!claims.every((claim) => claim.path.length === depth && isWellFormed(claim))) return false
  const pairs = new Uint8Array(claims.length * 2 * HASH_BYTES)
  let nodes = joinNodes(claims.map(({ leaf }) => leaf))
  for (let level = 0; level < depth; level++) {
    for (const [i, { index, path }] of claims.entries()) {
      const isRight = Math.floor(index / 2 ** level) % 2
      const at = 2 * i * HASH_BYTES
      pairs.set(nodes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES), at + isRight * HASH_BYTES)
      pairs.set(path[level] ?? [], at + (1 - isRight) * HASH_BYTES)
    }
    nodes = hasher.hashPairs(pairs, nodes)
  }
  return claims.every(({ root }, i) => bytesEqual(nodes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES), root))
}

function isWellFormed({ leaf, index, path }: MerkleClaim): boolean {
  if (!Number.isSafeInteger(index) || index < 0 || index >= 2 ** path.length) return false
  return leaf.length === HASH_BYTES && path.every((sibling) => sibling.length === HASH_BYTES)
}

/** Whether shard roots hash up to exactly these nodes; twin of `MerkleLib.foldsToNodes`. Roots are 32 B, heights log2 of sectors. */
export function foldsToNodes(
  hasher: Hasher,
  shards: { roots: readonly Uint8Array[]; height: number },
  nodes: readonly { root: Uint8Array; height: number }[],
): boolean {
  let used = 0
  for (const node of nodes) {
    if (node.height < shards.height) return false
    const own = shards.roots.slice(used, used + 2 ** (node.height - shards.height))
    if (own.length !== 2 ** (node.height - shards.height)) return false
    if (!bytesEqual(rootOfNodes(hasher, joinNodes(own)), node.root)) return false
    used += own.length
  }
  return nodes.length > 0 && used === shards.roots.length
}

/** Hashes side by side, as levels hold them. */
export function joinNodes(nodes: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(nodes.length * HASH_BYTES)
  nodes.forEach((node, i) => {
    joined.set(node, i * HASH_BYTES)
  })
  return joined
}

function parents(hasher: Hasher, level: Uint8Array): Uint8Array {
  const count = nodeCount(level)
  const pairs = Math.floor(count / 2)
  const above = new Uint8Array((pairs + (count % 2)) * HASH_BYTES)
  hasher.hashPairs(level.subarray(0, pairs * 2 * HASH_BYTES), above)
  if (count % 2 === 1) above.set(level.subarray(-HASH_BYTES), pairs * HASH_BYTES)
  return above
}

function nodeCount(level: Uint8Array): number {
  const count = level.length / HASH_BYTES
  if (!Number.isInteger(count)) throw new ZerogError('BAD_REQUEST', 'a level is a whole number of hashes')
  return count
}

import { HASH_BYTES, type Hasher } from '../../sdk/protocol/hasher.ts'
import { SECTOR_BYTES } from '../../sdk/protocol/layout.ts'
import { merkleLevels, rootOfNodes, sectorHashes } from '../../sdk/protocol/merkle.ts'
import { createRootBuilder } from '../../sdk/protocol/root-builder.ts'

/**
 * Height of the lowest level that is kept beside a shard: blocks of 8 KiB. So the proof of a sector reads and hashes 8 KiB,
 * and the levels take 0.8 % of the shard.
 */
export const BLOCK_HEIGHT = 5

/** Hashes a shard while it streams by; `levels` are the upper Merkle levels, empty for shards under one block. */
export type ShardHasher = {
  push(bytes: Uint8Array): void
  finish(): { root: Uint8Array; levels: Uint8Array }
}

/** A hasher for one shard of `bytes` bytes (a power of two of sectors). */
export function createShardHasher(hasher: Hasher, bytes: number): ShardHasher {
  const sectors = bytes / SECTOR_BYTES
  const blocks = new Uint8Array(Math.floor(sectors / 2 ** BLOCK_HEIGHT) * HASH_BYTES)
  const builder = createRootBuilder(hasher, {
    sectors,
    nodeHeight: BLOCK_HEIGHT,
    onNodes: (roots, index) => blocks.set(roots, index * HASH_BYTES),
  })
  return {
    push: builder.push,
    finish: () => ({
      root: builder.root(),
      levels: blocks.length === 0 ? blocks : Buffer.concat(merkleLevels(hasher, blocks)),
    }),
  }
}

/** Bytes of the levels file of a shard of height `shardHeight`: every node from the block roots up to the root. */
export function levelsBytes(shardHeight: number): number {
  return shardHeight < BLOCK_HEIGHT ? 0 : (2 ** (shardHeight - BLOCK_HEIGHT + 1) - 1) * HASH_BYTES
}

/** Offsets in the levels file of the siblings of node `index` at `height` (a block or higher), from there upwards. */
export function siblingOffsets(shardHeight: number, height: number, index: number): number[] {
  const offsets: number[] = []
  let start = 0
  for (let level = BLOCK_HEIGHT; level < shardHeight; level++) {
    if (level >= height) {
      const at = Math.floor(index / 2 ** (level - height))
      offsets.push(start + (at ^ 1) * HASH_BYTES)
    }
    start += 2 ** (shardHeight - level) * HASH_BYTES
  }
  return offsets
}

/**
 * Siblings, lowest first, of the chunk of 2^height sectors that is number `index` of a block of whole sectors (a
 * perfect tree).
 */
export function pathInBlock(hasher: Hasher, block: Uint8Array, height: number, index: number): Uint8Array[] {
  const levels = merkleLevels(hasher, sectorHashes(hasher, block))
  let at = index
  return levels.slice(height, -1).map((level) => {
    const sibling = at ^ 1
    at >>= 1
    return level.slice(sibling * HASH_BYTES, (sibling + 1) * HASH_BYTES)
  })
}

/** Root of a chunk of whole sectors, a power of two of them. */
export function chunkRoot(hasher: Hasher, chunk: Uint8Array): Uint8Array {
  return rootOfNodes(hasher, sectorHashes(hasher, chunk))
}

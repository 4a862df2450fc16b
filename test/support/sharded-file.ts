import { DEFAULT_PARITY } from '../../sdk/protocol/deal-price.ts'
import { referenceErasure } from '../../sdk/protocol/erasure.ts'
import { loadHasher } from '../../sdk/protocol/hasher.ts'
import { toHex } from '../../sdk/protocol/hex.ts'
import {
  type FileLayout,
  fileLayout,
  SECTOR_BYTES,
  shardBytes,
  shardRange,
} from '../../sdk/protocol/layout.ts'
import { joinNodes, merkleLevels, merkleProof, sectorHashes } from '../../sdk/protocol/merkle.ts'
import { fileTree, type Submission } from '../../sdk/protocol/submission.ts'
import { concatPair } from '../../sdk/protocol/zero-hashes.ts'
import { randomBytes } from './content.ts'

const hasher = await loadHasher()

/** One shard of a file: its root, and what answers a draw on one of its sectors. */
export type Shard = {
  root: string
  sector(index: number): Uint8Array
  path(index: number): string[]
}

/** A file as a deal sees it: data shards in file order, then parity shards. */
export type ShardedFile = {
  byteLength: number
  layout: FileLayout
  parityShards: number
  submission: Submission
  shards: Shard[]
  shardRoots: string[]
}

/** Cuts real bytes into shards with real parity. */
export function shardFile(data: Uint8Array, parityShards = DEFAULT_PARITY): ShardedFile {
  const layout = fileLayout(data.length)
  const bytes = shardBytes(layout)
  const dataShards = Array.from({ length: layout.dataShards }, (_, index) => {
    const { start, end } = shardRange(layout, index)
    const shard = new Uint8Array(bytes)
    shard.set(data.subarray(start, end))
    return shard
  })
  const parity = referenceErasure.encode(dataShards, parityShards)
  return assemble(layout, parityShards, [...dataShards, ...parity].map(shardOf))
}

/**
 * A file of any size in which every sector is the same, so that trees and proofs need no memory. The parity of equal columns is a
 * column repeated, too: the shards are what the code would give, computed for one sector.
 */
export function uniformFile(
  byteLength: number,
  sector: Uint8Array,
  parityShards = DEFAULT_PARITY,
): ShardedFile {
  const layout = fileLayout(byteLength)
  if (byteLength !== layout.paddedSectors * SECTOR_BYTES) throw new Error('a uniform file has no padding')
  const data = Array.from({ length: layout.dataShards }, () => sector)
  const columns = [...data, ...referenceErasure.encode(data, parityShards)]
  const height = Math.log2(layout.shardSectors)
  return assemble(
    layout,
    parityShards,
    columns.map((column) => uniformShard(column, height)),
  )
}

/** Bytes that differ from place to place and from `seed` to `seed`, the same in every run. */
export const sampleBytes = (byteLength: number, seed = 1): Uint8Array => randomBytes(byteLength, seed)

function assemble(layout: FileLayout, parityShards: number, shards: Shard[]): ShardedFile {
  const shardRoots = shards.map(({ root }) => root)
  const dataRoots = shardRoots
    .slice(0, layout.dataShards)
    .map((root) => Uint8Array.from(Buffer.from(root.slice(2), 'hex')))
  const { submission } = fileTree(hasher, layout, joinNodes(dataRoots))
  return { byteLength: layout.byteLength, layout, parityShards, submission, shards, shardRoots }
}

function shardOf(bytes: Uint8Array): Shard {
  const levels = merkleLevels(hasher, sectorHashes(hasher, bytes))
  return {
    root: toHex(levels.at(-1) ?? new Uint8Array()),
    sector: (index) => bytes.slice(index * SECTOR_BYTES, (index + 1) * SECTOR_BYTES),
    path: (index) => merkleProof(levels, index).map(toHex),
  }
}

function uniformShard(sector: Uint8Array, height: number): Shard {
  const nodes = [sectorHashes(hasher, sector)]
  for (let level = 0; level < height; level++) {
    const node = nodes[level] ?? new Uint8Array()
    nodes.push(hasher.hashPairs(concatPair(node, node)))
  }
  const hashes = nodes.map(toHex)
  return { root: hashes[height] ?? '', sector: () => sector, path: () => hashes.slice(0, height) }
}

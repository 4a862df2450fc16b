import type { ErasureEngine } from '../protocol/erasure.ts'
import { HASH_BYTES, type Hasher } from '../protocol/hasher.ts'
import { type FileLayout, SECTOR_BYTES, SEGMENT_SECTORS } from '../protocol/layout.ts'
import { merkleRoot } from '../protocol/merkle.ts'
import { createParityEncoder, readDataColumns } from './column.ts'
import type { FileSource } from './file-source.ts'

/** The engines that hashing and encoding run on. */
export type Engines = { readonly hasher: Hasher; readonly erasure: ErasureEngine }

/** A run of units, [from, to): unit k is the k-th column of {@link unitSectors} sectors. */
export type UnitRange = { readonly from: number; readonly to: number }

/** Sectors of a unit of work: a perfect subtree of every shard, a segment at most. */
export function unitSectors(layout: FileLayout): number {
  return Math.min(layout.shardSectors, SEGMENT_SECTORS)
}

/** Units of a file. */
export function unitCount(layout: FileLayout): number {
  return layout.shardSectors / unitSectors(layout)
}

/**
 * Hashes a run of units in bounded memory: reads their data columns, encodes the parity, and returns the subtree roots,
 * 32 B each, unit by unit and in shard order within a unit.
 */
export async function hashUnits(
  { hasher, erasure }: Engines,
  source: FileSource,
  { layout, parityShards, range }: { layout: FileLayout; parityShards: number; range: UnitRange },
): Promise<Uint8Array> {
  const shards = layout.dataShards + parityShards
  const length = unitSectors(layout) * SECTOR_BYTES
  const encode = createParityEncoder(erasure, { d: layout.dataShards, m: parityShards })
  const buffers = (count: number) => Array.from({ length: count }, () => new Uint8Array(length))
  const parity = buffers(parityShards)
  // Two sets: the next unit is read into one while the other is hashed.
  let [own, other] = [buffers(layout.dataShards), buffers(layout.dataShards)]
  const readUnit = (unit: number, into: readonly Uint8Array[]) =>
    readDataColumns(source, layout, { offset: unit * length, length, into })
  const roots = new Uint8Array((range.to - range.from) * shards * HASH_BYTES)
  let at = 0
  let next = readUnit(range.from, own)
  for (let unit = range.from; unit < range.to; unit++) {
    const data = await next
    ;[own, other] = [other, own]
    if (unit + 1 < range.to) {
      next = readUnit(unit + 1, own)
      // A failed read is seen when it is awaited; until then it must not count as unhandled.
      next.catch(() => undefined)
    }
    for (const column of [...data, ...encode(data, parity)]) {
      roots.set(merkleRoot(hasher, column), at)
      at += HASH_BYTES
    }
  }
  return roots
}

import type { ErasureEngine } from '../protocol/erasure.ts'
import { HASH_BYTES, type Hasher } from '../protocol/hasher.ts'
import { type FileLayout, SECTOR_BYTES, SEGMENT_SECTORS } from '../protocol/layout.ts'
import { foldNodes } from '../protocol/merkle.ts'
import { createParityEncoder, type ParityEncoder, readDataColumns } from './column.ts'
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

/** A run of units of one file. */
export type UnitRun = { layout: FileLayout; parityShards: number; range: UnitRange }

/**
 * A function that hashes runs of units in bounded memory: it reads their data columns, encodes the parity, and returns the
 * subtree roots, 32 B each, unit by unit and in shard order within a unit. Not for two calls at a time: every run of a
 * file uses the same memory.
 */
export function createUnitHasher(engines: Engines) {
  let memory: UnitMemory | undefined
  return (source: FileSource, { layout, parityShards, range }: UnitRun): Promise<Uint8Array> => {
    const shape = { d: layout.dataShards, m: parityShards, length: unitSectors(layout) * SECTOR_BYTES }
    const { d, m, length } = memory ?? { d: 0, m: 0, length: 0 }
    if (memory === undefined || d !== shape.d || m !== shape.m || length !== shape.length)
      memory = allocate(engines, shape)
    return hashUnits(engines, source, { layout, range, memory })
  }
}

type Shape = { readonly d: number; readonly m: number; readonly length: number }

type UnitMemory = Shape & {
  readonly encode: ParityEncoder
  /** Two sets: the next unit is read into one while the other is hashed. */
  readonly data: readonly [Uint8Array[], Uint8Array[]]
  readonly parity: Uint8Array[]
  readonly leaves: Uint8Array
}

function allocate({ erasure }: Engines, shape: Shape): UnitMemory {
  const { d, m, length } = shape
  const buffers = (count: number) => Array.from({ length: count }, () => new Uint8Array(length))
  return {
    ...shape,
    encode: createParityEncoder(erasure, { d, m }),
    data: [buffers(d), buffers(d)],
    parity: buffers(m),
    leaves: new Uint8Array((length / SECTOR_BYTES) * HASH_BYTES),
  }
}

async function hashUnits(
  { hasher }: Engines,
  source: FileSource,
  { layout, range, memory }: { layout: FileLayout; range: UnitRange; memory: UnitMemory },
): Promise<Uint8Array> {
  const { d, m, length, encode, data: sets, parity, leaves } = memory
  const readUnit = (unit: number) =>
    readDataColumns(source, layout, {
      offset: unit * length,
      length,
      into: sets[(unit - range.from) % 2 === 0 ? 0 : 1],
    })
  const roots = new Uint8Array((range.to - range.from) * (d + m) * HASH_BYTES)
  let at = 0
  let next = readUnit(range.from)
  for (let unit = range.from; unit < range.to; unit++) {
    const data = await next
    if (unit + 1 < range.to) {
      next = readUnit(unit + 1)
      // A failed read is seen when it is awaited; until then it must not count as unhandled.
      next.catch(() => undefined)
    }
    for (const column of [...data, ...encode(data, parity)]) {
      roots.set(foldNodes(hasher, hasher.hashSectors(column, leaves)), at)
      at += HASH_BYTES
    }
  }
  return roots
}

import { ZerogError } from './errors.ts'

/** Bytes of a sector, the leaf of every tree. */
export const SECTOR_BYTES = 256
/** Sectors of a segment, the unit of transfer. */
export const SEGMENT_SECTORS = 1024
/** Bytes of a segment: 256 KiB. */
export const SEGMENT_BYTES = SECTOR_BYTES * SEGMENT_SECTORS
/** Most data shards a file can have. */
export const MAX_DATA_SHARDS = 16

/** The shards of a padded file: `dataShards` (1 to 16) of `shardSectors` sectors each, a power of two. */
export type DealGeometry = { shardSectors: number; dataShards: number }

/** How a file of `byteLength` bytes lies in sectors, submission nodes and data shards. */
export type FileLayout = DealGeometry & {
  byteLength: number
  /** Sectors with at least one byte of the file. */
  sectors: number
  /** Sectors after 0G's padding; what is paid for. */
  paddedSectors: number
  /** log2 of the sectors of each submission node, biggest first. */
  nodeHeights: number[]
}

/**
 * Layout of a file by 0G's padding rule: unless the sector count is a power of two, it is rounded up to a multiple of P/16, P being the
 * next power of two (of 1 when P < 16). Throws EMPTY_FILE and FILE_TOO_LARGE (beyond 2^53 - 1 bytes).
 */
export function fileLayout(byteLength: number): FileLayout {
  if (byteLength === 0) throw new ZerogError('EMPTY_FILE')
  if (!Number.isSafeInteger(byteLength) || byteLength < 0)
    throw new ZerogError('FILE_TOO_LARGE', undefined, { meta: { byteLength } })
  const sectors = Math.ceil(byteLength / SECTOR_BYTES)
  const { shardSectors } = geometryOf(sectors)
  const paddedSectors = Math.ceil(sectors / shardSectors) * shardSectors
  return {
    byteLength,
    sectors,
    paddedSectors,
    nodeHeights: binaryHeights(paddedSectors),
    ...dealGeometry(paddedSectors),
  }
}

/** Shards of a padded file, from its sector count alone; twin of `LayoutLib.geometry`. Throws SUBMISSION_INVALID when no file pads to it. */
export function dealGeometry(paddedSectors: number): DealGeometry {
  if (!Number.isSafeInteger(paddedSectors) || paddedSectors <= 0) throw notPadded(paddedSectors)
  const geometry = geometryOf(paddedSectors)
  if (!Number.isInteger(geometry.dataShards)) throw notPadded(paddedSectors)
  return geometry
}

/** Bytes of one shard. */
export function shardBytes(geometry: DealGeometry): number {
  return geometry.shardSectors * SECTOR_BYTES
}

/** The bytes of the file that data shard `index` holds: [start, end). Zeros pad the last shard up to its full size. */
export function shardRange(layout: FileLayout, index: number): { start: number; end: number } {
  if (!Number.isInteger(index) || index < 0 || index >= layout.dataShards) {
    throw new ZerogError('RANGE_INVALID', `the file has ${layout.dataShards} data shards`, {
      meta: { index },
    })
  }
  const bytes = shardBytes(layout)
  return { start: index * bytes, end: Math.min((index + 1) * bytes, layout.byteLength) }
}

/** log2 of the smallest power of two that is at least `count` (a positive safe integer). */
export function ceilLog2(count: number): number {
  let height = 0
  for (let size = 1; size < count; size *= 2) height++
  return height
}

/** Powers of two that add up to `count`, as exponents, biggest first. */
export function binaryHeights(count: number): number[] {
  const heights: number[] = []
  let rest = count
  for (let height = ceilLog2(count); height >= 0; height--) {
    if (rest < 2 ** height) continue
    heights.push(height)
    rest -= 2 ** height
  }
  return heights
}

function geometryOf(sectors: number): DealGeometry {
  const shardSectors = Math.max(1, 2 ** ceilLog2(sectors) / MAX_DATA_SHARDS)
  return { shardSectors, dataShards: sectors / shardSectors }
}

function notPadded(paddedSectors: number): ZerogError {
  return new ZerogError('SUBMISSION_INVALID', 'no file is padded to this number of sectors', {
    meta: { paddedSectors },
  })
}

import { SECTOR_BYTES, shardBytes } from '../protocol/layout.ts'
import { createParityEncoder, readDataColumn, readDataColumns } from './column.ts'
import type { FileSource } from './file-source.ts'
import type { Engines } from './hash-units.ts'
import type { PreparedFile } from './prepare.ts'

/** Reads any shard of a file, parity included, from any offset on. */
export type ShardReader = {
  readonly shardBytes: number
  /** Bytes that `read` returns at most. */
  readonly windowBytes: number
  /** The bytes of a shard from `offset` to the end of its window; in `into`, of `windowBytes`, if they must be copied. */
  read(index: number, offset: number, into?: Uint8Array): Promise<Uint8Array>
}

/** Memory that one window may take over all shards. */
const WINDOW_TOTAL_BYTES = 32 * 1024 * 1024
const MAX_WINDOW_BYTES = 1024 * 1024
const MIN_WINDOW_BYTES = 64 * 1024
/** Parity shards are sent side by side; this many windows may be apart before one is encoded again. */
const KEPT_WINDOWS = 3

/**
 * A reader with bounded memory. Parity is encoded window by window and a few windows are kept, because all parity
 * shards of a window come from one pass over the data.
 */
export function createShardReader(
  { erasure }: Pick<Engines, 'erasure'>,
  source: FileSource,
  {
    layout,
    parityShards,
    maxWindowBytes = MAX_WINDOW_BYTES,
  }: Pick<PreparedFile, 'layout' | 'parityShards'> & {
    maxWindowBytes?: number
  },
): ShardReader {
  const total = shardBytes(layout)
  const windowBytes = windowSize(layout.dataShards + parityShards, maxWindowBytes)
  const encode = createParityEncoder(erasure, { d: layout.dataShards, m: parityShards })
  const windows = new Map<number, Promise<readonly Uint8Array[]>>()
  const data = Array.from({ length: layout.dataShards }, () => new Uint8Array(windowBytes))
  let encoding: Promise<unknown> = Promise.resolve()

  function parityWindow(number: number): Promise<readonly Uint8Array[]> {
    const made = windows.get(number) ?? encodeWindow(number)
    windows.delete(number)
    windows.set(number, made)
    made.catch(() => windows.delete(number))
    const [oldest] = windows.keys()
    if (windows.size > KEPT_WINDOWS && oldest !== undefined) windows.delete(oldest)
    return made
  }

  /** One window at a time: they share the buffers of the data. */
  function encodeWindow(number: number): Promise<readonly Uint8Array[]> {
    const offset = number * windowBytes
    const range = { offset, length: Math.min(windowBytes, total - offset) }
    const made = encoding.then(async () =>
      encode(await readDataColumns(source, layout, { ...range, into: data })),
    )
    encoding = made.catch(() => undefined)
    return made
  }

  return {
    shardBytes: total,
    windowBytes,
    async read(index, offset, into) {
      const number = Math.floor(offset / windowBytes)
      const length = Math.min((number + 1) * windowBytes, total) - offset
      if (index < layout.dataShards)
        return readDataColumn(source, layout, { index, offset, length, ...(into && { into }) })
      const parity = await parityWindow(number)
      const start = offset - number * windowBytes
      return (parity[index - layout.dataShards] ?? new Uint8Array()).subarray(start, start + length)
    },
  }
}

/** The largest power of two that keeps a window of all shards within bounds and one piece within `maxBytes`. */
function windowSize(shards: number, maxBytes: number): number {
  const fair = Math.max(MIN_WINDOW_BYTES, WINDOW_TOTAL_BYTES / shards)
  const bound = Math.max(SECTOR_BYTES, Math.min(fair, maxBytes, MAX_WINDOW_BYTES))
  return 2 ** Math.floor(Math.log2(bound))
}

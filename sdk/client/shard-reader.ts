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
  /** The bytes of a shard from `offset` to the end of its window; in `into`, of `windowBytes`, unless they need no copy. */
  read(index: number, offset: number, into?: Uint8Array): Promise<Uint8Array>
}

/** Memory that one window may take over all shards. */
const WINDOW_TOTAL_BYTES = 32 * 1024 * 1024
const MAX_WINDOW_BYTES = 1024 * 1024
const MIN_WINDOW_BYTES = 64 * 1024
/**
 * Memory for parity that was encoded. Parity shards are sent side by side, but not in step: those ahead wait a moment for
 * one that is so far behind, and one that falls further behind has its windows encoded again.
 */
const KEPT_PARITY_BYTES = 32 * 1024 * 1024
const MIN_KEPT_WINDOWS = 3
const PATIENCE_MS = 250

/** The parity of one window, and how many shards have read it; its memory serves another window later. */
type Slot = { number: number; reads: number; readonly parity: readonly Uint8Array[] }

/**
 * A reader with bounded memory. Parity is encoded window by window and some windows are kept, because all parity shards
 * of a window come from one pass over the data.
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
  const windowBytes = Math.min(total, windowSize(layout.dataShards + parityShards, maxWindowBytes))
  const keptWindows = Math.max(
    MIN_KEPT_WINDOWS,
    Math.floor(KEPT_PARITY_BYTES / (Math.max(1, parityShards) * windowBytes)),
  )
  const encode = createParityEncoder(erasure, { d: layout.dataShards, m: parityShards })
  const buffers = (count: number) => Array.from({ length: count }, () => new Uint8Array(windowBytes))
  const data = buffers(layout.dataShards)
  /** Used longest ago first. */
  const slots: Slot[] = []
  const coming = new Map<number, Promise<Slot>>()
  let encoding: Promise<unknown> = Promise.resolve()
  /** Whether the last wait for a slot was worth it, or a slot was read by all since then. */
  let isHopeful = true
  let onWholeRead: (() => void) | undefined

  function parityWindow(number: number): Promise<Slot> | Slot {
    const at = slots.findIndex((slot) => slot.number === number)
    const [kept] = at === -1 ? [] : slots.splice(at, 1)
    if (kept === undefined) return coming.get(number) ?? encodeWindow(number)
    slots.push(kept)
    return kept
  }

  /** A slot that every shard has read, a new one, or the one used longest ago when there are enough of them. */
  async function freeSlot(number: number): Promise<Slot> {
    const isWholeRead = ({ reads }: Slot) => reads >= parityShards
    if (slots.length === keptWindows && isHopeful && !slots.some(isWholeRead)) await wholeRead()
    const at = slots.findIndex(isWholeRead)
    const [read] = at === -1 ? [] : slots.splice(at, 1)
    const used = read ?? (slots.length < keptWindows ? undefined : slots.shift())
    return used ?? { number, reads: 0, parity: buffers(parityShards) }
  }

  /** Waits until every shard has read some slot, or a moment. */
  async function wholeRead(): Promise<void> {
    isHopeful = false
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, PATIENCE_MS)
    onWholeRead = resolve
    await promise
    clearTimeout(timer)
    onWholeRead = undefined
  }

  /** One window at a time: they share the buffers of the data. */
  function encodeWindow(number: number): Promise<Slot> {
    const offset = number * windowBytes
    const range = { offset, length: Math.min(windowBytes, total - offset) }
    const made = encoding
      .then(async () => {
        const slot = await freeSlot(number)
        const columns = await readDataColumns(source, layout, { ...range, into: data })
        slot.number = number
        slot.reads = 0
        encode(columns, slot.parity)
        slots.push(slot)
        return slot
      })
      .finally(() => coming.delete(number))
    coming.set(number, made)
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
      let slot = await parityWindow(number)
      // Taken for another window between being found and being awaited.
      while (slot.number !== number) slot = await parityWindow(number)
      slot.reads++
      if (slot.reads >= parityShards) {
        isHopeful = true
        onWholeRead?.()
      }
      const start = offset - number * windowBytes
      const bytes = into?.subarray(0, length) ?? new Uint8Array(length)
      bytes.set(slot.parity[index - layout.dataShards]?.subarray(start, start + length) ?? [])
      return bytes
    },
  }
}

/** The largest power of two that keeps a window of all shards within bounds and one piece within `maxBytes`. */
function windowSize(shards: number, maxBytes: number): number {
  const fair = Math.max(MIN_WINDOW_BYTES, WINDOW_TOTAL_BYTES / shards)
  const bound = Math.max(SECTOR_BYTES, Math.min(fair, maxBytes, MAX_WINDOW_BYTES))
  return 2 ** Math.floor(Math.log2(bound))
}

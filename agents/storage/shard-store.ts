import type { Readable } from 'node:stream'
import type { ShardKey } from './shard-files.ts'

export type { ShardKey } from './shard-files.ts'

/** What the store knows of a shard. `offset` is what has arrived; a damaged shard was complete and waits to be healed. */
export type ShardInfo = ShardKey & {
  readonly root: string
  readonly bytes: number
  readonly offset: number
  readonly state: 'partial' | 'complete' | 'damaged'
  readonly owner: string
  /** Unix seconds at which all its bytes were last hashed. */
  readonly checkedAtSec: number
}

/** One chunk of a shard, on its way in. */
export type ShardWrite = {
  readonly key: ShardKey
  /** Declared root, 0x hex. */
  readonly root: string
  /** Length of the whole shard. */
  readonly bytes: number
  /** Who paid for the submission; unsealed bytes are counted by owner. */
  readonly owner: string
  /** Where the chunk begins, and how long it is. */
  readonly start: number
  readonly length: number
  /** Takes the place of a shard declared with another root. */
  readonly replace: boolean
  /** Throws when a shard of this length may not begin; called before room is set aside for it. */
  admit?(): void
  readonly body: AsyncIterable<Uint8Array>
}

/** An aligned subtree of a shard: its bytes and the siblings from its root up to the shard's. */
export type ShardChunk = { readonly bytes: Uint8Array; readonly path: readonly Uint8Array[] }

/**
 * Where shards lie. Nothing half written is ever readable: a shard is complete only after its bytes have the declared
 * root and are flushed.
 *
 * Errors: OFFSET_MISMATCH (meta.offset), ROOT_MISMATCH, DISK_FULL, CUSTODY_REFUSED (another root is held), SHARD_UNKNOWN,
 * SHARD_INCOMPLETE, RANGE_INVALID.
 */
export type ShardStore = {
  readonly capacityBytes: number
  /** Bytes spoken for: every shard's full length and levels, partial ones too. */
  usedBytes(): number
  info(key: ShardKey): ShardInfo | undefined
  /** Shards of one submission in order, or of all. */
  list(txSeq?: bigint): ShardInfo[]
  /** The shards of the first `count` submissions from number `from` on, in order. */
  page(from: bigint, count: number): ShardInfo[]
  /** How many shards there are in each state. */
  counts(): Record<ShardInfo['state'], number>
  /** The complete shard that was hashed longest ago. */
  leastChecked(): ShardInfo | undefined
  write(chunk: ShardWrite): Promise<ShardInfo>
  /** Bytes [start, start + length) of a complete shard. */
  read(key: ShardKey, start: number, length: number): Promise<Uint8Array>
  stream(key: ShardKey, start: number, length: number): Promise<Readable>
  /** Chunk number `index` of 2^height sectors, with its path. */
  chunk(key: ShardKey, height: number, index: number): Promise<ShardChunk>
  /** Several chunks of one height, for little more than the reads that one takes. */
  chunks(key: ShardKey, height: number, indexes: readonly number[]): Promise<ShardChunk[]>
  /**
   * Siblings above block number `index` of 2^height sectors (a block or higher, or the whole shard), from a damaged
   * shard too: unproven until they lead to the root.
   */
  siblings(key: ShardKey, height: number, index: number): Promise<Uint8Array[]>
  /** Hashes all bytes of a complete shard; false (and the state damaged) when they are not what was stored. */
  verify(key: ShardKey, signal: AbortSignal): Promise<boolean>
  /** Says that a shard's bytes are wrong. */
  markDamaged(key: ShardKey): void
  /** Takes note of a shard that ought to be here: it counts as damaged until it is healed. */
  adopt(key: ShardKey, shard: { root: string; bytes: number; owner: string }): Promise<void>
  /** Writes a known shard anew from bytes that must have its root, then puts it in place of the old ones. */
  heal(key: ShardKey, body: AsyncIterable<Uint8Array>): Promise<void>
  remove(key: ShardKey): Promise<void>
}

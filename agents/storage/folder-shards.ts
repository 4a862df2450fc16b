import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { HASH_BYTES, type Hasher } from '../../sdk/protocol/hasher.ts'
import { bytesEqual, toHex } from '../../sdk/protocol/hex.ts'
import { SECTOR_BYTES } from '../../sdk/protocol/layout.ts'
import type { Store } from '../kernel/store.ts'
import { createKeyedLock } from './keyed-lock.ts'
import { recoverShards } from './recover-shards.ts'
import { fileBytes, isMissing, removeShardFiles, shardPath, syncFolder, writeWhole } from './shard-files.ts'
import { createShardIntake, keyText, readPieces } from './shard-intake.ts'
import { BLOCK_HEIGHT, createShardHasher, levelsBytes, pathInBlock, siblingOffsets } from './shard-levels.ts'
import { openShardRecords, type ShardRecord } from './shard-records.ts'
import type { ShardInfo, ShardKey, ShardStore } from './shard-store.ts'

/** Levels up to this length are read in one piece: cheaper than a dozen reads of 32 B for every chunk. */
const WHOLE_LEVELS_BYTES = 256 * 1024

export declare namespace openFolderShards {
  type Options = {
    folder: string
    store: Store
    hasher: Hasher
    capacityBytes: number
    crashPoint?: (name: string) => void
  }
}

/** Opens the shards in a folder: finishes or undoes what a crash left half done, and drops files that no record knows. */
export async function openFolderShards({
  folder,
  store,
  hasher,
  capacityBytes,
  crashPoint = () => {},
}: openFolderShards.Options): Promise<ShardStore> {
  const records = openShardRecords(store)
  const intake = createShardIntake({ folder, hasher, records, crashPoint })
  const locked = createKeyedLock()
  await recoverShards({ folder, hasher, records, intake })
  let usedBytes = records.list().reduce((sum, record) => sum + footprint(record.bytes), 0)

  function complete(key: ShardKey): ShardRecord {
    const record = records.get(key)
    if (!record) throw new ZerogError('SHARD_UNKNOWN')
    if (record.state === 'complete') return record
    throw new ZerogError(
      'SHARD_INCOMPLETE',
      record.state === 'damaged' ? 'the shard is being repaired' : undefined,
    )
  }

  function toInfo(record: ShardRecord): ShardInfo {
    const offsets = { partial: intake.offset(record), complete: record.bytes, damaged: 0 }
    return { ...record, offset: offsets[record.state] }
  }

  function reserve(record: ShardRecord): void {
    const needed = footprint(record.bytes)
    if (usedBytes + needed > capacityBytes) {
      throw new ZerogError('DISK_FULL', 'the provider has no capacity left for this shard', {
        meta: { freeBytes: Math.max(0, capacityBytes - usedBytes), neededBytes: needed },
      })
    }
    records.put(record)
    usedBytes += needed
  }

  async function drop(record: ShardRecord): Promise<void> {
    // The record goes first: files without one are garbage that the next start removes.
    records.remove(record)
    intake.forget(record)
    usedBytes -= footprint(record.bytes)
    await removeShardFiles(folder, record)
  }

  function damaged(record: ShardRecord, cause?: unknown): ZerogError {
    records.setState(record, 'damaged')
    return new ZerogError('SHARD_INCOMPLETE', 'the shard is damaged and will be repaired', { cause })
  }

  async function openFile(record: ShardRecord, kind: 'shard' | 'levels'): Promise<FileHandle> {
    try {
      return await open(shardPath(folder, record, kind), 'r')
    } catch (error) {
      // Anything else (too many open files) says nothing about the shard.
      throw isMissing(error) ? damaged(record, error) : error
    }
  }

  /** Reads several ranges of a file that is opened once. */
  async function readRanges(
    record: ShardRecord,
    kind: 'shard' | 'levels',
    ranges: readonly { start: number; length: number }[],
  ): Promise<Uint8Array[]> {
    const handle = await openFile(record, kind)
    const readRange = async ({ start, length }: { start: number; length: number }): Promise<Uint8Array> => {
      const bytes = new Uint8Array(length)
      for (let done = 0; done < length; ) {
        const { bytesRead } = await handle.read(bytes, done, length - done, start + done)
        if (bytesRead === 0) throw damaged(record)
        done += bytesRead
      }
      return bytes
    }
    try {
      return await Promise.all(ranges.map(readRange))
    } finally {
      await handle.close()
    }
  }

  async function readAt(record: ShardRecord, kind: 'shard' | 'levels', start: number, length: number) {
    const [bytes = new Uint8Array()] = await readRanges(record, kind, [{ start, length }])
    return bytes
  }

  /** Siblings from the roots of whole blocks (or higher, or the shard) up to the shard's root, for each of `indexes`. */
  async function siblings(
    record: ShardRecord,
    height: number,
    indexes: readonly number[],
  ): Promise<Uint8Array[][]> {
    const shardHeight = Math.log2(record.bytes / SECTOR_BYTES)
    if (height < BLOCK_HEIGHT || height === shardHeight) return indexes.map(() => [])
    const offsets = indexes.map((index) => siblingOffsets(shardHeight, height, index))
    const size = levelsBytes(shardHeight)
    if (size <= WHOLE_LEVELS_BYTES) {
      const levels = await readAt(record, 'levels', 0, size)
      return offsets.map((each) => each.map((start) => levels.slice(start, start + HASH_BYTES)))
    }
    const ranges = offsets.flat().map((start) => ({ start, length: HASH_BYTES }))
    const nodes = await readRanges(record, 'levels', ranges)
    return offsets.map(({ length }, i) => nodes.slice(i * length, (i + 1) * length))
  }

  const self: ShardStore = {
    capacityBytes,
    usedBytes: () => usedBytes,
    info: (key) => {
      const record = records.get(key)
      return record && toInfo(record)
    },
    list: (txSeq) => records.list(txSeq).map(toInfo),
    page: (from, count) => records.page(from, count).map(toInfo),
    counts: records.counts,
    leastChecked: () => {
      const record = records.leastChecked()
      return record && toInfo(record)
    },

    write: (chunk) =>
      locked(keyText(chunk.key), async () => {
        const known = records.get(chunk.key)
        const sameRoot = known?.root === chunk.root && known.bytes === chunk.bytes
        if (known && sameRoot && known.state === 'complete') {
          for await (const _ of chunk.body);
          return toInfo(known)
        }
        if (known && !sameRoot && !chunk.replace) {
          throw new ZerogError('CUSTODY_REFUSED', 'a shard with another root is held here')
        }
        const record: ShardRecord = {
          ...chunk.key,
          root: chunk.root,
          bytes: chunk.bytes,
          owner: chunk.owner,
          state: 'partial',
          checkedAtSec: 0,
        }
        if (!known || !sameRoot || known.state === 'damaged') {
          if (chunk.start > 0) {
            throw new ZerogError('OFFSET_MISMATCH', 'the next byte is 0', { meta: { offset: 0 } })
          }
          if (known) await drop(known)
          chunk.admit?.()
          reserve(record)
        }
        const offset = await intake.append(record, chunk)
        if (offset < record.bytes) return { ...record, offset }
        if (await intake.finish(record)) return { ...record, state: 'complete', offset }
        await drop(record)
        throw new ZerogError('ROOT_MISMATCH', 'the shard does not have the declared root; it was discarded')
      }),

    read: async (key, start, length) => {
      const record = complete(key)
      checkRange(record, start, length)
      return readAt(record, 'shard', start, length)
    },

    stream: async (key, start, length) => {
      const record = complete(key)
      checkRange(record, start, length)
      const handle = await openFile(record, 'shard')
      return handle.createReadStream({ start, end: start + length - 1 })
    },

    chunk: async (key, height, index) => {
      const [chunk] = await self.chunks(key, height, [index])
      if (chunk === undefined) throw new ZerogError('RANGE_INVALID')
      return chunk
    },

    chunks: async (key, height, indexes) => {
      const record = complete(key)
      const shardHeight = Math.log2(record.bytes / SECTOR_BYTES)
      for (const index of indexes) {
        if (height >= 0 && height <= shardHeight && index >= 0 && index < 2 ** (shardHeight - height))
          continue
        throw new ZerogError('RANGE_INVALID', 'the shard has no such chunk', { meta: { height, index } })
      }
      const chunkBytes = 2 ** height * SECTOR_BYTES
      const blockHeight = Math.max(height, Math.min(BLOCK_HEIGHT, shardHeight))
      const blockBytes = 2 ** blockHeight * SECTOR_BYTES
      const perBlock = 2 ** (blockHeight - height)
      const blockIndexes = indexes.map((index) => Math.floor(index / perBlock))
      const ranges = blockIndexes.map((index) => ({ start: index * blockBytes, length: blockBytes }))
      const blocks = await readRanges(record, 'shard', ranges)
      const above = await siblings(record, blockHeight, blockIndexes)
      return blocks.map((block, i) => {
        const within = (indexes[i] ?? 0) % perBlock
        const path = perBlock > 1 ? pathInBlock(hasher, block, height, within) : []
        path.push(...(above[i] ?? []))
        return { bytes: block.subarray(within * chunkBytes, (within + 1) * chunkBytes), path }
      })
    },

    siblings: async (key, height, index) => {
      const record = records.get(key)
      if (!record || record.state === 'partial') throw new ZerogError('SHARD_UNKNOWN')
      const [nodes = []] = await siblings(record, height, [index])
      return nodes
    },

    verify: (key, signal) =>
      locked(keyText(key), async () => {
        const record = complete(key)
        const path = shardPath(folder, key, 'shard')
        const check = createShardHasher(hasher, record.bytes)
        const whole = (await fileBytes(path)) === record.bytes
        if (whole) {
          for await (const piece of readPieces(path, record.bytes)) {
            signal.throwIfAborted()
            check.push(piece)
          }
        }
        if (whole) {
          const { root, levels } = check.finish()
          if (toHex(root) === record.root) {
            const levelsPath = shardPath(folder, key, 'levels')
            const size = await fileBytes(levelsPath)
            const kept =
              size === levels.length && size > 0 ? await readAt(record, 'levels', 0, size) : new Uint8Array(0)
            if (!bytesEqual(kept, levels)) {
              await writeWhole(levelsPath, levels)
              await syncFolder(dirname(levelsPath))
            }
            records.setChecked(record)
            return true
          }
        }
        records.setState(record, 'damaged')
        return false
      }),

    adopt: (key, { root, bytes, owner }) =>
      locked(keyText(key), async () => {
        const known = records.get(key)
        if (known && known.state !== 'partial' && known.root === root) return
        if (known) await drop(known)
        reserve({ ...key, root, bytes, owner, state: 'damaged', checkedAtSec: 0 })
      }),

    markDamaged: (key) => {
      if (records.get(key)?.state === 'complete') records.setState(key, 'damaged')
    },

    heal: (key, body) =>
      locked(keyText(key), async () => {
        const record = records.get(key)
        if (!record || record.state === 'partial') throw new ZerogError('SHARD_UNKNOWN')
        if (!(await intake.replace(record, body))) throw new ZerogError('ROOT_MISMATCH')
      }),

    remove: (key) =>
      locked(keyText(key), async () => {
        const record = records.get(key)
        if (record) await drop(record)
      }),
  }
  return self
}

function checkRange(record: ShardRecord, start: number, length: number): void {
  if (start >= 0 && length > 0 && start + length <= record.bytes) return
  throw new ZerogError('RANGE_INVALID', `the shard has ${record.bytes} bytes`, {
    meta: { bytes: record.bytes },
  })
}

/** What a shard of this length takes: its bytes and its levels. */
function footprint(bytes: number): number {
  return bytes + levelsBytes(Math.log2(bytes / SECTOR_BYTES))
}

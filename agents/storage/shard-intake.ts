import { type FileHandle, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { Hasher } from '../../sdk/protocol/hasher.ts'
import { toHex } from '../../sdk/protocol/hex.ts'
import {
  diskError,
  fileBytes,
  isMissing,
  makeShardFolder,
  type ShardFile,
  type ShardKey,
  shardPath,
  syncFolder,
  writeWhole,
} from './shard-files.ts'
import { createShardHasher, type ShardHasher } from './shard-levels.ts'
import type { ShardRecord, ShardRecords } from './shard-records.ts'
import { openShardWriter, type ShardWriter } from './shard-writer.ts'

const REHASH_BYTES = 1024 * 1024
/** Hash states kept in memory; one that falls out is rebuilt from the file. */
const MAX_OPEN_PARTIALS = 64

type Partial = { offset: number; readonly hasher: ShardHasher }

export type ShardIntake = ReturnType<typeof createShardIntake>

export declare namespace createShardIntake {
  type Options = {
    folder: string
    hasher: Hasher
    records: ShardRecords
    crashPoint(name: string): void
  }
}

/** The way in for bytes: appended to a `.part` file, hashed as they come, and renamed only when the root is right. */
export function createShardIntake({ folder, hasher, records, crashPoint }: createShardIntake.Options) {
  const partials = new Map<string, Partial>()
  /** What has arrived of each partial shard; small, so that all are kept. */
  const offsets = new Map<string, number>()

  async function resume(record: ShardRecord): Promise<Partial> {
    const id = keyText(record)
    const known = partials.get(id)
    if (known) return known
    const partial: Partial = { offset: 0, hasher: createShardHasher(hasher, record.bytes) }
    const path = shardPath(folder, record, 'part')
    const present = Math.min((await fileBytes(path)) ?? 0, record.bytes)
    for await (const piece of readPieces(path, present)) partial.hasher.push(piece)
    partial.offset = present
    partials.set(id, partial)
    offsets.set(id, present)
    for (const oldest of partials.keys()) {
      if (partials.size <= MAX_OPEN_PARTIALS) break
      if (oldest !== id) partials.delete(oldest)
    }
    return partial
  }

  /** Appends what of [start, start + length) has not arrived yet, and returns the new offset. */
  async function append(
    record: ShardRecord,
    { start, length, body }: { start: number; length: number; body: AsyncIterable<Uint8Array> },
  ): Promise<number> {
    const partial = await resume(record)
    if (start > partial.offset) {
      throw new ZerogError('OFFSET_MISMATCH', `the next byte is ${partial.offset}`, {
        meta: { offset: partial.offset },
      })
    }
    const writer = await openPartial(record)
    let at = start
    try {
      for await (const piece of body) {
        if (at + piece.length > start + length) {
          throw new ZerogError('BAD_REQUEST', 'the body is longer than its range')
        }
        const fresh = piece.subarray(Math.min(piece.length, Math.max(0, partial.offset - at)))
        at += piece.length
        if (fresh.length === 0) continue
        await writer.write(fresh, partial.offset)
        partial.hasher.push(fresh)
        partial.offset += fresh.length
        offsets.set(keyText(record), partial.offset)
        crashPoint('put-mid-chunk')
      }
    } catch (error) {
      throw diskError(error)
    } finally {
      await writer.close()
    }
    if (at !== start + length) throw new ZerogError('BAD_REQUEST', 'the body is shorter than its range')
    return partial.offset
  }

  async function openPartial(record: ShardRecord): Promise<ShardWriter> {
    const path = shardPath(folder, record, 'part')
    try {
      return await openShardWriter(path, record.bytes)
    } catch (error) {
      if (!isMissing(error)) throw diskError(error)
      await makeShardFolder(folder, record)
      return await openShardWriter(path, record.bytes)
    }
  }

  /** Checks the root of a shard whose last byte has arrived and makes it durable; false when the root is another. */
  async function finish(record: ShardRecord): Promise<boolean> {
    const partial = await resume(record)
    forget(record)
    return settle(record, 'part', partial.hasher)
  }

  /** Takes a whole shard at once into place of what is there; false when the root is another. */
  async function replace(record: ShardRecord, body: AsyncIterable<Uint8Array>): Promise<boolean> {
    await makeShardFolder(folder, record)
    const handle = await open(shardPath(folder, record, 'heal'), 'w', 0o600)
    const fresh = createShardHasher(hasher, record.bytes)
    let at = 0
    try {
      for await (const piece of body) {
        fresh.push(piece)
        await writeAt(handle, piece, at)
        at += piece.length
      }
    } catch (error) {
      throw diskError(error)
    } finally {
      await handle.close()
    }
    return at === record.bytes && settle(record, 'heal', fresh)
  }

  async function settle(record: ShardRecord, from: ShardFile, hashed: ShardHasher): Promise<boolean> {
    const { root, levels } = hashed.finish()
    if (toHex(root) !== record.root) return false
    const path = shardPath(folder, record, from)
    try {
      const handle = await open(path, 'r+')
      try {
        await handle.sync()
      } finally {
        await handle.close()
      }
      if (levels.length > 0) await writeWhole(shardPath(folder, record, 'levels'), levels)
      crashPoint('before-shard-rename')
      await rename(path, shardPath(folder, record, 'shard'))
      await syncFolder(dirname(path))
    } catch (error) {
      throw diskError(error)
    }
    crashPoint('after-shard-write')
    records.setChecked(record)
    return true
  }

  function forget(key: ShardKey): void {
    partials.delete(keyText(key))
    offsets.delete(keyText(key))
  }

  return {
    append,
    finish,
    replace,
    forget,
    /** What has arrived of a partial shard. */
    offset: (key: ShardKey): number => offsets.get(keyText(key)) ?? 0,
    /** Says after a restart what the file holds. */
    setOffset: (key: ShardKey, offset: number) => {
      offsets.set(keyText(key), offset)
    },
  }
}

/** The key as one word, for maps and locks. */
export function keyText(key: ShardKey): string {
  return `${key.txSeq}/${key.index}`
}

/** The first `length` bytes of a file, piece by piece; pieces are only valid until the next. */
export async function* readPieces(path: string, length: number): AsyncGenerator<Uint8Array> {
  if (length === 0) return
  const handle = await open(path, 'r')
  try {
    const buffer = new Uint8Array(Math.min(REHASH_BYTES, length))
    for (let at = 0; at < length; ) {
      const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, length - at), at)
      if (bytesRead === 0) throw new ZerogError('SHARD_INCOMPLETE', 'the file is shorter than recorded')
      yield buffer.subarray(0, bytesRead)
      at += bytesRead
    }
  } finally {
    await handle.close()
  }
}

async function writeAt(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten
  }
}

import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { isAligned, PIECE_BYTES } from './piece-memory.ts'

/** Writes parts of one file, which is made if there is none. */
export type ShardWriter = {
  write(bytes: Uint8Array, position: number): Promise<void>
  close(): Promise<void>
}

/** The multiple of all that a direct write names: a page, and at least the block of any disk. */
const BLOCK_BYTES = 4096

/**
 * Opens the file of a shard of `shardBytes` bytes for writing, past the system's page cache where it can be: a shard is
 * seldom read soon, and a cache that has to make room for every one costs the processor more than the disk does. What is
 * not whole pages in aligned memory, or on a disk that knows no direct writes, goes through the cache. Neither way is
 * durable before a sync.
 */
export async function openShardWriter(path: string, shardBytes: number): Promise<ShardWriter> {
  const flags = constants.O_RDWR | constants.O_CREAT
  let direct = shardBytes < PIECE_BYTES ? undefined : await openDirect(path, flags)
  let cached = direct === undefined ? await open(path, flags, 0o600) : undefined

  return {
    async write(bytes, position) {
      const isWhole = position % BLOCK_BYTES === 0 && bytes.length % BLOCK_BYTES === 0
      if (direct !== undefined && isWhole && isAligned(bytes, BLOCK_BYTES)) {
        try {
          return await writeAt(direct, bytes, position)
        } catch (error) {
          if (!isRefusal(error)) throw error
          await direct.close()
          direct = undefined
        }
      }
      cached ??= await open(path, flags, 0o600)
      await writeAt(cached, bytes, position)
    },
    async close() {
      await direct?.close()
      await cached?.close()
    },
  }
}

/** Undefined where the system or the disk does not know direct writes. */
async function openDirect(path: string, flags: number): Promise<FileHandle | undefined> {
  if (constants.O_DIRECT === undefined) return undefined
  try {
    return await open(path, flags | constants.O_DIRECT, 0o600)
  } catch (error) {
    if (isRefusal(error)) return undefined
    throw error
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EINVAL' || error.code === 'EOPNOTSUPP')
}

async function writeAt(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten
  }
}

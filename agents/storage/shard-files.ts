import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ZerogError } from '../../sdk/protocol/errors.ts'

/** One shard of one submission. */
export type ShardKey = { readonly txSeq: bigint; readonly index: number }

/** The files of one shard: its bytes, the bytes while they arrive, and its upper Merkle levels. */
export type ShardFile = 'shard' | 'part' | 'levels' | 'heal'

/** Path of one file of a shard under the store's folder: `<txSeq>/<index>.<kind>`. */
export function shardPath(folder: string, key: ShardKey, kind: ShardFile): string {
  return join(folder, key.txSeq.toString(), `${key.index}.${kind}`)
}

/** Makes the folder of a shard, durably. */
export async function makeShardFolder(folder: string, key: ShardKey): Promise<void> {
  const made = await mkdir(dirname(shardPath(folder, key, 'part')), { recursive: true, mode: 0o700 })
  if (made !== undefined) await syncFolder(folder)
}

/** Flushes a folder's entries, so that a rename in it survives a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Writes a small file whole: under a temporary name, flushed, renamed. The caller flushes the folder. */
export async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`
  const handle = await open(temporary, 'w', 0o600)
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, path)
}

/** Length of a file, or undefined when there is none. */
export async function fileBytes(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Whether an error of the file system says that there is no such file. */
export function isMissing(error: unknown): boolean {
  return systemCode(error) === 'ENOENT'
}

/** Removes the files of one shard, and its folder when nothing is left in it. */
export async function removeShardFiles(folder: string, key: ShardKey): Promise<void> {
  const own = dirname(shardPath(folder, key, 'shard'))
  for (const kind of ['shard', 'part', 'levels', 'heal'] as const) {
    await rm(shardPath(folder, key, kind), { force: true })
  }
  const left = await readdir(own).catch(() => [''])
  if (left.length === 0) await rm(own, { recursive: true, force: true })
}

/** DISK_FULL for what the system says when there is no room; anything else unchanged. */
export function diskError(error: unknown): unknown {
  const code = systemCode(error)
  if (code !== 'ENOSPC' && code !== 'EDQUOT' && code !== 'EFBIG') return error
  return new ZerogError('DISK_FULL', 'the disk has no room left', {
    cause: error,
    meta: { systemCode: code },
  })
}

function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

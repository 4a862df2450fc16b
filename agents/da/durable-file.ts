import { randomUUID } from 'node:crypto'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ZerogError } from '../../sdk/protocol/errors.ts'

/** Makes a folder that survives a power cut. */
export async function makeFolder(path: string): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: 0o700 })
  if (made !== undefined) await syncFolder(dirname(path))
}

/**
 * Writes a file whole and durably: under a temporary name, flushed, renamed, the folder flushed. The name is its own, so that
 * two writers of one file do not write into each other's. Throws DISK_FULL.
 */
export async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`
  try {
    const handle = await open(temporary, 'w', 0o600)
    try {
      await handle.writeFile(bytes)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    // What a full disk holds of it would stay until the next start.
    await rm(temporary, { force: true }).catch(() => undefined)
    throw diskError(error)
  }
}

/** Whether an error of the file system says that there is no such file. */
export function isMissing(error: unknown): boolean {
  return systemCode(error) === 'ENOENT'
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function diskError(error: unknown): unknown {
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

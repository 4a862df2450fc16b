import { randomBytes } from 'node:crypto'
import { access, link, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ZerogError } from '../protocol/errors.ts'
import type { FileSink } from './file-sink.ts'

/** No space, a quota, and a limit on the size of files: to the user all the same. */
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

/**
 * A sink that becomes the file `path` in one step: bytes go to a hidden temporary name in the same folder, are synced,
 * then linked or renamed. An existing file is replaced only with `overwrite`.
 *
 * Errors: FILE_EXISTS; FILE_MISSING when the folder cannot be written; DISK_FULL.
 */
export async function createPathSink(path: string, { overwrite = false } = {}): Promise<FileSink> {
  if (!overwrite && (await exists(path))) throw existsAlready(path)
  const folder = dirname(path)
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.part`)
  const handle = await open(temporary, 'wx').catch((cause) => {
    throw new ZerogError('FILE_MISSING', `cannot write in ${folder}`, { cause, meta: { path } })
  })
  let isOpen = true
  const close = async () => {
    if (!isOpen) return
    isOpen = false
    await handle.close()
  }
  return {
    async write(offset, bytes) {
      let written = 0
      while (written < bytes.length) {
        const result = await handle
          .write(bytes, written, bytes.length - written, offset + written)
          .catch(diskError(path))
        written += result.bytesWritten
      }
    },
    async commit() {
      await handle.sync().catch(diskError(path))
      await close()
      if (overwrite) await rename(temporary, path)
      else await linkNew(temporary, path)
      await syncFolder(folder)
    },
    async discard() {
      await close()
      await rm(temporary, { force: true })
    },
  }
}

/** Unlike rename, link fails when the target has appeared meanwhile. */
async function linkNew(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path)
  } catch (cause) {
    if (nodeCode(cause) === 'EEXIST') throw existsAlready(path)
    // Some file systems have no hard links.
    if (await exists(path)) throw existsAlready(path)
    await rename(temporary, path)
    return
  }
  await rm(temporary, { force: true })
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

function existsAlready(path: string): ZerogError {
  return new ZerogError('FILE_EXISTS', `${path} exists already`, { meta: { path } })
}

function diskError(path: string) {
  return (cause: unknown): never => {
    const code = nodeCode(cause)
    throw new ZerogError(FULL.has(code ?? '') ? 'DISK_FULL' : 'INTERNAL', undefined, {
      cause,
      meta: { path },
    })
  }
}

function nodeCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

import type { Stats } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { ZerogError } from '../protocol/errors.ts'
import type { FileSource } from './file-source.ts'

/** A source over a file on disk; `close` it after use. */
export type PathSource = FileSource & { readonly path: string; close(): Promise<void> }

/**
 * Opens a file as a source. Length, inode and modification time are those of this moment.
 *
 * Errors: FILE_MISSING when it cannot be opened or is no regular file; reads throw FILE_CHANGED.
 */
export async function openPathSource(path: string): Promise<PathSource> {
  const handle = await open(path, 'r').catch((cause) => {
    throw new ZerogError('FILE_MISSING', `cannot open ${path}`, { cause, meta: { path } })
  })
  const first = await handle.stat()
  if (!first.isFile()) {
    await handle.close()
    throw new ZerogError('FILE_MISSING', `${path} is not a regular file`, { meta: { path } })
  }
  return {
    path,
    byteLength: first.size,
    async read(offset, length, into = new Uint8Array(length)) {
      const bytes = into.subarray(0, length)
      let got = 0
      while (got < length) {
        const { bytesRead } = await handle.read(bytes, got, length - got, offset + got)
        if (bytesRead === 0) throw changed(path)
        got += bytesRead
      }
      return bytes
    },
    async assertUnchanged() {
      const now = await stat(path).catch((cause) => {
        throw changed(path, cause)
      })
      if (!sameFile(first, now)) throw changed(path)
    },
    close: () => handle.close(),
  }
}

function sameFile(a: Stats, b: Stats): boolean {
  return a.ino === b.ino && a.dev === b.dev && a.size === b.size && a.mtimeMs === b.mtimeMs
}

function changed(path: string, cause?: unknown): ZerogError {
  return new ZerogError('FILE_CHANGED', `${path} changed while it was read`, { cause, meta: { path } })
}

import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ZerogError } from '../protocol/errors.ts'
import type { StateStore } from './state-store.ts'

/** A store of one small file per key in `folder`, which is made when absent; writes are synced and atomic. */
export function folderStateStore(folder: string): StateStore {
  const fileOf = (key: string) => {
    if (!/^[a-z0-9-]{1,200}$/.test(key)) throw new ZerogError('BAD_REQUEST', `${key} is no key of a store`)
    return join(folder, `${key}.json`)
  }
  return {
    async get(key) {
      try {
        return await readFile(fileOf(key), 'utf8')
      } catch (cause) {
        if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
        throw cause
      }
    },
    async set(key, value) {
      const target = fileOf(key)
      await mkdir(folder, { recursive: true })
      const temporary = `${target}.${process.pid}.part`
      const handle = await open(temporary, 'w')
      try {
        await handle.writeFile(value)
        await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(temporary, target)
      const parent = await open(folder, 'r')
      try {
        await parent.sync()
      } finally {
        await parent.close()
      }
    },
    async delete(key) {
      await rm(fileOf(key), { force: true })
    },
  }
}

import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Column, decodeColumn, encodeColumn, verifyColumn } from '../../sdk/protocol/column.ts'
import { isZerogError, ZerogError } from '../../sdk/protocol/errors.ts'
import type { Hasher } from '../../sdk/protocol/hasher.ts'
import type { Store } from '../kernel/store.ts'
import { type ColumnRecord, type HeldBlob, openColumnRecords } from './column-records.ts'
import { isMissing, makeFolder, writeDurably } from './durable-file.ts'

export type { ColumnRecord, HeldBlob } from './column-records.ts'

export type ColumnStore = Awaited<ReturnType<typeof openColumnStore>>

export declare namespace openColumnStore {
  type Options = { folder: string; store: Store; hasher: Hasher; capacityBytes: number; now?: () => number }
}

/**
 * Columns of blobs in a folder, `<blobId>/<column>.column`, each whole and durable before its record says so, and checked
 * against its header whenever it is read. Opening drops files that no record knows.
 */
export async function openColumnStore({
  folder,
  store,
  hasher,
  capacityBytes,
  now = Date.now,
}: openColumnStore.Options) {
  const records = openColumnRecords(store)
  const nowSec = () => Math.floor(now() / 1000)
  const folderOf = (blobId: string) => join(folder, blobId.slice(2))
  const fileOf = (blobId: string, column: number) => join(folderOf(blobId), `${column}.column`)
  await makeFolder(folder)
  await dropStrays()
  /** Room that writes under way will take. */
  let reservedBytes = 0

  async function dropStrays(): Promise<void> {
    for (const name of await readdir(folder)) {
      const known = new Set(records.columns(`0x${name}`).map(({ column }) => `${column}.column`))
      if (known.size === 0) await rm(join(folder, name), { recursive: true, force: true })
      for (const file of known.size === 0 ? [] : await readdir(join(folder, name)))
        if (!known.has(file)) await rm(join(folder, name, file), { force: true })
    }
  }

  async function readVerified(blob: HeldBlob, column: number): Promise<Column | undefined> {
    let file: Uint8Array
    try {
      file = await readFile(fileOf(blob.blobId, column))
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
    try {
      const decoded = decodeColumn(file)
      return decoded.column === column && verifyColumn(hasher, decoded, blob.header) ? decoded : undefined
    } catch (error) {
      if (isZerogError(error)) return undefined
      throw error
    }
  }

  return {
    capacityBytes,
    usedBytes: () => records.usedBytes() + reservedBytes,
    blob: records.blob,
    blobIds: records.blobIds,
    header: records.header,
    records: records.columns,
    counts: records.counts,
    leastChecked: records.leastChecked,

    /** Whether the column is here and was whole when last looked at. */
    has: (blobId: string, column: number): boolean => records.column(blobId, column)?.damaged === false,

    /** Keeps columns of a blob, verified by the caller. Durable when it resolves. Throws DISK_FULL. */
    async put(blob: HeldBlob, columns: readonly Column[]): Promise<void> {
      const files = columns.map((column) => ({ column: column.column, file: encodeColumn(column) }))
      // What is put anew takes the room that it had: a node that is full can still repair what it keeps.
      const known = (column: number) => records.column(blob.blobId, column)?.bytes ?? 0
      const neededBytes = files.reduce((sum, { column, file }) => sum + file.length - known(column), 0)
      const freeBytes = capacityBytes - records.usedBytes() - reservedBytes
      if (neededBytes > Math.max(0, freeBytes))
        throw new ZerogError('DISK_FULL', 'the node has no capacity left for this blob', {
          meta: { freeBytes: Math.max(0, freeBytes), neededBytes },
        })
      reservedBytes += neededBytes
      try {
        await makeFolder(folderOf(blob.blobId))
        for (const { column, file } of files) await writeDurably(fileOf(blob.blobId, column), file)
        const sizes = files.map(({ column, file }) => ({ column, bytes: file.length }))
        records.put(blob, sizes, nowSec())
      } finally {
        reservedBytes -= neededBytes
      }
    },

    /** A column, checked against its header; undefined when it is not here. One that does not fit counts as damaged. */
    async read(blobId: string, column: number): Promise<Column | undefined> {
      const blob = records.blob(blobId)
      if (!blob || records.column(blobId, column)?.damaged !== false) return undefined
      const found = await readVerified(blob, column)
      if (!found) records.markDamaged(blobId, column)
      return found
    },

    /** Looks at a column on disk. False when it is damaged from now on. */
    async check({ blobId, column }: Pick<ColumnRecord, 'blobId' | 'column'>): Promise<boolean> {
      const whole = (await this.read(blobId, column)) !== undefined
      if (whole) records.markChecked(blobId, column, nowSec())
      return whole
    },

    /** Deletes all that is kept of a blob. The records go first: files without one are garbage. */
    async remove(blobId: string): Promise<void> {
      records.remove(blobId)
      await rm(folderOf(blobId), { recursive: true, force: true })
    },
  }
}

import {
  type BlobHeader,
  headerToJson,
  parseHeader,
  type SignedHeader,
} from '../../sdk/protocol/blob-header.ts'
import { COMMITMENT_BYTES } from '../../sdk/protocol/cell-layout.ts'
import type { Store } from '../kernel/store.ts'

/** What is kept of a blob besides its columns. */
export type HeldBlob = SignedHeader & { readonly blobId: string; readonly commitments: readonly Uint8Array[] }

/** A column on disk; `damaged` ones wait to be rebuilt. */
export type ColumnRecord = {
  readonly blobId: string
  readonly column: number
  readonly bytes: number
  readonly damaged: boolean
}

type BlobRow = { blob_id: string; header: string; signature: string; commitments: Uint8Array<ArrayBuffer> }
type ColumnRow = { blob_id: string; position: number; bytes: number; damaged: number }

const STEPS = [
  `CREATE TABLE da_held_blob (
     blob_id TEXT PRIMARY KEY,
     header TEXT NOT NULL,
     signature TEXT NOT NULL,
     commitments BLOB NOT NULL
   ) STRICT;
   CREATE TABLE da_held_column (
     blob_id TEXT NOT NULL,
     position INTEGER NOT NULL,
     bytes INTEGER NOT NULL,
     damaged INTEGER NOT NULL,
     checked_sec INTEGER NOT NULL,
     PRIMARY KEY (blob_id, position)
   ) STRICT;
   CREATE INDEX da_held_column_checked ON da_held_column (damaged, checked_sec);`,
]

/** Records of the column store; a file without one is garbage. */
export function openColumnRecords(store: Store) {
  store.migrate('da-columns', STEPS)
  const bytesOf = (where: string, ...params: string[]): number =>
    store.get<{ bytes: number }>(
      `SELECT coalesce(sum(bytes), 0) AS bytes FROM da_held_column WHERE ${where}`,
      ...params,
    )?.bytes ?? 0
  // Added up once: a node keeps millions of columns, and asks at every blob that it is offered.
  let usedBytes = bytesOf('1')

  return {
    /** Records a blob and columns of it, whole and checked at this moment. */
    put(
      { blobId, header, signature, commitments }: HeldBlob,
      columns: readonly { column: number; bytes: number }[],
      nowSec: number,
    ): void {
      const json = JSON.stringify(headerToJson(header))
      const flat = Buffer.concat(commitments)
      const addedBytes = store.transaction(() => {
        const before = bytesOf('blob_id = ?', blobId)
        store.run('INSERT OR REPLACE INTO da_held_blob VALUES (?, ?, ?, ?)', blobId, json, signature, flat)
        const row = 'INSERT OR REPLACE INTO da_held_column VALUES (?, ?, ?, 0, ?)'
        for (const { column, bytes } of columns) store.run(row, blobId, column, bytes, nowSec)
        return bytesOf('blob_id = ?', blobId) - before
      })
      usedBytes += addedBytes
    },

    blob(blobId: string): HeldBlob | undefined {
      const row = store.get<BlobRow>('SELECT * FROM da_held_blob WHERE blob_id = ?', blobId)
      return row && toBlob(row)
    },

    header(blobId: string): BlobHeader | undefined {
      const row = store.get<{ header: string }>('SELECT header FROM da_held_blob WHERE blob_id = ?', blobId)
      return row && parseHeader(JSON.parse(row.header))
    },

    blobIds: (): string[] =>
      store.all<{ blob_id: string }>('SELECT blob_id FROM da_held_blob').map((row) => row.blob_id),

    columns: (blobId: string): ColumnRecord[] =>
      store
        .all<ColumnRow>('SELECT * FROM da_held_column WHERE blob_id = ? ORDER BY position', blobId)
        .map(toColumn),

    column(blobId: string, column: number): ColumnRecord | undefined {
      const row = store.get<ColumnRow>(
        'SELECT * FROM da_held_column WHERE blob_id = ? AND position = ?',
        blobId,
        column,
      )
      return row && toColumn(row)
    },

    markDamaged(blobId: string, column: number): void {
      store.run('UPDATE da_held_column SET damaged = 1 WHERE blob_id = ? AND position = ?', blobId, column)
    },

    markChecked(blobId: string, column: number, nowSec: number): void {
      store.run(
        'UPDATE da_held_column SET checked_sec = ? WHERE blob_id = ? AND position = ?',
        nowSec,
        blobId,
        column,
      )
    },

    leastChecked(beforeSec: number): ColumnRecord | undefined {
      const row = store.get<ColumnRow>(
        'SELECT * FROM da_held_column WHERE damaged = 0 AND checked_sec < ? ORDER BY checked_sec LIMIT 1',
        beforeSec,
      )
      return row && toColumn(row)
    },

    usedBytes: (): number => usedBytes,

    counts(): { kept: number; damaged: number } {
      const row = store.get<{ kept: number; damaged: number }>(
        'SELECT count(*) AS kept, coalesce(sum(damaged), 0) AS damaged FROM da_held_column',
      )
      return { kept: row?.kept ?? 0, damaged: row?.damaged ?? 0 }
    },

    remove(blobId: string): void {
      const freedBytes = store.transaction(() => {
        const bytes = bytesOf('blob_id = ?', blobId)
        store.run('DELETE FROM da_held_column WHERE blob_id = ?', blobId)
        store.run('DELETE FROM da_held_blob WHERE blob_id = ?', blobId)
        return bytes
      })
      usedBytes -= freedBytes
    },
  }
}

function toBlob(row: BlobRow): HeldBlob {
  const count = row.commitments.length / COMMITMENT_BYTES
  return {
    blobId: row.blob_id,
    header: parseHeader(JSON.parse(row.header)),
    signature: row.signature,
    commitments: Array.from({ length: count }, (_, b) =>
      row.commitments.subarray(b * COMMITMENT_BYTES, (b + 1) * COMMITMENT_BYTES),
    ),
  }
}

function toColumn(row: ColumnRow): ColumnRecord {
  return { blobId: row.blob_id, column: row.position, bytes: row.bytes, damaged: row.damaged !== 0 }
}

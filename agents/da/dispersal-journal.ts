import { access, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type BlobHeader, blobIdOf, headerToJson, parseHeader } from '../../sdk/protocol/blob-header.ts'
import { type ErrorCode, isErrorCode } from '../../sdk/protocol/errors.ts'
import type { Store } from '../kernel/store.ts'
import { isMissing, makeFolder, writeDurably } from './durable-file.ts'

/** A blob that this disperser has in hand, or had: what chain state does not tell. */
export type Dispersal = {
  readonly blobId: string
  readonly header: BlobHeader
  /** Whether this disperser pays, or waits for its publisher to. */
  readonly pays: boolean
  readonly publisher: string
  readonly createdBlock: number
  /** Open ones are worked on; the others are history. */
  readonly state: 'open' | 'done' | 'failed'
  readonly code?: ErrorCode
}

type DispersalRow = {
  blob_id: string
  header: string
  pays: number
  publisher: string
  created_block: number
  state: Dispersal['state']
  code: string | null
}

const STEPS = [
  `CREATE TABLE da_dispersal (
     blob_id TEXT PRIMARY KEY,
     header TEXT NOT NULL,
     pays INTEGER NOT NULL,
     publisher TEXT NOT NULL,
     created_block INTEGER NOT NULL,
     state TEXT NOT NULL CHECK (state IN ('open', 'done', 'failed')),
     code TEXT
   ) STRICT;
   CREATE INDEX da_dispersal_state ON da_dispersal (state);
   CREATE TABLE da_collected (
     blob_id TEXT NOT NULL,
     slot INTEGER NOT NULL,
     signature BLOB NOT NULL,
     PRIMARY KEY (blob_id, slot)
   ) STRICT;`,
  `CREATE TABLE da_permission (
     id TEXT PRIMARY KEY,
     until_sec INTEGER NOT NULL,
     blob_id TEXT NOT NULL
   ) STRICT;`,
  "DELETE FROM da_collected WHERE blob_id NOT IN (SELECT blob_id FROM da_dispersal WHERE state = 'open');",
]

/** A publisher's permission that was used; after `until`, in Unix seconds, nobody can show it again. */
export type UsedPermission = { readonly id: string; readonly until: bigint }

export type DispersalJournal = Awaited<ReturnType<typeof openDispersalJournal>>

/**
 * Blobs on their way out, with their payloads (`<blobId>.payload`) until the quorum stands. A payload is on disk before its
 * row, a row before its header is signed; the columns are encoded again after a restart, to the same bytes.
 */
export async function openDispersalJournal({ folder, store }: { folder: string; store: Store }) {
  store.migrate('da-dispersals', STEPS)
  await makeFolder(folder)
  const fileOf = (blobId: string) => join(folder, `${blobId.slice(2)}.payload`)
  const open = () =>
    store.all<DispersalRow>("SELECT * FROM da_dispersal WHERE state = 'open' ORDER BY rowid").map(toDispersal)
  await dropStrays()

  async function dropStrays(): Promise<void> {
    const wanted = new Set(open().map(({ blobId }) => `${blobId.slice(2)}.payload`))
    for (const file of await readdir(folder))
      if (!wanted.has(file)) await rm(join(folder, file), { force: true })
  }

  return {
    open,

    get(blobId: string): Dispersal | undefined {
      const row = store.get<DispersalRow>('SELECT * FROM da_dispersal WHERE blob_id = ?', blobId)
      return row && toDispersal(row)
    },

    writePayload: (blobId: string, payload: Uint8Array) => writeDurably(fileOf(blobId), payload),

    hasPayload: (blobId: string): Promise<boolean> =>
      access(fileOf(blobId)).then(
        () => true,
        (error) => {
          if (isMissing(error)) return false
          throw error
        },
      ),

    async readPayload(blobId: string): Promise<Uint8Array | undefined> {
      try {
        return await readFile(fileOf(blobId))
      } catch (error) {
        if (isMissing(error)) return undefined
        throw error
      }
    },

    insert({
      header,
      pays,
      publisher,
      createdBlock,
      permission,
    }: Pick<Dispersal, 'header' | 'pays' | 'publisher' | 'createdBlock'> & {
      permission: UsedPermission | undefined
    }) {
      const json = JSON.stringify(headerToJson(header))
      const blobId = blobIdOf(header)
      store.transaction(() => {
        store.run(
          "INSERT INTO da_dispersal VALUES (?, ?, ?, ?, ?, 'open', NULL)",
          blobId,
          json,
          pays ? 1 : 0,
          publisher.toLowerCase(),
          createdBlock,
        )
        if (permission === undefined) return
        store.run('DELETE FROM da_permission WHERE until_sec < ?', Math.floor(Date.now() / 1000))
        store.run(
          'INSERT OR REPLACE INTO da_permission VALUES (?, ?, ?)',
          permission.id,
          permission.until,
          blobId,
        )
      })
    },

    /** The blob that a permission was used for; one whose epoch ended before it was paid has not used it up. */
    permitted: (id: string): string | undefined =>
      store.get<{ blob_id: string }>(
        `SELECT p.blob_id FROM da_permission AS p JOIN da_dispersal AS d ON d.blob_id = p.blob_id
         WHERE p.id = ? AND d.code IS NOT 'DA_WRONG_EPOCH'`,
        id,
      )?.blob_id,

    /** Ends a dispersal; its payload and signatures are needed no more: what was confirmed of them is on chain. */
    async close(blobId: string, code?: ErrorCode): Promise<void> {
      store.transaction(() => {
        store.run(
          'UPDATE da_dispersal SET state = ?, code = ? WHERE blob_id = ?',
          code === undefined ? 'done' : 'failed',
          code ?? null,
          blobId,
        )
        store.run('DELETE FROM da_collected WHERE blob_id = ?', blobId)
      })
      await rm(fileOf(blobId), { force: true })
    },

    /** Unpaid blobs of one publisher that wait for its money. */
    unpaidOf: (publisher: string): Dispersal[] =>
      open().filter((entry) => !entry.pays && entry.publisher === publisher.toLowerCase()),

    collect(blobId: string, slot: number, signature: Uint8Array): void {
      store.run('INSERT OR IGNORE INTO da_collected VALUES (?, ?, ?)', blobId, slot, signature)
    },

    collected: (blobId: string): Map<number, Uint8Array> =>
      new Map(
        store
          .all<{ slot: number; signature: Uint8Array<ArrayBuffer> }>(
            'SELECT slot, signature FROM da_collected WHERE blob_id = ? ORDER BY slot',
            blobId,
          )
          .map(({ slot, signature }) => [slot, signature]),
      ),
  }
}

function toDispersal(row: DispersalRow): Dispersal {
  return {
    blobId: row.blob_id,
    header: parseHeader(JSON.parse(row.header)),
    pays: row.pays !== 0,
    publisher: row.publisher,
    createdBlock: row.created_block,
    state: row.state,
    ...(isErrorCode(row.code) ? { code: row.code } : {}),
  }
}

import {
  type BlobHeader,
  blobIdOf,
  headerToJson,
  parseHeader,
  type SignedHeader,
} from '../../sdk/protocol/blob-header.ts'
import type { Store } from '../kernel/store.ts'

/** Two headers that one disperser signed for one nonce: what the court convicts on. */
export type HeaderConflict = {
  readonly disperser: string
  readonly epoch: bigint
  readonly nonce: bigint
  readonly headers: readonly [SignedHeader, SignedHeader]
}

type Row = { blob_id: string; header: string; signature: string }

const STEPS = [
  `CREATE TABLE da_seen_header (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     disperser TEXT NOT NULL,
     epoch TEXT NOT NULL,
     nonce TEXT NOT NULL,
     blob_id TEXT NOT NULL UNIQUE,
     header TEXT NOT NULL,
     signature TEXT NOT NULL
   ) STRICT;
   CREATE INDEX da_seen_header_nonce ON da_seen_header (disperser, epoch, nonce);
   CREATE TABLE da_header_conflict (
     disperser TEXT PRIMARY KEY,
     first TEXT NOT NULL,
     second TEXT NOT NULL,
     settled INTEGER NOT NULL DEFAULT 0
   ) STRICT;`,
]

/** Most headers remembered of one disperser, the newest: nobody fills this disk with signatures. */
const MAX_PER_DISPERSER = 4096

export type SeenHeaders = ReturnType<typeof openSeenHeaders>

/** Every signed header that came by, so that two for one nonce never pass unnoticed. Signatures are verified before. */
export function openSeenHeaders(store: Store) {
  store.migrate('da-headers', STEPS)

  const keyOf = ({ disperser, epoch, nonce }: BlobHeader) =>
    [disperser.toLowerCase(), String(epoch), String(nonce)] as const

  return {
    /** Remembers a signed header. Returns the conflict that it makes with another one, which is then on record too. */
    put(signed: SignedHeader): HeaderConflict | undefined {
      const key = keyOf(signed.header)
      const blobId = blobIdOf(signed.header)
      return store.transaction(() => {
        const other = store.get<Row>(
          'SELECT * FROM da_seen_header WHERE disperser = ? AND epoch = ? AND nonce = ? AND blob_id <> ? LIMIT 1',
          ...key,
          blobId,
        )
        if (other) {
          const first = JSON.stringify(toJson(toSigned(other)))
          const second = JSON.stringify(toJson(signed))
          store.run('INSERT OR IGNORE INTO da_header_conflict VALUES (?, ?, ?, 0)', key[0], first, second)
          return conflictOf(toSigned(other), signed)
        }
        const header = JSON.stringify(headerToJson(signed.header))
        store.run(
          `INSERT OR IGNORE INTO da_seen_header (disperser, epoch, nonce, blob_id, header, signature)
           VALUES (?, ?, ?, ?, ?, ?)`,
          ...key,
          blobId,
          header,
          signed.signature,
        )
        store.run(
          `DELETE FROM da_seen_header WHERE disperser = ? AND id <=
             (SELECT id FROM da_seen_header WHERE disperser = ? ORDER BY id DESC LIMIT 1 OFFSET ?)`,
          key[0],
          key[0],
          MAX_PER_DISPERSER,
        )
        return undefined
      })
    },

    /** Conflicts that the court has not settled yet, one for each disperser. */
    conflicts: (): HeaderConflict[] =>
      store
        .all<{ first: string; second: string }>(
          'SELECT first, second FROM da_header_conflict WHERE settled = 0',
        )
        .map(({ first, second }) => conflictOf(fromJson(first), fromJson(second))),

    settle(disperser: string): void {
      store.run('UPDATE da_header_conflict SET settled = 1 WHERE disperser = ?', disperser.toLowerCase())
    },
  }
}

function conflictOf(a: SignedHeader, b: SignedHeader): HeaderConflict {
  const { disperser, epoch, nonce } = a.header
  return { disperser, epoch, nonce, headers: [a, b] }
}

function toSigned(row: Row): SignedHeader {
  return { header: parseHeader(JSON.parse(row.header)), signature: row.signature }
}

function toJson({ header, signature }: SignedHeader) {
  return { header: headerToJson(header), signature }
}

function fromJson(text: string): SignedHeader {
  const { header, signature } = JSON.parse(text) as { header: unknown; signature: string }
  return { header: parseHeader(header), signature }
}

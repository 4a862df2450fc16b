import { type BlobHeader, blobIdOf, headerToJson, parseHeader } from '../../sdk/protocol/blob-header.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { Store } from '../kernel/store.ts'

const STEPS = [
  `CREATE TABLE da_attestation (
     disperser TEXT NOT NULL,
     epoch TEXT NOT NULL,
     nonce TEXT NOT NULL,
     blob_id TEXT NOT NULL,
     PRIMARY KEY (disperser, epoch, nonce)
   ) STRICT;
   CREATE TABLE da_own_header (
     nonce INTEGER PRIMARY KEY,
     blob_id TEXT NOT NULL UNIQUE,
     header TEXT NOT NULL
   ) STRICT;`,
]

/** Nonces of one run begin at its start in ms times this. */
const NONCES_PER_MS = 1024

export type SigningGuard = ReturnType<typeof openSigningGuard>

/**
 * What this operator has signed or is about to sign, on disk before the signature exists. One (disperser, epoch, nonce)
 * never gets a second blob, whatever the chain does: rows are never removed, also not after a reorganization. Own nonces
 * follow the clock: a data folder that is new, or restored from a backup, uses none that was used after it was copied.
 */
export function openSigningGuard(store: Store, now: () => number = Date.now) {
  store.migrate('da-guard', STEPS)
  const firstNonce = now() * NONCES_PER_MS

  const keyOf = ({ disperser, epoch, nonce }: BlobHeader) =>
    [disperser.toLowerCase(), String(epoch), String(nonce)] as const

  return {
    /** The blob that was attested, or is about to be, under this header's nonce. */
    attested(header: BlobHeader): string | undefined {
      return store.get<{ blob_id: string }>(
        'SELECT blob_id FROM da_attestation WHERE disperser = ? AND epoch = ? AND nonce = ?',
        ...keyOf(header),
      )?.blob_id
    },

    /** Records that this header will be attested; the same again is no change. Throws DA_EQUIVOCATION for another blob. */
    attest(header: BlobHeader): void {
      const blobId = blobIdOf(header)
      store.run('INSERT OR IGNORE INTO da_attestation VALUES (?, ?, ?, ?)', ...keyOf(header), blobId)
      const other = this.attested(header)
      if (other === blobId) return
      throw new ZerogError('DA_EQUIVOCATION', undefined, { meta: { blobId, attested: other } })
    },

    /** Takes the next nonce of this disperser and binds it to the header that `make` returns for it. */
    bind(make: (nonce: bigint) => BlobHeader): BlobHeader {
      return store.transaction(() => {
        const last = store.get<{ nonce: number | null }>('SELECT max(nonce) AS nonce FROM da_own_header')
        const nonce = Math.max(firstNonce, (last?.nonce ?? -1) + 1)
        const header = make(BigInt(nonce))
        const json = JSON.stringify(headerToJson(header))
        store.run('INSERT INTO da_own_header VALUES (?, ?, ?)', nonce, blobIdOf(header), json)
        return header
      })
    },

    /** A header of our own that may be signed: only what was bound. */
    ownHeader(blobId: string): BlobHeader | undefined {
      const row = store.get<{ header: string }>('SELECT header FROM da_own_header WHERE blob_id = ?', blobId)
      return row && parseHeader(JSON.parse(row.header))
    },
  }
}

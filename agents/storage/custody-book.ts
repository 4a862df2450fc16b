import { z } from 'zod'
import type { SubmissionNode } from '../../sdk/protocol/submission.ts'
import type { Store } from '../kernel/store.ts'

const address = z.string().regex(/^0x[0-9a-fA-F]{40}$/, 'an address: 0x and 40 hex digits')
const hash = z.string().regex(/^0x[0-9a-fA-F]{64}$/, 'a hash: 0x and 64 hex digits')
const lower = (text: string) => text.toLowerCase()

/** The body of a custody proposal: the file's nodes, and who shall keep which of the n shards. */
export const proposalSchema = z.strictObject({
  byteLength: z
    .union([z.string().regex(/^\d{1,16}$/), z.number().int().positive()])
    .transform(Number)
    .pipe(z.number().int().positive().max(Number.MAX_SAFE_INTEGER)),
  nodes: z
    .array(z.strictObject({ root: hash.transform(lower), height: z.coerce.number().int().min(0).max(63) }))
    .min(1)
    .max(8),
  custodyRoot: hash.transform(lower),
  shards: z
    .array(
      z.strictObject({
        index: z.number().int().min(0).max(79),
        provider: address.transform(lower),
        root: hash.transform(lower),
      }),
    )
    .min(1)
    .max(80),
})

export type Proposal = z.output<typeof proposalSchema> & { readonly nodes: readonly SubmissionNode[] }

/** What was signed, or was about to be: enough to make the same signature again. */
export type Signing = {
  readonly txSeq: bigint
  readonly digest: string
  readonly custodyRoot: string
  readonly shardBitmap: bigint
  readonly ratePerPeriod: bigint
  readonly expiresAt: bigint
  readonly validUntil: bigint
}

const STEPS = [
  `CREATE TABLE proposal (
     tx_seq INTEGER PRIMARY KEY,
     body TEXT NOT NULL
   ) STRICT;
   CREATE TABLE signing (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     tx_seq INTEGER NOT NULL,
     digest TEXT NOT NULL,
     custody_root TEXT NOT NULL,
     shard_bitmap TEXT NOT NULL,
     rate_wei TEXT NOT NULL,
     expires_at INTEGER NOT NULL,
     valid_until INTEGER NOT NULL,
     UNIQUE (tx_seq, custody_root, shard_bitmap, rate_wei, expires_at, valid_until)
   ) STRICT;`,
]

export type CustodyBook = ReturnType<typeof openCustodyBook>

/** Proposals received and custody promised, both durable before the answer leaves. */
export function openCustodyBook(store: Store) {
  store.migrate('custody-book', STEPS)

  return {
    /** Keeps a checked proposal, the latest of each submission: an upload that goes on proposes anew before it asks to sign. */
    putProposal(txSeq: bigint, proposal: Proposal): void {
      store.run(
        'INSERT OR REPLACE INTO proposal (tx_seq, body) VALUES (?, ?)',
        txSeq,
        JSON.stringify(proposal),
      )
    },

    proposal(txSeq: bigint, custodyRoot: string): Proposal | undefined {
      const row = store.get<{ body: string }>('SELECT body FROM proposal WHERE tx_seq = ?', txSeq)
      const proposal = row && proposalSchema.parse(JSON.parse(row.body))
      return proposal?.custodyRoot === custodyRoot.toLowerCase() ? proposal : undefined
    },

    /** Whether the stored proposal names `provider`, who may then read unsealed shards for the parity check. */
    isCoCustodian(txSeq: bigint, provider: string): boolean {
      const row = store.get(
        `SELECT 1 FROM proposal, json_each(body, '$.shards')
         WHERE tx_seq = ? AND json_extract(value, '$.provider') = ?`,
        txSeq,
        provider.toLowerCase(),
      )
      return row !== undefined
    },

    /** Records what is about to be signed. The same promise is recorded once. */
    putSigning(signing: Signing): void {
      store.run(
        `INSERT OR IGNORE INTO signing
           (tx_seq, digest, custody_root, shard_bitmap, rate_wei, expires_at, valid_until)
         VALUES (?, ?, ?, ?, ?, ?, ?)`,
        signing.txSeq,
        signing.digest,
        signing.custodyRoot,
        signing.shardBitmap.toString(),
        signing.ratePerPeriod.toString(),
        signing.expiresAt,
        signing.validUntil,
      )
    },

    /** Whether custody of a shard was promised: its bytes must stay until the submission is decided. */
    isPromised(txSeq: bigint, index: number): boolean {
      const rows = store.all<{ shard_bitmap: string }>(
        'SELECT shard_bitmap FROM signing WHERE tx_seq = ?',
        txSeq,
      )
      return rows.some((row) => ((BigInt(row.shard_bitmap) >> BigInt(index)) & 1n) === 1n)
    },

    /** Forgets proposals and promises of a submission that can no longer be sealed with them. */
    forget(txSeq: bigint): void {
      store.transaction((tx) => {
        tx.run('DELETE FROM proposal WHERE tx_seq = ?', txSeq)
        tx.run('DELETE FROM signing WHERE tx_seq = ?', txSeq)
      })
    },
  }
}

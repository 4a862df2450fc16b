import type { Store } from '../kernel/store.ts'

/** Money that this provider has agreed to let go at once, and that its user may not have taken yet. */
export type ReleaseEntry = {
  readonly user: string
  readonly amountWei: bigint
  readonly nonce: bigint
  /** Chain time after which the contract takes it no more. */
  readonly validUntilSec: bigint
}

/** The newest release of each user, on disk before it is signed: until it is over, its amount pays for nothing else. */
export type ReleaseBook = {
  find(user: string): ReleaseEntry | undefined
  all(): ReleaseEntry[]
  heldWei(user: string): bigint
  /** Notes a release with a nonce above that of the chain and of all before. The one that is there, while there is one. */
  open(wish: Omit<ReleaseEntry, 'nonce'>, chainNonce: bigint): ReleaseEntry
  /** It was used, or has expired. */
  drop(entry: ReleaseEntry): void
}

const STEPS = [
  `CREATE TABLE compute_release (
     user TEXT PRIMARY KEY,
     amount_wei TEXT NOT NULL,
     nonce INTEGER NOT NULL,
     valid_until INTEGER NOT NULL
   ) STRICT;`,
]

type Row = { user: string; amount_wei: string; nonce: number; valid_until: number }

/** Opens the book in the agent's database. */
export function openReleaseBook(store: Store): ReleaseBook {
  store.migrate('compute-releases', STEPS)
  const entries = new Map(
    store.all<Row>('SELECT * FROM compute_release').map((row): [string, ReleaseEntry] => [
      row.user,
      {
        user: row.user,
        amountWei: BigInt(row.amount_wei),
        nonce: BigInt(row.nonce),
        validUntilSec: BigInt(row.valid_until),
      },
    ]),
  )
  return {
    find: (user) => entries.get(user),
    all: () => [...entries.values()],
    heldWei: (user) => entries.get(user)?.amountWei ?? 0n,

    open(wish, chainNonce) {
      const known = entries.get(wish.user)
      if (known !== undefined) return known
      // The clock keeps nonces rising where a data folder was lost, or an entry dropped.
      const clock = BigInt(Date.now())
      const entry = { ...wish, nonce: clock > chainNonce ? clock : chainNonce + 1n }
      store.run(
        'INSERT INTO compute_release VALUES (?, ?, ?, ?)',
        ...[entry.user, String(entry.amountWei), Number(entry.nonce), Number(entry.validUntilSec)],
      )
      entries.set(entry.user, entry)
      return entry
    },

    drop({ user, nonce }) {
      if (entries.get(user)?.nonce !== nonce) return
      store.run('DELETE FROM compute_release WHERE user = ?', user)
      entries.delete(user)
    },
  }
}

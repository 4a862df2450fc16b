import type { Store, StoreTx } from '../kernel/store.ts'

/** Units that a gate's owner grants: at most `freeUnits` to `subject` in the period that begins with block `period`. */
export type FreeQuota = { readonly subject: string; readonly period: number; readonly freeUnits: number }

/** Free units that a receipt uses up. */
export type FreeUse = { readonly subject: string; readonly period: number; readonly units: number }

/** Room for the free units of one request, and whose they are. `release` gives it back, once: after the receipt. */
export type FreeHold = { readonly units: number; readonly use: FreeUse | undefined; release(): void }

/** How much of each free quota this agent has served: on disk with the receipts, and what is set aside for requests. */
export type FreeBook = {
  /** Sets aside what is left of the quota, at most `units`; nothing without a quota. */
  hold(quota: FreeQuota | undefined, units: number): FreeHold
  /** Units that the receipts of this quota have used. */
  usedUnits(quota: Pick<FreeQuota, 'subject' | 'period'>): number
}

const NOTHING: FreeHold = { units: 0, use: undefined, release: () => undefined }

/** One row a subject: periods only follow each other, so what an earlier one has used no longer counts. */
const STEPS = [
  `CREATE TABLE compute_free_use (
     subject TEXT PRIMARY KEY,
     period INTEGER NOT NULL,
     units INTEGER NOT NULL
   ) STRICT;`,
]

/** Opens the book in the agent's database. */
export function openFreeBook(store: Store): FreeBook {
  store.migrate('compute-free', STEPS)
  const held = new Map<string, number>()

  function usedUnits({ subject, period }: Pick<FreeQuota, 'subject' | 'period'>): number {
    const row = store.get<{ period: number; units: number }>(
      'SELECT period, units FROM compute_free_use WHERE subject = ?',
      subject,
    )
    if (row === undefined || row.period < period) return 0
    // A period that is over has nothing left, whatever the caller last heard of the chain.
    return row.period === period ? row.units : Number.POSITIVE_INFINITY
  }

  return {
    usedUnits,

    hold(quota, wanted) {
      if (quota === undefined) return NOTHING
      const { subject, period, freeUnits } = quota
      const key = `${subject}:${period}`
      const units = Math.min(wanted, freeUnits - usedUnits(quota) - (held.get(key) ?? 0))
      if (units <= 0) return NOTHING
      held.set(key, (held.get(key) ?? 0) + units)
      let isReleased = false
      return {
        units,
        use: { subject, period, units },
        release() {
          if (isReleased) return
          isReleased = true
          const rest = (held.get(key) ?? 0) - units
          if (rest > 0) held.set(key, rest)
          else held.delete(key)
        },
      }
    },
  }
}

/** Counts free units, in the transaction that writes their receipt. */
export function writeFreeUse(tx: StoreTx, { subject, period, units }: FreeUse): void {
  tx.run(
    `INSERT INTO compute_free_use VALUES (?, ?, ?)
     ON CONFLICT (subject) DO UPDATE SET
       units = CASE WHEN period = excluded.period THEN units + excluded.units ELSE excluded.units END,
       period = excluded.period
     WHERE period <= excluded.period`,
    ...[subject, period, units],
  )
}

import { ZerogError } from '../../../sdk/protocol/errors.ts'
import type { Store } from '../../kernel/store.ts'
import { formatWei } from '../format.ts'

/** What may be spent in a UTC day, counted on disk before a request goes out. */
export type DayBudget = {
  /** Sets the most that a request may cost aside. Throws INFERENCE_LIMIT_REACHED when the day has not that much left. */
  reserve(mostWei: bigint): Reservation
  spentTodayWei(): bigint
}

/** Set aside until it is closed; what is never closed, because the process died, stays spent. */
export type Reservation = {
  /** Puts what it really cost in its place; a second call changes nothing. */
  close(spentWei: bigint): void
}

const STEPS = [
  `CREATE TABLE proxy_spend (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     day INTEGER NOT NULL,
     wei TEXT NOT NULL
   ) STRICT;
   CREATE INDEX proxy_spend_day ON proxy_spend (day);`,
]

const DAY_MS = 86_400_000
const KEEP_DAYS = 31

/** `limitWei` undefined: counts, and lets everything through. */
export function openDayBudget(
  store: Store,
  { limitWei, nowMs = Date.now }: { limitWei: bigint | undefined; nowMs?: () => number },
): DayBudget {
  store.migrate('proxy-spend', STEPS)
  const today = () => Math.floor(nowMs() / DAY_MS)
  store.run('DELETE FROM proxy_spend WHERE day < ?', today() - KEEP_DAYS)

  function spentWei(day: number): bigint {
    // Amounts may be longer than SQLite's integers, so they are added here; closed ones are folded into one row.
    const rows = store.all<{ wei: string }>('SELECT wei FROM proxy_spend WHERE day = ?', day)
    return rows.reduce((sum, { wei }) => sum + BigInt(wei), 0n)
  }

  /** One row a day holds all that is closed: a busy day stays quick to add up. */
  function fold(id: number, day: number, wei: bigint): void {
    store.transaction(({ run, get }) => {
      if (run('DELETE FROM proxy_spend WHERE id = ?', id) === 0) return
      const closed = get<{ wei: string }>('SELECT wei FROM proxy_spend WHERE id = ?', -day)
      run(
        'INSERT INTO proxy_spend VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET wei = excluded.wei',
        ...[-day, day, String(BigInt(closed?.wei ?? '0') + wei)],
      )
    })
  }

  return {
    spentTodayWei: () => spentWei(today()),
    reserve(mostWei) {
      const day = today()
      const id = store.transaction(({ run, get }) => {
        const spent = spentWei(day)
        if (limitWei !== undefined && spent + mostWei > limitWei)
          throw new ZerogError(
            'INFERENCE_LIMIT_REACHED',
            `${formatWei(spent)} of today's ${formatWei(limitWei)} are spent or set aside, and this may cost ${formatWei(mostWei)}`,
            { meta: { limitWei: String(limitWei), spentWei: String(spent) } },
          )
        run('INSERT INTO proxy_spend (day, wei) VALUES (?, ?)', day, String(mostWei))
        return get<{ id: number }>('SELECT last_insert_rowid() AS id')?.id ?? 0
      })
      return { close: (wei) => fold(id, day, wei) }
    },
  }
}

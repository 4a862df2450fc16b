import type { Row, Store } from './store.ts'

/** `mined` is confirmed but not yet handed to a caller; `delivered` is kept a while in case a reorg drops it. */
export type TxState = 'pending' | 'mined' | 'delivered'

/** `cancel` is a no-op that frees the nonce of a transaction that is of no more use. */
export type AttemptKind = 'send' | 'cancel'

export type Fees = { readonly maxFeeWei: bigint; readonly tipWei: bigint }

/** One signed form of a transaction; a replacement adds another with the same nonce and higher fees. */
export type Attempt = Fees & {
  readonly hash: string
  readonly raw: string
  readonly kind: AttemptKind
  readonly sentBlock: number
}

export type JournalTx = {
  readonly id: number
  readonly label: string
  readonly nonce: number
  readonly to: string
  readonly data: string
  readonly valueWei: bigint
  readonly gasLimit: bigint
  readonly deadlineBlock: number | undefined
  readonly state: TxState
  readonly minedBlock: number | undefined
  readonly minedHash: string | undefined
  readonly attempts: readonly [Attempt, ...Attempt[]]
}

/** The durable record of every transaction of one key, written before a byte leaves the process. */
export type TxJournal = ReturnType<typeof openTxJournal>

type TxRow = Row & {
  id: number
  label: string
  nonce: number
  target: string
  data: string
  value_wei: string
  gas_limit: string
  deadline_block: number | null
  state: TxState
  mined_block: number | null
  mined_hash: string | null
}

type AttemptRow = Row & {
  hash: string
  raw: string
  kind: AttemptKind
  max_fee_wei: string
  tip_wei: string
  sent_block: number
}

type NewTx = Pick<JournalTx, 'label' | 'nonce' | 'to' | 'data' | 'valueWei' | 'gasLimit' | 'deadlineBlock'>

export function openTxJournal(store: Store, sender: string) {
  const attemptsOf = (id: number): [Attempt, ...Attempt[]] => {
    const [first, ...rest] = store
      .all<AttemptRow>('SELECT * FROM kernel_attempt WHERE tx = ? ORDER BY rowid', id)
      .map((row) => ({
        hash: row.hash,
        raw: row.raw,
        kind: row.kind,
        maxFeeWei: BigInt(row.max_fee_wei),
        tipWei: BigInt(row.tip_wei),
        sentBlock: row.sent_block,
      }))
    if (!first) throw new RangeError(`transaction ${id} of the journal has no attempt`)
    return [first, ...rest]
  }

  const toTx = (row: TxRow): JournalTx => ({
    id: row.id,
    label: row.label,
    nonce: row.nonce,
    to: row.target,
    data: row.data,
    valueWei: BigInt(row.value_wei),
    gasLimit: BigInt(row.gas_limit),
    deadlineBlock: row.deadline_block ?? undefined,
    state: row.state,
    minedBlock: row.mined_block ?? undefined,
    minedHash: row.mined_hash ?? undefined,
    attempts: attemptsOf(row.id),
  })

  const addAttempt = (id: number, attempt: Attempt): void => {
    const { hash, raw, kind, maxFeeWei, tipWei, sentBlock } = attempt
    const values = [hash, id, raw, kind, String(maxFeeWei), String(tipWei), sentBlock]
    store.run('INSERT INTO kernel_attempt VALUES (?, ?, ?, ?, ?, ?, ?)', ...values)
  }

  return {
    /** Records a transaction with its first signed form, in one durable write. */
    insert: (tx: NewTx, attempt: Attempt): JournalTx =>
      store.transaction(() => {
        store.run(
          `INSERT INTO kernel_tx (sender, label, nonce, target, data, value_wei, gas_limit, deadline_block, state)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending')`,
          ...[sender, tx.label, tx.nonce, tx.to, tx.data, String(tx.valueWei), String(tx.gasLimit)],
          tx.deadlineBlock ?? null,
        )
        const id = store.get<{ id: number }>('SELECT last_insert_rowid() AS id')?.id ?? 0
        addAttempt(id, attempt)
        return {
          ...tx,
          id,
          state: 'pending',
          minedBlock: undefined,
          minedHash: undefined,
          attempts: [attempt],
        }
      }),
    addAttempt,
    /** All that is kept, in order of nonce. */
    all: (): JournalTx[] =>
      store.all<TxRow>('SELECT * FROM kernel_tx WHERE sender = ? ORDER BY nonce, id', sender).map(toTx),
    /** The transaction of a label that no caller has had the outcome of. */
    open: (label: string): JournalTx | undefined => {
      const row = store.get<TxRow>(
        "SELECT * FROM kernel_tx WHERE sender = ? AND label = ? AND state <> 'delivered' ORDER BY id DESC",
        sender,
        label,
      )
      return row && toTx(row)
    },
    pendingCount: (): number =>
      store.get<{ n: number }>(
        "SELECT count(*) AS n FROM kernel_tx WHERE sender = ? AND state = 'pending'",
        sender,
      )?.n ?? 0,
    markMined: (id: number, block: number, hash: string): void => {
      store.run(
        "UPDATE kernel_tx SET state = 'mined', mined_block = ?, mined_hash = ? WHERE id = ?",
        block,
        hash,
        id,
      )
    },
    markDelivered: (id: number): void => {
      store.run("UPDATE kernel_tx SET state = 'delivered' WHERE id = ?", id)
    },
    markPending: (id: number): void => {
      store.run(
        "UPDATE kernel_tx SET state = 'pending', mined_block = NULL, mined_hash = NULL WHERE id = ?",
        id,
      )
    },
    remove: (id: number): void => {
      store.run('DELETE FROM kernel_tx WHERE id = ?', id)
    },
    /** Forgets what is too deep to be dropped by a reorg. */
    prune: (deliveredBelow: number, minedBelow: number): void => {
      store.run(
        `DELETE FROM kernel_tx WHERE sender = ? AND
         ((state = 'delivered' AND mined_block < ?) OR (state = 'mined' AND mined_block < ?))`,
        sender,
        deliveredBelow,
        minedBelow,
      )
    },
  }
}

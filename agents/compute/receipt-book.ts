import { modelHash, NO_TRACE, type Receipt } from '../../sdk/protocol/receipt.ts'
import type { Store, StoreTx } from '../kernel/store.ts'
import { type FreeUse, writeFreeUse } from './free-book.ts'

/** A response as it was served and will be billed. Hashes without 0x in `text`, as its signature covers them. */
export type ServedResponse = {
  readonly chatId: string
  readonly user: string
  readonly model: string
  readonly requestSha256: string
  readonly responseSha256: string
  readonly inputUnits: number
  readonly outputUnits: number
  readonly feeWei: bigint
  readonly priceEpoch: bigint
  readonly signature: string
  readonly signer: string
  /** Units among them that nobody pays. */
  readonly free?: FreeUse | undefined
}

export type BookedReceipt = ServedResponse & { readonly nonce: bigint }

/** A claim over receipts of one user, as it was or will be sent. */
export type SettlementRow = {
  readonly id: number
  readonly user: string
  /** Nonce of its last receipt. */
  readonly nonce: bigint
}

/** Every receipt of this agent, durable before the last byte of its response leaves. */
export type ReceiptBook = {
  /** Resolves once the receipt is on disk. Many that come together share one write. */
  add(response: ServedResponse, nonceAbove: bigint): Promise<BookedReceipt>
  find(chatId: string): BookedReceipt | undefined
  /** Fees of a user that no settlement has taken yet. */
  unsettledWei(user: string): bigint
  totalUnsettledWei(): bigint
  /**
   * When the oldest receipt with a fee was written that is not settled, or when it was last tried: one that nobody can pay must
   * not have all others settled at every block. Undefined when all are.
   */
  oldestUnsettledMs(): number | undefined
  /** When the oldest of them was written, however often it was tried. */
  unsettledSinceMs(): number | undefined
  /** Users with receipts in no settlement yet. */
  waitingUsers(): string[]
  /**
   * Closes receipts in no settlement whose nonce the chain has passed. There are none unless this data folder is older than
   * what was settled, as after a restore: they would be billed twice.
   */
  closePassed(user: string, nonce: bigint): number
  /**
   * Puts receipts that wait into settlements of one user and at most 64 receipts each, and returns those that are open: those of
   * one user in the order of their nonces, since the chain passes over a nonce below one that it has.
   */
  openSettlements(most: number): SettlementRow[]
  /** The settlement cannot be sent now: other users come first from here on. */
  postpone(settlementId: number): void
  /** The receipts of a settlement, by nonce. */
  receiptsOf(settlementId: number): Receipt[]
  findSettlement(user: string, nonce: bigint): SettlementRow | undefined
  /** The settlement counts on chain: its receipts are paid, as far as the user could pay. */
  close(settlementId: number): void
  /** Gives up receipts of an open settlement, by nonce; the others are in a new one afterwards. */
  giveUp(settlementId: number, nonces: ReadonlySet<bigint>): void
  /** Forgets settlements closed before, their receipts, and receipts without a fee written before. */
  prune(beforeMs: number): number
}

const STEPS = [
  `CREATE TABLE compute_nonce (user TEXT PRIMARY KEY, nonce INTEGER NOT NULL) STRICT;
   CREATE TABLE compute_settlement (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     user TEXT NOT NULL,
     nonce INTEGER NOT NULL,
     state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
     postponed_ms INTEGER NOT NULL DEFAULT 0,
     UNIQUE (user, nonce)
   ) STRICT;
   CREATE INDEX compute_settlement_open ON compute_settlement (postponed_ms, id) WHERE state = 'open';
   CREATE TABLE compute_receipt (
     chat_id TEXT PRIMARY KEY,
     user TEXT NOT NULL,
     nonce INTEGER NOT NULL,
     model TEXT NOT NULL,
     request_sha256 TEXT NOT NULL,
     response_sha256 TEXT NOT NULL,
     input_units INTEGER NOT NULL,
     output_units INTEGER NOT NULL,
     fee_wei TEXT NOT NULL,
     price_epoch INTEGER NOT NULL,
     signature TEXT NOT NULL,
     signer TEXT NOT NULL,
     written_ms INTEGER NOT NULL,
     settlement INTEGER REFERENCES compute_settlement (id),
     UNIQUE (user, nonce)
   ) STRICT;
   CREATE INDEX compute_receipt_settlement ON compute_receipt (settlement, user, nonce);
   CREATE INDEX compute_receipt_written ON compute_receipt (written_ms);`,
  `ALTER TABLE compute_settlement ADD COLUMN closed_ms INTEGER;
   UPDATE compute_settlement SET closed_ms = unixepoch() * 1000 WHERE state = 'closed';`,
  // Receipts without a fee are in no settlement either, and there may be millions of them.
  `CREATE INDEX compute_receipt_waiting ON compute_receipt (written_ms) WHERE settlement IS NULL AND fee_wei <> '0';`,
]
/** Receipts with a fee in no settlement. The planner would rather look through all that cost nothing. */
const WAITING =
  "compute_receipt INDEXED BY compute_receipt_waiting WHERE settlement IS NULL AND fee_wei <> '0'"
const WAITING_SINCE = `SELECT min(written_ms) AS oldest FROM ${WAITING}`

/** Most receipts of one settlement: as many as the contract takes in answer to a demand. */
export const RECEIPTS_PER_SETTLEMENT = 64

type ReceiptRow = {
  chat_id: string
  user: string
  nonce: number
  model: string
  request_sha256: string
  response_sha256: string
  input_units: number
  output_units: number
  fee_wei: string
  price_epoch: number
  signature: string
  signer: string
  written_ms: number
  settlement: number | null
}
type Waiting = { response: ServedResponse; nonceAbove: bigint } & PromiseWithResolvers<BookedReceipt>

/** Opens the book in the agent's database. */
export function openReceiptBook(store: Store): ReceiptBook {
  store.migrate('compute-receipts', STEPS)
  const unsettled = new Map<string, bigint>()
  let waiting: Waiting[] = []

  const owe = (user: string, feeWei: bigint) => {
    const sum = (unsettled.get(user) ?? 0n) + feeWei
    if (sum === 0n) unsettled.delete(user)
    else unsettled.set(user, sum)
  }
  const unpaid = store.all<{ user: string; fee_wei: string }>(
    `SELECT compute_receipt.user AS user, fee_wei FROM compute_receipt
     LEFT JOIN compute_settlement ON compute_settlement.id = settlement
     WHERE settlement IS NULL OR state = 'open'`,
  )
  for (const row of unpaid) owe(row.user, BigInt(row.fee_wei))

  function write(tx: StoreTx, { response, nonceAbove }: Waiting): BookedReceipt {
    const { user } = response
    const last = tx.get<{ nonce: number }>('SELECT nonce FROM compute_nonce WHERE user = ?', user)?.nonce ?? 0
    // The clock keeps nonces rising where a data folder was lost; the rest keeps them rising where a clock was set back.
    const nonce = Math.max(last + 1, Number(nonceAbove) + 1, Date.now())
    tx.run(
      'INSERT INTO compute_nonce VALUES (?, ?) ON CONFLICT (user) DO UPDATE SET nonce = excluded.nonce',
      user,
      nonce,
    )
    tx.run(
      'INSERT INTO compute_receipt VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)',
      ...[response.chatId, user, nonce, response.model, response.requestSha256, response.responseSha256],
      ...[response.inputUnits, response.outputUnits, String(response.feeWei), Number(response.priceEpoch)],
      ...[response.signature, response.signer, Date.now()],
    )
    if (response.free !== undefined) writeFreeUse(tx, response.free)
    return { ...response, nonce: BigInt(nonce) }
  }

  function flush(): void {
    const batch = waiting
    waiting = []
    try {
      const booked = store.transaction((tx) => batch.map((entry) => write(tx, entry)))
      batch.forEach((entry, i) => {
        owe(entry.response.user, entry.response.feeWei)
        const receipt = booked[i]
        if (receipt) entry.resolve(receipt)
      })
    } catch (error) {
      for (const entry of batch) entry.reject(error)
    }
  }

  function assign(tx: StoreTx): void {
    const rows = tx.all<{ chat_id: string; user: string; nonce: number }>(
      `SELECT chat_id, user, nonce FROM ${WAITING} ORDER BY user, nonce`,
    )
    const users = Map.groupBy(rows, ({ user }) => user)
    for (const [user, own] of users) {
      for (let at = 0; at < own.length; at += RECEIPTS_PER_SETTLEMENT) {
        const part = own.slice(at, at + RECEIPTS_PER_SETTLEMENT)
        open(tx, user, part)
      }
    }
  }

  function open(tx: StoreTx, user: string, part: readonly { chat_id: string; nonce: number }[]): number {
    tx.run(
      "INSERT INTO compute_settlement (user, nonce, state) VALUES (?, ?, 'open')",
      user,
      part.at(-1)?.nonce ?? 0,
    )
    const id = tx.get<{ id: number }>('SELECT last_insert_rowid() AS id')?.id ?? 0
    for (const { chat_id } of part)
      tx.run('UPDATE compute_receipt SET settlement = ? WHERE chat_id = ?', id, chat_id)
    return id
  }

  /** Closes an open settlement; its receipts, if it was one. */
  function shut(tx: StoreTx, settlementId: number): { user: string; fee_wei: string }[] {
    const changed = tx.run(
      "UPDATE compute_settlement SET state = 'closed', closed_ms = ? WHERE id = ? AND state = 'open'",
      ...[Date.now(), settlementId],
    )
    if (changed === 0) return []
    return tx.all('SELECT user, fee_wei FROM compute_receipt WHERE settlement = ?', settlementId)
  }

  function oldestOf(...queries: string[]): number | undefined {
    const oldest = queries.flatMap((query) => store.get<{ oldest: number | null }>(query)?.oldest ?? [])
    return oldest.length === 0 ? undefined : Math.min(...oldest)
  }

  const paid = (rows: readonly { user: string; fee_wei: string }[]) => {
    for (const row of rows) owe(row.user, -BigInt(row.fee_wei))
    return rows.length
  }

  return {
    add(response, nonceAbove) {
      const entry = { response, nonceAbove, ...Promise.withResolvers<BookedReceipt>() }
      waiting.push(entry)
      if (waiting.length === 1) setImmediate(flush)
      return entry.promise
    },

    find(chatId) {
      const row = store.get<ReceiptRow>('SELECT * FROM compute_receipt WHERE chat_id = ?', chatId)
      return row && booked(row)
    },

    unsettledWei: (user) => unsettled.get(user) ?? 0n,
    totalUnsettledWei: () => [...unsettled.values()].reduce((sum, wei) => sum + wei, 0n),

    oldestUnsettledMs: () =>
      oldestOf(
        WAITING_SINCE,
        `SELECT min(max(written_ms, postponed_ms)) AS oldest FROM compute_receipt
         JOIN compute_settlement ON compute_settlement.id = settlement WHERE state = 'open'`,
      ),

    unsettledSinceMs: () =>
      oldestOf(
        WAITING_SINCE,
        `SELECT min(written_ms) AS oldest FROM compute_receipt
         JOIN compute_settlement ON compute_settlement.id = settlement WHERE state = 'open'`,
      ),

    postpone(settlementId) {
      store.run('UPDATE compute_settlement SET postponed_ms = ? WHERE id = ?', Date.now(), settlementId)
    },

    waitingUsers: () =>
      store.all<{ user: string }>(`SELECT DISTINCT user FROM ${WAITING}`).map(({ user }) => user),

    closePassed: (user, nonce) =>
      paid(
        store.transaction((tx) => {
          const rows = tx.all<{ chat_id: string; nonce: number }>(
            `SELECT chat_id, nonce FROM ${WAITING} AND user = ? AND nonce <= ? ORDER BY nonce`,
            ...[user, Number(nonce)],
          )
          return rows.length === 0 ? [] : shut(tx, open(tx, user, rows))
        }),
      ),

    openSettlements: (most) =>
      store.transaction((tx) => {
        assign(tx)
        return tx
          .all<{ id: number; user: string; nonce: number }>(
            `SELECT id, user, nonce FROM compute_settlement WHERE state = 'open'
             ORDER BY max(postponed_ms) OVER (PARTITION BY user), min(id) OVER (PARTITION BY user), nonce LIMIT ?`,
            most,
          )
          .map(settlementOf)
      }),

    receiptsOf: (settlementId) =>
      store
        .all<ReceiptRow>('SELECT * FROM compute_receipt WHERE settlement = ? ORDER BY nonce', settlementId)
        .map((row) => receiptOf(booked(row))),

    findSettlement(user, nonce) {
      const row = store.get<{ id: number; user: string; nonce: number }>(
        'SELECT id, user, nonce FROM compute_settlement WHERE user = ? AND nonce = ?',
        user,
        Number(nonce),
      )
      return row && settlementOf(row)
    },

    close: (settlementId) => void paid(store.transaction((tx) => shut(tx, settlementId))),

    giveUp: (settlementId, nonces) =>
      void paid(
        store.transaction((tx) => {
          const rows = tx.all<{ chat_id: string; user: string; nonce: number }>(
            `SELECT chat_id, compute_receipt.user AS user, compute_receipt.nonce AS nonce FROM compute_receipt
             JOIN compute_settlement ON compute_settlement.id = settlement
             WHERE settlement = ? AND state = 'open' ORDER BY nonce`,
            settlementId,
          )
          const user = rows[0]?.user
          if (user === undefined) return []
          const isLost = ({ nonce }: { nonce: number }) => nonces.has(BigInt(nonce))
          const [lost, kept] = [rows.filter(isLost), rows.filter((row) => !isLost(row))]
          if (lost.length === 0) return []
          if (kept.length === 0) return shut(tx, settlementId)
          tx.run('UPDATE compute_receipt SET settlement = NULL WHERE settlement = ?', settlementId)
          tx.run('DELETE FROM compute_settlement WHERE id = ?', settlementId)
          open(tx, user, kept)
          return shut(tx, open(tx, user, lost))
        }),
      ),

    prune: (beforeMs) =>
      store.transaction((tx) => {
        const settled = "(SELECT id FROM compute_settlement WHERE state = 'closed' AND closed_ms < ?)"
        const count = tx.run(
          `DELETE FROM compute_receipt WHERE settlement IN ${settled} OR (fee_wei = '0' AND written_ms < ?)`,
          ...[beforeMs, beforeMs],
        )
        tx.run(
          `DELETE FROM compute_settlement WHERE state = 'closed'
           AND NOT EXISTS (SELECT 1 FROM compute_receipt WHERE settlement = compute_settlement.id)`,
        )
        return count
      }),
  }
}

/** A receipt in the form of the contracts. */
export function receiptOf(booked: BookedReceipt): Receipt {
  return {
    requestHash: `0x${booked.requestSha256}`,
    responseHash: `0x${booked.responseSha256}`,
    modelHash: modelHash(booked.model),
    inputUnits: BigInt(booked.inputUnits),
    outputUnits: BigInt(booked.outputUnits),
    feeWei: booked.feeWei,
    priceEpoch: booked.priceEpoch,
    nonce: booked.nonce,
    traceRoot: NO_TRACE,
  }
}

function booked(row: ReceiptRow): BookedReceipt {
  return {
    chatId: row.chat_id,
    user: row.user,
    model: row.model,
    requestSha256: row.request_sha256,
    responseSha256: row.response_sha256,
    inputUnits: row.input_units,
    outputUnits: row.output_units,
    feeWei: BigInt(row.fee_wei),
    priceEpoch: BigInt(row.price_epoch),
    signature: row.signature,
    signer: row.signer,
    nonce: BigInt(row.nonce),
  }
}

function settlementOf(row: { id: number; user: string; nonce: number }): SettlementRow {
  return { id: row.id, user: row.user, nonce: BigInt(row.nonce) }
}

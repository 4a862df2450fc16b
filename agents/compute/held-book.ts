import { zeroPadValue } from 'ethers'
import type { AddressBook } from '../../sdk/chain/address-book.ts'
import { computeEventFilter, decodeComputeEvent } from '../../sdk/chain/compute-events.ts'
import type { ChainLog, Follower } from '../kernel/follower.ts'
import type { Store } from '../kernel/store.ts'

/** A held fee of this provider as its events told it; what counts is the chain's state of it. */
export type HeldEntry = { readonly heldId: bigint; readonly user: string; readonly isDemanded: boolean }

/** The fees of this provider that are held and not over. */
export type HeldBook = {
  /** Those that nobody has demanded, the oldest first: one whose receipts are lost stays until its user takes it back. */
  open(most: number): HeldEntry[]
  demanded(): HeldEntry[]
  follower(book: AddressBook, provider: string): Follower
}

const STEPS = [
  `CREATE TABLE compute_held (
     held_id INTEGER PRIMARY KEY,
     user TEXT NOT NULL,
     block INTEGER NOT NULL,
     demanded_block INTEGER,
     over_block INTEGER
   ) STRICT;`,
]
const EVENTS = ['FeeHeld', 'ReceiptsDemanded', 'HeldFeeReleased', 'HeldFeeReturned'] as const

type Row = { held_id: number; user: string; demanded_block: number | null }

export function openHeldBook(store: Store): HeldBook {
  store.migrate('compute-held', STEPS)
  const entry = (row: Row): HeldEntry => ({
    heldId: BigInt(row.held_id),
    user: row.user,
    isDemanded: row.demanded_block !== null,
  })
  const fields = 'held_id, user, demanded_block'
  return {
    open: (most) =>
      store
        .all<Row>(
          `SELECT ${fields} FROM compute_held WHERE over_block IS NULL AND demanded_block IS NULL
           ORDER BY held_id LIMIT ?`,
          most,
        )
        .map(entry),
    demanded: () =>
      store
        .all<Row>(
          `SELECT ${fields} FROM compute_held WHERE over_block IS NULL AND demanded_block IS NOT NULL`,
        )
        .map(entry),

    follower(book, provider) {
      const own = zeroPadValue(provider, 32)
      return {
        name: 'held-fees',
        ...computeEventFilter(book, EVENTS),
        fromBlock: book.contracts.InferenceServing?.block ?? book.deployedAtBlock,
        eventName: (log) => decodeComputeEvent(book, log)?.name,

        onLogs(logs, tx) {
          for (const log of logs) {
            const event = decodeComputeEvent(book, log)
            if (event === undefined) continue
            if (event.name === 'FeeHeld') {
              if (!isOwn(log, own)) continue
              const { heldId, user } = event.args
              tx.run(
                'INSERT OR REPLACE INTO compute_held VALUES (?, ?, ?, NULL, NULL)',
                ...[Number(heldId), user, log.blockNumber],
              )
            }
            if (event.name === 'ReceiptsDemanded')
              tx.run(
                'UPDATE compute_held SET demanded_block = ? WHERE held_id = ?',
                ...[log.blockNumber, Number(event.args.heldId)],
              )
            if (event.name === 'HeldFeeReleased' || event.name === 'HeldFeeReturned')
              tx.run(
                'UPDATE compute_held SET over_block = ? WHERE held_id = ?',
                ...[log.blockNumber, Number(event.args.heldId)],
              )
          }
        },

        onRollback(toBlock, tx) {
          tx.run('DELETE FROM compute_held WHERE block > ?', toBlock)
          tx.run('UPDATE compute_held SET demanded_block = NULL WHERE demanded_block > ?', toBlock)
          tx.run('UPDATE compute_held SET over_block = NULL WHERE over_block > ?', toBlock)
        },
      }
    },
  }
}

function isOwn({ topics }: ChainLog, provider: string): boolean {
  return topics.at(-1)?.toLowerCase() === provider.toLowerCase()
}

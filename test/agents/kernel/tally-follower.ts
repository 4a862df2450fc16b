import type { Follower } from '../../../agents/kernel/follower.ts'
import type { Store } from '../../../agents/kernel/store.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { tallyInterface } from './kernel-fixture.ts'

const TABLE =
  'CREATE TABLE seen (number INTEGER PRIMARY KEY, block INTEGER NOT NULL, times INTEGER NOT NULL) STRICT'

/** A follower of the TallyMock that keeps its numbered events and refuses gaps, as real followers must. */
export function tallyFollower(store: Store, address: string, options: Partial<Follower> = {}): Follower {
  store.migrate('tally-follower', [TABLE])
  return {
    name: 'tally',
    address,
    fromBlock: 0,
    onLogs: (logs, tx) => {
      for (const log of logs) {
        const number = Number(tallyInterface.decodeEventLog('Counted', log.data, log.topics)[0])
        const last = tx.get<{ number: number; block: number }>(
          'SELECT * FROM seen ORDER BY number DESC LIMIT 1',
        )
        if (number !== (last?.number ?? 0) + 1) {
          throw new ZerogError('LOG_GAP', undefined, { meta: { number, fromBlock: last?.block ?? 0 } })
        }
        tx.run(
          'INSERT INTO seen VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET times = times + 1',
          number,
          log.blockNumber,
        )
      }
    },
    onRollback: (toBlock, tx) => {
      tx.run('DELETE FROM seen WHERE block > ?', toBlock)
    },
    eventName: () => 'Counted',
    ...options,
  }
}

/** The numbers and blocks seen, in order. */
export function seen(store: Store) {
  return store
    .all<{ number: number; block: number; times: number }>('SELECT * FROM seen ORDER BY number')
    .map((row) => ({ ...row }))
}

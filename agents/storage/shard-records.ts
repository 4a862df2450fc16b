import type { Store } from '../kernel/store.ts'
import type { ShardKey } from './shard-files.ts'

/** The durable record of a shard; bytes without a record are garbage. */
export type ShardRecord = ShardKey & {
  readonly root: string
  readonly bytes: number
  readonly owner: string
  readonly state: 'partial' | 'complete' | 'damaged'
  /** Unix seconds at which all its bytes were last hashed. */
  readonly checkedAtSec: number
}

type Row = {
  tx_seq: number
  shard_index: number
  root: string
  bytes: number
  owner: string
  state: string
  checked_at: number
}

const CLOCK_SLACK_SEC = 3600

const STEPS = [
  `CREATE TABLE shard (
     tx_seq INTEGER NOT NULL,
     shard_index INTEGER NOT NULL,
     root TEXT NOT NULL,
     bytes INTEGER NOT NULL,
     owner TEXT NOT NULL,
     state TEXT NOT NULL CHECK (state IN ('partial', 'complete', 'damaged')),
     checked_at INTEGER NOT NULL,
     PRIMARY KEY (tx_seq, shard_index)
   ) STRICT;
   CREATE INDEX shard_owner ON shard (owner);
   CREATE INDEX shard_checked ON shard (state, checked_at);`,
]

export type ShardRecords = ReturnType<typeof openShardRecords>

/** The table of shards in the agent's database. */
export function openShardRecords(store: Store) {
  store.migrate('shards', STEPS)
  return {
    get(key: ShardKey): ShardRecord | undefined {
      const row = store.get<Row>(
        'SELECT * FROM shard WHERE tx_seq = ? AND shard_index = ?',
        key.txSeq,
        key.index,
      )
      return row && fromRow(row)
    },
    list(txSeq?: bigint): ShardRecord[] {
      const rows =
        txSeq === undefined
          ? store.all<Row>('SELECT * FROM shard ORDER BY tx_seq, shard_index')
          : store.all<Row>('SELECT * FROM shard WHERE tx_seq = ? ORDER BY shard_index', txSeq)
      return rows.map(fromRow)
    },
    /** The shards of the first `count` submissions from number `from` on. */
    page(from: bigint, count: number): ShardRecord[] {
      const rows = store.all<Row>(
        `SELECT * FROM shard WHERE tx_seq IN
           (SELECT DISTINCT tx_seq FROM shard WHERE tx_seq >= ? ORDER BY tx_seq LIMIT ?)
         ORDER BY tx_seq, shard_index`,
        from,
        count,
      )
      return rows.map(fromRow)
    },
    counts(): Record<ShardRecord['state'], number> {
      const rows = store.all<{ state: ShardRecord['state']; n: number }>(
        'SELECT state, count(*) AS n FROM shard GROUP BY state',
      )
      return {
        partial: 0,
        complete: 0,
        damaged: 0,
        ...Object.fromEntries(rows.map(({ state, n }) => [state, n])),
      }
    },
    /** The complete shard that was hashed longest ago; one hashed at a time to come was so while the clock was wrong: never. */
    leastChecked(): ShardRecord | undefined {
      const future = store.get<Row>(
        "SELECT * FROM shard WHERE state = 'complete' AND checked_at > ? LIMIT 1",
        Math.floor(Date.now() / 1000) + CLOCK_SLACK_SEC,
      )
      if (future) return fromRow({ ...future, checked_at: 0 })
      const row = store.get<Row>("SELECT * FROM shard WHERE state = 'complete' ORDER BY checked_at LIMIT 1")
      return row && fromRow(row)
    },
    put(record: ShardRecord): void {
      store.run(
        'INSERT INTO shard VALUES (?, ?, ?, ?, ?, ?, ?)',
        record.txSeq,
        record.index,
        record.root,
        record.bytes,
        record.owner,
        record.state,
        record.checkedAtSec,
      )
    },
    /** A shard of which all bytes were just hashed and are right. */
    setChecked(key: ShardKey): void {
      store.run(
        "UPDATE shard SET state = 'complete', checked_at = ? WHERE tx_seq = ? AND shard_index = ?",
        Math.floor(Date.now() / 1000),
        key.txSeq,
        key.index,
      )
    },
    setState(key: ShardKey, state: 'damaged'): void {
      store.run(
        'UPDATE shard SET state = ? WHERE tx_seq = ? AND shard_index = ?',
        state,
        key.txSeq,
        key.index,
      )
    },
    remove(key: ShardKey): void {
      store.run('DELETE FROM shard WHERE tx_seq = ? AND shard_index = ?', key.txSeq, key.index)
    },
  }
}

function fromRow(row: Row): ShardRecord {
  return {
    txSeq: BigInt(row.tx_seq),
    index: row.shard_index,
    root: row.root,
    bytes: row.bytes,
    owner: row.owner,
    state: row.state as ShardRecord['state'],
    checkedAtSec: row.checked_at,
  }
}

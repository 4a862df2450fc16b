import type { AddressBook } from '../../sdk/chain/address-book.ts'
import { decodeJobEvent, jobEventFilter } from '../../sdk/chain/job-events.ts'
import type { Follower } from '../kernel/follower.ts'
import type { Store } from '../kernel/store.ts'

/** How far the work on a job is. What is written here is never done again. */
export type JobWork = {
  readonly jobId: bigint
  /** Lines that are answered, and the bytes and units that the answers take. */
  readonly lines: number
  readonly bytes: number
  readonly units: number
  readonly errors: number
  readonly startedMs: number
  /** When the output was whole on disk; undefined while it is not. */
  readonly producedMs: number | undefined
  /** The output's submission, once it is sealed. */
  readonly outputTxSeq: bigint | undefined
}

/** What this agent knows of jobs: which may concern it, by their events, and its own work. What counts is the chain. */
export type JobBook = {
  /** Jobs that somebody may yet bid on: their ids, and who was named in the terms. */
  biddable(nowSec: bigint): { jobId: bigint; named: string }[]
  /** Jobs that this provider had last and that are not over. */
  own(): bigint[]
  /** Jobs of the work below that are over, or were lost to a cheaper bid. */
  finished(): bigint[]
  isAnswered(jobId: bigint): boolean
  work(jobId: bigint): JobWork | undefined
  /** Begins to keep the work on a job; does nothing when it has begun. */
  begin(jobId: bigint): void
  advance(jobId: bigint, done: Pick<JobWork, 'lines' | 'bytes' | 'units' | 'errors'>): void
  produced(jobId: bigint): void
  stored(jobId: bigint, outputTxSeq: bigint): void
  forget(jobId: bigint): void
  follower(book: AddressBook): Follower
}

const STEPS = [
  `CREATE TABLE compute_job_event (
     job_id INTEGER NOT NULL,
     block INTEGER NOT NULL,
     log_index INTEGER NOT NULL,
     name TEXT NOT NULL,
     provider TEXT,
     bids_until_sec INTEGER,
     PRIMARY KEY (block, log_index)
   ) STRICT;
   CREATE INDEX compute_job_event_job ON compute_job_event (job_id, block, log_index);
   CREATE TABLE compute_job_work (
     job_id INTEGER PRIMARY KEY,
     lines INTEGER NOT NULL DEFAULT 0,
     bytes INTEGER NOT NULL DEFAULT 0,
     units INTEGER NOT NULL DEFAULT 0,
     errors INTEGER NOT NULL DEFAULT 0,
     started_ms INTEGER NOT NULL,
     produced_ms INTEGER,
     output_tx_seq INTEGER
   ) STRICT;`,
]
const EVENTS = [
  'JobOpened',
  'JobAssigned',
  'JobDelivered',
  'JobDisputed',
  'DisputeAnswered',
  'JobClosed',
] as const

type EventRow = { job_id: number; name: string; provider: string | null; bids_until_sec: number | null }
type WorkRow = {
  job_id: number
  lines: number
  bytes: number
  units: number
  errors: number
  started_ms: number
  produced_ms: number | null
  output_tx_seq: number | null
}

/** Blocks after which the events of a job that is over are of no use, even if the chain turns back. */
const KEEP_BLOCKS = 10_000

export function openJobBook(store: Store, self: string): JobBook {
  store.migrate('compute-jobs', STEPS)
  /** The last event of each job that is not over, answers to disputes aside. */
  const latest = (): EventRow[] =>
    store.all<EventRow>(
      `SELECT job_id, name, provider, bids_until_sec FROM compute_job_event AS event
       WHERE name <> 'DisputeAnswered' AND NOT EXISTS (
         SELECT 1 FROM compute_job_event AS later WHERE later.job_id = event.job_id
         AND later.name <> 'DisputeAnswered'
         AND (later.block, later.log_index) > (event.block, event.log_index))
       AND name <> 'JobClosed' ORDER BY job_id`,
    )

  const own = (): bigint[] =>
    latest().flatMap(({ job_id, name, provider }) =>
      name !== 'JobOpened' && provider === self ? [BigInt(job_id)] : [],
    )

  return {
    own,

    biddable: (nowSec) =>
      latest().flatMap(({ job_id, name, provider, bids_until_sec }) => {
        const isOpen = name === 'JobOpened'
        const isContested =
          name === 'JobAssigned' && provider !== self && Number(nowSec) < (bids_until_sec ?? 0)
        return isOpen || isContested ? [{ jobId: BigInt(job_id), named: isOpen ? (provider ?? '') : '' }] : []
      }),

    finished() {
      const alive = new Set(own())
      const rows = store.all<{ job_id: number }>('SELECT job_id FROM compute_job_work')
      return rows.map(({ job_id }) => BigInt(job_id)).filter((jobId) => !alive.has(jobId))
    },

    isAnswered: (jobId) =>
      store.get(
        "SELECT 1 FROM compute_job_event WHERE job_id = ? AND name = 'DisputeAnswered'",
        Number(jobId),
      ) !== undefined,

    work(jobId) {
      const row = store.get<WorkRow>('SELECT * FROM compute_job_work WHERE job_id = ?', Number(jobId))
      return row && workOf(row)
    },
    begin: (jobId) =>
      void store.run(
        'INSERT OR IGNORE INTO compute_job_work (job_id, started_ms) VALUES (?, ?)',
        ...[Number(jobId), Date.now()],
      ),
    advance: (jobId, { lines, bytes, units, errors }) =>
      void store.run(
        'UPDATE compute_job_work SET lines = ?, bytes = ?, units = ?, errors = ? WHERE job_id = ?',
        ...[lines, bytes, units, errors, Number(jobId)],
      ),
    produced: (jobId) =>
      void store.run(
        'UPDATE compute_job_work SET produced_ms = ? WHERE job_id = ?',
        Date.now(),
        Number(jobId),
      ),
    stored: (jobId, outputTxSeq) =>
      void store.run(
        'UPDATE compute_job_work SET output_tx_seq = ? WHERE job_id = ?',
        ...[Number(outputTxSeq), Number(jobId)],
      ),
    forget: (jobId) => void store.run('DELETE FROM compute_job_work WHERE job_id = ?', Number(jobId)),

    follower: (book) => ({
      name: 'jobs',
      ...jobEventFilter(book, EVENTS),
      fromBlock: book.contracts.JobEscrow?.block ?? book.deployedAtBlock,
      eventName: (log) => decodeJobEvent(book, log)?.name,

      onLogs(logs, tx, { toBlock }) {
        for (const log of logs) {
          const event = decodeJobEvent(book, log)
          if (event === undefined) continue
          tx.run(
            'INSERT OR REPLACE INTO compute_job_event VALUES (?, ?, ?, ?, ?, ?)',
            ...[Number(event.args.jobId), log.blockNumber, log.logIndex, event.name],
            'provider' in event.args ? event.args.provider : null,
            event.name === 'JobAssigned' ? Number(event.args.bidsUntilSec) : null,
          )
        }
        tx.run(
          `DELETE FROM compute_job_event WHERE job_id IN (
             SELECT job_id FROM compute_job_event WHERE name = 'JobClosed' AND block < ?)`,
          toBlock - KEEP_BLOCKS,
        )
      },

      onRollback(toBlock, tx) {
        tx.run('DELETE FROM compute_job_event WHERE block > ?', toBlock)
      },
    }),
  }
}

function workOf(row: WorkRow): JobWork {
  return {
    jobId: BigInt(row.job_id),
    lines: row.lines,
    bytes: row.bytes,
    units: row.units,
    errors: row.errors,
    startedMs: row.started_ms,
    producedMs: row.produced_ms ?? undefined,
    outputTxSeq: row.output_tx_seq === null ? undefined : BigInt(row.output_tx_seq),
  }
}

import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite'
import { ZerogError } from '../../sdk/protocol/errors.ts'

export type Row = Record<string, SQLOutputValue>

/** Reads and writes inside or outside a transaction. Integers over 2^53 must be kept as text. */
export type StoreTx = {
  run(sql: string, ...params: SQLInputValue[]): number
  get<T extends Row>(sql: string, ...params: SQLInputValue[]): T | undefined
  all<T extends Row>(sql: string, ...params: SQLInputValue[]): T[]
}

/** The one SQLite file of an agent: synchronous, durable at each commit, and open in one process only. */
export type Store = StoreTx & {
  readonly path: string
  /** Runs `fn` in one transaction; an inner call joins the outer one. A throw rolls everything back. */
  transaction<T>(fn: (tx: StoreTx) => T): T
  /** Applies the steps of `scope` that are not applied yet. Steps are only ever appended. */
  migrate(scope: string, steps: readonly string[]): void
  readMeta(key: string): string | undefined
  writeMeta(key: string, value: string): void
  /** Throws when the file cannot be written now. */
  assertWritable(): void
  close(): void
}

const SQLITE_BUSY = 5

const KERNEL_STEPS = [
  `CREATE TABLE kernel_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
   CREATE TABLE kernel_cursor (follower TEXT PRIMARY KEY, filter TEXT NOT NULL, block INTEGER NOT NULL, hash TEXT NOT NULL) STRICT;
   CREATE TABLE kernel_block (follower TEXT NOT NULL, block INTEGER NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (follower, block)) STRICT;
   CREATE TABLE kernel_tx (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     sender TEXT NOT NULL,
     label TEXT NOT NULL,
     nonce INTEGER NOT NULL,
     target TEXT NOT NULL,
     data TEXT NOT NULL,
     value_wei TEXT NOT NULL,
     gas_limit TEXT NOT NULL,
     deadline_block INTEGER,
     state TEXT NOT NULL CHECK (state IN ('pending', 'mined', 'delivered')),
     mined_block INTEGER,
     mined_hash TEXT
   ) STRICT;
   CREATE INDEX kernel_tx_state ON kernel_tx (sender, state, nonce);
   CREATE TABLE kernel_attempt (
     hash TEXT PRIMARY KEY,
     tx INTEGER NOT NULL REFERENCES kernel_tx (id) ON DELETE CASCADE,
     raw TEXT NOT NULL,
     kind TEXT NOT NULL CHECK (kind IN ('send', 'cancel')),
     max_fee_wei TEXT NOT NULL,
     tip_wei TEXT NOT NULL,
     sent_block INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX kernel_attempt_tx ON kernel_attempt (tx);`,
]

/**
 * Opens (or creates) the store at `path`.
 *
 * Errors: DATA_DIR_IN_USE when another process has it open, STORE_NEWER when a newer version of the software wrote it,
 * STORE_CORRUPT when it is no database or cannot be opened.
 */
export function openStore(path: string): Store {
  const db = openFile(path)
  try {
    // The exclusive lock is what keeps two agents out of one data folder; the system drops it when a process dies.
    db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;')
    db.exec('BEGIN IMMEDIATE; COMMIT;')
  } catch (cause) {
    db.close()
    const busy = cause instanceof Error && 'errcode' in cause && cause.errcode === SQLITE_BUSY
    if (busy)
      throw new ZerogError('DATA_DIR_IN_USE', `another process has ${path} open`, { cause, meta: { path } })
    throw new ZerogError('STORE_CORRUPT', `${path} cannot be used as a database`, { cause, meta: { path } })
  }

  const statements = new Map<string, StatementSync>()
  const prepare = (sql: string): StatementSync => {
    const known = statements.get(sql)
    if (known) return known
    const statement = db.prepare(sql)
    statements.set(sql, statement)
    return statement
  }
  const tx: StoreTx = {
    run: (sql, ...params) => Number(prepare(sql).run(...params).changes),
    get: <T extends Row>(sql: string, ...params: SQLInputValue[]) =>
      prepare(sql).get(...params) as T | undefined,
    all: <T extends Row>(sql: string, ...params: SQLInputValue[]) => prepare(sql).all(...params) as T[],
  }

  const transaction = <T>(fn: (tx: StoreTx) => T): T => {
    if (db.isTransaction) return fn(tx)
    db.exec('BEGIN IMMEDIATE')
    try {
      const result = fn(tx)
      // A handler that awaits would commit before it ends; refuse instead of losing its writes.
      if (result instanceof Promise) throw new TypeError('a store transaction must be synchronous')
      db.exec('COMMIT')
      return result
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK')
      throw error
    }
  }

  const migrate = (scope: string, steps: readonly string[]): void =>
    transaction(() => {
      db.exec(
        'CREATE TABLE IF NOT EXISTS kernel_migration (scope TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT',
      )
      const row = tx.get<{ version: number }>('SELECT version FROM kernel_migration WHERE scope = ?', scope)
      const version = row?.version ?? 0
      if (version > steps.length) {
        throw new ZerogError('STORE_NEWER', `${path} was written by a newer version (${scope} ${version})`, {
          meta: { scope, version, known: steps.length },
        })
      }
      for (const step of steps.slice(version)) db.exec(step)
      tx.run(
        'INSERT INTO kernel_migration VALUES (?, ?) ON CONFLICT (scope) DO UPDATE SET version = excluded.version',
        scope,
        steps.length,
      )
    })

  const readMeta = (key: string): string | undefined =>
    tx.get<{ value: string }>('SELECT value FROM kernel_meta WHERE key = ?', key)?.value
  const writeMeta = (key: string, value: string): void => {
    tx.run(
      'INSERT INTO kernel_meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
      key,
      value,
    )
  }

  try {
    migrate('kernel', KERNEL_STEPS)
  } catch (error) {
    db.close()
    throw error
  }
  return {
    path,
    ...tx,
    transaction,
    migrate,
    readMeta,
    writeMeta,
    assertWritable: () => writeMeta('written-at', String(Date.now())),
    close: () => {
      statements.clear()
      if (db.isOpen) db.close()
    },
  }
}

function openFile(path: string): DatabaseSync {
  try {
    if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    return new DatabaseSync(path, { enableForeignKeyConstraints: true, timeout: 0 })
  } catch (cause) {
    throw new ZerogError('STORE_CORRUPT', `${path} cannot be opened`, { cause, meta: { path } })
  }
}

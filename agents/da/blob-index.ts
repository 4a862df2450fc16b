import type { AddressBook } from '../../sdk/chain/address-book.ts'
import { plainHeader } from '../../sdk/chain/da.ts'
import {
  type DaEventArgs,
  type DaEventName,
  daEventFilter,
  decodeDaEvent,
} from '../../sdk/chain/da-events.ts'
import { type BlobHeader, headerToJson, parseHeader } from '../../sdk/protocol/blob-header.ts'
import type { Clock } from '../../sdk/protocol/clock.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { ChainLog, Follower } from '../kernel/follower.ts'
import type { Store } from '../kernel/store.ts'
import { BLOB_TABLES } from './blob-tables.ts'

/** How far a blob is, by its events. */
export type BlobStage = 'submitted' | 'soft' | 'final' | 'refunded'

/** A blob as its events told it. Bit k of `columns`: the holder of column k attested. */
export type IndexedBlob = {
  readonly number: number
  readonly blobId: string
  readonly header: BlobHeader
  readonly payer: string
  readonly submittedBlock: number
  readonly submittedTx: string
  readonly stage: BlobStage
  readonly columns: bigint
  readonly confirmedBlock: number | undefined
  readonly convictedBlock: number | undefined
  readonly claimed: boolean
}

/** A stretch of the audit line that belongs to one blob; cells are column by column. */
export type IndexedEntry = {
  readonly entryIndex: bigint
  readonly number: number
  readonly start: bigint
  readonly cells: bigint
}

type BlobRow = {
  number: number
  blob_id: string
  header: string
  payer: string
  block: number
  tx: string
  stage: BlobStage | null
  columns: string | null
  confirmed_block: number | null
  convicted_block: number | null
  claimed: number
}
type EntryRow = { entry_index: number; number: number; start: number; cells: number; block: number }
type ChangeKind = 'soft' | 'final' | 'refunded' | 'convicted' | 'claimed'

const BLOB_COLUMNS = `b.number, b.blob_id, b.header, b.payer, b.block, b.tx,
  (SELECT kind FROM da_blob_change c WHERE c.blob_id = b.blob_id AND kind IN ('soft', 'final', 'refunded')
   ORDER BY block DESC, log_index DESC LIMIT 1) AS stage,
  (SELECT columns FROM da_blob_change c WHERE c.blob_id = b.blob_id AND kind IN ('soft', 'final')
   ORDER BY block DESC, log_index DESC LIMIT 1) AS columns,
  (SELECT min(block) FROM da_blob_change c WHERE c.blob_id = b.blob_id AND kind IN ('soft', 'final')) AS confirmed_block,
  (SELECT min(block) FROM da_blob_change c WHERE c.blob_id = b.blob_id AND kind = 'convicted') AS convicted_block,
  EXISTS (SELECT 1 FROM da_blob_change c WHERE c.blob_id = b.blob_id AND kind = 'claimed') AS claimed`

/** Most rows of one answer. What a page leaves out is decided in its query: others' blobs cost little and must not fill it. */
const PAGE = 64
const CONFIRMED = `EXISTS
  (SELECT 1 FROM da_blob_change c WHERE c.blob_id = b.blob_id AND kind IN ('soft', 'final'))`

/** What {@link BlobIndex.unclaimed} looks for. */
export type UnclaimedQuery = {
  readonly after: number
  readonly period: bigint
  readonly leastBlobPeriods: bigint
  readonly clock: Clock
}

/** Events that the index reads, or that wake duties. */
const EVENTS = [
  'BlobSubmitted',
  'BlobConfirmed',
  'BlobRefunded',
  'BlobConvicted',
  'BlobClaimed',
  'MemberRegistered',
  'MemberRemoved',
  'EpochFormed',
  'RoundOpened',
  'Appended',
  'Convicted',
  'DisperserEquivocated',
  'AttestersEquivocated',
] as const satisfies readonly DaEventName[]

export type BlobIndex = ReturnType<typeof openBlobIndex>

/** Blobs, members, verdicts and the audit line, from the logs; blobs and entries are numbered, so that a gap is found. */
export function openBlobIndex(store: Store) {
  store.migrate('da-index', BLOB_TABLES)
  let revision = 0
  let appliedTo = -1
  let rereadFrom: number | undefined

  const one = (where: string, ...params: (string | number)[]): IndexedBlob | undefined => {
    const row = store.get<BlobRow>(`SELECT ${BLOB_COLUMNS} FROM da_blob b WHERE ${where}`, ...params)
    return row && toBlob(row)
  }
  const many = (where: string, ...params: (string | number)[]): IndexedBlob[] =>
    store.all<BlobRow>(`SELECT ${BLOB_COLUMNS} FROM da_blob b WHERE ${where}`, ...params).map(toBlob)

  function applySubmitted(
    { blobId, number, payer, header }: DaEventArgs['BlobSubmitted'],
    log: ChainLog,
  ): void {
    const last = store.get<{ number: number; block: number }>(
      'SELECT number, block FROM da_blob ORDER BY number DESC LIMIT 1',
    )
    if (last && Number(number) <= last.number) return
    if (Number(number) !== (last?.number ?? 0) + 1) throw gap('blobs are missing', log, last?.block ?? 0)
    const plain = plainHeader(header)
    store.run(
      'INSERT INTO da_blob VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
      number,
      blobId.toLowerCase(),
      JSON.stringify(headerToJson(plain)),
      plain.payloadHash,
      plain.disperser.toLowerCase(),
      String(plain.epoch),
      String(plain.nonce),
      plain.expiresAt,
      payer.toLowerCase(),
      log.blockNumber,
      log.transactionHash,
    )
  }

  function change(blobId: string, kind: ChangeKind, log: ChainLog, columns?: bigint): void {
    store.run(
      'INSERT OR IGNORE INTO da_blob_change VALUES (?, ?, ?, ?, ?)',
      blobId.toLowerCase(),
      kind,
      columns === undefined ? null : columns.toString(16),
      log.blockNumber,
      log.logIndex,
    )
  }

  function applyAppended(event: DaEventArgs['Appended'], log: ChainLog): void {
    const last = store.get<EntryRow>('SELECT * FROM da_line_entry ORDER BY entry_index DESC LIMIT 1')
    const next = last ? BigInt(last.entry_index) + 1n : 0n
    if (event.entryIndex < next) return
    if (event.entryIndex > next) throw gap('entries of the audit line are missing', log, last?.block ?? 0)
    const { entryIndex, blobNumber, start, cells } = event
    const place = [entryIndex, blobNumber, start, cells] as const
    store.run('INSERT INTO da_line_entry VALUES (?, ?, ?, ?, ?)', ...place, log.blockNumber)
  }

  function apply(event: NonNullable<ReturnType<typeof decodeDaEvent>>, log: ChainLog): void {
    const place = [log.blockNumber, log.logIndex] as const
    if (event.name === 'BlobSubmitted') applySubmitted(event.args, log)
    else if (event.name === 'BlobConfirmed') {
      const { blobId, status, columns } = event.args
      change(blobId, status === STATUS_FINAL ? 'final' : 'soft', log, columns)
    } else if (event.name === 'BlobRefunded') change(event.args.blobId, 'refunded', log)
    else if (event.name === 'BlobConvicted') change(event.args.blobId, 'convicted', log)
    else if (event.name === 'BlobClaimed') change(event.args.blobId, 'claimed', log)
    else if (event.name === 'MemberRegistered' || event.name === 'MemberRemoved') {
      const joined = event.name === 'MemberRegistered' ? 1 : 0
      const operator = event.args.operator.toLowerCase()
      store.run('INSERT OR IGNORE INTO da_member_change VALUES (?, ?, ?, ?)', operator, joined, ...place)
    } else if (
      event.name === 'Convicted' ||
      event.name === 'DisperserEquivocated' ||
      event.name === 'AttestersEquivocated'
    ) {
      store.run(
        'INSERT OR IGNORE INTO da_fault VALUES (?, ?, ?, 0)',
        event.args.faultId.toLowerCase(),
        ...place,
      )
    } else if (event.name === 'Appended') applyAppended(event.args, log)
  }

  return {
    blob: (blobId: string) => one('b.blob_id = ?', blobId.toLowerCase()),
    byNumber: (number: number) => one('b.number = ?', number),

    /** The blob that took a disperser's nonce. */
    byNonce: ({ disperser, epoch, nonce }: Pick<BlobHeader, 'disperser' | 'epoch' | 'nonce'>) =>
      one(
        'b.disperser = ? AND b.epoch = ? AND b.nonce = ?',
        disperser.toLowerCase(),
        String(epoch),
        String(nonce),
      ),

    /** Confirmed blobs that claim this payload hash and expire after `period`, the first claim first. */
    claiming: (payloadHash: string, period: bigint) =>
      many(
        `b.payload_hash = ? AND b.expires_at > ? AND ${CONFIRMED} ORDER BY b.number LIMIT ${PAGE}`,
        payloadHash.toLowerCase(),
        Number(period),
      ),

    /** A page of the confirmed blobs after number `after` that are kept in `period`: not expired. */
    live: (period: bigint, after: number) =>
      many(
        `b.number > ? AND b.expires_at > ? AND ${CONFIRMED} ORDER BY b.number LIMIT ${PAGE}`,
        after,
        Number(period),
      ),

    /**
     * A page of the confirmed blobs after number `after` that expire in `period` or before, are not claimed, and have lasted for
     * `leastBlobPeriods` at least: KZG blobs times periods, which their fee goes by. What is not worth claiming stays for ever.
     */
    unclaimed: ({ after, period, leastBlobPeriods, clock }: UnclaimedQuery) =>
      many(
        `b.number > ? AND b.expires_at <= ? AND ${CONFIRMED} AND NOT EXISTS
           (SELECT 1 FROM da_blob_change c WHERE c.blob_id = b.blob_id AND kind IN ('claimed', 'refunded'))
         AND json_extract(b.header, '$.blobCount') * (b.expires_at - CAST((b.block - ?) / ? AS INTEGER)) >= ?
         ORDER BY b.number LIMIT ${PAGE}`,
        after,
        Number(period),
        Number(clock.startBlock),
        Number(clock.periodBlocks),
        Number(leastBlobPeriods),
      ),

    /** Blobs of one payer or disperser, submitted before `block`, that are neither confirmed nor refunded. */
    unconfirmed: (account: string, block: number) =>
      many(
        `b.block < ? AND (b.payer = ? OR b.disperser = ?) AND NOT EXISTS (SELECT 1 FROM da_blob_change c
           WHERE c.blob_id = b.blob_id AND kind IN ('soft', 'final', 'refunded')) ORDER BY b.number LIMIT ${PAGE}`,
        block,
        account.toLowerCase(),
        account.toLowerCase(),
      ),

    /** Operators that hold a slot now. */
    members: (): string[] =>
      store
        .all<{ operator: string }>(
          `SELECT operator FROM da_member_change AS a WHERE joined = 1 AND NOT EXISTS
             (SELECT 1 FROM da_member_change AS n WHERE n.operator = a.operator
              AND (n.block > a.block OR n.block = a.block AND n.log_index > a.log_index))
           ORDER BY operator`,
        )
        .map(({ operator }) => operator),

    /** Verdicts of the court that are not known to be carried out, oldest first. */
    unpunished: (): { faultId: string; block: number }[] =>
      store
        .all<{ fault_id: string; block: number }>(
          'SELECT fault_id, block FROM da_fault WHERE punished = 0 ORDER BY block, log_index',
        )
        .map(({ fault_id, block }) => ({ faultId: fault_id, block })),

    setPunished(faultId: string): void {
      store.run('UPDATE da_fault SET punished = 1 WHERE fault_id = ?', faultId)
    },

    entryAt(position: bigint): IndexedEntry | undefined {
      const row = store.get<EntryRow>(
        'SELECT * FROM da_line_entry WHERE start <= ? ORDER BY start DESC LIMIT 1',
        position,
      )
      return row && position < BigInt(row.start + row.cells) ? toEntry(row) : undefined
    },

    entry(entryIndex: bigint): IndexedEntry | undefined {
      const row = store.get<EntryRow>('SELECT * FROM da_line_entry WHERE entry_index = ?', entryIndex)
      return row && toEntry(row)
    },

    entryCount: (): number =>
      store.get<{ count: number }>('SELECT count(*) AS count FROM da_line_entry')?.count ?? 0,
    blobCount: (): number =>
      store.get<{ number: number | null }>('SELECT max(number) AS number FROM da_blob')?.number ?? 0,

    /** Changes whenever the content of the index may have. */
    revision: () => revision,
    /** The last block whose logs are here; -1 before the first page of this run. */
    appliedTo: () => appliedTo,

    /** Has the logs from `block` on read again: chain state says that some are missing here. */
    distrust(block: number): void {
      rereadFrom = Math.min(block, rereadFrom ?? block)
    },

    /** Block of the last numbered event, from which on logs may be missing. */
    lastNumberedBlock: (): number =>
      store.get<{ block: number | null }>(
        'SELECT max(block) AS block FROM (SELECT block FROM da_blob UNION ALL SELECT block FROM da_line_entry)',
      )?.block ?? 0,

    /** The follower that fills this index. */
    follower(book: AddressBook): Follower {
      const filter = daEventFilter(book, EVENTS)
      return {
        name: 'da-blobs',
        address: filter.address,
        topics: filter.topics,
        fromBlock: book.deployedAtBlock,
        eventName: (log) => decodeDaEvent(book, log)?.name,
        onLogs(logs, _tx, range) {
          if (logs.length > 0) revision++
          if (rereadFrom !== undefined) {
            const fromBlock = rereadFrom
            rereadFrom = undefined
            throw new ZerogError('LOG_GAP', 'logs are missing by the chain state', { meta: { fromBlock } })
          }
          for (const log of logs) {
            const event = decodeDaEvent(book, log)
            if (event) apply(event, log)
          }
          appliedTo = range.toBlock
        },
        onRollback(toBlock) {
          revision++
          appliedTo = Math.min(appliedTo, toBlock)
          for (const table of ['da_blob', 'da_blob_change', 'da_member_change', 'da_fault', 'da_line_entry'])
            store.run(`DELETE FROM ${table} WHERE block > ?`, toBlock)
          // Whatever carried them out may be gone too.
          store.run('UPDATE da_fault SET punished = 0')
        },
      }
    },
  }
}

/** `DaStatus.Final`. */
const STATUS_FINAL = 3n

function gap(message: string, log: ChainLog, fromBlock: number): ZerogError {
  return new ZerogError('LOG_GAP', message, { meta: { fromBlock, block: log.blockNumber } })
}

function toBlob(row: BlobRow): IndexedBlob {
  return {
    number: row.number,
    blobId: row.blob_id,
    header: parseHeader(JSON.parse(row.header)),
    payer: row.payer,
    submittedBlock: row.block,
    submittedTx: row.tx,
    stage: row.stage ?? 'submitted',
    columns: row.columns === null ? 0n : BigInt(`0x${row.columns}`),
    confirmedBlock: row.confirmed_block ?? undefined,
    convictedBlock: row.convicted_block ?? undefined,
    claimed: row.claimed !== 0,
  }
}

function toEntry(row: EntryRow): IndexedEntry {
  return {
    entryIndex: BigInt(row.entry_index),
    number: row.number,
    start: BigInt(row.start),
    cells: BigInt(row.cells),
  }
}

import type { AddressBook } from '../../sdk/chain/address-book.ts'
import { decodeStorageEvent, eventFilter, type StorageEventArgs } from '../../sdk/chain/events.ts'
import { type Custody, custodyLeaf, custodyRoot } from '../../sdk/protocol/custody.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { ChainLog, Follower } from '../kernel/follower.ts'
import type { Store } from '../kernel/store.ts'

/** A sealed deal as its events told it; periods are half open, [startPeriod, endPeriod). */
export type IndexedDeal = {
  readonly txSeq: bigint
  readonly owner: string
  readonly startPeriod: bigint
  readonly endPeriod: bigint
  readonly dataShards: number
  readonly shards: number
  readonly shardHeight: number
  readonly pricePerSectorPeriod: bigint
  readonly sealedBlock: number
}

/** A stretch of the audit line. */
export type IndexedEntry = {
  readonly entryIndex: bigint
  readonly txSeq: bigint
  readonly start: bigint
  readonly sectors: bigint
}

type DealRow = {
  tx_seq: number
  owner: string
  start_period: number
  end_period: number
  data_shards: number
  shards: number
  shard_height: number
  price_wei: string
  block: number
}
type CustodyRow = { shard_index: number; provider: string; root: string }
type EntryRow = { entry_index: number; tx_seq: number; start: number; sectors: number; block: number }

const STEPS = [
  `CREATE TABLE deal (
     tx_seq INTEGER PRIMARY KEY,
     owner TEXT NOT NULL,
     start_period INTEGER NOT NULL,
     end_period INTEGER NOT NULL,
     data_shards INTEGER NOT NULL,
     shards INTEGER NOT NULL,
     shard_height INTEGER NOT NULL,
     price_wei TEXT NOT NULL,
     block INTEGER NOT NULL,
     ended_block INTEGER
   ) STRICT;
   CREATE TABLE custody (
     tx_seq INTEGER NOT NULL,
     shard_index INTEGER NOT NULL,
     from_period INTEGER NOT NULL,
     provider TEXT NOT NULL,
     root TEXT NOT NULL,
     block INTEGER NOT NULL,
     PRIMARY KEY (tx_seq, shard_index, from_period)
   ) STRICT;
   CREATE INDEX custody_provider ON custody (provider);
   CREATE TABLE line_entry (
     entry_index INTEGER PRIMARY KEY,
     tx_seq INTEGER NOT NULL,
     start INTEGER NOT NULL,
     sectors INTEGER NOT NULL,
     block INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX line_entry_start ON line_entry (start);`,
]

export type DealIndex = ReturnType<typeof openDealIndex>

/** Deals, their custodians by period and the audit line, from the logs; what is here was checked against its roots. */
export function openDealIndex(store: Store) {
  store.migrate('deals', STEPS)
  let revision = 0
  let appliedTo = -1
  let rereadFrom: number | undefined
  // Asked at every block, changed by few.
  let network: { id: string; providers: readonly string[] } = { id: '', providers: [] }

  function deal(txSeq: bigint): IndexedDeal | undefined {
    const row = store.get<DealRow>('SELECT * FROM deal WHERE tx_seq = ?', txSeq)
    return row && toDeal(row)
  }

  /** All custody leaves, in shard order, that count in `period`; those of the first period before it begins. */
  function custodiesAt(txSeq: bigint, period: bigint): Custody[] {
    const found = deal(txSeq)
    if (!found) return []
    const rows = store.all<CustodyRow>(
      `SELECT shard_index, provider, root FROM custody AS c WHERE tx_seq = ? AND from_period =
         (SELECT max(from_period) FROM custody AS d
          WHERE d.tx_seq = c.tx_seq AND d.shard_index = c.shard_index AND d.from_period <= ?)
       ORDER BY shard_index`,
      txSeq,
      period < found.startPeriod ? found.startPeriod : period,
    )
    return rows.map((row) => ({ index: row.shard_index, provider: row.provider, shardRoot: row.root }))
  }

  function applySealed(event: StorageEventArgs['Sealed'], log: ChainLog): void {
    const leaves = custodiesOf(event)
    checkRoot(leaves, event.custodyRoot, log)
    store.run(
      'INSERT OR REPLACE INTO deal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)',
      event.txSeq,
      event.owner.toLowerCase(),
      event.startPeriod,
      event.endPeriod,
      event.dataShards,
      leaves.length,
      event.shardHeight,
      event.pricePerSectorPeriod.toString(),
      log.blockNumber,
    )
    for (const leaf of leaves) putCustody({ ...leaf, txSeq: event.txSeq, from: event.startPeriod }, log)
  }

  function applyHandedOver(event: StorageEventArgs['CustodyHandedOver'], log: ChainLog): void {
    const leaves = custodiesAt(event.txSeq, event.fromPeriod)
    const old = leaves[Number(event.shardIndex)]
    if (!old) throw gap('a change of custody of an unknown deal', log)
    const fresh = { ...old, provider: event.to.toLowerCase() }
    const changed = leaves.map((leaf) => (leaf.index === old.index ? fresh : leaf))
    checkRoot(changed, event.custodyRoot, log)
    putCustody({ ...fresh, txSeq: event.txSeq, from: event.fromPeriod }, log)
  }

  function applyAppended(event: StorageEventArgs['Appended'], log: ChainLog): void {
    const last = store.get<EntryRow>('SELECT * FROM line_entry ORDER BY entry_index DESC LIMIT 1')
    const next = last ? BigInt(last.entry_index) + 1n : 0n
    if (event.entryIndex < next) return
    if (event.entryIndex > next) {
      throw gap('entries of the audit line are missing', log, last ? last.block : 0)
    }
    const entry = [event.entryIndex, event.txSeq, event.start, event.sectors, log.blockNumber] as const
    store.run('INSERT INTO line_entry VALUES (?, ?, ?, ?, ?)', ...entry)
  }

  function putCustody(custody: Custody & { txSeq: bigint; from: bigint }, log: ChainLog): void {
    store.run(
      'INSERT OR REPLACE INTO custody VALUES (?, ?, ?, ?, ?, ?)',
      custody.txSeq,
      custody.index,
      custody.from,
      custody.provider.toLowerCase(),
      custody.shardRoot.toLowerCase(),
      log.blockNumber,
    )
  }

  return {
    deal,
    custodiesAt,
    /** The last block whose logs are here; -1 before the first page of this run. */
    appliedTo: () => appliedTo,

    /** Has the logs from `block` on read again: chain state says that some are missing here. */
    distrust(block: number): void {
      rereadFrom = Math.min(block, rereadFrom ?? block)
    },

    /** Block of the last entry of the audit line. */
    lastEntryBlock: (): number =>
      store.get<{ block: number | null }>('SELECT max(block) AS block FROM line_entry')?.block ?? 0,

    /** Changes whenever the content of the index may have. */
    revision: () => revision,

    /** The entry that covers `position` of the audit line. */
    entryAt(position: bigint): IndexedEntry | undefined {
      const row = store.get<EntryRow>(
        'SELECT * FROM line_entry WHERE start <= ? ORDER BY start DESC LIMIT 1',
        position,
      )
      return row && position < BigInt(row.start + row.sectors) ? toEntry(row) : undefined
    },

    entry(entryIndex: bigint): IndexedEntry | undefined {
      const row = store.get<EntryRow>('SELECT * FROM line_entry WHERE entry_index = ?', entryIndex)
      return row && toEntry(row)
    },

    entryCount: (): number =>
      store.get<{ count: number }>('SELECT count(*) AS count FROM line_entry')?.count ?? 0,

    /** Shards that `provider` must answer for in some period from `period` on. */
    heldBy(provider: string, period: bigint): { txSeq: bigint; index: number; root: string }[] {
      const rows = store.all<{ tx_seq: number; shard_index: number; root: string }>(
        `SELECT DISTINCT c.tx_seq, c.shard_index, c.root FROM custody AS c JOIN deal ON deal.tx_seq = c.tx_seq
         WHERE c.provider = ? AND deal.end_period > ? AND NOT EXISTS
           (SELECT 1 FROM custody AS d WHERE d.tx_seq = c.tx_seq AND d.shard_index = c.shard_index
            AND d.from_period > c.from_period AND d.from_period <= ?)
         ORDER BY c.tx_seq, c.shard_index`,
        provider.toLowerCase(),
        period,
        period,
      )
      return rows.map((row) => ({ txSeq: BigInt(row.tx_seq), index: row.shard_index, root: row.root }))
    },

    /** Providers with custody in a deal that is live in `period` or begins later: the agents of the network. */
    custodians(period: bigint): readonly string[] {
      const id = `${period}-${revision}`
      if (network.id === id) return network.providers
      const rows = store.all<{ provider: string }>(
        `SELECT DISTINCT c.provider FROM custody AS c JOIN deal ON deal.tx_seq = c.tx_seq
         WHERE deal.end_period > ? ORDER BY c.provider`,
        period,
      )
      network = { id, providers: rows.map((row) => row.provider) }
      return network.providers
    },

    /** Deals whose term was over before `period`, not closed yet, in which `provider` had custody; at most 64. */
    overBefore(period: bigint, provider: string): IndexedDeal[] {
      return store
        .all<DealRow>(
          `SELECT * FROM deal WHERE end_period < ? AND ended_block IS NULL AND EXISTS
             (SELECT 1 FROM custody WHERE custody.tx_seq = deal.tx_seq AND provider = ?) ORDER BY tx_seq LIMIT 64`,
          period,
          provider.toLowerCase(),
        )
        .map(toDeal)
    },

    /** The follower that fills this index. */
    follower(book: AddressBook): Follower {
      const filter = eventFilter(book, [
        'Sealed',
        'CustodyHandedOver',
        'Appended',
        'RoundOpened',
        'TailMoved',
      ])
      return {
        name: 'deals',
        address: filter.address,
        topics: filter.topics,
        fromBlock: book.deployedAtBlock,
        eventName: (log) => decodeStorageEvent(book, log)?.name,
        onLogs(logs, _tx, range) {
          if (logs.length > 0) revision++
          if (rereadFrom !== undefined) {
            const fromBlock = rereadFrom
            rereadFrom = undefined
            throw new ZerogError('LOG_GAP', 'logs are missing by the chain state', { meta: { fromBlock } })
          }
          const appended: [bigint, ChainLog][] = []
          for (const log of logs) {
            const event = decodeStorageEvent(book, log)
            if (event?.name === 'Appended') appended.push([event.args.txSeq, log])
            if (event?.name === 'Sealed') applySealed(event.args, log)
            else if (event?.name === 'CustodyHandedOver') applyHandedOver(event.args, log)
            else if (event?.name === 'Appended') applyAppended(event.args, log)
            else if (event?.name === 'Ended') {
              store.run('UPDATE deal SET ended_block = ? WHERE tx_seq = ?', log.blockNumber, event.args.txSeq)
            }
          }
          // Sealed comes after the Appended of its transaction, so that an entry precedes its deal by a log.
          for (const [txSeq, log] of appended) {
            if (!deal(txSeq)) throw gap('an entry of the audit line belongs to no sealed deal', log)
          }
          appliedTo = range.toBlock
        },
        onRollback(toBlock) {
          revision++
          appliedTo = Math.min(appliedTo, toBlock)
          for (const table of ['custody', 'line_entry', 'deal']) {
            store.run(`DELETE FROM ${table} WHERE block > ?`, toBlock)
          }
          store.run('UPDATE deal SET ended_block = NULL WHERE ended_block > ?', toBlock)
        },
      }
    },
  }
}

/** Custody leaves of a Sealed event, in shard order. Throws LOG_GAP when its bitmaps do not cover the shards once. */
function custodiesOf({ providers, shardBitmaps, shardRoots }: StorageEventArgs['Sealed']): Custody[] {
  return shardRoots.map((shardRoot, index) => {
    const holders = providers.filter((_, i) => (((shardBitmaps[i] ?? 0n) >> BigInt(index)) & 1n) === 1n)
    const [provider] = holders
    if (provider === undefined || holders.length > 1) {
      throw new ZerogError('LOG_GAP', `the RPC gave a Sealed event whose shard ${index} has no one custodian`)
    }
    return { index, provider: provider.toLowerCase(), shardRoot: shardRoot.toLowerCase() }
  })
}

function checkRoot(leaves: readonly Custody[], expected: string, log: ChainLog): void {
  if (custodyRoot(leaves.map(custodyLeaf)) !== expected.toLowerCase()) {
    throw gap('a custody root does not follow from its leaves', log)
  }
}

function gap(message: string, log: ChainLog, fromBlock = log.blockNumber): ZerogError {
  return new ZerogError('LOG_GAP', message, {
    meta: { fromBlock, block: log.blockNumber, tx: log.transactionHash },
  })
}

function toDeal(row: DealRow): IndexedDeal {
  return {
    txSeq: BigInt(row.tx_seq),
    owner: row.owner,
    startPeriod: BigInt(row.start_period),
    endPeriod: BigInt(row.end_period),
    dataShards: row.data_shards,
    shards: row.shards,
    shardHeight: row.shard_height,
    pricePerSectorPeriod: BigInt(row.price_wei),
    sealedBlock: row.block,
  }
}

function toEntry(row: EntryRow): IndexedEntry {
  return {
    entryIndex: BigInt(row.entry_index),
    txSeq: BigInt(row.tx_seq),
    start: BigInt(row.start),
    sectors: BigInt(row.sectors),
  }
}

import type { JsonRpcProvider } from 'ethers'
import { errorCode, isZerogError, ZerogError } from '../../sdk/protocol/errors.ts'
import { crashPoint } from './fault.ts'
import type { HeadTracker } from './head.ts'
import type { Log } from './log.ts'
import type { KernelMetrics } from './metrics.ts'
import { type Block, type ChainLog, readBlock, readLogs } from './rpc.ts'
import type { Row, Store, StoreTx } from './store.ts'
import { startTicker } from './ticker.ts'

export type { ChainLog } from './rpc.ts'

export type BlockRange = { readonly fromBlock: number; readonly toBlock: number }

/**
 * Follows the logs of one or more contracts from `fromBlock` on, each exactly once and in order.
 *
 * `onLogs` and `onRollback` are synchronous and run inside one store transaction with the cursor: what they write is
 * committed with the cursor or not at all. Content must be numbered and checked by `onLogs`; it reports a gap by
 * throwing ZerogError LOG_GAP with `meta.fromBlock`, and the follower reads again from there.
 */
export type Follower = {
  /** Lower-case kebab name, unique in the agent; the key of its cursor. */
  readonly name: string
  readonly address: string | readonly string[]
  readonly topics?: readonly (string | readonly string[] | null)[]
  readonly fromBlock: number
  /** Blocks on top of a block before its logs are read. Default: the agent's CONFIRMATIONS. */
  readonly confirmations?: number
  /** Largest block range of one read. Default 2000. */
  readonly pageBlocks?: number
  /** Applies the logs of the blocks of `range`; called for empty ranges too. */
  onLogs(logs: readonly ChainLog[], tx: StoreTx, range: BlockRange): void
  /** Undoes everything above `toBlock`. */
  onRollback(toBlock: number, tx: StoreTx): void
  /** Names a log for `Duty.wakeOn`. */
  eventName?(log: ChainLog): string | undefined
}

/** A running follower. */
export type FollowerHandle = {
  readonly name: string
  /** The last block that is applied. */
  cursor(): number
  /** Blocks that are on the chain, confirmed, and not applied yet. */
  lag(): number
  /** Resolves once everything up to `block` is applied; rejects with ABORTED. */
  reached(block: number, signal: AbortSignal): Promise<void>
  /** Applies up to `head` now. */
  poke(): void
  stop(): Promise<void>
}

export declare namespace startFollower {
  type Options = {
    follower: Follower
    provider: JsonRpcProvider
    heads: HeadTracker
    store: Store
    dataDir: string
    signal: AbortSignal
    log: Log
    metrics: KernelMetrics
    /** Used when the follower does not say. */
    confirmations: number
    /** Called with the names of the events of each applied page. */
    onEvents?: (names: ReadonlySet<string>) => void
    pollMs?: number
  }
}

type Cursor = { readonly block: number; readonly hash: string }

const DEFAULT_PAGE_BLOCKS = 2000
/** Block hashes kept to find the common ancestor after a reorg; a deeper one is read again from the start. */
const KEPT_HASHES = 256

/**
 * Starts a follower at its stored cursor.
 *
 * Each page is read between two looks at its last block and linked to the cursor by parent hash, so that logs of two
 * forks never mix; after a reorg everything above the common ancestor is rolled back and read again.
 */
export function startFollower(options: startFollower.Options): FollowerHandle {
  const { follower, provider, heads, store, dataDir, signal, metrics, onEvents, pollMs = 1000 } = options
  const { name, topics, fromBlock, pageBlocks = DEFAULT_PAGE_BLOCKS } = follower
  const confirmations = follower.confirmations ?? options.confirmations
  const log = options.log.child({ follower: name })
  const address = [follower.address].flat().map((entry) => entry.toLowerCase())
  const filter = { address, ...(topics ? { topics } : {}) }
  const waiting = new Set<() => void>()
  let page = pageBlocks
  let cursor = openCursor()

  /** Another filter or start means another content: what was read under the old one does not count. */
  function openCursor(): Cursor {
    const wanted = JSON.stringify({ ...filter, fromBlock })
    const stored = store.get<Row & Cursor & { filter: string }>(
      'SELECT * FROM kernel_cursor WHERE follower = ?',
      name,
    )
    if (stored?.filter === wanted) return { block: stored.block, hash: stored.hash }
    const start = { block: fromBlock - 1, hash: '' }
    store.transaction((tx) => {
      if (stored) follower.onRollback(start.block, tx)
      tx.run('DELETE FROM kernel_block WHERE follower = ?', name)
      tx.run(
        'INSERT OR REPLACE INTO kernel_cursor VALUES (?, ?, ?, ?)',
        name,
        wanted,
        start.block,
        start.hash,
      )
    })
    return start
  }

  const writeCursor = (tx: StoreTx, next: Cursor): void => {
    tx.run('UPDATE kernel_cursor SET block = ?, hash = ? WHERE follower = ?', next.block, next.hash, name)
  }

  const rollback = (to: Cursor): void => {
    store.transaction((tx) => {
      follower.onRollback(to.block, tx)
      tx.run('DELETE FROM kernel_block WHERE follower = ? AND block > ?', name, to.block)
      writeCursor(tx, to)
    })
    metrics.reorgs.inc({ follower: name })
    log.warn({ from: cursor.block, to: to.block }, 'rolled back')
    cursor = to
  }

  /** Hash of a block of the chain; undefined above its head. Throws where the node that was asked lags behind the head. */
  const hashAt = async (block: number): Promise<string | undefined> => {
    const found = await readBlock(provider, block)
    if (found || block > heads.current().number) return found?.hash
    throw new ZerogError('RPC_UNREACHABLE', 'the chain RPC lacks a block below its own head', {
      meta: { block },
    })
  }

  /** The highest stored block that is still on the chain, or the block before the first. */
  const commonAncestor = async (below: number): Promise<Cursor> => {
    const stored = store.all<Row & Cursor>(
      'SELECT block, hash FROM kernel_block WHERE follower = ? AND block <= ? ORDER BY block DESC',
      name,
      below,
    )
    for (const { block, hash } of stored) {
      if ((await hashAt(block)) === hash) return { block, hash }
    }
    return { block: fromBlock - 1, hash: '' }
  }

  const target = (): number => heads.current().number - confirmations

  const step = async (): Promise<void> => {
    while (!signal.aborted) {
      metrics.cursorLagBlocks.set({ follower: name }, Math.max(0, target() - cursor.block))
      if (!(await cursorOnChain())) {
        rollback(await commonAncestor(cursor.block))
        continue
      }
      if (cursor.block >= target()) return
      await applyPage({ fromBlock: cursor.block + 1, toBlock: Math.min(cursor.block + page, target()) })
    }
  }

  /** Asked once per head and page; a parent hash answers it for the next block without another request. */
  const cursorOnChain = async (): Promise<boolean> => {
    if (cursor.hash === '') return true
    const head = heads.current()
    if (head.number === cursor.block) return head.hash === cursor.hash
    if (head.number === cursor.block + 1) return head.parentHash === cursor.hash
    return (await hashAt(cursor.block)) === cursor.hash
  }

  const applyPage = async (range: BlockRange): Promise<void> => {
    const last = await readBlock(provider, range.toBlock)
    if (!last) throw new ZerogError('REORGED', undefined, { meta: range })
    const logs = await readRange(range, last)
    if (!logs) return
    // Logs and cursor must be of one fork: both ends are looked at again after the logs were read.
    const again = range.fromBlock === range.toBlock ? last : await readBlock(provider, range.toBlock)
    const linked =
      range.fromBlock === range.toBlock
        ? cursor.hash === '' || last.parentHash === cursor.hash
        : await cursorOnChain()
    if (again?.hash !== last.hash || !linked) throw new ZerogError('REORGED', undefined, { meta: range })
    const clean = inOrder(logs, range, last)
    try {
      store.transaction((tx) => {
        follower.onLogs(clean, tx, range)
        crashPoint('follower-before-cursor', dataDir)
        remember(tx, clean, last)
        writeCursor(tx, { block: last.number, hash: last.hash })
      })
    } catch (error) {
      if (isZerogError(error) && error.code === 'LOG_GAP') await rewind(error)
      throw error
    }
    cursor = { block: last.number, hash: last.hash }
    for (const wake of waiting) wake()
    announce(clean)
  }

  /** Undefined when the range was too much for the node: the page is halved for the next try. */
  const readRange = async (range: BlockRange, last: Block): Promise<ChainLog[] | undefined> => {
    const single = range.fromBlock === range.toBlock
    try {
      const logs = await readLogs(provider, filter, single ? { blockHash: last.hash } : range)
      page = Math.min(pageBlocks, page * 2)
      return logs
    } catch (error) {
      if (single) throw error
      page = Math.max(1, Math.floor((range.toBlock - range.fromBlock + 1) / 2))
      if (errorCode(error) !== 'INTERNAL') throw error
      log.debug({ page, err: error }, 'smaller page')
      return undefined
    }
  }

  const rewind = async (gap: ZerogError): Promise<void> => {
    const from = Number(gap.meta.fromBlock)
    if (!Number.isSafeInteger(from) || from > cursor.block) return
    rollback(await commonAncestor(Math.max(from, fromBlock) - 1))
  }

  const remember = (tx: StoreTx, logs: readonly ChainLog[], last: Block): void => {
    const insert = 'INSERT OR REPLACE INTO kernel_block VALUES (?, ?, ?)'
    for (const entry of logs.slice(-KEPT_HASHES)) tx.run(insert, name, entry.blockNumber, entry.blockHash)
    tx.run(insert, name, last.number, last.hash)
    tx.run(
      `DELETE FROM kernel_block WHERE follower = ? AND block <
       (SELECT min(block) FROM (SELECT block FROM kernel_block WHERE follower = ? ORDER BY block DESC LIMIT ?))`,
      ...[name, name, KEPT_HASHES],
    )
  }

  const announce = (logs: readonly ChainLog[]): void => {
    if (!onEvents || !follower.eventName) return
    const names = new Set(
      logs.map((entry) => follower.eventName?.(entry)).filter((event) => event !== undefined),
    )
    if (names.size > 0) onEvents(names)
  }

  const ticker = startTicker({ name: `follower ${name}`, intervalMs: pollMs, signal, log, tick: step })
  const unsubscribe = heads.subscribe(() => ticker.trigger())

  return {
    name,
    cursor: () => cursor.block,
    lag: () => Math.max(0, target() - cursor.block),
    reached: (block, abort) => reached(() => cursor.block >= block, waiting, abort),
    poke: ticker.trigger,
    stop: async () => {
      unsubscribe()
      await ticker.stop()
    },
  }
}

/** Sorts, and drops what a node sent twice or from outside the range; a log of another fork fails the page. */
function inOrder(logs: readonly ChainLog[], range: BlockRange, last: Block): ChainLog[] {
  const byPlace = new Map<string, ChainLog>()
  const hashes = new Map([[last.number, last.hash]])
  for (const entry of logs) {
    if (entry.blockNumber < range.fromBlock || entry.blockNumber > range.toBlock) continue
    const hash = hashes.get(entry.blockNumber) ?? entry.blockHash
    if (hash !== entry.blockHash) throw new ZerogError('REORGED', undefined, { meta: range })
    hashes.set(entry.blockNumber, hash)
    byPlace.set(`${entry.blockNumber}-${entry.logIndex}`, entry)
  }
  return [...byPlace.values()].sort((a, b) => a.blockNumber - b.blockNumber || a.logIndex - b.logIndex)
}

function reached(done: () => boolean, waiting: Set<() => void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void): void => {
      waiting.delete(check)
      signal.removeEventListener('abort', onAbort)
      end()
    }
    const check = (): void => {
      if (done()) settle(resolve)
    }
    const onAbort = (): void => settle(() => reject(new ZerogError('ABORTED')))
    waiting.add(check)
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
    else check()
  })
}

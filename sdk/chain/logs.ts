import { type Log, zeroPadValue } from 'ethers'
import { ZerogError } from '../protocol/errors.ts'
import type { Chain } from './connect.ts'
import { DA_EVENT_TABLE, type DaEventArgs, type DaEventName } from './da-events.ts'
import { chainError } from './decode-error.ts'
import type { EventTable } from './event-table.ts'
import { STORAGE_EVENT_TABLE, type StorageEventArgs, type StorageEventName } from './events.ts'
import { type ReadOptions, read } from './read.ts'

/** A decoded event with its place on the chain. */
export type LoggedEvent<N, A> = {
  readonly name: N
  readonly args: A
  readonly blockNumber: number
  readonly transactionHash: string
  readonly logIndex: number
}

/** Blocks of one eth_getLogs; halved when the RPC finds that too many. */
const PAGE_BLOCKS = 5_000

/** Which events to look for: `indexed` filters by indexed arguments in their order, as 32-byte topics; null takes any. */
export type LogQuery<N> = Pick<ReadOptions, 'signal' | 'timeoutMs'> & {
  name: N
  indexed?: readonly (string | null)[]
  fromBlock: number
  toBlock: number
  pageBlocks?: number
}

/**
 * The events `name` of storage, staking and operators in the blocks fromBlock..toBlock, newest first.
 *
 * Errors: RPC_UNREACHABLE, TIMEOUT, ABORTED.
 */
export function eventsBackwards<N extends StorageEventName>(
  chain: Chain,
  query: LogQuery<N>,
): AsyncGenerator<LoggedEvent<N, StorageEventArgs[N]>, void> {
  return tableBackwards<StorageEventArgs, N>(chain, STORAGE_EVENT_TABLE, query)
}

/** The events `name` of data availability in the blocks fromBlock..toBlock, newest first. Errors: those of {@link eventsBackwards}. */
export function daEventsBackwards<N extends DaEventName>(
  chain: Chain,
  query: LogQuery<N>,
): AsyncGenerator<LoggedEvent<N, DaEventArgs[N]>, void> {
  return tableBackwards<DaEventArgs, N>(chain, DA_EVENT_TABLE, query)
}

async function* tableBackwards<A, N extends keyof A>(
  chain: Chain,
  table: EventTable<A, keyof Chain['book']['contracts']>,
  query: LogQuery<N>,
): AsyncGenerator<LoggedEvent<N, A[N]>, void> {
  let pageBlocks = query.pageBlocks ?? PAGE_BLOCKS
  let toBlock = query.toBlock
  const first = Math.max(query.fromBlock, 0)
  while (toBlock >= first) {
    const fromBlock = Math.max(first, toBlock - pageBlocks + 1)
    let logs: Log[]
    try {
      logs = await readPage(chain, table, { ...query, fromBlock, toBlock })
    } catch (error) {
      const { code } = chainError(error)
      if (pageBlocks === 1 || code === 'ABORTED') throw error
      // Public RPCs bound ranges and results each in its own words.
      if (code === 'RPC_UNREACHABLE' && pageBlocks <= PAGE_BLOCKS / 64) throw error
      pageBlocks = Math.ceil(pageBlocks / 4)
      continue
    }
    for (const log of logs.reverse()) {
      const event = table.decode(chain.book, log)
      if (event?.name !== query.name)
        throw new ZerogError('PEER_MISBEHAVED', 'the RPC returned a log that was not asked for')
      yield {
        name: query.name,
        // The table pairs every name with its arguments.
        args: event.args as A[N],
        blockNumber: log.blockNumber,
        transactionHash: log.transactionHash,
        logIndex: log.index,
      }
    }
    toBlock = fromBlock - 1
  }
}

/** The topic of an indexed number. */
export function numberTopic(value: bigint): string {
  return `0x${value.toString(16).padStart(64, '0')}`
}

/** The topic of an indexed address. */
export function addressTopic(address: string): string {
  return zeroPadValue(address.toLowerCase(), 32)
}

function readPage<A, N extends keyof A>(
  { provider, book }: Chain,
  table: EventTable<A, keyof Chain['book']['contracts']>,
  { name, indexed = [], fromBlock, toBlock, ...options }: LogQuery<N>,
): Promise<Log[]> {
  const { address, topics } = table.filter(book, [name])
  return read(provider.getLogs({ address, topics: [...topics, ...indexed], fromBlock, toBlock }), options)
}

import { type Log, zeroPadValue } from 'ethers'
import { ZerogError } from '../protocol/errors.ts'
import type { Chain } from './connect.ts'
import { chainError } from './decode-error.ts'
import { decodeStorageEvent, eventFilter, type StorageEventArgs, type StorageEventName } from './events.ts'
import { type ReadOptions, read } from './read.ts'

/** A decoded event with its place on the chain. */
export type LoggedEvent<N extends StorageEventName> = {
  readonly name: N
  readonly args: StorageEventArgs[N]
  readonly blockNumber: number
  readonly transactionHash: string
  readonly logIndex: number
}

/** Blocks of one eth_getLogs; halved when the RPC finds that too many. */
const PAGE_BLOCKS = 5_000

/**
 * The events `name` in the blocks fromBlock..toBlock, newest first. `indexed` filters by indexed arguments in their
 * order, as 32-byte topics; null takes any.
 *
 * Errors: RPC_UNREACHABLE, TIMEOUT, ABORTED.
 */
export async function* eventsBackwards<N extends StorageEventName>(
  chain: Chain,
  options: eventsBackwards.Options<N>,
): AsyncGenerator<LoggedEvent<N>, void> {
  let pageBlocks = options.pageBlocks ?? PAGE_BLOCKS
  let toBlock = options.toBlock
  const first = Math.max(options.fromBlock, 0)
  while (toBlock >= first) {
    const fromBlock = Math.max(first, toBlock - pageBlocks + 1)
    let logs: Log[]
    try {
      logs = await readPage(chain, { ...options, fromBlock, toBlock })
    } catch (error) {
      const { code } = chainError(error)
      if (pageBlocks === 1 || code === 'ABORTED') throw error
      // Public RPCs bound ranges and results each in its own words.
      if (code === 'RPC_UNREACHABLE' && pageBlocks <= PAGE_BLOCKS / 64) throw error
      pageBlocks = Math.ceil(pageBlocks / 4)
      continue
    }
    for (const log of logs.reverse()) {
      const event = decodeStorageEvent(chain.book, log)
      if (event?.name !== options.name)
        throw new ZerogError('PEER_MISBEHAVED', 'the RPC returned a log that was not asked for')
      yield {
        name: options.name,
        // decodeStorageEvent pairs every name with its arguments.
        args: event.args as StorageEventArgs[N],
        blockNumber: log.blockNumber,
        transactionHash: log.transactionHash,
        logIndex: log.index,
      }
    }
    toBlock = fromBlock - 1
  }
}

export declare namespace eventsBackwards {
  type Options<N extends StorageEventName> = Pick<ReadOptions, 'signal' | 'timeoutMs'> & {
    name: N
    indexed?: readonly (string | null)[]
    fromBlock: number
    toBlock: number
    pageBlocks?: number
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

function readPage<N extends StorageEventName>(
  { provider, book }: Chain,
  { name, indexed = [], fromBlock, toBlock, ...options }: eventsBackwards.Options<N>,
): Promise<Log[]> {
  const { address, topics } = eventFilter(book, [name])
  return read(provider.getLogs({ address, topics: [...topics, ...indexed], fromBlock, toBlock }), options)
}

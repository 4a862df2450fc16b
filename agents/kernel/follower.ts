import type { StoreTx } from './store.ts'

/** A log as the chain gave it; hex strings lower case, numbers plain. */
export type ChainLog = {
  readonly address: string
  readonly topics: readonly string[]
  readonly data: string
  readonly blockNumber: number
  readonly blockHash: string
  readonly transactionHash: string
  readonly transactionIndex: number
  readonly logIndex: number
}

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
  /** Applies the logs of the blocks fromBlock..toBlock; called for empty ranges too. */
  onLogs(logs: readonly ChainLog[], tx: StoreTx, range: { fromBlock: number; toBlock: number }): void
  /** Undoes everything above `toBlock`. */
  onRollback(toBlock: number, tx: StoreTx): void
  /** Names a log for `Duty.wakeOn`. */
  eventName?(log: ChainLog): string | undefined
}

import type { Wallet } from 'ethers'
import type { Chain } from '../../sdk/chain/connect.ts'
import { type Clock, periodAt } from '../../sdk/protocol/clock.ts'
import type { ErasureEngine } from '../../sdk/protocol/erasure.ts'
import type { Hasher } from '../../sdk/protocol/hasher.ts'
import type { KernelContext } from '../kernel/duty.ts'
import type { StorageConfig } from './config.ts'
import type { CustodyBook } from './custody-book.ts'
import type { DealIndex } from './deal-index.ts'
import type { StorageMetrics } from './metrics.ts'
import type { Peers } from './peers.ts'
import type { ShardStore } from './shard-store.ts'

/** The parts of a storage agent that outlive a tick. */
export type StorageParts = {
  readonly config: StorageConfig
  readonly chain: Chain
  readonly wallet: Wallet
  readonly hasher: Hasher
  readonly erasure: ErasureEngine
  readonly shards: ShardStore
  readonly index: DealIndex
  readonly book: CustodyBook
  readonly peers: Peers
  readonly storageMetrics: StorageMetrics
  /** Test seam of the kernel, bound to the data folder. */
  crashPoint(name: string): void
}

/** What every duty of a storage agent gets. */
export type StorageContext = KernelContext & StorageParts

/** Where the present period stands; blocks are half open: a step is possible while block < its close. */
export type PeriodWindows = {
  readonly period: bigint
  readonly startBlock: bigint
  readonly pinCloses: bigint
  readonly answerCloses: bigint
  readonly reportCloses: bigint
}

/** The clock of a deployment. */
export function clockOf({ terms }: Chain): Clock {
  return {
    startBlock: terms.startBlock,
    periodBlocks: terms.periodBlocks,
    bucketPeriods: terms.bucketPeriods,
  }
}

/** The period of a block with its windows; undefined before the clock starts. */
export function windowsAt(chain: Chain, block: number): PeriodWindows | undefined {
  const clock = clockOf(chain)
  if (BigInt(block) < clock.startBlock) return undefined
  const period = periodAt(clock, BigInt(block))
  const startBlock = clock.startBlock + period * clock.periodBlocks
  const { windowBlocks } = chain.terms
  return {
    period,
    startBlock,
    pinCloses: startBlock + windowBlocks,
    answerCloses: startBlock + 2n * windowBlocks,
    reportCloses: startBlock + 3n * windowBlocks,
  }
}

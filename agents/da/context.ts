import type { Wallet } from 'ethers'
import type { DaChain } from '../../sdk/chain/da-chain.ts'
import { type Clock, periodAt } from '../../sdk/protocol/clock.ts'
import type { Hasher } from '../../sdk/protocol/hasher.ts'
import type { KzgEngine } from '../../sdk/protocol/kzg-engine.ts'
import type { KernelContext } from '../kernel/duty.ts'
import type { BlobIndex } from './blob-index.ts'
import type { BlsKey } from './bls-key.ts'
import type { CellFaults } from './cell-faults.ts'
import type { ColumnStore } from './column-store.ts'
import type { Committees } from './committees.ts'
import type { DaConfig } from './config.ts'
import type { DispersalJournal } from './dispersal-journal.ts'
import type { DaMetrics } from './metrics.ts'
import type { Peers } from './peers.ts'
import type { SeenHeaders } from './seen-headers.ts'
import type { SigningGuard } from './signing-guard.ts'

/** The parts of a DA agent that outlive a tick. */
export type DaParts = {
  readonly config: DaConfig
  readonly chain: DaChain
  readonly wallet: Wallet
  readonly bls: BlsKey
  readonly hasher: Hasher
  readonly kzg: KzgEngine
  readonly columns: ColumnStore
  readonly index: BlobIndex
  readonly guard: SigningGuard
  readonly seen: SeenHeaders
  readonly faults: CellFaults
  readonly journal: DispersalJournal
  readonly committees: Committees
  readonly peers: Peers
  readonly daMetrics: DaMetrics
  /** W: blocks of each of the windows of an audit. */
  readonly windowBlocks: bigint
  /** Blobs expire in periods that are a multiple of this. */
  readonly bucketPeriods: bigint
  /** Test seam of the kernel, bound to the data folder. */
  crashPoint(name: string): void
}

/** What every duty of a DA agent gets. */
export type DaContext = KernelContext & DaParts

/** Where the present period stands; blocks are half open: a step is possible while block < its close. */
export type PeriodWindows = {
  readonly period: bigint
  readonly startBlock: bigint
  readonly pinCloses: bigint
  readonly answerCloses: bigint
  readonly reportCloses: bigint
}

/** The clock of a deployment. */
export function clockOf({ terms }: Pick<DaChain, 'terms'>): Clock {
  return {
    startBlock: terms.startBlock,
    periodBlocks: terms.periodBlocks,
    bucketPeriods: terms.bucketPeriods,
  }
}

/** The period that `block` lies in. */
export function periodOf({ chain }: Pick<DaParts, 'chain'>, block: number): bigint {
  return periodAt(clockOf(chain), BigInt(block))
}

/** The epoch that `block` lies in; undefined before the clock starts. */
export function epochOf({ chain }: Pick<DaParts, 'chain'>, block: number): bigint | undefined {
  if (BigInt(block) < chain.terms.startBlock) return undefined
  return periodAt(clockOf(chain), BigInt(block)) / chain.terms.epochPeriods
}

/** The period of a block with its audit windows; undefined before the clock starts. */
export function windowsAt(
  { chain, windowBlocks }: Pick<DaParts, 'chain' | 'windowBlocks'>,
  block: number,
): PeriodWindows | undefined {
  const clock = clockOf(chain)
  if (BigInt(block) < clock.startBlock) return undefined
  const period = periodAt(clock, BigInt(block))
  const startBlock = clock.startBlock + period * clock.periodBlocks
  return {
    period,
    startBlock,
    pinCloses: startBlock + windowBlocks,
    answerCloses: startBlock + 2n * windowBlocks,
    reportCloses: startBlock + 3n * windowBlocks,
  }
}

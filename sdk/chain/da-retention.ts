import { periodAt } from '../protocol/clock.ts'
import type { DaChain } from './da-chain.ts'
import { readActiveEpoch } from './da-committee.ts'
import { at, type ReadOptions, read } from './read.ts'

/** For how long a blob can be published now: the present period, and the latest expiry (a period) that the contract takes. */
export type RetentionBounds = { readonly currentPeriod: bigint; readonly latestExpiry: bigint }

/**
 * Reads for how long a blob can be published now: expiries lie on buckets, and the stake of the committee's epoch must still be there when
 * the disputes end. Before the first committee `latestExpiry` is 0.
 */
export async function readRetentionBounds(
  chain: DaChain,
  options: ReadOptions = {},
): Promise<RetentionBounds> {
  const { terms, daTerms, contracts } = chain
  const [head, exitDelayBlocks, epoch] = await Promise.all([
    read(chain.provider.getBlockNumber(), options),
    read(contracts.staking.exitDelayBlocks(at(options)), options),
    readActiveEpoch(chain, options),
  ])
  const currentPeriod = periodAt(terms, BigInt(head))
  if (epoch === undefined) return { currentPeriod, latestExpiry: 0n }
  const exitDelayPeriods = exitDelayBlocks / terms.periodBlocks
  const slashable = epoch * terms.epochPeriods + exitDelayPeriods - daTerms.disputePeriods
  const bound = smaller(currentPeriod + daTerms.maxRetentionPeriods, slashable)
  return { currentPeriod, latestExpiry: bound - (bound % terms.bucketPeriods) }
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

import { custodyLeaf, custodyRoot } from '../protocol/custody.ts'
import { ZerogError } from '../protocol/errors.ts'
import type { Assignment } from './assign-shards.ts'

/** Who keeps what, as custodians sign it. */
export type CustodyPlan = {
  readonly root: string
  readonly shards: readonly { index: number; provider: string; root: string }[]
  /** Bit i of a provider's bitmap: it keeps shard i. Providers in ascending order of address, as a seal lists them. */
  readonly custodians: readonly { provider: string; shardBitmap: bigint; shards: number[] }[]
}

/** The custody tree and the custodians of an assignment of all shards. */
export function custodyPlan(assignment: Assignment, shardRoots: readonly string[]): CustodyPlan {
  const shards = shardRoots.map((root, index) => {
    const provider = assignment.get(index)
    if (provider === undefined) throw new ZerogError('INTERNAL', `shard ${index} has no custodian`)
    return { index, provider, root }
  })
  const root = custodyRoot(
    shards.map(({ index, provider, root: shardRoot }) => custodyLeaf({ index, provider, shardRoot })),
  )
  const providers = [...new Set(shards.map(({ provider }) => provider))].sort((a, b) =>
    BigInt(a) < BigInt(b) ? -1 : 1,
  )
  const custodians = providers.map((provider) => {
    const own = shards.filter((shard) => shard.provider === provider).map(({ index }) => index)
    return {
      provider,
      shards: own,
      shardBitmap: own.reduce((bits, index) => bits | (1n << BigInt(index)), 0n),
    }
  })
  return { root, shards, custodians }
}

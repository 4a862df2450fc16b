import { custodyOf, locateDraw, type SealedDeal } from './storage-deal.ts'
import { enterPeriod, type StorageSystem } from './storage-fixture.ts'

/** Periods in which a provider that never answers must have been drawn often enough. */
const PATIENCE_PERIODS = 30n

/** Opens rounds from the deal's start on and reports every period's first miss of `provider` until it is suspended. */
export async function missUntilSuspended(
  system: StorageSystem,
  deal: SealedDeal,
  provider: { address: string },
): Promise<void> {
  const { prover, streams, params, reporter } = system
  for (let period = deal.startPeriod; !(await streams.isSuspended(provider.address)); period++) {
    if (period > deal.startPeriod + PATIENCE_PERIODS)
      throw new Error('the provider was not drawn often enough')
    await enterPeriod(system, period)
    await prover.openRound(period, '0x')
    const { draws } = await prover.round(period)
    await enterPeriod(system, period, 2n * params.windowBlocks)
    for (let draw = 0n; draw < draws; draw++) {
      const place = await locateDraw(system, [deal], { period, draw })
      if (place === undefined || deal.holders[place.shardIndex] !== provider.address) continue
      const custody = custodyOf(deal, place.shardIndex)
      await prover.connect(reporter).reportMiss(period, draw, place.entryIndex, custody)
      break
    }
  }
}

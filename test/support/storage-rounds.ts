import { custodyOf, locateDraw, type SealedDeal } from './storage-deal.ts'
import { currentPeriod, enterPeriod, type StorageSystem } from './storage-fixture.ts'

/** A draw that somebody must answer. */
export type Draw = {
  period: bigint
  index: bigint
  deal: SealedDeal
  entryIndex: bigint
  shardIndex: number
  sector: number
  /** Address of the shard's custodian as the deal was sealed. */
  holder: string
}

/** Enters the next period and opens its round; answers every draw on `deals` that this finds. */
export async function openNextRound(
  system: StorageSystem,
  deals: readonly SealedDeal[],
): Promise<{ period: bigint; draws: Draw[] }> {
  const period = (await currentPeriod(system)) + 1n
  await enterPeriod(system, period)
  await system.prover.connect(system.reporter).openRound(period, '0x')
  return { period, draws: await drawsOf(system, deals, period) }
}

/** Draws of an opened period that fall on `deals`. */
export async function drawsOf(
  system: StorageSystem,
  deals: readonly SealedDeal[],
  period: bigint,
): Promise<Draw[]> {
  const { draws } = await system.prover.round(period)
  const found: Draw[] = []
  for (let index = 0n; index < draws; index++) {
    const place = await locateDraw(system, deals, { period, draw: index })
    if (place === undefined) continue
    found.push({ period, index, ...place, holder: place.deal.holders[place.shardIndex] ?? '' })
  }
  return found
}

/** What `answer` needs for a draw, each part open to a test's own version. */
export function answerOf({ period, index, deal, entryIndex, shardIndex, sector }: Draw) {
  const shard = deal.file.shards[shardIndex]
  if (shard === undefined) throw new Error(`the file has no shard ${shardIndex}`)
  return {
    period,
    draw: index,
    entryIndex,
    sector: shard.sector(sector),
    path: shard.path(sector),
    custody: custodyOf(deal, shardIndex),
  }
}

/** Sends an answer as a stranger to the deal. */
export const sendAnswer = (
  { prover, stranger }: StorageSystem,
  { period, draw, entryIndex, sector, path, custody }: ReturnType<typeof answerOf>,
) => prover.connect(stranger).answer(period, draw, entryIndex, sector, path, custody)

/** Reports a draw as missed. */
export const sendReport = (
  { prover, reporter }: StorageSystem,
  { period, index, deal, entryIndex, shardIndex }: Draw,
  custody = custodyOf(deal, shardIndex),
) => prover.connect(reporter).reportMiss(period, index, entryIndex, custody)

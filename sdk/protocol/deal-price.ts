import { bucketCeil, type Clock } from './clock.ts'
import { dealGeometry } from './layout.ts'

/** Stored sectors that the public fee buys per padded sector. */
export const EXPANSION = 2n
/** Parity shards that the public fee buys. */
export const DEFAULT_PARITY = 8
/** Fewest and most parity shards of a deal. */
export const MIN_PARITY = 4
export const MAX_PARITY = 64

const BPS = 10_000n

/** What the public ABI charges per padded sector, in wei. Twin of `DealPriceLib.paddedSectorPrice`. */
export function paddedSectorPrice(pricePerSectorPeriodWei: bigint, defaultTermPeriods: bigint): bigint {
  return pricePerSectorPeriodWei * defaultTermPeriods * EXPANSION
}

/**
 * First period that a deal does not cover, when `deadlinePeriod` is the period of the last block in which it may be sealed.
 * Twin of `DealPriceLib.expiry`.
 */
export function expiry(clock: Clock, deadlinePeriod: bigint, termPeriods: bigint): bigint {
  return bucketCeil(clock, deadlinePeriod + 1n + termPeriods)
}

/** Sectors that all shards of a deal hold together. Throws SUBMISSION_INVALID when no file pads to that length. */
export function storedSectors(paddedSectors: number, parityShards: number): bigint {
  const { shardSectors, dataShards } = dealGeometry(paddedSectors)
  return BigInt(dataShards + parityShards) * BigInt(shardSectors)
}

/** Escrow (wei) that pays `stored` sectors for `periods` at the list price. Twin of `DealPriceLib.escrowNeeded`. */
export function escrowNeeded(stored: bigint, periods: bigint, pricePerSectorPeriodWei: bigint): bigint {
  return stored * periods * pricePerSectorPeriodWei
}

/** Price per sector-period that an escrow pays for, rounded down; 0 when it is too small. Twin of `DealPriceLib.sectorPrice`. */
export function sectorPrice(escrowWei: bigint, stored: bigint, periods: bigint): bigint {
  return escrowWei / (stored * periods)
}

/** Net rate of one shard per period; the pot's share is rounded up. Twin of `DealPriceLib.shardRate`. */
export function shardRate(sectorPriceWei: bigint, shardSectors: bigint, potBps: bigint): bigint {
  return (sectorPriceWei * shardSectors * (BPS - potBps)) / BPS
}

/** What a seal freezes, in wei: the deal spends `grossPerPeriodWei` in each of its periods and `remainderWei` returns to the owner. */
export type DealPrice = {
  sectorPriceWei: bigint
  shardRateWei: bigint
  grossPerPeriodWei: bigint
  remainderWei: bigint
}

/** Price of a deal sealed now: `escrowWei` spread over all its stored sectors for `periods`. */
export function dealPrice({
  escrowWei,
  paddedSectors,
  parityShards,
  periods,
  potBps,
}: {
  escrowWei: bigint
  paddedSectors: number
  parityShards: number
  periods: bigint
  potBps: bigint
}): DealPrice {
  const stored = storedSectors(paddedSectors, parityShards)
  const sectorPriceWei = sectorPrice(escrowWei, stored, periods)
  const grossPerPeriodWei = stored * sectorPriceWei
  return {
    sectorPriceWei,
    shardRateWei: shardRate(sectorPriceWei, BigInt(dealGeometry(paddedSectors).shardSectors), potBps),
    grossPerPeriodWei,
    remainderWei: escrowWei - grossPerPeriodWei * periods,
  }
}

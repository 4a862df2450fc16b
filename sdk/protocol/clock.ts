/** The one clock: period p begins at block startBlock + p x periodBlocks; expiries fall on multiples of bucketPeriods. */
export type Clock = { startBlock: bigint; periodBlocks: bigint; bucketPeriods: bigint }

/** Period that `block` lies in; 0 before the start. Twin of `ClockLib.periodAt`. */
export function periodAt(clock: Clock, block: bigint): bigint {
  return block < clock.startBlock ? 0n : (block - clock.startBlock) / clock.periodBlocks
}

/** First block of a period. Twin of `ClockLib.periodStart`. */
export function periodStart(clock: Clock, period: bigint): bigint {
  return clock.startBlock + period * clock.periodBlocks
}

/** The period, at or after `period`, on which a bucket begins. */
export function bucketCeil(clock: Clock, period: bigint): bigint {
  return ((period + clock.bucketPeriods - 1n) / clock.bucketPeriods) * clock.bucketPeriods
}

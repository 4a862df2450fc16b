import { concat, id, keccak256, toBeHex } from 'ethers'
import { COLUMNS } from './cell-layout.ts'
import { ZerogError } from './errors.ts'

/** Separates this use of a seed from every other. */
const DOMAIN = id('ZeroG DaCommittee seats')

/** The fraction that all seats share has 64 bits. */
const FRACTION_BITS = 64n

/**
 * The index in `weights` of who holds each of the 128 columns. `weights` are stakes in wei, below 2^128 each, at most 128 of them, not
 * all zero; `seed` is 32 B of hex. Twin of `SeatLib.assign`. Throws RANGE_INVALID.
 */
export function assignColumns(weights: readonly bigint[], seed: string): number[] {
  const base = keccak256(concat([DOMAIN, seed]))
  const seats = apportionSeats(weights, BigInt.asUintN(64, BigInt(base)))
  return shuffleSeats(seats, base)
}

/**
 * The index in `weights` of who holds each seat: seat s belongs to the holder of stake point (s + fraction / 2^64) x total / 128, so
 * everybody gets its quota rounded down or up. Twin of `SeatLib.apportion`. Throws RANGE_INVALID.
 */
export function apportionSeats(weights: readonly bigint[], fraction: bigint): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0n)
  if (total === 0n || weights.length > COLUMNS)
    throw new ZerogError('RANGE_INVALID', 'seats are shared among 1 to 128 members with stake')
  const owners: number[] = []
  let below = 0n
  for (const [index, weight] of weights.entries()) {
    below += weight
    while (owners.length < COLUMNS && pointOf(owners.length, fraction) * total < scaled(below))
      owners.push(index)
  }
  return owners
}

/** Fisher-Yates shuffle of a copy; `seed` is 32 B of hex. Twin of `SeatLib.shuffle`. */
export function shuffleSeats(seats: readonly number[], seed: string): number[] {
  const shuffled = [...seats]
  for (let left = shuffled.length; left > 1; left--) {
    const pick = Number(BigInt(keccak256(concat([seed, toBeHex(left, 32)]))) % BigInt(left))
    const [last, picked] = [shuffled[left - 1], shuffled[pick]]
    if (last === undefined || picked === undefined) continue
    shuffled[left - 1] = picked
    shuffled[pick] = last
  }
  return shuffled
}

/** The place of a seat in units of 2^-64 seats. */
const pointOf = (seat: number, fraction: bigint) => (BigInt(seat) << FRACTION_BITS) + fraction

/** A stake in the units that {@link pointOf} has once multiplied by the total. */
const scaled = (weight: bigint) => (weight * BigInt(COLUMNS)) << FRACTION_BITS

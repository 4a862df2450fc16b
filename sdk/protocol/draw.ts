import { AbiCoder, keccak256 } from 'ethers'
import { ZerogError } from './errors.ts'

/** However much of the audit line is dead, a period has at most this many times the target of draws. */
export const MAX_STRETCH = 8n

/** Draws of a period: min(8 x target, ceil(target x span / live)), none when nothing is live. Twin of `DrawLib.count`. */
export function drawCount({
  targetDraws,
  span,
  live,
}: {
  targetDraws: bigint
  span: bigint
  live: bigint
}): bigint {
  if (live === 0n) return 0n
  const stretched = (targetDraws * span + live - 1n) / live
  const most = MAX_STRETCH * targetDraws
  return stretched < most ? stretched : most
}

/** Where draw `index` falls on the audit line. `seed` is 32 B of hex. Twin of `DrawLib.position`. */
export function drawPosition({
  seed,
  index,
  tail,
  span,
}: {
  seed: string
  index: bigint
  tail: bigint
  span: bigint
}): bigint {
  if (span === 0n) throw new ZerogError('RANGE_INVALID', 'an empty audit line has no draws')
  const hash = keccak256(AbiCoder.defaultAbiCoder().encode(['bytes32', 'uint256'], [seed, index]))
  return tail + (BigInt(hash) % span)
}

import { concat, getAddress, keccak256, toBeHex } from 'ethers'

/** Blocks that each rank leaves to the one before it. */
const BLOCKS_PER_RANK = 2

/**
 * Position of `self` among `operators` in the order of keccak256(id, address), 0 first, and the blocks to wait before
 * acting, so that agents that may all send the same transaction do so one after the other.
 *
 * `id` is a number or 32-byte hex, hashed as 32 bytes. One that is not among the operators goes last.
 */
export function rank(id: bigint | string, self: string, operators: readonly string[]) {
  const word = typeof id === 'bigint' ? toBeHex(id, 32) : id
  const place = (address: string): string => keccak256(concat([word, getAddress(address)]))
  const own = place(self)
  const among = operators.some((operator) => getAddress(operator) === getAddress(self))
  const position = among ? operators.filter((operator) => place(operator) < own).length : operators.length
  return { rank: position, waitBlocks: BLOCKS_PER_RANK * position }
}

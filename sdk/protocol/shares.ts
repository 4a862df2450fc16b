/** Shares that nobody owns: a donation to an empty pool is lost to them, not won by the first holder. */
export const VIRTUAL_SHARES = 1_000_000n
export const VIRTUAL_WEI = 1n
/** At more shares per wei than this, a slashed pool counts as wiped and starts a new generation. */
export const MAX_SHARES_PER_WEI = 10n ** 18n

/** A staking pool's tokens and shares. */
export type SharePool = { tokensWei: bigint; shares: bigint }

/** Shares that `amountWei` buys, rounded for the pool. Twin of `ShareLib.toSharesDown`. */
export function toSharesDown(pool: SharePool, amountWei: bigint): bigint {
  return (amountWei * (pool.shares + VIRTUAL_SHARES)) / (pool.tokensWei + VIRTUAL_WEI)
}

/** What `part` of the shares is worth, in wei, rounded for the pool. Twin of `ShareLib.toWeiDown`. */
export function toWeiDown(pool: SharePool, part: bigint): bigint {
  return (part * (pool.tokensWei + VIRTUAL_WEI)) / (pool.shares + VIRTUAL_SHARES)
}

/** What `part` of the shares is worth, in wei, rounded against its owner. Twin of `ShareLib.toWeiUp`. */
export function toWeiUp(pool: SharePool, part: bigint): bigint {
  const divisor = pool.shares + VIRTUAL_SHARES
  return (part * (pool.tokensWei + VIRTUAL_WEI) + divisor - 1n) / divisor
}

/** Whether a slash has left so little that the shares are void. Twin of `ShareLib.isWiped`. */
export function isWiped(pool: SharePool): boolean {
  return pool.shares !== 0n && pool.shares / MAX_SHARES_PER_WEI >= pool.tokensWei
}

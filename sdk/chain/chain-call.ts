/** A call that a sender or a wallet can send: checksummed address, 0x calldata, value in wei. */
export type ChainCall = { readonly to: string; readonly data: string; readonly valueWei: bigint }

/** A call of `contract` with encoded `data`. */
export function chainCall(contract: { readonly target: unknown }, data: string, valueWei = 0n): ChainCall {
  return { to: String(contract.target), data, valueWei }
}

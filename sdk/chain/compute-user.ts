import type { Release } from '../protocol/voucher.ts'
import { type ChainCall, chainCall } from './chain-call.ts'
import type { ComputeChain } from './compute-chain.ts'

/** Accepts the signer of a provider's service. */
export function acknowledgeSignerCall({ compute: { inference } }: ComputeChain, provider: string): ChainCall {
  return chainCall(
    inference,
    inference.interface.encodeFunctionData('acknowledgeTEESigner', [provider, true]),
  )
}

/** Sets the dearest unit prices at which the sender buys from a provider. */
export function setMaxPriceCall(
  { compute: { inference } }: ComputeChain,
  wish: { provider: string; inputPriceWei: bigint; outputPriceWei: bigint },
): ChainCall {
  const data = inference.interface.encodeFunctionData('setMaxPrice', [
    wish.provider,
    wish.inputPriceWei,
    wish.outputPriceWei,
  ])
  return chainCall(inference, data)
}

/** Takes to the sender's ledger at once what a provider has released; reverts for another sender. */
export function releaseRefundCall(
  { compute: { inference } }: ComputeChain,
  { provider, release, signature }: { provider: string; release: Release; signature: string },
): ChainCall {
  const data = inference.interface.encodeFunctionData('releaseRefund', [provider, release, signature])
  return chainCall(inference, data)
}

/** Revokes one API key of the sender, or without a number all its keys and sessions at a provider. */
export function revokeKeyCall(
  { compute: { inference } }: ComputeChain,
  { provider, tokenId }: { provider: string; tokenId: number | undefined },
): ChainCall {
  const data =
    tokenId === undefined
      ? inference.interface.encodeFunctionData('revokeAllTokens', [provider])
      : inference.interface.encodeFunctionData('revokeToken', [provider, tokenId])
  return chainCall(inference, data)
}

import { type ChainCall, chainCall } from './chain-call.ts'
import type { ComputeChain } from './compute-chain.ts'
import { isRevert } from './decode-error.ts'
import { at, type ReadOptions, read } from './read.ts'

/** The service of inference, as the ledger names it. */
export const INFERENCE_SERVICE_NAME = 'inference-v1.0'

/** A user's money in the ledger, in wei; `totalWei` includes sub-accounts. */
export type LedgerView = { readonly availableWei: bigint; readonly totalWei: bigint }

/** Least amounts of the ledger: to open it or leave in it, and to open a sub-account. */
export type LedgerMinimums = { readonly accountWei: bigint; readonly transferWei: bigint }

/** The ledger of a user; undefined when there is none. */
export async function readLedger(
  { compute: { ledger } }: ComputeChain,
  user: string,
  options: ReadOptions = {},
): Promise<LedgerView | undefined> {
  try {
    const { availableBalance, totalBalance } = await read(ledger.getLedger(user, at(options)), options)
    return { availableWei: availableBalance, totalWei: totalBalance }
  } catch (error) {
    if (isRevert(error, 'LedgerNotExists')) return undefined
    throw error
  }
}

export async function readLedgerMinimums(
  { compute: { ledger } }: ComputeChain,
  options: ReadOptions = {},
): Promise<LedgerMinimums> {
  const [accountWei, transferWei] = await read(
    Promise.all([ledger.MIN_ACCOUNT_BALANCE(at(options)), ledger.MIN_TRANSFER_AMOUNT(at(options))]),
    options,
  )
  return { accountWei, transferWei }
}

/** The providers at which a user has sub-accounts of inference. */
export async function readLedgerProviders(
  { compute: { ledger } }: ComputeChain,
  user: string,
  options: ReadOptions = {},
): Promise<string[]> {
  return [...(await read(ledger.getLedgerProviders(user, INFERENCE_SERVICE_NAME, at(options)), options))]
}

/** When each amount that was asked back is free, in chain seconds, with the amount. */
export async function readRefunds(
  { compute: { inference } }: ComputeChain,
  { user, provider }: { user: string; provider: string },
  options: ReadOptions = {},
): Promise<{ amountWei: bigint; freeAtSec: bigint }[]> {
  const [account, lockSec] = await read(
    Promise.all([inference.getAccount(user, provider, at(options)), inference.lockTime(at(options))]),
    options,
  )
  return account.refunds.map(({ amount, createdAt }) => ({
    amountWei: amount,
    freeAtSec: createdAt + lockSec,
  }))
}

/** The unit prices of an epoch and when it begins; all zero when there is none. */
export function readPriceAt(
  { compute: { inference } }: ComputeChain,
  { provider, priceEpoch }: { provider: string; priceEpoch: bigint },
  options: ReadOptions = {},
): Promise<{ inputPriceWei: bigint; outputPriceWei: bigint; fromSec: bigint }> {
  return read(inference.priceAt(provider, priceEpoch, at(options)), options)
}

/** Pays into the sender's ledger, which is opened when the amount reaches the minimum. */
export function depositCall({ compute: { ledger } }: ComputeChain, amountWei: bigint): ChainCall {
  return chainCall(ledger, ledger.interface.encodeFunctionData('depositFund'), amountWei)
}

/** Moves money from the sender's ledger to its sub-account, which is opened when absent. */
export function transferCall(
  { compute: { ledger } }: ComputeChain,
  { provider, amountWei }: { provider: string; amountWei: bigint },
): ChainCall {
  const data = ledger.interface.encodeFunctionData('transferFund', [
    provider,
    INFERENCE_SERVICE_NAME,
    amountWei,
  ])
  return chainCall(ledger, data)
}

/** Takes back what was asked back and is free, then asks the rest back. At most 20 providers. */
export function retrieveCall({ compute: { ledger } }: ComputeChain, providers: readonly string[]): ChainCall {
  const data = ledger.interface.encodeFunctionData('retrieveFund', [[...providers], INFERENCE_SERVICE_NAME])
  return chainCall(ledger, data)
}

/** Pays a part of the sender's free balance to the sender. */
export function payOutCall({ compute: { ledger } }: ComputeChain, amountWei: bigint): ChainCall {
  return chainCall(ledger, ledger.interface.encodeFunctionData('refund', [amountWei]))
}

/** Accepts the signer of a provider's service. */
export function acknowledgeCall({ compute: { inference } }: ComputeChain, provider: string): ChainCall {
  return chainCall(
    inference,
    inference.interface.encodeFunctionData('acknowledgeTEESigner', [provider, true]),
  )
}

/** Sets the dearest unit prices at which the sender buys. */
export function maxPriceCall(
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

/** Revokes one API key of the sender, or without a number all of them. */
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

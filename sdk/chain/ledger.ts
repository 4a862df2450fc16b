import { type ChainCall, chainCall } from './chain-call.ts'
import type { ComputeChain } from './compute-chain.ts'
import { isRevert } from './decode-error.ts'
import { at, type ReadOptions, read } from './read.ts'

/** What the ledger calls `InferenceServing`. */
const INFERENCE_SERVICE_NAME = 'inference-v1.0'

/** A user's money in compute: `totalWei` is what is available, in sub-accounts and held. Amounts in wei. */
export type LedgerView = { readonly availableWei: bigint; readonly totalWei: bigint }

/** The least that opens a ledger, and the least that opens a sub-account, in wei. */
export type LedgerTerms = { readonly minAccountWei: bigint; readonly minTransferWei: bigint }

/** A sub-account with what was asked back from it; `balanceWei` includes what is locked. */
export type SubAccountView = {
  readonly provider: string
  readonly balanceWei: bigint
  readonly pendingRefundWei: bigint
  /** Oldest first; each is free from `freeAtSec` on (chain time, seconds). */
  readonly refunds: readonly { readonly amountWei: bigint; readonly freeAtSec: bigint }[]
}

const PAGE_ACCOUNTS = 50

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

/** The minimums of ledgers and sub-accounts. */
export async function readLedgerTerms(
  { compute: { ledger } }: ComputeChain,
  options: ReadOptions = {},
): Promise<LedgerTerms> {
  const [minAccountWei, minTransferWei] = await read(
    Promise.all([ledger.MIN_ACCOUNT_BALANCE(at(options)), ledger.MIN_TRANSFER_AMOUNT(at(options))]),
    options,
  )
  return { minAccountWei, minTransferWei }
}

/** Every inference sub-account of a user, of one moment when `blockTag` is given. */
export async function readSubAccounts(
  { compute: { inference } }: ComputeChain,
  user: string,
  options: ReadOptions = {},
): Promise<SubAccountView[]> {
  const lockSec = await read(inference.lockTime(at(options)), options)
  const found: SubAccountView[] = []
  for (;;) {
    const page = inference.getAccountsByUser(user, found.length, PAGE_ACCOUNTS, at(options))
    const [accounts, total] = await read(page, options)
    for (const { provider, balance, pendingRefund, refunds } of accounts)
      found.push({
        provider,
        balanceWei: balance,
        pendingRefundWei: pendingRefund,
        refunds: refunds.map(({ amount, createdAt }) => ({
          amountWei: amount,
          freeAtSec: createdAt + lockSec,
        })),
      })
    if (accounts.length === 0 || found.length >= Number(total)) return found
  }
}

/** Adds coins to the sender's ledger; opens it when they reach the minimum. */
export function depositFundCall({ compute: { ledger } }: ComputeChain, amountWei: bigint): ChainCall {
  return chainCall(ledger, ledger.interface.encodeFunctionData('depositFund'), amountWei)
}

/** Moves available money to the sender's sub-account at a provider; what was asked back from there counts first. */
export function transferFundCall(
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

/** Takes what is free from the sender's sub-accounts to its ledger, and asks the rest back. */
export function retrieveFundCall(
  { compute: { ledger } }: ComputeChain,
  providers: readonly string[],
): ChainCall {
  const data = ledger.interface.encodeFunctionData('retrieveFund', [[...providers], INFERENCE_SERVICE_NAME])
  return chainCall(ledger, data)
}

/** Pays available money of the sender's ledger out to the sender. */
export function refundLedgerCall({ compute: { ledger } }: ComputeChain, amountWei: bigint): ChainCall {
  return chainCall(ledger, ledger.interface.encodeFunctionData('refund', [amountWei]))
}

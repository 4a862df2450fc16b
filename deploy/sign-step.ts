import { keccak256, type Provider, type Signer, Transaction } from 'ethers'
import { chainError } from '../sdk/chain/decode-error.ts'
import { ZerogError } from '../sdk/protocol/errors.ts'
import type { JournalEntry } from './journal.ts'
import type { StepTransaction } from './transaction.ts'

type Signed = JournalEntry['signed'][number]

type Options = {
  provider: Provider
  signer: Signer
  chainId: number
  step: string
  nonce: number
  transaction: StepTransaction
  /** The transaction that this one replaces: it must offer more. */
  replaced: Signed | undefined
}

/** Nodes ask for 10 % more of a replacement; an eighth leaves room for their rounding. */
const raised = (wei: bigint | null | undefined) => (wei == null ? 0n : wei + wei / 8n + 1n)
const larger = (a: bigint, b: bigint) => (a > b ? a : b)

async function presentFees(provider: Provider, replaced: Signed | undefined) {
  const before = replaced === undefined ? undefined : Transaction.from(replaced.raw)
  const { maxFeePerGas, maxPriorityFeePerGas, gasPrice } = await provider.getFeeData()
  if (maxFeePerGas === null || maxPriorityFeePerGas === null) {
    return { type: 0, gasPrice: larger(gasPrice ?? 0n, raised(before?.gasPrice)) }
  }
  return {
    type: 2,
    maxFeePerGas: larger(maxFeePerGas, raised(before?.maxFeePerGas)),
    maxPriorityFeePerGas: larger(maxPriorityFeePerGas, raised(before?.maxPriorityFeePerGas)),
  }
}

/** Gas with a margin of a fifth; a revert is known here, before anything is paid. */
async function gasLimitOf({ provider, signer, step, transaction }: Options): Promise<bigint> {
  try {
    return ((await provider.estimateGas({ from: await signer.getAddress(), ...transaction })) * 6n) / 5n
  } catch (error) {
    const known = chainError(error)
    if (known.code !== 'TX_REVERTED') throw known
    throw new ZerogError('TX_REVERTED', `${step} would revert: ${known.message}`, {
      cause: error,
      meta: known.meta,
    })
  }
}

/** Signs the transaction of a step. Errors: TX_REVERTED when its simulation reverts, and those of the RPC. */
export async function signStep(options: Options): Promise<Signed> {
  const fees = await presentFees(options.provider, options.replaced)
  const { nonce, chainId, transaction } = options
  const gasLimit = await gasLimitOf(options)
  const raw = await options.signer.signTransaction({ ...transaction, ...fees, nonce, gasLimit, chainId })
  return { hash: keccak256(raw), raw }
}

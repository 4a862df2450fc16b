import { getCreateAddress, type Provider, type Signer, type TransactionReceipt } from 'ethers'
import { pause } from '../agents/kernel/backoff.ts'
import { chainError } from '../sdk/chain/decode-error.ts'
import { ZerogError } from '../sdk/protocol/errors.ts'
import type { Journal, JournalEntry } from './journal.ts'
import type { Step } from './module.ts'
import { signStep } from './sign-step.ts'
import type { StepTransaction } from './transaction.ts'

/** What happens to a step, in this order; `signed` is told after the journal is on disk and before anything is sent. */
export type StepEvent = { kind: 'signed' | 'sent' | 'mined' | 'recorded'; step: string; hash: string }

export type SendOptions = {
  provider: Provider
  signer: Signer
  chainId: number
  confirmations: number
  pollMs: number
  /** A transaction that waits longer is sent again with the same nonce and a higher fee. */
  speedUpMs: number
  timeoutMs: number
  signal: AbortSignal
  onEvent: (event: StepEvent) => void
}

type Mined = NonNullable<JournalEntry['mined']>

/** Load-balanced RPCs disagree for a while: a nonce counts as taken by a stranger only after so many looks. */
const LOOKS_BEFORE_LOST = 20

async function receiptOf(provider: Provider, entry: JournalEntry): Promise<TransactionReceipt | undefined> {
  for (const { hash } of entry.signed) {
    const receipt = await provider.getTransactionReceipt(hash)
    if (receipt !== null) return receipt
  }
  return undefined
}

/** Sends a signed transaction, again if need be: the same bytes cannot be mined twice. */
async function broadcast(provider: Provider, { hash, raw }: JournalEntry['signed'][number]): Promise<void> {
  try {
    await provider.broadcastTransaction(raw)
  } catch (error) {
    const known = chainError(error)
    if (known.code === 'NONCE_CONFLICT' || known.code === 'TX_UNDERPRICED') return // the next look decides
    // "already known" has no code of its own: a node that knows the transaction is content.
    if (known.retryable || (await provider.getTransaction(hash)) === null) throw known
  }
}

/** Waits out a node that is away for a moment; any other error ends the step. */
async function patiently<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    const known = chainError(error)
    if (known.code === 'RPC_UNREACHABLE' || known.code === 'TIMEOUT') return undefined
    throw known
  }
}

/**
 * Brings one step to its confirmed end. What the journal says was signed is found mined or sent again, never followed by a
 * second transaction with another nonce unless a stranger's has taken the nonce for good.
 *
 * Errors: TX_REVERTED, INSUFFICIENT_FUNDS, TIMEOUT, ABORTED; after each the same call may be repeated.
 */
export async function sendStep(
  options: SendOptions,
  journal: Journal,
  step: Step,
  transaction: StepTransaction,
): Promise<Mined> {
  const { provider, signer, chainId, signal, onEvent } = options
  const deployer = await signer.getAddress()
  let entry = journal.entry(step.id)
  let sentAtMs: number | undefined
  let emptyLooks = 0

  const sign = async (before: JournalEntry | undefined) => {
    const nonce = before?.nonce ?? (await provider.getTransactionCount(deployer, 'pending'))
    const replaced = before?.signed.at(-1)
    const signed = await signStep({ provider, signer, chainId, step: step.id, nonce, transaction, replaced })
    const next = { step: step.id, nonce, signed: [...(before?.signed ?? []), signed] }
    journal.put(next)
    onEvent({ kind: 'signed', step: step.id, hash: signed.hash })
    return next
  }

  const finish = (receipt: TransactionReceipt, { nonce, signed }: JournalEntry): Mined => {
    onEvent({ kind: 'mined', step: step.id, hash: receipt.hash })
    const address = step.kind === 'deploy' ? getCreateAddress({ from: deployer, nonce }) : null
    const gasUsed = receipt.gasUsed.toString()
    const mined = { hash: receipt.hash, block: receipt.blockNumber, address, gasUsed }
    journal.put({ step: step.id, nonce, signed, mined })
    onEvent({ kind: 'recorded', step: step.id, hash: receipt.hash })
    return mined
  }

  /** One look at the chain, and what follows from it; undefined while there is more to wait for. */
  const advance = async (): Promise<Mined | undefined> => {
    entry ??= await sign(undefined)
    const receipt = await receiptOf(provider, entry)
    if (receipt !== undefined) {
      if (receipt.status === 0) {
        journal.drop(step.id)
        throw new ZerogError('TX_REVERTED', `${step.id} was mined and reverted in ${receipt.hash}`)
      }
      const depth = (await provider.getBlockNumber()) - receipt.blockNumber + 1
      return depth >= options.confirmations ? finish(receipt, entry) : undefined
    }
    if ((await provider.getTransactionCount(deployer, 'latest')) > entry.nonce) {
      emptyLooks += 1
      if (emptyLooks < LOOKS_BEFORE_LOST) return undefined
      journal.drop(step.id)
      entry = undefined
      sentAtMs = undefined
      emptyLooks = 0
      return undefined
    }
    if (sentAtMs !== undefined) {
      if (Date.now() - sentAtMs < options.speedUpMs) return undefined
      entry = await sign(entry)
    }
    const last = entry.signed.at(-1)
    if (last === undefined) return undefined
    await broadcast(provider, last)
    sentAtMs = Date.now()
    onEvent({ kind: 'sent', step: step.id, hash: last.hash })
    return undefined
  }

  const giveUpAtMs = Date.now() + options.timeoutMs
  while (Date.now() < giveUpAtMs) {
    if (signal.aborted) throw new ZerogError('ABORTED', `stopped before ${step.id} was mined`)
    const mined = await patiently(advance)
    if (mined !== undefined) return mined
    await pause(options.pollMs, signal)
  }
  throw new ZerogError('TIMEOUT', `${step.id} was not mined in time; the same command goes on from here`)
}

import type { TransactionReceipt } from 'ethers'
import type { ChainCall } from '../../sdk/chain/chain-call.ts'
import { chainError, isRevert } from '../../sdk/chain/decode-error.ts'
import type { SubmitRequest } from '../kernel/sender.ts'
import type { ComputeContext } from './context.ts'

/** A transaction that may have become unnecessary; `done` lists the errors that say so. */
type Intent = ChainCall &
  Pick<SubmitRequest, 'label' | 'deadlineBlock'> & { readonly done?: readonly string[] }

/** Sends a call; null when it was done already. Errors: those of the sender, reverts decoded. */
export async function submit(
  { sender, signal }: ComputeContext,
  { done = [], ...call }: Intent,
): Promise<TransactionReceipt | null> {
  try {
    const alreadyDone = (error: unknown) => done.some((name) => isRevert(error, name))
    return await sender.submit({ ...call, signal, alreadyDone })
  } catch (error) {
    throw chainError(error)
  }
}

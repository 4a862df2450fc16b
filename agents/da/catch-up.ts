import { type ChainCall, chainCall } from '../../sdk/chain/chain-call.ts'
import { chainError, isRevert } from '../../sdk/chain/decode-error.ts'
import type { SubmitRequest } from '../kernel/sender.ts'
import type { DaContext } from './context.ts'

const MAX_BUCKETS = 64
/** Steps of 64 expiry buckets each: more than any network is silent for. */
const MAX_STEPS = 32

/** A transaction that others may have made unnecessary; `done` lists the errors that say so. */
export type Intent = ChainCall &
  Pick<SubmitRequest, 'label' | 'deadlineBlock'> & { readonly done?: readonly string[] }

/**
 * Sends a call; where the contracts answer that the audit line lags behind, brings it up to date first. Returns false when
 * someone else has done it already. Errors: those of the sender, reverts decoded.
 */
export async function submitCaughtUp(ctx: DaContext, { done = [], ...call }: Intent): Promise<boolean> {
  const { prover } = ctx.chain.da
  for (let step = 0; ; step++) {
    try {
      const receipt = await ctx.sender.submit({
        ...call,
        signal: ctx.signal,
        alreadyDone: (error) => done.some((name) => isRevert(error, name)),
      })
      return receipt !== null
    } catch (error) {
      if (step >= MAX_STEPS || !isRevert(error, 'LineBehind')) throw chainError(error)
      const roll = chainCall(prover, prover.interface.encodeFunctionData('roll', [MAX_BUCKETS]))
      await ctx.sender.submit({ ...roll, label: `${call.label}-behind-${step}`, signal: ctx.signal })
    }
  }
}

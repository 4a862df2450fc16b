import type { ChainCall } from '../../sdk/chain/chain-call.ts'
import { chainError, isRevert } from '../../sdk/chain/decode-error.ts'
import { advancePotCall, claimCall, rollCall } from '../../sdk/chain/storage-calls.ts'
import type { SubmitRequest } from '../kernel/sender.ts'
import type { StorageContext } from './context.ts'

const MAX_BUCKETS = 64
/** Steps of 64 expiry buckets each: more than any network is silent for. */
const MAX_STEPS = 32

/** A transaction that others may have made unnecessary; `done` lists the errors that say so. */
export type Intent = ChainCall &
  Pick<SubmitRequest, 'label' | 'deadlineBlock'> & { readonly done?: readonly string[] }

/**
 * Sends a call; where the contracts answer that the line or a stream lags behind, brings that up to date first.
 * Returns false when someone else has done it already. Errors: those of the sender, reverts decoded.
 */
export async function submitCaughtUp(ctx: StorageContext, { done = [], ...call }: Intent): Promise<boolean> {
  for (let step = 0; ; step++) {
    try {
      const receipt = await ctx.sender.submit({
        ...call,
        signal: ctx.signal,
        alreadyDone: (error) => done.some((name) => isRevert(error, name)),
      })
      return receipt !== null
    } catch (error) {
      const behind = step < MAX_STEPS ? remedy(ctx, error) : undefined
      if (!behind) throw chainError(error)
      await ctx.sender.submit({ ...behind, label: `${call.label}-behind-${step}`, signal: ctx.signal })
    }
  }
}

function remedy({ chain }: StorageContext, error: unknown): ChainCall | undefined {
  if (isRevert(error, 'LineBehind')) return rollCall(chain, MAX_BUCKETS)
  if (!isRevert(error, 'StreamBehind')) return undefined
  const args = chainError(error).meta.args
  const account = typeof args === 'object' && args !== null && 'account' in args ? String(args.account) : ''
  if (account.toLowerCase() === chain.book.contracts.StorageStreams.address.toLowerCase()) {
    return advancePotCall(chain, MAX_BUCKETS)
  }
  return claimCall(chain, { provider: account, maxBuckets: MAX_BUCKETS })
}

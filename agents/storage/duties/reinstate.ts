import { readStorageProvider } from '../../../sdk/chain/operators.ts'
import { readStrikes } from '../../../sdk/chain/storage.ts'
import { reinstateCall } from '../../../sdk/chain/storage-calls.ts'
import type { Duty } from '../../kernel/duty.ts'
import { submitCaughtUp } from '../catch-up.ts'
import { type StorageContext, windowsAt } from '../context.ts'

/** Lifts this provider's suspension as soon as its strikes have aged out and its stake suffices. */
export const reinstate: Duty<{ period: bigint }, StorageContext> = {
  name: 'reinstate',
  everyBlocks: 8,

  async due(ctx) {
    const windows = windowsAt(ctx.chain, ctx.head.number)
    if (!windows) return []
    const options = { blockTag: ctx.head.number, signal: ctx.signal }
    const { suspended, backingWei, needWei } = await readStorageProvider(ctx.chain, ctx.self, options)
    ctx.storageMetrics.suspended.set(suspended ? 1 : 0)
    // A need that is not known yet is known once the pay has been claimed.
    if (!suspended || needWei === undefined || backingWei < needWei) return []
    const strikes = await readStrikes(ctx.chain, ctx.self, options)
    return BigInt(strikes) < ctx.chain.terms.maxStrikes ? [{ period: windows.period }] : []
  },

  id: ({ period }) => `reinstate-${period}`,

  async perform({ period }, ctx) {
    await submitCaughtUp(ctx, {
      ...reinstateCall(ctx.chain, ctx.self),
      label: `reinstate-${period}`,
      done: ['NotSuspended'],
    })
    ctx.log.info({ period }, 'reinstated')
  },
}

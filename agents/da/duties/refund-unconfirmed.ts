import { readBlobRecord } from '../../../sdk/chain/da.ts'
import { refundBlobCall } from '../../../sdk/chain/da-calls.ts'
import type { Duty } from '../../kernel/duty.ts'
import { submitCaughtUp } from '../catch-up.ts'
import type { DaContext } from '../context.ts'

/** Asks the fee of blobs back that this agent paid for, or dispersed for others, and that found no quorum. */
export const refundUnconfirmed: Duty<{ blobId: string }, DaContext> = {
  name: 'refund-unconfirmed',
  everyBlocks: 4,

  async due(ctx) {
    const closedBefore = ctx.head.number - Number(ctx.chain.daTerms.confirmBlocks)
    const own = ctx.index.unconfirmed(ctx.self, closedBefore)
    const options = { blockTag: ctx.head.number, signal: ctx.signal }
    const records = await Promise.all(own.map(({ blobId }) => readBlobRecord(ctx.chain, blobId, options)))
    return own.filter((_, i) => records[i]?.status === 'submitted').map(({ blobId }) => ({ blobId }))
  },

  id: ({ blobId }) => `refund-${blobId}`,

  async perform({ blobId }, ctx) {
    await submitCaughtUp(ctx, {
      ...refundBlobCall(ctx.chain, blobId),
      label: `da-refund-${blobId}`,
      done: ['NotConfirmable'],
    })
  },
}

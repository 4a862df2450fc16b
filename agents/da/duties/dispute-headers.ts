import { disputeHeadersCall } from '../../../sdk/chain/da-court-calls.ts'
import { read } from '../../../sdk/chain/read.ts'
import type { Duty } from '../../kernel/duty.ts'
import { submitCaughtUp } from '../catch-up.ts'
import type { DaContext } from '../context.ts'
import { isMyTurn } from '../turn.ts'

type Dispute = { disperser: string }

/** Takes dispersers to court that signed two headers for one nonce, in the order of rank. */
export const disputeHeaders: Duty<Dispute, DaContext> = {
  name: 'dispute-headers',

  async due(ctx) {
    const due: Dispute[] = []
    for (const { disperser } of ctx.seen.conflicts()) {
      if (!isMyTurn(ctx, BigInt(disperser))) continue
      const { availability } = ctx.chain.da
      const isOver = await read(availability.isConvicted(disperser, { blockTag: ctx.head.number }), {
        signal: ctx.signal,
      })
      if (isOver) ctx.seen.settle(disperser)
      else due.push({ disperser })
    }
    return due
  },

  id: ({ disperser }) => `headers-${disperser}`,

  async perform({ disperser }, ctx) {
    const conflict = ctx.seen.conflicts().find((entry) => entry.disperser === disperser)
    if (!conflict) return
    const { headers, epoch, nonce } = conflict
    const won = await submitCaughtUp(ctx, {
      ...disputeHeadersCall(ctx.chain, headers),
      label: `da-headers-${disperser}-${epoch}-${nonce}`,
      done: ['AlreadyConvicted'],
    })
    if (!won) return
    ctx.daMetrics.disputed.inc({ kind: 'headers' })
    ctx.log.warn({ disperser, epoch, nonce }, 'a disperser is convicted of two headers for one nonce')
  },
}

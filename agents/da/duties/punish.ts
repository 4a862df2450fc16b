import { punishCall } from '../../../sdk/chain/da-court-calls.ts'
import { read } from '../../../sdk/chain/read.ts'
import type { Duty } from '../../kernel/duty.ts'
import { rank } from '../../kernel/rank.ts'
import { submitCaughtUp } from '../catch-up.ts'
import type { DaContext } from '../context.ts'

const MAX_OPERATORS = 16

type Verdict = { faultId: string; block: number }

/** Has verdicts of the court carried out, in the order of rank, until nobody is left to punish. */
export const punish: Duty<Verdict, DaContext> = {
  name: 'punish',
  wakeOn: ['Convicted', 'DisperserEquivocated', 'AttestersEquivocated'],

  async due(ctx) {
    const { court } = ctx.chain.da
    const blockTag = ctx.head.number
    const due: Verdict[] = []
    for (const { faultId, block } of ctx.index.unpunished()) {
      const { waitBlocks } = rank(faultId, ctx.self, ctx.index.members())
      if (ctx.head.number < block + waitBlocks) continue
      const { due: isDue, reporter } = await read(court.verdictOf(faultId, { blockTag }), {
        signal: ctx.signal,
      })
      if (isDue) due.push({ faultId, block: ctx.head.number })
      // A verdict that this block does not have yet has no reporter.
      else if (BigInt(reporter) !== 0n) ctx.index.setPunished(faultId)
    }
    return due
  },

  id: ({ faultId }) => `punish-${faultId}`,

  async perform({ faultId, block }, ctx) {
    await submitCaughtUp(ctx, {
      ...punishCall(ctx.chain, { faultId, maxOperators: MAX_OPERATORS }),
      label: `da-punish-${faultId}-${block}`,
      done: ['NothingToPunish'],
    })
  },
}

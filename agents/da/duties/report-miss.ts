import { reportDaMissCall } from '../../../sdk/chain/da-calls.ts'
import { readIsDaDrawResolved } from '../../../sdk/chain/da-prover.ts'
import { read } from '../../../sdk/chain/read.ts'
import type { Duty } from '../../kernel/duty.ts'
import { rank } from '../../kernel/rank.ts'
import { submitCaughtUp } from '../catch-up.ts'
import { isSame } from '../committees.ts'
import { type DaContext, windowsAt } from '../context.ts'
import { type Draw, drawsOf } from '../draws.ts'

/** So near to the end of the window, rank no longer counts. */
const URGENT_BLOCKS = 3n

type Miss = Draw & { reportCloses: bigint }

/** Reports draws that others left unanswered, in the order of rank. */
export const reportMiss: Duty<Miss, DaContext> = {
  name: 'report-miss',

  async due(ctx) {
    const windows = windowsAt(ctx, ctx.head.number)
    const next = BigInt(ctx.head.number) + 1n
    if (!windows || next < windows.answerCloses || next >= windows.reportCloses) return []
    const { period, startBlock, answerCloses, reportCloses } = windows
    const wait = BigInt(rank(period, ctx.self, ctx.index.members()).waitBlocks)
    if (next < answerCloses + wait && next + URGENT_BLOCKS <= reportCloses) return []
    // Only who had attested before the period began can have missed in it.
    const others = (await drawsOf(ctx, period)).filter(
      ({ attester, confirmedBlock }) => !isSame(attester, ctx.self) && BigInt(confirmedBlock) < startBlock,
    )
    const blockTag = ctx.head.number
    const options = { blockTag, signal: ctx.signal }
    const { staking } = ctx.chain.contracts
    const service = ctx.chain.da.addresses.DaCommittee
    const due = await Promise.all(
      others.map(async (draw): Promise<Miss[]> => {
        if (await readIsDaDrawResolved(ctx.chain, draw, options)) return []
        const { allocatedWei } = await read(
          staking.allocationOf(draw.attester, service, { blockTag }),
          options,
        )
        // Nothing is left to slash.
        return allocatedWei > 0n ? [{ ...draw, reportCloses }] : []
      }),
    )
    return due.flat()
  },

  id: ({ period, draw }) => `miss-${period}-${draw}`,
  deadline: ({ reportCloses }) => reportCloses - 2n,

  async perform({ period, draw, entryIndex, reportCloses, attester }, ctx) {
    const reported = await submitCaughtUp(ctx, {
      ...reportDaMissCall(ctx.chain, { period, draw, entryIndex }),
      label: `da-miss-${period}-${draw}`,
      deadlineBlock: reportCloses - 1n,
      done: ['DrawAlreadyResolved', 'HolderOut'],
    })
    if (!reported) return
    ctx.daMetrics.reported.inc()
    ctx.log.info({ period, draw, attester }, 'miss reported')
  },
}

import { readDealState } from '../../../sdk/chain/storage.ts'
import { endCall } from '../../../sdk/chain/storage-calls.ts'
import type { Duty } from '../../kernel/duty.ts'
import { rank } from '../../kernel/rank.ts'
import { submitCaughtUp } from '../catch-up.ts'
import { clockOf, type StorageContext, windowsAt } from '../context.ts'

/** Closes deals whose term is over, in the order of rank, so that the bond of their seal returns. */
export const endDeal: Duty<{ txSeq: bigint }, StorageContext> = {
  name: 'end-deal',
  everyBlocks: 4,

  async due(ctx) {
    const windows = windowsAt(ctx.chain, ctx.head.number)
    if (!windows) return []
    const clock = clockOf(ctx.chain)
    const turn = ctx.index.overBefore(windows.period, ctx.self).filter(({ txSeq, endPeriod }) => {
      const holders = ctx.index.custodiesAt(txSeq, endPeriod).map(({ provider }) => provider)
      const { waitBlocks } = rank(txSeq, ctx.self, [...new Set(holders)])
      return (
        BigInt(ctx.head.number) >=
        clock.startBlock + (endPeriod + 1n) * clock.periodBlocks + BigInt(waitBlocks)
      )
    })
    const options = { blockTag: ctx.head.number, signal: ctx.signal }
    const states = await Promise.all(turn.map(({ txSeq }) => readDealState(ctx.chain, txSeq, options)))
    return turn.filter((_, i) => states[i] === 'sealed').map(({ txSeq }) => ({ txSeq }))
  },

  id: ({ txSeq }) => `end-${txSeq}`,

  async perform({ txSeq }, ctx) {
    await submitCaughtUp(ctx, {
      ...endCall(ctx.chain, txSeq),
      label: `end-${txSeq}`,
      done: ['WrongState'],
    })
  },
}

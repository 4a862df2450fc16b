import { isRevert, unlessRevert } from '../../../sdk/chain/decode-error.ts'
import { read } from '../../../sdk/chain/read.ts'
import { readFigures, readLineBounds } from '../../../sdk/chain/storage.ts'
import { moveTailCall } from '../../../sdk/chain/storage-calls.ts'
import type { Duty } from '../../kernel/duty.ts'
import { rank } from '../../kernel/rank.ts'
import { submitCaughtUp } from '../catch-up.ts'
import { type StorageContext, windowsAt } from '../context.ts'
import { checkLine } from '../draws.ts'

const MAX_ENTRIES = 16

type Move = { period: bigint; tailEntry: bigint }

/** Moves the tail of the audit line past dead entries, so that draws keep falling on live ones; in the order of rank. */
export const moveTail: Duty<Move, StorageContext> = {
  name: 'move-tail',
  everyBlocks: 2,

  async due(ctx) {
    const windows = windowsAt(ctx.chain, ctx.head.number)
    if (!windows) return []
    const { period, startBlock } = windows
    const options = { blockTag: ctx.head.number, signal: ctx.signal }
    const { entryCount, tailEntry } = await readLineBounds(ctx.chain, options)
    await checkLine(ctx, entryCount)
    const custodians = ctx.index.custodians(period)
    const { waitBlocks } = rank(period + 1n, ctx.self, custodians)
    if (BigInt(ctx.head.number) < startBlock + BigInt(waitBlocks)) return []
    if (tailEntry >= entryCount) return []
    const figures = await unlessRevert(readFigures(ctx.chain, options), 'LineBehind')
    // Opening a round rolls the line first.
    if (figures === undefined) return []
    const { next } = figures
    const entry = ctx.index.entry(tailEntry)
    const deal = entry && ctx.index.deal(entry.txSeq)
    if (!deal) return []
    const isDead = deal.endPeriod <= period + 1n
    if (!isDead && next.end - next.tail <= 2n * next.live) return []
    // The contract has the last word: entries of this period move in the next at the earliest.
    const call = ctx.chain.contracts.prover.moveTail.staticCall(MAX_ENTRIES, { blockTag: ctx.head.number })
    try {
      await read(call, options)
    } catch (error) {
      if (isRevert(error, 'NothingToMove')) return []
      if (!isRevert(error, 'LineBehind')) throw error
    }
    return [{ period, tailEntry }]
  },

  id: ({ period, tailEntry }) => `tail-${period}-${tailEntry}`,

  async perform({ period, tailEntry }, ctx) {
    const moved = await submitCaughtUp(ctx, {
      ...moveTailCall(ctx.chain, MAX_ENTRIES),
      label: `move-tail-${period}-${tailEntry}`,
      done: ['NothingToMove'],
    })
    if (moved) ctx.log.info({ period, tailEntry }, 'tail moved')
  },
}

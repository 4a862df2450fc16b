import { chainCall } from '../../../sdk/chain/chain-call.ts'
import { readBlobTotal } from '../../../sdk/chain/da.ts'
import { isRevert } from '../../../sdk/chain/decode-error.ts'
import { read } from '../../../sdk/chain/read.ts'
import type { Duty } from '../../kernel/duty.ts'
import { rank } from '../../kernel/rank.ts'
import { RECENT_BLOCKS } from '../../kernel/rpc.ts'
import { submitCaughtUp } from '../catch-up.ts'
import { type DaContext, windowsAt } from '../context.ts'

const MAX_ENTRIES = 16

type Move = { period: bigint; tailEntry: bigint }

/** Moves the tail of the audit line past expired blobs, in the order of rank; also has missing logs read again. */
export const moveTail: Duty<Move, DaContext> = {
  name: 'move-tail',
  everyBlocks: 2,

  async due(ctx) {
    const windows = windowsAt(ctx, ctx.head.number)
    if (!windows) return []
    const { period, startBlock } = windows
    const { prover } = ctx.chain.da
    // Of the block that the index stands at, which confirmations keep behind the head; nodes have no state of old ones.
    const blockTag = ctx.index.appliedTo()
    if (blockTag < ctx.head.number - RECENT_BLOCKS) return []
    const [entryCount, tailEntry, total] = await read(
      Promise.all([
        prover.entryCount({ blockTag }),
        prover.tailEntry({ blockTag }),
        readBlobTotal(ctx.chain, { blockTag }),
      ]),
      { signal: ctx.signal },
    )
    // The chain counts blobs and entries: the one check that finds logs missing at the very end.
    const isShort = BigInt(ctx.index.entryCount()) < entryCount || BigInt(ctx.index.blobCount()) < total
    if (isShort) {
      ctx.log.warn({ entryCount, total }, 'blobs are missing from the logs')
      ctx.index.distrust(ctx.index.lastNumberedBlock())
    }
    const { waitBlocks } = rank(period + 1n, ctx.self, ctx.index.members())
    if (tailEntry >= entryCount || BigInt(ctx.head.number) < startBlock + BigInt(waitBlocks)) return []
    // The contract has the last word: entries of this period move in the next at the earliest.
    try {
      await read(prover.moveTail.staticCall(MAX_ENTRIES, { blockTag }), { signal: ctx.signal })
    } catch (error) {
      if (isRevert(error, 'NothingToMove')) return []
      if (!isRevert(error, 'LineBehind')) throw error
    }
    return [{ period, tailEntry }]
  },

  id: ({ period, tailEntry }) => `tail-${period}-${tailEntry}`,

  async perform({ period, tailEntry }, ctx) {
    const { prover } = ctx.chain.da
    await submitCaughtUp(ctx, {
      ...chainCall(prover, prover.interface.encodeFunctionData('moveTail', [MAX_ENTRIES])),
      label: `da-tail-${period}-${tailEntry}`,
      done: ['NothingToMove'],
    })
  },
}

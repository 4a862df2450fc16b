import { readHeaderRlp, readSeed } from '../../../sdk/chain/beacon.ts'
import { unlessRevert } from '../../../sdk/chain/decode-error.ts'
import { readFigures, readRound } from '../../../sdk/chain/storage.ts'
import { openRoundCall } from '../../../sdk/chain/storage-calls.ts'
import type { Duty } from '../../kernel/duty.ts'
import { rank } from '../../kernel/rank.ts'
import { submitCaughtUp } from '../catch-up.ts'
import { type StorageContext, windowsAt } from '../context.ts'

/** So near to the end of the window, rank no longer counts: an unopened period pays nobody. */
const URGENT_BLOCKS = 3n

type Opening = { period: bigint; startBlock: bigint; pinCloses: bigint }

/** Pins the seed of the present period and opens its round, in the order of rank. */
export const openRound: Duty<Opening, StorageContext> = {
  name: 'open-round',

  async due(ctx) {
    const windows = windowsAt(ctx.chain, ctx.head.number)
    const next = BigInt(ctx.head.number) + 1n
    if (!windows || next >= windows.pinCloses) return []
    const { period, startBlock, pinCloses } = windows
    const custodians = ctx.index.custodians(period)
    // Whoever keeps nothing gains nothing; the chain opens no round for an empty line anyway.
    if (!custodians.includes(ctx.self.toLowerCase())) return []
    const turn = startBlock + 1n + BigInt(rank(period, ctx.self, custodians).waitBlocks)
    if (next < turn && next + URGENT_BLOCKS <= pinCloses) return []
    const options = { blockTag: ctx.head.number, signal: ctx.signal }
    const round = await readRound(ctx.chain, period, options)
    if (round.draws > 0) return []
    // After long silence the line must be rolled before it tells; performing does so.
    const figures = await unlessRevert(readFigures(ctx.chain, options), 'LineBehind')
    return figures === undefined || figures.now.live > 0n ? [{ period, startBlock, pinCloses }] : []
  },

  id: ({ period }) => `open-${period}`,
  deadline: ({ pinCloses }) => pinCloses - 2n,

  async perform({ period, startBlock, pinCloses }, ctx) {
    const { chain, signal } = ctx
    const pinned = chain.terms.usesBlockHash || (await readSeed(chain, period, { signal })) !== undefined
    const headerRlp = pinned ? '0x' : await readHeaderRlp(chain, startBlock, { signal })
    const opened = await submitCaughtUp(ctx, {
      ...openRoundCall(chain, { period, headerRlp }),
      label: `open-round-${period}`,
      deadlineBlock: pinCloses - 1n,
      done: ['RoundAlreadyOpen', 'NoLiveSectors'],
    })
    if (opened) ctx.log.info({ period }, 'round opened')
  },
}

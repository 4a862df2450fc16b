import { readHeaderRlp, readSeed } from '../../../sdk/chain/beacon.ts'
import { openDaRoundCall } from '../../../sdk/chain/da-calls.ts'
import { read } from '../../../sdk/chain/read.ts'
import type { Duty } from '../../kernel/duty.ts'
import { rank } from '../../kernel/rank.ts'
import { submitCaughtUp } from '../catch-up.ts'
import { type DaContext, windowsAt } from '../context.ts'

/** So near to the end of the window, rank no longer counts: an unopened period audits nobody. */
const URGENT_BLOCKS = 3n

type Opening = { period: bigint; startBlock: bigint; pinCloses: bigint }

/** Pins the seed of the present period and opens its audit round, in the order of rank. */
export const openRound: Duty<Opening, DaContext> = {
  name: 'open-round',

  async due(ctx) {
    const windows = windowsAt(ctx, ctx.head.number)
    const next = BigInt(ctx.head.number) + 1n
    if (!windows || next >= windows.pinCloses) return []
    const { period, startBlock, pinCloses } = windows
    const members = ctx.index.members()
    if (!members.includes(ctx.self.toLowerCase())) return []
    const turn = startBlock + 1n + BigInt(rank(period, ctx.self, members).waitBlocks)
    if (next < turn && next + URGENT_BLOCKS <= pinCloses) return []
    const { prover } = ctx.chain.da
    const blockTag = ctx.head.number
    const [round, figures] = await read(
      Promise.all([prover.round(period, { blockTag }), prover.figures({ blockTag })]),
      { signal: ctx.signal },
    )
    return round.draws === 0n && figures.live > 0n ? [{ period, startBlock, pinCloses }] : []
  },

  id: ({ period }) => `open-${period}`,
  deadline: ({ pinCloses }) => pinCloses - 2n,

  async perform({ period, startBlock, pinCloses }, ctx) {
    const { chain, signal } = ctx
    const isPinned = chain.terms.usesBlockHash || (await readSeed(chain, period, { signal })) !== undefined
    const headerRlp = isPinned ? '0x' : await readHeaderRlp(chain, startBlock, { signal })
    const opened = await submitCaughtUp(ctx, {
      ...openDaRoundCall(chain, { period, headerRlp }),
      label: `da-round-${period}`,
      deadlineBlock: pinCloses - 1n,
      done: ['RoundAlreadyOpen', 'NoLiveCells'],
    })
    if (opened) ctx.log.info({ period }, 'audit round opened')
  },
}

import { readHeaderRlp, readSeed } from '../../../sdk/chain/beacon.ts'
import { newEpochCall } from '../../../sdk/chain/da-calls.ts'
import { read } from '../../../sdk/chain/read.ts'
import { periodStart } from '../../../sdk/protocol/clock.ts'
import type { Duty } from '../../kernel/duty.ts'
import { rank } from '../../kernel/rank.ts'
import { submitCaughtUp } from '../catch-up.ts'
import { clockOf, type DaContext, epochOf } from '../context.ts'

type Forming = { epoch: bigint; startBlock: bigint; endBlock: bigint }

/** Forms the committee of the current epoch, in the order of rank among the members; pins the seed where nobody has. */
export const formEpoch: Duty<Forming, DaContext> = {
  name: 'form-epoch',

  async due(ctx) {
    const epoch = epochOf(ctx, ctx.head.number)
    const members = ctx.index.members()
    if (epoch === undefined || !members.includes(ctx.self.toLowerCase())) return []
    const startBlock = periodStart(clockOf(ctx.chain), epoch * ctx.chain.terms.epochPeriods)
    const next = BigInt(ctx.head.number) + 1n
    if (next < startBlock + 1n + BigInt(rank(epoch, ctx.self, members).waitBlocks)) return []
    const { committee } = ctx.chain.da
    const blockTag = ctx.head.number
    const { keySet } = await read(committee.epochOf(epoch, { blockTag }), { signal: ctx.signal })
    if (BigInt(keySet) !== 0n) return []
    const { epochPeriods, periodBlocks } = ctx.chain.terms
    return [{ epoch, startBlock, endBlock: startBlock + epochPeriods * periodBlocks }]
  },

  id: ({ epoch }) => `epoch-${epoch}`,
  // Only the current epoch can be formed.
  deadline: ({ endBlock }) => endBlock - 2n,

  async perform({ epoch, startBlock, endBlock }, ctx) {
    const { chain, signal } = ctx
    const { epochPeriods, usesBlockHash } = chain.terms
    const isPinned = usesBlockHash || (await readSeed(chain, epoch * epochPeriods, { signal })) !== undefined
    const headerRlp = isPinned ? '0x' : await readHeaderRlp(chain, startBlock, { signal })
    const formed = await submitCaughtUp(ctx, {
      ...newEpochCall(chain, headerRlp),
      label: `da-epoch-${epoch}`,
      deadlineBlock: endBlock - 1n,
      done: ['EpochAlreadyFormed', 'NoMembers'],
    })
    if (formed) ctx.log.info({ epoch }, 'committee formed')
  },
}

import { rank } from '../kernel/rank.ts'
import type { DaContext } from './context.ts'

/**
 * Whether it is this node's turn at what no event has announced to all at once: in each round of 2 blocks a member, those of
 * a higher rank begin earlier, and everyone gets its turn.
 */
export function isMyTurn(ctx: Pick<DaContext, 'head' | 'index' | 'self'>, id: bigint | string): boolean {
  const members = ctx.index.members()
  const { waitBlocks } = rank(id, ctx.self, members)
  return ctx.head.number % Math.max(1, 2 * members.length) >= waitBlocks
}

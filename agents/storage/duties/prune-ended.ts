import { readDealState, readSubmissionTerms } from '../../../sdk/chain/storage.ts'
import type { Duty } from '../../kernel/duty.ts'
import { type StorageContext, windowsAt } from '../context.ts'

/** Blocks after which a decision of the chain is taken to stand. */
const SETTLED_BLOCKS = 64

type Prune = { txSeq: bigint; index: number }

/** Deletes shards that nobody pays for any more: ended, refunded, never sealed in time, or in others' custody. */
export function pruneEnded(): Duty<Prune, StorageContext> {
  /** The block at which a submission was first seen to be gone; a restart begins to count anew. */
  const goneSince = new Map<bigint, number>()

  /** Whether a submission has been decided, for long enough, and this provider's part in it is over. */
  async function isOver(ctx: StorageContext, txSeq: bigint): Promise<boolean> {
    const settled = ctx.head.number - SETTLED_BLOCKS
    const deal = ctx.index.deal(txSeq)
    if (deal) return deal.sealedBlock <= settled
    const options = { blockTag: ctx.head.number, signal: ctx.signal }
    const state = await readDealState(ctx.chain, txSeq, options)
    if (state === 'none') return wasGoneAt(txSeq, ctx.head.number, settled)
    goneSince.delete(txSeq)
    // Sealed, but the logs are not read yet: the index will tell.
    if (state === 'sealed' || state === 'ended') return false
    const { sealDeadline } = await readSubmissionTerms(ctx.chain, txSeq, options)
    return sealDeadline < BigInt(settled)
  }

  /**
   * A reorganization drops a submission, and most likely the next block brings it back, with custody that is promised
   * already; a node that lags behind the client's does not know it yet.
   */
  function wasGoneAt(txSeq: bigint, head: number, settled: number): boolean {
    const since = goneSince.get(txSeq) ?? head
    goneSince.set(txSeq, since)
    return since <= settled
  }

  return {
    name: 'prune-ended',
    local: true,
    everyBlocks: 16,

    async due(ctx) {
      const windows = windowsAt(ctx.chain, ctx.head.number)
      if (!windows) return []
      const before = windows.period === 0n ? 0n : windows.period - 1n
      // All windows of a period close within it, so that the one before needs no answers any more.
      const needed = new Set(
        ctx.index.heldBy(ctx.self, before).map(({ txSeq, index }) => `${txSeq}/${index}`),
      )
      const verdicts = new Map<bigint, boolean>()
      const due: Prune[] = []
      for (const { txSeq, index } of ctx.shards.list()) {
        if (needed.has(`${txSeq}/${index}`)) continue
        const known = verdicts.get(txSeq) ?? (await isOver(ctx, txSeq))
        verdicts.set(txSeq, known)
        if (known) due.push({ txSeq, index })
      }
      return due
    },

    id: ({ txSeq, index }) => `prune-${txSeq}-${index}`,

    async perform({ txSeq, index }, ctx) {
      await ctx.shards.remove({ txSeq, index })
      if (ctx.shards.list(txSeq).length === 0) {
        ctx.book.forget(txSeq)
        goneSince.delete(txSeq)
      }
      ctx.log.info({ txSeq, index }, 'shard deleted')
    },
  }
}

import { setImmediate as turn } from 'node:timers/promises'
import { readBlobRecord } from '../../../sdk/chain/da.ts'
import type { Duty } from '../../kernel/duty.ts'
import type { DaContext } from '../context.ts'
import { isGone } from '../read-payload.ts'

const BLOBS_PER_TURN = 50

/** Blocks after which a decision of the chain is taken to stand. */
const SETTLED_BLOCKS = 64

/** Deletes blobs that nobody needs to hold any more: expired and past disputes, refunded, or never on chain. */
export const pruneExpired: Duty<{ blobId: string }, DaContext> = {
  name: 'prune-expired',
  local: true,
  everyBlocks: 8,

  async due(ctx) {
    const due: { blobId: string }[] = []
    for (const [i, blobId] of ctx.columns.blobIds().entries()) {
      // A node keeps a hundred thousand blobs: it goes on serving while it looks through them.
      if (i % BLOBS_PER_TURN === 0) await turn(undefined, { signal: ctx.signal })
      const header = ctx.columns.header(blobId)
      if (header && (isGone(ctx, header, ctx.head.number) || (await isOver(ctx, blobId))))
        due.push({ blobId })
    }
    return due
  },

  id: ({ blobId }) => `prune-${blobId}`,

  async perform({ blobId }, ctx) {
    await ctx.columns.remove(blobId)
    ctx.daMetrics.pruned.inc()
    ctx.log.info({ blobId }, 'blob deleted')
  },
}

/** Whether a blob can no longer be confirmed, and that has been so for long enough. */
async function isOver(ctx: DaContext, blobId: string): Promise<boolean> {
  const blob = ctx.index.blob(blobId)
  if (!blob || blob.stage === 'soft' || blob.stage === 'final') return false
  const blockTag = ctx.head.number - SETTLED_BLOCKS
  if (blockTag < blob.submittedBlock) return false
  const record = await readBlobRecord(ctx.chain, blobId, { blockTag: ctx.head.number, signal: ctx.signal })
  if (!record) return true
  const isUnconfirmed = record.status === 'submitted' || record.status === 'refunded'
  return isUnconfirmed && record.confirmBy <= BigInt(blockTag)
}

import { readBlobRecord } from '../../../sdk/chain/da.ts'
import type { Duty } from '../../kernel/duty.ts'
import type { DaContext } from '../context.ts'
import { isGone } from '../read-payload.ts'

/** Blocks after which a decision of the chain is taken to stand. */
const SETTLED_BLOCKS = 64

/** Deletes blobs that nobody needs to hold any more: expired and past disputes, refunded, or never on chain. */
export const pruneExpired: Duty<{ blobId: string }, DaContext> = {
  name: 'prune-expired',
  local: true,
  everyBlocks: 8,

  async due(ctx) {
    const due: { blobId: string }[] = []
    for (const blobId of ctx.columns.blobIds()) {
      const held = ctx.columns.blob(blobId)
      if (held && (isGone(ctx, held.header, ctx.head.number) || (await isOver(ctx, blobId))))
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

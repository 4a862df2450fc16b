import { periodStart } from '../../../sdk/protocol/clock.ts'
import { SECTOR_BYTES } from '../../../sdk/protocol/layout.ts'
import type { Duty } from '../../kernel/duty.ts'
import type { StorageConfig } from '../config.ts'
import { clockOf, type StorageContext, windowsAt } from '../context.ts'
import { rebuildShard } from '../rebuild-shard.ts'

type Repair = { txSeq: bigint; index: number; root: string; period: bigint; endBlock: bigint }

/** Rebuilds shards that this provider must keep and that are damaged or gone, from the other shards of their deal. */
export function repairShard(config: StorageConfig): Duty<Repair, StorageContext> {
  return {
    name: 'repair-shard',
    local: true,
    everyBlocks: config.REPAIR_RETRY_BLOCKS,

    async due(ctx) {
      const windows = windowsAt(ctx.chain, ctx.head.number)
      if (!windows) return []
      return ctx.index
        .heldBy(ctx.self, windows.period)
        .filter(({ txSeq, index, root }) => {
          const held = ctx.shards.info({ txSeq, index })
          return held?.state !== 'complete' || held.root !== root
        })
        .map((shard) => {
          const endPeriod = ctx.index.deal(shard.txSeq)?.endPeriod ?? windows.period
          const endBlock = periodStart(clockOf(ctx.chain), endPeriod)
          return { ...shard, period: windows.period, endBlock }
        })
    },

    id: ({ txSeq, index }) => `repair-${txSeq}-${index}`,

    deadline: ({ endBlock }) => endBlock,

    async perform({ txSeq, index, root, period }, ctx) {
      const deal = ctx.index.deal(txSeq)
      if (!deal) return
      const key = { txSeq, index }
      const held = ctx.shards.info(key)
      if (held?.state === 'complete' && held.root === root) return
      await ctx.shards.adopt(key, { root, bytes: 2 ** deal.shardHeight * SECTOR_BYTES, owner: deal.owner })
      const custodies = ctx.index.custodiesAt(txSeq, period)
      await ctx.shards.heal(key, rebuildShard(ctx, { ...deal, custodies }, { index, signal: ctx.signal }))
      ctx.storageMetrics.repaired.inc()
      ctx.log.info({ txSeq, index }, 'shard rebuilt')
    },
  }
}

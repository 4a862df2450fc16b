import type { Duty } from '../../kernel/duty.ts'
import type { StorageConfig } from '../config.ts'
import type { StorageContext } from '../context.ts'

type Item = { txSeq: bigint; index: number; checkedAtSec: number }

/** Hashes each shard anew from time to time, the longest unchecked first, one at a time: finds rot before a draw does. */
export function scrub(config: StorageConfig): Duty<Item, StorageContext> {
  return {
    name: 'scrub',
    local: true,

    async due(ctx) {
      const before = Math.floor(Date.now() / 1000) - config.SCRUB_INTERVAL_SEC
      const oldest = ctx.shards.leastChecked()
      return oldest && oldest.checkedAtSec < before ? [oldest] : []
    },

    id: ({ txSeq, index, checkedAtSec }) => `scrub-${txSeq}-${index}-${checkedAtSec}`,

    async perform(key, ctx) {
      if (ctx.shards.info(key)?.state !== 'complete') return
      if (await ctx.shards.verify(key, ctx.signal)) return
      ctx.storageMetrics.rotten.inc()
      ctx.log.error({ txSeq: key.txSeq, index: key.index }, 'shard is damaged on disk')
    },
  }
}

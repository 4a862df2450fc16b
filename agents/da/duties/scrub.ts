import type { Duty } from '../../kernel/duty.ts'
import type { ColumnRecord } from '../column-store.ts'
import type { DaConfig } from '../config.ts'
import type { DaContext } from '../context.ts'

/** Checks each column anew from time to time, the longest unchecked first, one at a time: finds rot before a draw does. */
export function scrub(config: DaConfig): Duty<ColumnRecord, DaContext> {
  return {
    name: 'scrub',
    local: true,

    async due(ctx) {
      const before = Math.floor(Date.now() / 1000) - config.SCRUB_INTERVAL_SEC
      const oldest = ctx.columns.leastChecked(before)
      return oldest ? [oldest] : []
    },

    id: ({ blobId, column }) => `scrub-${blobId}-${column}`,

    async perform(record, ctx) {
      if (await ctx.columns.check(record)) return
      ctx.daMetrics.rotten.inc()
      ctx.log.error({ blobId: record.blobId, column: record.column }, 'column is damaged on disk')
    },
  }
}

import { setImmediate as turn } from 'node:timers/promises'
import { read } from '../../../sdk/chain/read.ts'
import { periodStart } from '../../../sdk/protocol/clock.ts'
import type { Duty } from '../../kernel/duty.ts'
import type { IndexedBlob } from '../blob-index.ts'
import { isSame } from '../committees.ts'
import type { DaConfig } from '../config.ts'
import { clockOf, type DaContext, periodOf } from '../context.ts'
import { restoreColumns } from '../restore-columns.ts'

type Repair = { blobId: string; columns: number[]; expiryBlock: bigint }

/** Rebuilds columns that this node must keep and has not: its own, and those of members that are out. */
export function repairColumns(config: DaConfig): Duty<Repair, DaContext> {
  return {
    name: 'repair-columns',
    local: true,
    everyBlocks: config.REPAIR_RETRY_BLOCKS,

    async due(ctx) {
      const out = new Map<string, boolean>()
      const due: Repair[] = []
      for await (const blob of liveBlobs(ctx)) {
        const columns = (await dutyColumns(ctx, blob, out)).filter(
          (column) => !ctx.columns.has(blob.blobId, column),
        )
        const expiryBlock = periodStart(clockOf(ctx.chain), blob.header.expiresAt)
        if (columns.length > 0) due.push({ blobId: blob.blobId, columns, expiryBlock })
      }
      return due
    },

    id: ({ blobId }) => `repair-${blobId}`,
    deadline: ({ expiryBlock }) => expiryBlock,

    async perform({ blobId, columns }, ctx) {
      const blob = ctx.index.blob(blobId)
      if (!blob) return
      await restoreColumns(ctx, blob, columns)
    },
  }
}

/** All blobs that are kept, page by page: others get their turn in between. */
async function* liveBlobs(ctx: DaContext): AsyncGenerator<IndexedBlob> {
  const period = periodOf(ctx, ctx.head.number)
  for (let after = 0; ; ) {
    const page = ctx.index.live(period, after)
    yield* page
    const last = page.at(-1)
    if (!last) return
    after = last.number
    await turn(undefined, { signal: ctx.signal })
  }
}

/** The attested columns of a blob that this node answers for now. */
async function dutyColumns(
  ctx: DaContext,
  { header, columns }: IndexedBlob,
  out: Map<string, boolean>,
): Promise<number[]> {
  const { signal } = ctx
  const then = await ctx.committees.at(header.epoch, { signal })
  const now = await ctx.committees.active({ signal })
  const mine: number[] = []
  for (const [column, holder] of then.holders.entries()) {
    if (((columns >> BigInt(column)) & 1n) === 0n) continue
    const { operator } = holder
    if (isSame(operator, ctx.self)) mine.push(column)
    else if (isSame(now?.holders[column]?.operator ?? '', ctx.self)) {
      const known = out.get(operator) ?? (await isOut(ctx, operator))
      out.set(operator, known)
      if (known) mine.push(column)
    }
  }
  return mine
}

function isOut(ctx: DaContext, operator: string): Promise<boolean> {
  const { committee } = ctx.chain.da
  return read(committee.isOut(operator, { blockTag: ctx.head.number }), { signal: ctx.signal })
}

import type { IndexedBlob } from './blob-index.ts'
import type { ColumnStore } from './column-store.ts'
import type { DaContext } from './context.ts'
import { placeOf, rebuildColumns } from './gather.ts'
import { readSubmittedHeader } from './submitted-header.ts'

/** Submitted through another contract: the chain has checked it and does not show it. */
const UNKNOWN_SIGNATURE = '0x'

const running = new WeakMap<ColumnStore, Map<string, Promise<void>>>()

/**
 * Brings columns of a blob back to disk, rebuilt from 64 others, together with whatever else of the blob is found damaged:
 * a rebuild costs the same for one column and for all. One at a time for each blob; who asks meanwhile waits for it.
 *
 * Errors: DA_TOO_FEW_COLUMNS, DA_CELL_INVALID, DISK_FULL, ABORTED.
 */
export async function restoreColumns(
  ctx: DaContext,
  blob: IndexedBlob,
  columns: readonly number[],
): Promise<void> {
  const byBlob = running.get(ctx.columns) ?? new Map<string, Promise<void>>()
  running.set(ctx.columns, byBlob)
  for (;;) {
    const missing = columns.filter((column) => !ctx.columns.has(blob.blobId, column))
    if (missing.length === 0) return
    const before = byBlob.get(blob.blobId)
    if (before) {
      await before
      continue
    }
    const work = restore(ctx, blob, missing).finally(() => byBlob.delete(blob.blobId))
    byBlob.set(blob.blobId, work)
    await work
  }
}

async function restore(ctx: DaContext, blob: IndexedBlob, columns: readonly number[]): Promise<void> {
  const { blobId } = blob
  const { signal } = ctx
  for (const record of ctx.columns.records(blobId)) if (!record.damaged) await ctx.columns.check(record)
  const damaged = ctx.columns.records(blobId).flatMap((record) => (record.damaged ? [record.column] : []))
  const place = await placeOf(ctx, blob, signal)
  const wanted = [...new Set([...columns, ...damaged])]
  const rebuilt = await rebuildColumns(ctx, place, { columns: wanted, signal })
  const signature =
    ctx.columns.blob(blobId)?.signature ??
    (await readSubmittedHeader(ctx.chain, blob, { signal }))?.signature ??
    UNKNOWN_SIGNATURE
  await ctx.columns.put({ ...place, signature }, rebuilt)
  ctx.daMetrics.repaired.inc(rebuilt.length)
  ctx.log.info({ blobId, columns: rebuilt.length }, 'columns rebuilt')
}

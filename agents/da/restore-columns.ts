import type { Column } from '../../sdk/protocol/column.ts'
import type { IndexedBlob } from './blob-index.ts'
import type { ColumnStore } from './column-store.ts'
import type { DaContext } from './context.ts'
import { placeOf, rebuildColumns } from './gather.ts'
import { readSubmittedHeader } from './submitted-header.ts'

/** Submitted through another contract: the chain has checked it and does not show it. */
const UNKNOWN_SIGNATURE = '0x'

/** Columns as they were rebuilt, and why they could not be kept. */
type Restored = { readonly columns: readonly Column[]; readonly failure?: unknown }

const running = new WeakMap<ColumnStore, Map<string, Promise<Restored>>>()

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
  for (;;) {
    const missing = columns.filter((column) => !ctx.columns.has(blob.blobId, column))
    if (missing.length === 0) return
    const { failure } = await restoring(ctx, blob, missing)
    if (failure !== undefined) throw failure
  }
}

/**
 * A column of a blob: kept here, else rebuilt and brought back to disk. A disk that cannot take it keeps nobody from using it.
 * Errors: DA_TOO_FEW_COLUMNS, DA_CELL_INVALID, ABORTED.
 */
export async function restoredColumn(ctx: DaContext, blob: IndexedBlob, column: number): Promise<Column> {
  for (;;) {
    const own = await ctx.columns.read(blob.blobId, column)
    if (own) return own
    const { columns, failure } = await restoring(ctx, blob, [column])
    if (failure !== undefined)
      ctx.log.error({ blobId: blob.blobId, column, err: failure }, 'a rebuilt column cannot be kept')
    const rebuilt = columns.find((candidate) => candidate.column === column)
    if (rebuilt) return rebuilt
  }
}

/** The work that is under way for the blob, else a new one for these columns. */
function restoring(ctx: DaContext, blob: IndexedBlob, columns: readonly number[]): Promise<Restored> {
  const byBlob = running.get(ctx.columns) ?? new Map<string, Promise<Restored>>()
  running.set(ctx.columns, byBlob)
  const before = byBlob.get(blob.blobId)
  if (before) return before
  const work = restore(ctx, blob, columns).finally(() => byBlob.delete(blob.blobId))
  byBlob.set(blob.blobId, work)
  return work
}

async function restore(ctx: DaContext, blob: IndexedBlob, columns: readonly number[]): Promise<Restored> {
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
  try {
    await ctx.columns.put({ ...place, signature }, rebuilt)
  } catch (failure) {
    return { columns: rebuilt, failure }
  }
  ctx.daMetrics.repaired.inc(rebuilt.length)
  ctx.log.info({ blobId, columns: rebuilt.length }, 'columns rebuilt')
  return { columns: rebuilt }
}

import { read } from '../../sdk/chain/read.ts'
import { decodePayload } from '../../sdk/protocol/blob.ts'
import { DATA_COLUMNS } from '../../sdk/protocol/cell-layout.ts'
import type { Column } from '../../sdk/protocol/column.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { bytesEqual } from '../../sdk/protocol/hex.ts'
import { type DaContext, periodOf } from './context.ts'
import { gatherColumns, placeOf, recoverBlobs } from './gather.ts'

const HEAD_TIMEOUT_MS = 2000

/**
 * The payload of a blob, from any 64 columns: every cell verified, the blobs committed to anew, the encoding canonical, the
 * hash the header's.
 *
 * Errors: DA_UNKNOWN_BLOB, DA_EXPIRED, DA_TOO_FEW_COLUMNS, DA_INVALID_BLOB (the verdict, the same for everybody), ABORTED.
 */
export async function readPayload(ctx: DaContext, blobId: string, signal: AbortSignal): Promise<Uint8Array> {
  const blob = ctx.index.blob(blobId)
  if (!blob) throw new ZerogError('DA_UNKNOWN_BLOB')
  const head = await headNow(ctx, signal)
  if (isGone(ctx, blob.header, head)) throw new ZerogError('DA_EXPIRED')
  const place = await placeOf(ctx, blob, signal)
  const columns = await gatherColumns(ctx, place, { signal, wants: 'data' })
  const blobs = await dataOf(ctx, columns, { blobCount: blob.header.blobCount, signal })
  for (const [blobIndex, bytes] of blobs.entries()) {
    const commitment = await ctx.kzg.commit(bytes, signal)
    const expected = place.commitments[blobIndex]
    if (!expected || !bytesEqual(commitment, expected))
      throw new ZerogError('INTERNAL', 'verified cells do not commit to what they were verified against')
  }
  return decodePayload(ctx.hasher, blobs, blob.header)
}

/** The head; while the RPC does not answer, the last block read: what is kept here is served without it. */
export async function headNow({ provider, index }: DaContext, signal: AbortSignal): Promise<number> {
  try {
    return await read(provider.getBlockNumber(), { signal, timeoutMs: HEAD_TIMEOUT_MS })
  } catch (error) {
    if (signal.aborted || index.appliedTo() < 0) throw error
    return index.appliedTo()
  }
}

/** Whether nodes may have deleted a blob: its retention and the time for disputes are over. */
export function isGone(
  ctx: Pick<DaContext, 'chain'>,
  { expiresAt }: { expiresAt: bigint },
  head: number,
): boolean {
  return periodOf(ctx, head) >= expiresAt + ctx.chain.daTerms.disputePeriods
}

/** The KZG blobs: cells 0..63 side by side, recovered when some of them are missing. */
async function dataOf(
  ctx: DaContext,
  columns: ReadonlyMap<number, Column>,
  { blobCount, signal }: { blobCount: number; signal: AbortSignal },
): Promise<Uint8Array[]> {
  const data = Array.from({ length: DATA_COLUMNS }, (_, column) => columns.get(column))
  if (data.every((column) => column !== undefined)) {
    return Array.from({ length: blobCount }, (_, blobIndex) =>
      Buffer.concat(data.flatMap(({ cells }) => cells[blobIndex]?.cell ?? [])),
    )
  }
  const blobs = await recoverBlobs(ctx, columns, { blobCount, signal })
  return blobs.map(({ cells }) => Buffer.concat(cells.slice(0, DATA_COLUMNS)))
}

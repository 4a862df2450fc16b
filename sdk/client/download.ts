import type { Chain } from '../chain/connect.ts'
import { loadErasureEngine } from '../protocol/erasure-wasm.ts'
import { ZerogError } from '../protocol/errors.ts'
import { HASH_BYTES, loadHasher } from '../protocol/hasher.ts'
import { toHex } from '../protocol/hex.ts'
import { ceilLog2, type FileLayout, SECTOR_BYTES, shardBytes, shardRange } from '../protocol/layout.ts'
import { joinNodes, rootOfNodes } from '../protocol/merkle.ts'
import { fileTree } from '../protocol/submission.ts'
import { type ColumnChunk, type ColumnContext, fetchColumn } from './fetch-column.ts'
import type { FileSink } from './file-sink.ts'
import { type FileRef, findSealedFile, type SealedFile } from './find-deal.ts'
import type { HttpTransport } from './http.ts'
import { connectPeers } from './shard-peers.ts'

/** A verified download. `rebuiltShards` are data shards of which some chunk came from the others. */
export type DownloadResult = {
  readonly root: string
  readonly txSeq: bigint
  readonly byteLength: number
  readonly rebuiltShards: readonly number[]
  readonly seconds: number
}

/** Bytes [start, end) of the file. */
export type ByteRange = { readonly start: number; readonly end: number }

/** Chunks are subtrees of 256 KiB to 1 MiB, by what is read; two columns at a time, so 2 x 24 MiB at the default parity. */
const MIN_CHUNK_HEIGHT = 10
const MAX_CHUNK_HEIGHT = 12
const PARALLEL_COLUMNS = 2

/**
 * Reads a file, or a range of it, into a sink. Every chunk is proved against the shard roots of the deal before it is
 * written; chunks that had to be rebuilt are checked with their whole shard before the sink commits. So the sink gets
 * exactly the bytes of the root, or nothing.
 *
 * A range costs what it covers, unless a data shard in it has no holder: then that shard is rebuilt whole, because only
 * so it can be checked.
 *
 * Errors: UNKNOWN_ROOT, UNKNOWN_DEAL, NOT_SEALED, DEAL_REFUNDED; SHARDS_MISSING when more holders are gone than the
 * parity replaces; ROOT_MISMATCH when the deal's parity is wrong; RANGE_INVALID; RPC_UNREACHABLE; ABORTED; those of the sink.
 */
export async function downloadFile(options: downloadFile.Options): Promise<DownloadResult> {
  const { chain, sink, signal, onProgress } = options
  const startedMs = performance.now()
  const limits = signal === undefined ? {} : { signal }
  try {
    const file = await findSealedFile(chain, options, limits)
    const range = checkedRange(file.layout, options.range)
    const hasher = await loadHasher()
    const context: ColumnContext = {
      peers: await connectPeers(chain, {
        file,
        hasher,
        transport: options.transport,
        ...limits,
        ...(options.chunkTimeoutMs === undefined ? {} : { timeoutMs: options.chunkTimeoutMs }),
      }),
      erasure: await loadErasureEngine(),
      hasher,
      dataShards: file.deal.dataShards,
      parityShards: file.deal.parityShards,
      height: chunkHeight(range, file.deal.shardHeight),
    }
    const rebuilt = await readRange(context, {
      file,
      range,
      sink,
      ...limits,
      ...(onProgress === undefined ? {} : { onProgress }),
    })
    signal?.throwIfAborted()
    await sink.commit()
    return {
      root: file.root,
      txSeq: file.txSeq,
      byteLength: range.end - range.start,
      rebuiltShards: rebuilt,
      seconds: (performance.now() - startedMs) / 1000,
    }
  } catch (error) {
    await sink.discard()
    throw signal?.aborted ? new ZerogError('ABORTED', undefined, { cause: error }) : error
  }
}

export declare namespace downloadFile {
  type Options = FileRef & {
    chain: Chain
    sink: FileSink
    range?: ByteRange
    onProgress?: (progress: { doneBytes: number; totalBytes: number }) => void
    /** Time-out of one chunk of 1 MiB at most; 30 s by default. */
    chunkTimeoutMs?: number
    /** What carries requests to providers; `fetch` by default. */
    transport?: HttpTransport
    signal?: AbortSignal
  }
}

function chunkHeight({ start, end }: ByteRange, shardHeight: number): number {
  const fitting = ceilLog2(Math.ceil((end - start) / SECTOR_BYTES))
  return Math.min(shardHeight, MAX_CHUNK_HEIGHT, Math.max(MIN_CHUNK_HEIGHT, fitting))
}

type ReadJob = {
  file: SealedFile
  range: ByteRange
  sink: FileSink
  signal?: AbortSignal
  onProgress?: NonNullable<downloadFile.Options['onProgress']>
}

/** Reads all cells of the range column by column, then whole shards where chunks had to be rebuilt. Returns those shards. */
async function readRange(context: ColumnContext, job: ReadJob): Promise<number[]> {
  const { file, range, onProgress } = job
  const chunkBytes = SECTOR_BYTES * 2 ** context.height
  const chunks = file.layout.shardSectors / 2 ** context.height
  const roots = new Map<number, Map<number, Uint8Array>>()
  const rebuilt = new Set<number>()
  let doneBytes = 0

  async function readColumn(chunk: number, wanted: readonly number[], signal: AbortSignal): Promise<void> {
    const missing = wanted.filter((index) => !roots.get(index)?.has(chunk))
    if (missing.length === 0) return
    for (const cell of await fetchColumn(context, { chunk, wanted: missing, signal })) {
      signal.throwIfAborted()
      if (!cell.isProved) rebuilt.add(cell.index)
      const own = roots.get(cell.index) ?? new Map<number, Uint8Array>()
      roots.set(cell.index, own.set(chunk, cell.root))
      const written = await writeCell(cell, { job, start: chunk * chunkBytes })
      if (written === 0) continue
      doneBytes += written
      onProgress?.({ doneBytes, totalBytes: range.end - range.start })
    }
  }

  await eachColumn(chunks, job.signal, (chunk, signal) =>
    readColumn(chunk, shardsOf(file.layout, range, { chunk, chunkBytes }), signal),
  )
  const all = Array.from({ length: file.deal.dataShards }, (_, index) => index)
  // A rebuilt chunk has no path of its own: all chunks of its shard together must give the shard root.
  await eachColumn(chunks, job.signal, (chunk, signal) =>
    readColumn(
      chunk,
      all.filter((index) => rebuilt.has(index)),
      signal,
    ),
  )
  for (const index of rebuilt) checkShard(context, file, { index, chunkRoots: roots.get(index), chunks })
  if (range.start === 0 && range.end === file.layout.byteLength)
    checkFile(
      context,
      file,
      all.map((index) => shardRoot(context, roots.get(index), chunks)),
    )
  return [...rebuilt].sort((a, b) => a - b)
}

/** Runs `work` for every column, a few at a time; the first failure stops the others. */
async function eachColumn(
  columns: number,
  signal: AbortSignal | undefined,
  work: (column: number, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController()
  const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])
  let next = 0
  let failure: { error: unknown } | undefined
  const run = async () => {
    while (next < columns && failure === undefined) {
      const column = next++
      try {
        await work(column, both)
      } catch (error) {
        failure ??= { error }
        stop.abort()
      }
    }
  }
  await Promise.all(Array.from({ length: PARALLEL_COLUMNS }, run))
  if (failure !== undefined) throw failure.error
}

/** Data shards of which this column lies in the range. */
function shardsOf(
  layout: FileLayout,
  range: ByteRange,
  { chunk, chunkBytes }: { chunk: number; chunkBytes: number },
): number[] {
  const isFull = range.start === 0 && range.end === layout.byteLength
  return Array.from({ length: layout.dataShards }, (_, index) => index).filter((index) => {
    // A whole file is checked against its root, padding included.
    if (isFull) return true
    const start = index * shardBytes(layout) + chunk * chunkBytes
    return start < range.end && start + chunkBytes > range.start
  })
}

/** Writes the part of a cell that lies in the range; returns its length. */
async function writeCell(
  { bytes, index }: ColumnChunk,
  { job: { file, range, sink }, start }: { job: ReadJob; start: number },
): Promise<number> {
  const cellStart = shardRange(file.layout, index).start + start
  const from = Math.max(cellStart, range.start)
  const to = Math.min(cellStart + bytes.length, range.end)
  if (from >= to) return 0
  await sink.write(from - range.start, bytes.subarray(from - cellStart, to - cellStart))
  return to - from
}

function shardRoot(
  { hasher }: ColumnContext,
  chunkRoots: ReadonlyMap<number, Uint8Array> | undefined,
  chunks: number,
): Uint8Array {
  const row = Array.from(
    { length: chunks },
    (_, chunk) => chunkRoots?.get(chunk) ?? new Uint8Array(HASH_BYTES),
  )
  return rootOfNodes(hasher, joinNodes(row))
}

function checkShard(
  context: ColumnContext,
  { custody, root }: SealedFile,
  {
    index,
    chunkRoots,
    chunks,
  }: { index: number; chunkRoots: ReadonlyMap<number, Uint8Array> | undefined; chunks: number },
): void {
  const got = toHex(shardRoot(context, chunkRoots, chunks))
  const expected = custody.shards[index]?.root
  if (got === expected) return
  throw new ZerogError('ROOT_MISMATCH', `shard ${index} cannot be rebuilt: parity of this deal is wrong`, {
    meta: { root, index, expected, got },
  })
}

function checkFile({ hasher }: ColumnContext, file: SealedFile, shardRoots: readonly Uint8Array[]): void {
  const { root } = fileTree(hasher, file.layout, joinNodes(shardRoots))
  if (root === file.root) return
  throw new ZerogError('ROOT_MISMATCH', undefined, { meta: { expected: file.root, got: root } })
}

function checkedRange(layout: FileLayout, range: ByteRange | undefined): ByteRange {
  if (range === undefined) return { start: 0, end: layout.byteLength }
  const { start, end } = range
  if (
    Number.isSafeInteger(start) &&
    Number.isSafeInteger(end) &&
    start >= 0 &&
    start < end &&
    end <= layout.byteLength
  )
    return range
  throw new ZerogError('RANGE_INVALID', `a range lies within the ${layout.byteLength} bytes of the file`, {
    meta: { start, end },
  })
}

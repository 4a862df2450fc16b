import type { DaChain } from '../chain/da-chain.ts'
import { decodePayload, invalidBlob } from '../protocol/blob.ts'
import type { BlobHeader } from '../protocol/blob-header.ts'
import { BLOB_BYTES, CELL_BYTES, DATA_COLUMNS } from '../protocol/cell-layout.ts'
import type { Column } from '../protocol/column.ts'
import { errorCode, ZerogError } from '../protocol/errors.ts'
import { loadHasher } from '../protocol/hasher.ts'
import { bytesEqual } from '../protocol/hex.ts'
import type { KzgEngine } from '../protocol/kzg-engine.ts'
import { collectColumns } from './collect-columns.ts'
import { connectDaPeers, type PeerFault } from './da-peers.ts'
import { findBlob } from './find-blob.ts'
import type { HttpTransport } from './http.ts'

/** A verified payload. `isRebuilt`: some data columns came from parity. `faults`: peers that failed or sent wrong bytes. */
export type ReadBlobResult = {
  readonly blobId: string
  readonly payload: Uint8Array
  readonly header: BlobHeader
  readonly columns: readonly number[]
  readonly isRebuilt: boolean
  readonly faults: readonly PeerFault[]
}

export type ReadBlobProgress = {
  readonly step: 'columns' | 'decoding'
  readonly done: number
  readonly total: number
}

/** KZG blobs that are restored at a time. */
const PARALLEL_BLOBS = 4

/**
 * Reads a blob from any 64 columns. Trusts nobody: every cell is verified before use, the restored blobs are committed to again and compared
 * with the header's commitments, and the encoding must be canonical with the header's length and hash.
 *
 * Errors: DA_UNKNOWN_BLOB; DA_REFUNDED; DA_EXPIRED; DA_TOO_FEW_COLUMNS with `meta` {have, need, faults}; DA_INVALID_BLOB with `meta.reason`,
 * the verdict that every reader gets; RPC_UNREACHABLE; ABORTED.
 */
export async function readBlob(options: readBlob.Options): Promise<ReadBlobResult> {
  const { chain, kzg, transport, columnTimeoutMs, signal, onProgress } = options
  const limits = signal === undefined ? {} : { signal }
  const found = await findBlob(chain, options.blobId, limits)
  const { blobId, header, committee } = found
  const hasher = await loadHasher()
  const peers = await connectDaPeers(chain, {
    header,
    committee,
    hasher,
    transport,
    timeoutMs: columnTimeoutMs,
    signal,
  })
  try {
    const commitments = await peers.commitments(signal)
    const columns = await collectColumns({
      peers,
      commitments,
      verifier: kzg,
      signal,
      onColumn: (done) => onProgress?.({ step: 'columns', done, total: DATA_COLUMNS }),
    })
    let done = 0
    const blobs = await mapSome(commitments, async (commitment, blobIndex) => {
      const blob = await restore(kzg, { columns, blobIndex, signal })
      if (!bytesEqual(await kzg.commit(blob, signal), commitment)) throw invalidBlob('cell')
      done += 1
      onProgress?.({ step: 'decoding', done, total: commitments.length })
      return blob
    })
    return {
      blobId,
      payload: decodePayload(hasher, blobs, header),
      header,
      columns: columns.map(({ column }) => column),
      isRebuilt: !isData(columns),
      faults: peers.faults(),
    }
  } catch (error) {
    if (signal?.aborted) throw new ZerogError('ABORTED', undefined, { cause: error })
    // Nodes may drop a blob once its retention is over: then it is no fault of theirs.
    if (found.isOver && errorCode(error) === 'DA_TOO_FEW_COLUMNS')
      throw new ZerogError('DA_EXPIRED', undefined, { cause: error, meta: { blobId } })
    throw error
  }
}

export declare namespace readBlob {
  type Options = {
    chain: DaChain
    blobId: string
    /** `loadNodeKzg()` on Node.js, `loadBrowserKzg()` in a page. */
    kzg: KzgEngine
    /** What carries requests; `fetch` by default. */
    transport?: HttpTransport | undefined
    /** Time-out of one column; 30 s by default. */
    columnTimeoutMs?: number | undefined
    onProgress?: ((progress: ReadBlobProgress) => void) | undefined
    signal?: AbortSignal | undefined
  }
}

/** KZG blob `blobIndex` from 64 verified columns: the data columns are the blob itself. */
async function restore(
  kzg: KzgEngine,
  {
    columns,
    blobIndex,
    signal,
  }: { columns: readonly Column[]; blobIndex: number; signal: AbortSignal | undefined },
): Promise<Uint8Array> {
  const own = columns.map(({ cells }) => cells[blobIndex]?.cell ?? new Uint8Array())
  const numbers = columns.map(({ column }) => column)
  const cells = isData(columns) ? own : (await kzg.recover(numbers, own, signal)).cells
  const blob = new Uint8Array(BLOB_BYTES)
  cells.slice(0, DATA_COLUMNS).forEach((cell, k) => {
    blob.set(cell, k * CELL_BYTES)
  })
  return blob
}

function isData(columns: readonly Column[]): boolean {
  return columns.length === DATA_COLUMNS && columns.every(({ column }, k) => column === k)
}

/** Results in order, with a few calls at a time; the first failure ends it. */
async function mapSome<T, R>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Map<number, R>()
  const rest = [...items.entries()]
  const run = async () => {
    for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
      const [index, item] = next
      results.set(index, await work(item, index))
    }
  }
  await Promise.all(Array.from({ length: PARALLEL_BLOBS }, run))
  return [...results].sort(([a], [b]) => a - b).map(([, result]) => result)
}

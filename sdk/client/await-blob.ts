import { type BlobRecord, readBlobRecord } from '../chain/da.ts'
import type { DaChain } from '../chain/da-chain.ts'
import { read } from '../chain/read.ts'
import { ZerogError } from '../protocol/errors.ts'
import { columnCount } from '../protocol/quorum.ts'
import { pause } from './pause.ts'

/** How far to wait for a blob. */
export type BlobGoal = 'submitted' | 'soft' | 'final'

const RANKS = { submitted: 0, soft: 1, final: 2 } as const
const POLL_MS = 500
/** How long a header may take to its first block. */
const SUBMIT_MS = 120_000

/**
 * Waits until a blob is on chain, SOFT or FINAL, and returns its record.
 *
 * Errors: DA_UNKNOWN_BLOB when it is not submitted in time; DA_NOT_CONFIRMED with `meta` {status, signedColumns} when the time for
 * confirmations is over; DA_REFUNDED; DA_CONVICTED when that keeps it from the goal; RPC_UNREACHABLE; ABORTED.
 */
export async function awaitBlob({
  chain,
  blobId,
  until = 'final',
  submitTimeoutMs = SUBMIT_MS,
  onRecord,
  signal,
}: awaitBlob.Options): Promise<BlobRecord> {
  const limits = signal === undefined ? {} : { signal }
  const submitBy = performance.now() + submitTimeoutMs
  for (;;) {
    const head = await read(chain.provider.getBlockNumber(), limits)
    const record = await readBlobRecord(chain, blobId, { ...limits, blockTag: head })
    if (record !== undefined) {
      onRecord?.(record)
      checkHope({ blobId, record, until, head })
      if (record.status !== 'refunded' && RANKS[record.status] >= RANKS[until]) return record
    } else if (performance.now() > submitBy) {
      throw new ZerogError('DA_UNKNOWN_BLOB', 'nobody has submitted this header', { meta: { blobId } })
    }
    await pause(POLL_MS, signal)
  }
}

export declare namespace awaitBlob {
  type Options = {
    chain: DaChain
    blobId: string
    /** 'final' by default. */
    until?: BlobGoal
    /** How long the header may take to be submitted; two minutes by default. */
    submitTimeoutMs?: number | undefined
    /** Hears of every state that is seen. */
    onRecord?: ((record: BlobRecord) => void) | undefined
    signal?: AbortSignal | undefined
  }
}

/** Throws when the blob can no longer get as far as wanted. */
function checkHope({
  blobId,
  record,
  until,
  head,
}: {
  blobId: string
  record: BlobRecord
  until: BlobGoal
  head: number
}): void {
  const { status, columns, confirmBy, convictedAtBlock } = record
  const meta = { blobId, status, signedColumns: columnCount(columns) }
  if (status === 'refunded') throw new ZerogError('DA_REFUNDED', undefined, { meta })
  if (RANKS[status] >= RANKS[until]) return
  if (convictedAtBlock !== undefined) throw new ZerogError('DA_CONVICTED', undefined, { meta })
  if (BigInt(head) < confirmBy) return
  throw new ZerogError('DA_NOT_CONFIRMED', 'the time in which this blob could be confirmed is over', {
    meta,
    retryable: false,
  })
}

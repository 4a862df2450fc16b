import {
  type BlobRecord,
  readBlobHeader,
  readBlobRecord,
  readConfirmation,
  readIsFinal,
} from '../chain/da.ts'
import type { DaChain } from '../chain/da-chain.ts'
import { readCommittee } from '../chain/da-committee.ts'
import { read } from '../chain/read.ts'
import { type BlobHeader, checkHeader } from '../protocol/blob-header.ts'
import { ZerogError } from '../protocol/errors.ts'
import { fromHex, toHex } from '../protocol/hex.ts'
import { verifyQuorum } from './quorum-proof.ts'

/** A FINAL blob. `columns` has bit k for each column attested; a conviction after FINAL does not undo it. */
export type FinalBlob = {
  readonly blobId: string
  readonly header: BlobHeader
  readonly columns: bigint
  readonly finalAtBlock: bigint
  readonly convictedAtBlock: bigint | undefined
}

/**
 * Makes sure that a blob is FINAL, for whoever builds on it: the contract says so `confirmations` blocks below the head, and the quorum's
 * aggregate signature over exactly this header is checked here, against the committee's keys.
 *
 * Errors: DA_UNKNOWN_BLOB; DA_REFUNDED; DA_NOT_CONFIRMED (retryable); DA_CONVICTED when it was convicted before it was FINAL;
 * SIGNATURE_INVALID when chain and signature disagree; BAD_HEX; those of the RPC.
 */
export async function verifyFinal(options: verifyFinal.Options): Promise<FinalBlob> {
  const { chain, confirmations = 0, signal } = options
  const blobId = toHex(fromHex(options.blobId, 32))
  const limits = signal === undefined ? {} : { signal }
  const head = await read(chain.provider.getBlockNumber(), limits)
  const pinned = { ...limits, blockTag: Math.max(0, head - confirmations) }
  const [record, isFinal] = await Promise.all([
    readBlobRecord(chain, blobId, pinned),
    readIsFinal(chain, blobId, pinned),
  ])
  if (record === undefined || !isFinal) throw notFinal(blobId, record)
  const [header, committee, confirmation] = await Promise.all([
    readBlobHeader(chain, { blobId, record }, limits),
    readCommittee(chain, record.epoch, limits),
    readConfirmation(chain, { blobId, record }, limits),
  ])
  checkHeader(header)
  const { level, columns } = verifyQuorum(chain, { blobId, committee, confirmation })
  if (level !== 'final' || record.finalAtBlock === undefined)
    throw new ZerogError('SIGNATURE_INVALID', 'the contract says FINAL, its signatures do not', {
      meta: { blobId },
    })
  const { finalAtBlock, convictedAtBlock } = record
  return { blobId, header, columns, finalAtBlock, convictedAtBlock }
}

export declare namespace verifyFinal {
  type Options = {
    chain: DaChain
    blobId: string
    /** Blocks that must lie on top of what is read; 0 by default. */
    confirmations?: number
    signal?: AbortSignal | undefined
  }
}

function notFinal(blobId: string, record: BlobRecord | undefined): ZerogError {
  const meta = { blobId }
  if (record === undefined) return new ZerogError('DA_UNKNOWN_BLOB', undefined, { meta })
  if (record.status === 'refunded') return new ZerogError('DA_REFUNDED', undefined, { meta })
  if (record.convictedAtBlock !== undefined) return new ZerogError('DA_CONVICTED', undefined, { meta })
  return new ZerogError('DA_NOT_CONFIRMED', 'the blob is not FINAL yet', {
    meta: { ...meta, status: record.status },
  })
}

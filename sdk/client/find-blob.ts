import { type BlobRecord, readBlobHeader, readBlobRecord } from '../chain/da.ts'
import type { DaChain } from '../chain/da-chain.ts'
import { type Committee, readCommittee } from '../chain/da-committee.ts'
import { type ReadOptions, read } from '../chain/read.ts'
import { type BlobHeader, checkHeader } from '../protocol/blob-header.ts'
import { periodAt } from '../protocol/clock.ts'
import { ZerogError } from '../protocol/errors.ts'
import { fromHex, toHex } from '../protocol/hex.ts'

/** A blob that the chain knows, with all that reading it needs; `isOver`: its retention has ended. */
export type FoundBlob = {
  readonly blobId: string
  readonly record: BlobRecord
  readonly header: BlobHeader
  readonly committee: Committee
  readonly isOver: boolean
}

/**
 * Finds a blob on chain by its id. Its header is checked for what it says of itself.
 *
 * Errors: BAD_HEX; DA_UNKNOWN_BLOB; DA_REFUNDED; DA_EXPIRED once expiry and the time for disputes are over; DA_INVALID_BLOB;
 * those of the RPC.
 */
export async function findBlob(
  chain: DaChain,
  id: string,
  options: Pick<ReadOptions, 'signal' | 'timeoutMs'> = {},
): Promise<FoundBlob> {
  const blobId = toHex(fromHex(id, 32))
  const [record, head] = await Promise.all([
    readBlobRecord(chain, blobId, options),
    read(chain.provider.getBlockNumber(), options),
  ])
  const meta = { blobId }
  if (record === undefined) throw new ZerogError('DA_UNKNOWN_BLOB', undefined, { meta })
  if (record.status === 'refunded') throw new ZerogError('DA_REFUNDED', undefined, { meta })
  const period = periodAt(chain.terms, BigInt(head))
  if (period >= record.expiresAt + chain.daTerms.disputePeriods)
    throw new ZerogError('DA_EXPIRED', undefined, { meta: { ...meta, expiredAt: `${record.expiresAt}` } })
  const [header, committee] = await Promise.all([
    readBlobHeader(chain, { blobId, record }, options),
    readCommittee(chain, record.epoch, options),
  ])
  checkHeader(header)
  return { blobId, record, header, committee, isOver: period >= record.expiresAt }
}

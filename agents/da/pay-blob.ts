import { type BlobRecord, readBlobRecord } from '../../sdk/chain/da.ts'
import { submitBlobCall } from '../../sdk/chain/da-calls.ts'
import { isRevert } from '../../sdk/chain/decode-error.ts'
import { read } from '../../sdk/chain/read.ts'
import type { SignedHeader } from '../../sdk/protocol/blob-header.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { pause } from '../kernel/backoff.ts'
import type { DaContext } from './context.ts'
import type { Dispersal } from './dispersal-journal.ts'

const LOOK_MS = 250

/**
 * The chain's record of a blob once it is paid: pays where this disperser does; else waits `waitMs` for the publisher,
 * and is undefined while that one still has time. Errors: DA_UNPAID when that is over, DA_WRONG_EPOCH when the epoch ended first, DA_REFUNDED, INSUFFICIENT_FUNDS,
 * and other reverts of `submit`.
 */
export async function payBlob(
  ctx: DaContext,
  { blobId, header, pays, createdBlock }: Dispersal,
  { signed, feeWei, waitMs }: { signed: SignedHeader; feeWei: () => Promise<bigint>; waitMs: number },
): Promise<BlobRecord | undefined> {
  const { chain, signal } = ctx
  const giveUpAt = performance.now() + waitMs
  for (;;) {
    const head = await read(ctx.provider.getBlockNumber(), { signal })
    // Both at one block: paid in the last one of its epoch, it must not count as too late.
    const at = { blockTag: head, signal }
    const known = await readBlobRecord(chain, blobId, at)
    if (known) return checked(known)
    const active = await ctx.committees.active(at)
    // An RPC that lags behind may know an earlier one only.
    if (active && active.epoch > header.epoch) throw wrongEpoch()
    if (pays) break
    if (head - createdBlock > ctx.config.DA_UNPAID_BLOCKS)
      throw new ZerogError('DA_UNPAID', 'nobody paid for the blob in time', { retryable: false })
    if (performance.now() >= giveUpAt) return undefined
    await pause(LOOK_MS, signal)
  }
  try {
    await ctx.sender.submit({
      ...submitBlobCall(chain, signed, await feeWei()),
      label: `da-submit-${blobId}`,
      signal,
      alreadyDone: (error) => isRevert(error, 'AlreadySubmitted'),
    })
  } catch (error) {
    if (isRevert(error, 'WrongEpoch')) throw wrongEpoch(error)
    throw error
  }
  const record = await readBlobRecord(chain, blobId, { signal })
  if (record) return checked(record)
  throw new ZerogError('REORGED', 'the submission of the blob is not on chain any more')
}

function checked(record: BlobRecord): BlobRecord {
  if (record.status === 'refunded') throw new ZerogError('DA_REFUNDED')
  if (record.convictedAtBlock !== undefined) throw new ZerogError('DA_CONVICTED')
  return record
}

function wrongEpoch(cause?: unknown): ZerogError {
  return new ZerogError('DA_WRONG_EPOCH', 'the epoch ended before the blob was paid', { cause })
}

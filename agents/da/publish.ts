import type { BlobHeader } from '../../sdk/protocol/blob-header.ts'
import { errorCode, ZerogError } from '../../sdk/protocol/errors.ts'
import { abortable } from '../kernel/abortable.ts'
import type { Until } from './dispersals.ts'
import type { DaService } from './service.ts'

export declare namespace publishPayload {
  type Options = {
    /** How long nodes keep it; the contract's bounds are `chain.daTerms`. */
    retentionPeriods: bigint
    until: Until
    signal: AbortSignal
    /** Room taken before, by `dispersals.reserve`. */
    release?: () => void
  }
}

/**
 * Publishes a payload at this disperser's own cost and waits for its quorum.
 *
 * Errors: DA_EMPTY_PAYLOAD, DA_PAYLOAD_TOO_LARGE, DA_BUSY, BAD_REQUEST (retention), DA_NOT_CONFIRMED, INSUFFICIENT_FUNDS,
 * ABORTED when the caller gives up: the blob goes on without it.
 */
export async function publishPayload(
  ctx: DaService,
  payload: Uint8Array,
  options: publishPayload.Options,
): Promise<{ blobId: string; header: BlobHeader }> {
  try {
    return await publishOnce(ctx, payload, options)
  } catch (error) {
    if (errorCode(error) !== 'DA_WRONG_EPOCH') throw error
    // The epoch ended between header and payment: its nonce is spent, nothing was paid.
    return await publishOnce(ctx, payload, options)
  }
}

async function publishOnce(
  { dispersals, self }: DaService,
  payload: Uint8Array,
  { retentionPeriods, until, signal, release }: publishPayload.Options,
): Promise<{ blobId: string; header: BlobHeader }> {
  const request = { payload, retentionPeriods, pays: true, publisher: self, signal }
  const { blobId, header } = await dispersals.publish(request, release)
  const quorum = dispersals.reached(blobId, until)
  if (!quorum) throw new ZerogError('INTERNAL', 'a published blob has nobody waiting for it')
  await abortable(quorum, signal)
  return { blobId, header }
}

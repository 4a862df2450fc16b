import { ZerogError } from '../../sdk/protocol/errors.ts'
import {
  MAX_PERMISSION_SEC,
  type Permission,
  parsePermission,
  permissionText,
  textSigner,
} from '../../sdk/protocol/permission.ts'
import type { SubmissionView, SubmissionViews } from './submission-view.ts'

/** Signers kept in memory: one permission comes with each of many chunks, and recovery costs more than a chunk. */
const MAX_RECOVERED = 4096

export type PermissionCheck = ReturnType<typeof createPermissionCheck>

export declare namespace createPermissionCheck {
  type Options = { chainId: bigint; views: SubmissionViews; signal: AbortSignal }
}

/** Decides by the Authorization header of a request whether its sender may. Errors: UNAUTHORIZED, FORBIDDEN. */
export function createPermissionCheck({ chainId, views, signal }: createPermissionCheck.Options) {
  const recovered = new Map<string, string>()

  function recover(text: string, signature: string): string {
    const id = `${text} ${signature}`
    const known = recovered.get(id)
    if (known !== undefined) return known
    const signer = textSigner(text, signature)
    if (recovered.size >= MAX_RECOVERED) recovered.clear()
    recovered.set(id, signer)
    return signer
  }

  function signerOf(header: string | undefined, wanted: Permission): string {
    if (header === undefined) throw new ZerogError('UNAUTHORIZED', 'there is no Authorization header')
    const { address, validUntilSec, signature } = parsePermission(header)
    const nowSec = Math.floor(Date.now() / 1000)
    const aheadSec = MAX_PERMISSION_SEC[wanted.action]
    if (validUntilSec < nowSec || validUntilSec > nowSec + aheadSec) {
      throw new ZerogError('UNAUTHORIZED', `validUntil lies in the past or over ${aheadSec} s ahead`, {
        meta: { nowSec },
      })
    }
    const signer = recover(permissionText(wanted, validUntilSec), signature)
    if (signer.toLowerCase() === address.toLowerCase()) return signer
    throw new ZerogError('UNAUTHORIZED', 'the signature is not by this address, or for something else')
  }

  return {
    /** Who wants to read the unsealed shards of a submission. */
    reader: (header: string | undefined, txSeq: bigint): string =>
      signerOf(header, { action: 'read', chainId, txSeq }),

    /** The submission, for whom may write to it: its owner, or the sealer that the owner named. Errors: UNKNOWN_SUBMISSION too. */
    async writer(header: string | undefined, txSeq: bigint): Promise<SubmissionView> {
      const signer = signerOf(header, { action: 'write', chainId, txSeq })
      const view = await views.recent(txSeq, signal)
      if (signer === view.owner || signer === view.sealer) return view
      throw new ZerogError(
        'FORBIDDEN',
        `${signer} is neither the owner nor the sealer of submission ${txSeq}`,
      )
    },
  }
}

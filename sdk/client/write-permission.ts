import { Signature } from 'ethers'
import type { Chain } from '../chain/connect.ts'
import { chainError } from '../chain/decode-error.ts'
import { read } from '../chain/read.ts'
import type { TxSender } from '../chain/send.ts'
import { readSealer } from '../chain/storage.ts'
import { isZerogError, ZerogError } from '../protocol/errors.ts'
import { formatPermission, MAX_PERMISSION_SEC, permissionText, textSigner } from '../protocol/permission.ts'

/** A sender that can sign what providers ask for. */
export type SigningSender = TxSender & Required<Pick<TxSender, 'signMessage'>>

/** Half of what providers accept, so that clocks may differ by hours. */
const VALID_SEC = MAX_PERMISSION_SEC.write / 2
/** Long enough for a user to confirm in a wallet. */
const SIGN_TIMEOUT_MS = 300_000

/**
 * Gives the Authorization header for writing to one submission: signed when it is first asked for, shared by all requests,
 * and renewed at half its life.
 *
 * Errors: FORBIDDEN when the sender refuses, or signs as neither the owner nor its sealer; UNAUTHORIZED for a signature
 * of another kind; TIMEOUT; ABORTED; those of the RPC.
 */
export function createWritePermission(
  { chain, sender, signal }: { chain: Chain; sender: SigningSender; signal?: AbortSignal },
  txSeq: bigint,
): () => Promise<string> {
  let current: { header: Promise<string>; renewAtSec: number } | undefined

  async function signHeader(validUntilSec: number): Promise<string> {
    const owner = sender.address
    const options = signal === undefined ? {} : { signal }
    const text = permissionText({ action: 'write', chainId: chain.chainId, txSeq }, validUntilSec)
    const signed = await read(sender.signMessage(text), { ...options, timeoutMs: SIGN_TIMEOUT_MS })
    const address = textSigner(text, signed)
    if (address.toLowerCase() !== owner.toLowerCase()) {
      const sealer = await readSealer(chain, owner, options)
      if (address !== sealer)
        throw new ZerogError(
          'FORBIDDEN',
          `signMessage signs as ${address}, which ${owner} has not named sealer`,
        )
    }
    // Some wallets give v as 0 or 1, or the compact form.
    return formatPermission({ address, validUntilSec, signature: Signature.from(signed).serialized })
  }

  return () => {
    const nowSec = Math.floor(Date.now() / 1000)
    if (current !== undefined && nowSec < current.renewAtSec) return current.header
    const header = signHeader(nowSec + VALID_SEC).catch((cause) => {
      current = undefined
      const { code, message, meta, retryable } = chainError(cause)
      throw new ZerogError(code, message, { cause, retryable, meta: { ...meta, unsigned: true } })
    })
    current = { header, renewAtSec: nowSec + VALID_SEC / 2 }
    return header
  }
}

/** Whether a sender has `signMessage`. */
export function canSign(sender: TxSender): sender is SigningSender {
  return sender.signMessage !== undefined
}

/** Whether it was {@link createWritePermission} that failed, and no provider: another one would not mend it. */
export function isUnsigned(error: unknown): boolean {
  return isZerogError(error) && error.meta.unsigned === true && error.meta.status === undefined
}

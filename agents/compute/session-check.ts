import type { InferenceAccount } from '../../sdk/chain/compute.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import {
  parseSessionToken,
  type SessionToken,
  sessionTokenFault,
  verifySessionToken,
} from '../../sdk/protocol/session-token.ts'
import type { Accounts } from './accounts.ts'
import type { FreeQuota } from './free-book.ts'

/** Who asks, and the account that pays; with the free quota that the model's gate leaves to it. */
export type Caller = {
  readonly user: string
  readonly account: InferenceAccount
  readonly quota?: FreeQuota | undefined
}

/** Says who sends a request. Errors: UNAUTHORIZED; COMPUTE_BALANCE_TOO_LOW without an account; FORBIDDEN. */
export type SessionCheck = (authorization: string | undefined) => Promise<Caller>

/** Recovering a signer takes a millisecond; a client sends the same key with every request. */
const MAX_KNOWN = 4096

export function createSessionCheck({
  accounts,
  provider,
}: {
  accounts: Accounts
  provider: string
}): SessionCheck {
  const known = new Map<string, SessionToken>()

  function verified(text: string): SessionToken {
    const cached = known.get(text)
    if (cached) return cached
    const signed = parseSessionToken(text)
    verifySessionToken(signed)
    known.set(text, signed.token)
    const oldest = known.keys().next().value
    if (known.size > MAX_KNOWN && oldest !== undefined) known.delete(oldest)
    return signed.token
  }

  return async (authorization) => {
    const [, text] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? []
    if (text === undefined)
      throw new ZerogError('UNAUTHORIZED', 'send Authorization: Bearer and an app-sk- key for this provider')
    const token = verified(text)
    const user = token.address
    const nowMs = Date.now()
    // A foreign or expired key is told so before the chain is asked anything.
    const own = { generation: BigInt(token.generation), revokedBitmap: 0n }
    const early = sessionTokenFault(token, { provider, nowMs, ...own })
    if (early !== undefined) throw new ZerogError('UNAUTHORIZED', early)
    const account = await accounts.read(user)
    if (account === undefined)
      throw new ZerogError(
        'COMPUTE_BALANCE_TOO_LOW',
        `${user} has no account at this provider: transfer funds to it`,
      )
    const fault = sessionTokenFault(token, { provider, nowMs, ...account })
    if (fault !== undefined) throw new ZerogError('UNAUTHORIZED', fault)
    if (!account.isAcknowledged)
      throw new ZerogError('FORBIDDEN', 'the account has not acknowledged the signer of this provider')
    return { user, account }
  }
}

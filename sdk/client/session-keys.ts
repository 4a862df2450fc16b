import { hexlify, randomBytes } from 'ethers'
import { readInferenceAccount } from '../chain/compute.ts'
import { revokeKeyCall } from '../chain/compute-user.ts'
import { read } from '../chain/read.ts'
import { sendCall } from '../chain/send.ts'
import { ZerogError } from '../protocol/errors.ts'
import { createSessionToken, EPHEMERAL_TOKEN_ID, MAX_EPHEMERAL_MS } from '../protocol/session-token.ts'
import type { InferenceContext } from './inference-context.ts'

/** API keys of one user, in memory only. */
export type SessionKeys = {
  /** The key for requests of this client. Asks for a signature when there is none, or it is about to expire. */
  of(provider: string, generation: bigint, signal?: AbortSignal): Promise<string>
  /** The next `of` makes a new one. */
  forget(provider: string): void
  /** A durable key for other programs. Errors: BAD_REQUEST; COMPUTE_BALANCE_TOO_LOW without a sub-account. */
  create(
    provider: string,
    options?: { tokenId?: number | undefined; expiresAtMs?: number | undefined },
  ): Promise<string>
  revoke(provider: string, tokenId: number | undefined): Promise<void>
}

/** A wallet may ask its owner. */
const SIGN_MS = 300_000
/** Renewed so long before it expires. */
const SPARE_MS = 600_000
const LAST_TOKEN_ID = EPHEMERAL_TOKEN_ID - 1

export function createSessionKeys(
  context: Pick<InferenceContext, 'chain' | 'signer' | 'options' | 'user' | 'sender'>,
): SessionKeys {
  const { chain, signer, options } = context
  const keys = new Map<string, { generation: bigint; untilMs: number; key: Promise<string> }>()

  async function make(
    wish: { provider: string; generation: bigint; tokenId: number; expiresAtMs: number },
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const { provider, generation, tokenId, expiresAtMs } = wish
    const token = {
      ...{ address: await context.user(), provider, timestamp: Date.now(), expiresAt: expiresAtMs },
      ...{ nonce: hexlify(randomBytes(16)), generation: Number(generation), tokenId },
    }
    const limits = { timeoutMs: SIGN_MS, ...(signal && { signal }) }
    return createSessionToken(token, (digest) => read(signer.signMessage(digest), limits))
  }

  return {
    async of(provider, generation, signal) {
      const known = keys.get(provider)
      if (known?.generation === generation && known.untilMs > Date.now() + SPARE_MS) return known.key
      const durable = options.key?.kind === 'durable' ? options.key : undefined
      const tokenId = durable === undefined ? EPHEMERAL_TOKEN_ID : checkedId(durable.tokenId)
      const expiresAtMs = durable === undefined ? Date.now() + MAX_EPHEMERAL_MS : 0
      const key = make({ provider, generation, tokenId, expiresAtMs }, signal)
      const entry = { generation, untilMs: expiresAtMs || Number.POSITIVE_INFINITY, key }
      keys.set(provider, entry)
      key.catch(() => {
        if (keys.get(provider) === entry) keys.delete(provider)
      })
      return key
    },

    forget: (provider) => void keys.delete(provider),

    async create(provider, { tokenId = 0, expiresAtMs = 0 } = {}) {
      checkedId(tokenId)
      const account = await readInferenceAccount(chain, { user: await context.user(), provider })
      if (account === undefined)
        throw new ZerogError('COMPUTE_BALANCE_TOO_LOW', 'there is no account at this provider: fund it first')
      if (((account.revokedBitmap >> BigInt(tokenId)) & 1n) === 1n)
        throw new ZerogError('BAD_REQUEST', `the key ${tokenId} was revoked: choose another number`)
      return make({ provider, generation: account.generation, tokenId, expiresAtMs }, undefined)
    },

    async revoke(provider, tokenId) {
      if (tokenId !== undefined) checkedId(tokenId)
      const call = revokeKeyCall(chain, { provider, tokenId })
      await sendCall(await context.sender(), { ...call, label: `revoke-${provider}-${tokenId ?? 'all'}` })
      keys.delete(provider)
    },
  }
}

function checkedId(tokenId: number): number {
  if (Number.isInteger(tokenId) && tokenId >= 0 && tokenId <= LAST_TOKEN_ID) return tokenId
  throw new ZerogError('BAD_REQUEST', `a durable key has a number from 0 to ${LAST_TOKEN_ID}`)
}

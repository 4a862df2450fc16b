import { z } from 'zod'
import { readInferenceAccount, readService } from '../chain/compute.ts'
import { releaseRefundCall } from '../chain/compute-user.ts'
import { isRevert } from '../chain/decode-error.ts'
import { sendCall } from '../chain/send.ts'
import { errorCode, ZerogError } from '../protocol/errors.ts'
import { inferenceDomain, inferenceSigner } from '../protocol/voucher.ts'
import { askProvider, jsonObject, wholeBody } from './ask-provider.ts'
import type { InferenceContext } from './inference-context.ts'
import type { SessionKeys } from './session-keys.ts'

/** What a provider let go. */
export type ReleasedFunds = {
  readonly provider: string
  readonly amountWei: bigint
  readonly transaction: string
}

const QUICK_MS = 10_000
const SMALL_BYTES = 16 * 1024
/** Reverts of a release that was good when it was signed. */
const USELESS = ['NonceUsed', 'SignatureExpired', 'AccountNotExists'] as const

const amount = z
  .string()
  .regex(/^\d{1,78}$/)
  .transform(BigInt)
const answerSchema = z.object({
  release: z.object({ user: z.string(), amountWei: amount, nonce: amount, validUntilSec: amount }),
  signature: z.string().regex(/^0x[0-9a-fA-F]{130}$/),
})

/**
 * Asks a provider to release what it is not owed, and takes that to the ledger at once. Undefined where it does not: it is away,
 * does not know how, or all is owed; the lock gives the money back then. Errors: those of the chain; ABORTED.
 */
export async function releaseFunds(
  context: Pick<InferenceContext, 'chain' | 'fetch' | 'user' | 'sender'>,
  {
    keys,
    provider,
    signal,
  }: { keys: Pick<SessionKeys, 'of'>; provider: string; signal?: AbortSignal | undefined },
): Promise<ReleasedFunds | undefined> {
  const { chain } = context
  const user = await context.user()
  const limits = signal === undefined ? {} : { signal }
  const [service, account] = await Promise.all([
    readService(chain, provider, limits),
    readInferenceAccount(chain, { user, provider }, limits),
  ])
  if (service === undefined || account === undefined || account.balanceWei === 0n) return undefined
  const domain = inferenceDomain(chain.chainId, chain.compute.addresses.InferenceServing)
  const ask = async () => {
    const key = await keys.of(provider, account.generation, signal)
    const answer = await askProvider({
      ...{ fetch: context.fetch, url: service.url, path: '/v1/release', body: new Uint8Array(), key, signal },
      ...{ timeoutMs: QUICK_MS, silenceMs: QUICK_MS, maxBytes: SMALL_BYTES },
    })
    const parsed = answerSchema.parse(jsonObject(new TextDecoder().decode(await wholeBody(answer))))
    const { release, signature } = parsed
    // One that the contract would refuse is not worth a transaction.
    const isGood =
      release.user === user &&
      inferenceSigner(domain, { type: 'Release', message: release }, signature) === provider
    if (isGood) return parsed
    throw new ZerogError('PEER_MISBEHAVED', 'the release is not signed by the provider')
  }
  const signed = await ask().catch((error: unknown) => {
    if (errorCode(error) === 'ABORTED' || signal?.aborted) throw error
    return undefined
  })
  if (signed === undefined) return undefined
  const call = releaseRefundCall(chain, { provider, ...signed })
  const label = `release-${provider}-${signed.release.nonce}`
  const { amountWei } = signed.release
  const isAll = amountWei >= account.balanceWei
  try {
    const { hash } = await sendCall(await context.sender(), { ...call, label, ...limits })
    return { provider, amountWei: isAll ? account.balanceWei : amountWei, transaction: hash }
  } catch (error) {
    // Another process was quicker, or the transaction was too slow.
    if (USELESS.some((name) => isRevert(error, name))) return undefined
    throw error
  }
}

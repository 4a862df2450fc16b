import type { Chain } from '../chain/connect.ts'
import { read } from '../chain/read.ts'
import { readSealTerms, readSubmissionTerms } from '../chain/storage.ts'
import type { CustodianInput } from '../chain/storage-calls.ts'
import { isZerogError, ZerogError } from '../protocol/errors.ts'
import { marketDomain, verifyStorageMessage } from '../protocol/typed-data.ts'
import type { CustodyPlan } from './custody-plan.ts'
import { pause } from './pause.ts'
import type { PreparedFile } from './prepare.ts'
import type { CustodyOffer, ProviderClient } from './provider-client.ts'
import { isUnsigned } from './write-permission.ts'

/** An offer must hold for some blocks more, or the seal may come too late for it. */
const MIN_VALID_BLOCKS = 3n
const SIGN_ATTEMPTS = 3
const RETRY_MS = 500

/** All signatures for a seal, or the providers that gave none. */
export type CollectedCustody = {
  readonly custodians: readonly CustodianInput[]
  /** The chain's head after the last of them. */
  readonly head: number
  readonly failures: ReadonlyMap<string, unknown>
}

/**
 * Proposes a custody to all its providers, then has each sign it, and verifies what they sign: signer, shards, expiry,
 * rate within what the market pays, and time to live.
 *
 * Errors: those of the RPC and of the own signature, and ABORTED; a provider's own go to `failures`.
 */
export async function collectCustody(
  chain: Chain,
  options: {
    txSeq: bigint
    prepared: PreparedFile
    plan: CustodyPlan
    clientOf(provider: string): ProviderClient
    signal?: AbortSignal
  },
): Promise<CollectedCustody> {
  const { txSeq, prepared, plan, clientOf, signal } = options
  const limits = signal === undefined ? {} : { signal }
  const failures = new Map<string, unknown>()
  const proposal = {
    byteLength: BigInt(prepared.submission.byteLength),
    nodes: prepared.submission.nodes,
    custodyRoot: plan.root,
    shards: plan.shards,
  }
  // All must know the proposal before the first signs: signing reads the other custodians' shards.
  await Promise.all(
    plan.custodians.map(async ({ provider }) => {
      await attempt(provider, () => clientOf(provider).propose(txSeq, proposal, limits))
    }),
  )
  if (failures.size > 0) {
    const head = await read(chain.provider.getBlockNumber(), limits)
    return { custodians: [], head, failures }
  }
  const offers = await Promise.all(
    plan.custodians.map(async ({ provider }) => attempt(provider, () => signWithRetry(provider))),
  )
  // Read after the signatures: what a seal pays grows from period to period, and so does what providers ask.
  const [terms, { shardRateWei }, head] = await Promise.all([
    readSubmissionTerms(chain, txSeq, limits),
    readSealTerms(chain, txSeq, limits),
    read(chain.provider.getBlockNumber(), limits),
  ])
  const custodians: CustodianInput[] = []
  for (const [i, expected] of plan.custodians.entries()) {
    const { provider, shardBitmap } = expected
    const offer = offers[i]
    if (offer === undefined) continue
    await attempt(provider, async () => {
      checkOffer(chain, offer, {
        ...expected,
        message: { txSeq, digest: prepared.digest, custodyRoot: plan.root, expiresAt: terms.expiresAt },
        maxRateWei: shardRateWei * BigInt(expected.shards.length),
        head: BigInt(head),
      })
      const { ratePerPeriod, validUntil, signature } = offer
      custodians.push({ provider, shardBitmap, ratePerPeriod, validUntil, signature })
    })
  }
  return { custodians, head, failures }

  async function attempt<T>(provider: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      if (signal?.aborted || isUnsigned(error)) throw error
      failures.set(provider, error)
      return undefined
    }
  }

  /** A custodian that cannot reach another yet may in a moment. */
  async function signWithRetry(provider: string): Promise<CustodyOffer> {
    for (let tried = 1; ; tried++) {
      try {
        return await clientOf(provider).sign(txSeq, plan.root, limits)
      } catch (error) {
        if (tried >= SIGN_ATTEMPTS || !isZerogError(error) || !error.retryable) throw error
        await pause(RETRY_MS * tried, signal)
      }
    }
  }
}

function checkOffer(
  chain: Chain,
  offer: CustodyOffer,
  expected: {
    provider: string
    shardBitmap: bigint
    message: { txSeq: bigint; digest: string; custodyRoot: string; expiresAt: bigint }
    maxRateWei: bigint
    head: bigint
  },
): void {
  const { provider, shardBitmap, message, maxRateWei, head } = expected
  const fault = (reason: string) =>
    new ZerogError('PEER_MISBEHAVED', `the custody offer ${reason}`, { meta: { provider } })
  if (offer.provider !== provider) throw fault('is by another provider')
  if (offer.shardBitmap !== shardBitmap) throw fault('covers other shards')
  if (offer.expiresAt !== message.expiresAt) throw fault('names another expiry')
  if (offer.validUntil < head + MIN_VALID_BLOCKS) throw fault('expires too soon')
  if (offer.ratePerPeriod > maxRateWei)
    throw new ZerogError('PRICE_TOO_LOW', undefined, {
      meta: { provider, offeredWei: `${maxRateWei}`, askedWei: `${offer.ratePerPeriod}` },
    })
  const domain = marketDomain(chain.chainId, chain.book.contracts.StorageMarket.address)
  const { ratePerPeriod, validUntil, signature } = offer
  const signed = { ...message, shardBitmap, ratePerPeriod, validUntil }
  verifyStorageMessage(domain, { type: 'Custody', message: signed }, { signer: provider, signature })
}

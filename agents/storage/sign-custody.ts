import { read } from '../../sdk/chain/read.ts'
import { errorCode, ZerogError } from '../../sdk/protocol/errors.ts'
import { marketDomain, signStorageMessage } from '../../sdk/protocol/typed-data.ts'
import type { StorageParts } from './context.ts'
import { checkHeld, checkParity, checkProposal, ownShards } from './custody-check.ts'
import { checkSealable, type SubmissionView, type SubmissionViews } from './submission-view.ts'

/** A signed custody offer, as it goes over the wire; numbers are decimal strings. */
export type SignedCustody = {
  provider: string
  shardBitmap: string
  ratePerPeriod: string
  validUntil: string
  expiresAt: string
  signature: string
}

export type SignParts = Pick<
  StorageParts,
  | 'chain'
  | 'config'
  | 'hasher'
  | 'erasure'
  | 'shards'
  | 'peers'
  | 'book'
  | 'wallet'
  | 'crashPoint'
  | 'storageMetrics'
> & { readonly self: string; readonly views: SubmissionViews }

/**
 * Signs custody of all own shards of a stored proposal, after all checks. What is signed is on disk first, so that no
 * crash lets a promise leave that this provider does not know of.
 *
 * Errors: NOT_FOUND (no such proposal), PRICE_TOO_LOW, SUSPENDED, STAKE_TOO_LOW, and those of `checkSealable`,
 * `checkProposal` and `checkParity`.
 */
export async function signCustody(
  parts: SignParts,
  request: { txSeq: bigint; custodyRoot: string; signal: AbortSignal },
): Promise<SignedCustody> {
  try {
    const signed = await checkAndSign(parts, request)
    parts.storageMetrics.signed.inc()
    return signed
  } catch (error) {
    parts.storageMetrics.refused.inc({ code: errorCode(error) })
    throw error
  }
}

async function checkAndSign(
  parts: SignParts,
  { txSeq, custodyRoot, signal }: { txSeq: bigint; custodyRoot: string; signal: AbortSignal },
): Promise<SignedCustody> {
  const { book, chain, self, views, wallet } = parts
  const proposal = book.proposal(txSeq, custodyRoot)
  if (!proposal) throw new ZerogError('NOT_FOUND', 'propose this custody first')
  const before = await views.fresh(txSeq, signal)
  checkTerms(parts, before)
  checkProposal(parts, before, proposal)
  await checkStanding(parts, before, { ownCount: ownShards(proposal, self).length, signal })
  await checkParity(parts, before, { proposal, signal })

  // The check took its time: what is signed holds at this moment.
  const view = await views.fresh(txSeq, signal)
  if (view === before) checkHeld(parts, view, proposal)
  else {
    checkTerms(parts, view)
    checkProposal(parts, view, proposal)
  }
  const own = ownShards(proposal, self)
  const message = {
    txSeq,
    digest: view.digest,
    custodyRoot: proposal.custodyRoot,
    shardBitmap: own.reduce((bitmap, { index }) => bitmap | (1n << BigInt(index)), 0n),
    ratePerPeriod: view.shardRateWei * BigInt(own.length),
    expiresAt: view.expiresAt,
    validUntil: view.sealDeadline,
  }
  book.putSigning(message)
  parts.crashPoint('after-sign-record')
  const domain = marketDomain(chain.chainId, chain.book.contracts.StorageMarket.address)
  const signature = await signStorageMessage(wallet, domain, { type: 'Custody', message })
  parts.crashPoint('after-sign-before-reply')
  return {
    provider: wallet.address,
    shardBitmap: message.shardBitmap.toString(),
    ratePerPeriod: message.ratePerPeriod.toString(),
    validUntil: message.validUntil.toString(),
    expiresAt: message.expiresAt.toString(),
    signature,
  }
}

/** Throws unless the submission may be sealed and pays what this provider asks. */
export function checkTerms({ config }: Pick<SignParts, 'config'>, view: SubmissionView): void {
  checkSealable(view)
  if (view.sectorPriceWei >= config.MIN_PRICE_WEI && view.shardRateWei > 0n) return
  throw new ZerogError('PRICE_TOO_LOW', undefined, {
    meta: {
      sectorPriceWei: view.sectorPriceWei.toString(),
      minPriceWei: config.MIN_PRICE_WEI.toString(),
    },
  })
}

/** Throws when a seal with this provider would be refused: suspended, or its stake would not cover the new custody. */
async function checkStanding(
  { chain, self }: SignParts,
  view: SubmissionView,
  { ownCount, signal }: { ownCount: number; signal: AbortSignal },
): Promise<void> {
  const { prover, staking, streams } = chain.contracts
  const [backingWei, needWei, suspended, { live }, [rateNowWei, rateNextWei], lockPeriods] = await read(
    Promise.all([
      staking.backing(self, chain.book.contracts.StorageProver.address),
      streams.needOf(self),
      streams.isSuspended(self),
      prover.nextFigures(),
      streams.rateOf(self),
      streams.lockPeriods(),
    ]),
    { signal },
  )
  if (suspended) throw new ZerogError('SUSPENDED', 'this provider is suspended')
  const added = BigInt(view.shards) * 2n ** BigInt(view.shardHeight)
  const { slashFactor, targetDraws } = chain.terms
  const product = slashFactor * view.sectorPriceWei * (live + added)
  const slashWei = (product + targetDraws - 1n) / targetDraws
  const rateWei = rateNextWei + view.shardRateWei * BigInt(ownCount)
  const lockWei = lockPeriods * (rateWei > rateNowWei ? rateWei : rateNowWei)
  const neededWei = [slashWei, lockWei, needWei].reduce((most, each) => (each > most ? each : most))
  if (backingWei >= neededWei) return
  throw new ZerogError('STAKE_TOO_LOW', "this provider's stake does not cover another custody", {
    meta: { backingWei: backingWei.toString(), neededWei: neededWei.toString() },
  })
}

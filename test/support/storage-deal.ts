import type { TypedDataDomain } from 'ethers'
import { custodyLeaf, custodyProof, custodyRoot } from '../../sdk/protocol/custody.ts'
import { submissionDigest } from '../../sdk/protocol/submission.ts'
import { marketDomain, type StorageMessage, signStorageMessage } from '../../sdk/protocol/typed-data.ts'
import type { TestSigner } from './chain.ts'
import type { ShardedFile } from './sharded-file.ts'
import type { StorageSystem } from './storage-fixture.ts'

/** A custodian's offer with the key that signs it. */
export type Offer = {
  signer: TestSigner
  provider: string
  shardBitmap: bigint
  ratePerPeriod: bigint
  validUntil: bigint
  signature: string
}

/** All a seal says, ready for `market.seal`, and what the deal will be known by. */
export type SealDraft = {
  request: {
    txSeq: bigint
    byteLength: number
    nodes: { root: string; height: number }[]
    shardRoots: string[]
    custodians: Offer[]
    approval: string
  }
  custodyRoot: string
  leaves: string[]
  /** Address of each shard's custodian. */
  holders: string[]
}

/** A sealed deal with all that answers, reports and hand-overs need. */
export type SealedDeal = SealDraft & {
  txSeq: bigint
  file: ShardedFile
  entryIndex: bigint
  startPeriod: bigint
  endPeriod: bigint
  sectorPriceWei: bigint
}

export const domainOf = ({ chainId, market }: StorageSystem): TypedDataDomain =>
  marketDomain(chainId, market.target.toString())

/** Signs for the market under test, or for another domain. */
export const sign = (
  system: StorageSystem,
  signer: TestSigner,
  message: StorageMessage,
  domain = domainOf(system),
): Promise<string> => signStorageMessage(signer, domain, message)

/** Submits a file as its uploader, paying exactly the fee, or `valueWei`. */
export async function submitFile(
  { flow, market, uploader }: StorageSystem,
  file: ShardedFile,
  { owner = uploader, valueWei }: { owner?: TestSigner; valueWei?: bigint } = {},
): Promise<bigint> {
  const feeWei = BigInt(file.layout.paddedSectors) * (await market.pricePerSector())
  const txSeq = await flow.numSubmissions()
  await flow.connect(owner)[OLD_SUBMIT](submissionData(file), { value: valueWei ?? feeWei })
  return txSeq
}

export const OLD_SUBMIT = 'submit((uint256,bytes,(bytes32,uint256)[]))'
export const NEW_SUBMIT = 'submit(((uint256,bytes,(bytes32,uint256)[]),address))'

/** A file in the words of the Flow's ABI. */
export const submissionData = ({ submission }: ShardedFile) => ({
  length: submission.byteLength,
  tags: '0x',
  nodes: submission.nodes,
})

/** Who keeps which shard: `shards` dealt out in turn. */
export const dealtInTurn = (providers: readonly TestSigner[], shards: number): TestSigner[] =>
  Array.from({ length: shards }, (_, index) => {
    const signer = providers[index % providers.length]
    if (signer === undefined) throw new Error('there is no provider')
    return signer
  })

type DraftOptions = {
  txSeq: bigint
  file: ShardedFile
  /** Custodian of each shard; by default the system's providers in turn. */
  assignment?: readonly TestSigner[]
  /** Roots to sign and send; by default the file's. */
  shardRoots?: string[]
  validUntil?: bigint
  /** Least rate of each custodian; by default what the market will pay. */
  ratePerPeriod?: bigint
  /** Domain to sign for, when not the market's own. */
  domain?: TypedDataDomain
}

/** Collects custody signatures over a deal, as an owner would. */
export async function draftSeal(system: StorageSystem, options: DraftOptions): Promise<SealDraft> {
  const { txSeq, file, shardRoots = file.shardRoots } = options
  const assignment = options.assignment ?? dealtInTurn(system.providers, shardRoots.length)
  const holders = assignment.map(({ address }) => address)
  const leaves = shardRoots.map((shardRoot, index) =>
    custodyLeaf({ index, provider: holders[index] ?? '', shardRoot }),
  )
  const root = custodyRoot(leaves)
  const digest = submissionDigest(file.submission)
  const validUntil = options.validUntil ?? (await system.chain.head()) + 1000n
  const expiresAt = await system.market.expiresAt(txSeq)
  const shardRateWei = options.ratePerPeriod ?? (await system.market.sealTerms(txSeq)).shardRateWei
  const signers = [...new Map(assignment.map((signer) => [signer.address, signer])).values()].sort((a, b) =>
    BigInt(a.address) < BigInt(b.address) ? -1 : 1,
  )
  const custodians = await Promise.all(
    signers.map(async (signer): Promise<Offer> => {
      const kept = holders.flatMap((holder, index) => (holder === signer.address ? [index] : []))
      const shardBitmap = kept.reduce((bits, index) => bits | (1n << BigInt(index)), 0n)
      const ratePerPeriod = options.ratePerPeriod ?? shardRateWei * BigInt(kept.length)
      const message = { txSeq, digest, custodyRoot: root, shardBitmap, ratePerPeriod, expiresAt, validUntil }
      const signature = await sign(system, signer, { type: 'Custody', message }, options.domain)
      return { signer, provider: signer.address, shardBitmap, ratePerPeriod, validUntil, signature }
    }),
  )
  const { byteLength, nodes } = file.submission
  return {
    request: { txSeq, byteLength, nodes, shardRoots, custodians, approval: '0x' },
    custodyRoot: root,
    leaves,
    holders,
  }
}

/** Seals a drafted deal as `caller`, by default the uploader. */
export async function sendSeal(
  system: StorageSystem,
  { file, draft, caller = system.uploader }: { file: ShardedFile; draft: SealDraft; caller?: TestSigner },
): Promise<SealedDeal> {
  const { market, params } = system
  const transaction = await market.connect(caller).seal(draft.request, { value: params.parityBondWei })
  await transaction.wait()
  const [event] = await market.queryFilter(market.filters.Sealed(draft.request.txSeq))
  if (event === undefined) throw new Error('the seal left no event')
  const { entryIndex, startPeriod, endPeriod, pricePerSectorPeriod } = event.args
  return {
    ...draft,
    file,
    txSeq: draft.request.txSeq,
    entryIndex,
    startPeriod,
    endPeriod,
    sectorPriceWei: pricePerSectorPeriod,
  }
}

/** Submits and seals a file over the system's providers, or as `options` say. */
export async function sealFile(
  system: StorageSystem,
  file: ShardedFile,
  options: Partial<DraftOptions> & { owner?: TestSigner; valueWei?: bigint; termPeriods?: bigint } = {},
): Promise<SealedDeal> {
  const { owner = system.uploader, valueWei, termPeriods } = options
  const txSeq = await submitFile(system, file, { owner, ...(valueWei === undefined ? {} : { valueWei }) })
  if (termPeriods !== undefined || file.parityShards !== 8) {
    const term = termPeriods ?? system.params.defaultTermPeriods
    const neededWei = await system.market.quote(file.layout.paddedSectors, file.parityShards, term)
    const shortWei = neededWei - (await system.streams.escrowOf(txSeq))
    await system.market
      .connect(owner)
      .configure(txSeq, file.parityShards, term, { value: shortWei > 0n ? shortWei : 0n })
  }
  const draft = await draftSeal(system, { ...options, txSeq, file })
  return sendSeal(system, { file, draft, caller: owner })
}

/** The custody proof of one shard of a deal. */
export function custodyOf(deal: SealedDeal, shardIndex: number) {
  return {
    provider: deal.holders[shardIndex] ?? '',
    shardRoot: deal.file.shardRoots[shardIndex] ?? '',
    path: custodyProof(deal.leaves, shardIndex),
  }
}

/** Where draw `draw` of an opened period fell, or undefined when no newest entry of `deals` covers it. */
export async function locateDraw(
  { prover }: StorageSystem,
  deals: readonly SealedDeal[],
  { period, draw }: { period: bigint; draw: bigint },
): Promise<{ deal: SealedDeal; entryIndex: bigint; shardIndex: number; sector: number } | undefined> {
  const position = await prover.drawPosition(period, draw)
  const count = await prover.entryCount()
  for (let entryIndex = 0n; entryIndex < count; entryIndex++) {
    const entry = await prover.entry(entryIndex)
    if (position < entry.start || position >= entry.start + entry.sectors) continue
    const deal = deals.find(({ txSeq }) => txSeq === entry.txSeq)
    if (deal === undefined) return undefined
    const { shardSectors } = deal.file.layout
    const offset = Number(position - entry.start)
    return {
      deal,
      entryIndex,
      shardIndex: Math.floor(offset / shardSectors),
      sector: offset % shardSectors,
    }
  }
  return undefined
}

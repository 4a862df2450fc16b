import { ZerogError } from '../protocol/errors.ts'
import type { Chain } from './connect.ts'
import { isRevert, unlessRevert } from './decode-error.ts'
import { at, type ReadOptions, read } from './read.ts'

/** What the chain keeps of a submission; `submittedAt` is a block, `sectors` are padded. */
export type SubmissionRecord = { digest: string; owner: string; submittedAt: bigint; sectors: bigint }

export type DealState = 'none' | 'submitted' | 'sealed' | 'ended' | 'refunded'

/** A sealed deal as stored; periods are half open, [startPeriod, endPeriod). */
export type DealRecord = {
  custodyRoot: string
  nextCustodyRoot: string
  nextCustodyFrom: bigint
  startPeriod: bigint
  endPeriod: bigint
  dataShards: number
  parityShards: number
  shardHeight: number
  pricePerSectorPeriod: bigint
  sealer: string
  bondWei: bigint
}

export type CustodyView = {
  custodyRoot: string
  shards: number
  shardHeight: number
  pricePerSectorPeriod: bigint
  live: boolean
}

/** What a seal of this submission would be bound to; `expiresAt` is a period, `sealDeadline` a block. */
export type SubmissionTerms = {
  parityShards: number
  termPeriods: bigint
  expiresAt: bigint
  sealDeadline: bigint
}

export type LineEntry = { entryIndex: bigint; start: bigint; sectors: bigint; txSeq: bigint }
export type LineFigures = { tail: bigint; end: bigint; live: bigint }

/** An opened period of the audit line; `draws` is 0 while nobody has opened it. */
export type RoundView = {
  seed: string
  tail: bigint
  span: bigint
  live: bigint
  draws: number
  bountyWei: bigint
}

const STATES: readonly DealState[] = ['none', 'submitted', 'sealed', 'ended', 'refunded']

/** Reads a submission; undefined when there is none with this number. */
export async function readSubmission(
  chain: Chain,
  txSeq: bigint,
  options: ReadOptions = {},
): Promise<SubmissionRecord | undefined> {
  try {
    const record = await read(chain.contracts.flow.submission(txSeq, at(options)), options)
    const { digest, owner, submittedAt, sectors } = record
    return { digest, owner, submittedAt, sectors }
  } catch (error) {
    if (isRevert(error, 'UnknownSubmission')) return undefined
    throw error
  }
}

/** The number of submissions, which is the next txSeq. */
export function readSubmissionCount(chain: Chain, options: ReadOptions = {}): Promise<bigint> {
  return read(chain.contracts.flow.numSubmissions(at(options)), options)
}

/** State of a submission; 'none' when there is no such submission. */
export async function readDealState(
  chain: Chain,
  txSeq: bigint,
  options: ReadOptions = {},
): Promise<DealState> {
  const state = await read(chain.contracts.market.stateOf(txSeq, at(options)), options)
  const name = STATES[Number(state)]
  if (name === undefined)
    throw new ZerogError('WRONG_CHAIN', `the market knows a state ${state} that we do not`)
  return name
}

/** The stored deal; undefined when the submission was never sealed. */
export async function readDeal(
  chain: Chain,
  txSeq: bigint,
  options: ReadOptions = {},
): Promise<DealRecord | undefined> {
  const deal = await read(chain.contracts.market.deal(txSeq, at(options)), options)
  if (deal.endPeriod === 0n) return undefined
  return {
    custodyRoot: deal.custodyRoot,
    nextCustodyRoot: deal.nextCustodyRoot,
    nextCustodyFrom: deal.nextCustodyFrom,
    startPeriod: deal.startPeriod,
    endPeriod: deal.endPeriod,
    dataShards: Number(deal.dataShards),
    parityShards: Number(deal.parityShards),
    shardHeight: Number(deal.shardHeight),
    pricePerSectorPeriod: deal.pricePerSectorPeriod,
    sealer: deal.sealer,
    bondWei: deal.bondWei,
  }
}

/** Who must answer for a deal in one period, and whether it is live then. */
export async function readCustodyAt(
  chain: Chain,
  { txSeq, period }: { txSeq: bigint; period: bigint },
  options: ReadOptions = {},
): Promise<CustodyView> {
  const view = await read(chain.contracts.market.custodyAt(txSeq, period, at(options)), options)
  return {
    custodyRoot: view.custodyRoot,
    shards: Number(view.shards),
    shardHeight: Number(view.shardHeight),
    pricePerSectorPeriod: view.pricePerSectorPeriod,
    live: view.live,
  }
}

/** Parity, term, expiry and deadline of a submission. */
export async function readSubmissionTerms(
  chain: Chain,
  txSeq: bigint,
  options: ReadOptions = {},
): Promise<SubmissionTerms> {
  const { market } = chain.contracts
  const [[parityShards, termPeriods], expiresAt, sealDeadline] = await read(
    Promise.all([
      market.termsOf(txSeq, at(options)),
      market.expiresAt(txSeq, at(options)),
      market.sealDeadline(txSeq, at(options)),
    ]),
    options,
  )
  return { parityShards: Number(parityShards), termPeriods, expiresAt, sealDeadline }
}

/** Price per sector and period that a seal now would freeze, and the net rate of one shard. */
export async function readSealTerms(
  chain: Chain,
  txSeq: bigint,
  options: ReadOptions = {},
): Promise<{ sectorPriceWei: bigint; shardRateWei: bigint }> {
  const [sectorPriceWei, shardRateWei] = await read(
    chain.contracts.market.sealTerms(txSeq, at(options)),
    options,
  )
  return { sectorPriceWei, shardRateWei }
}

/**
 * Stake below which a seal takes nobody as custodian, whatever else it keeps: one slash with the deal's sectors live, or
 * the lock of a single shard.
 */
export async function readLeastStake(
  chain: Chain,
  deal: { sectorPriceWei: bigint; shardRateWei: bigint; storedSectors: bigint },
  options: ReadOptions = {},
): Promise<bigint> {
  const { prover, streams } = chain.contracts
  const [figures, lockPeriods] = await read(
    Promise.all([
      unlessRevert(prover.nextFigures(at(options)), 'LineBehind'),
      streams.lockPeriods(at(options)),
    ]),
    options,
  )
  const { slashFactor, targetDraws } = chain.terms
  const live = (figures?.live ?? 0n) + deal.storedSectors
  const slashWei = (slashFactor * deal.sectorPriceWei * live + targetDraws - 1n) / targetDraws
  const lockWei = lockPeriods * deal.shardRateWei
  return slashWei > lockWei ? slashWei : lockWei
}

/** What `Flow.submit` charges per padded sector, and the list price per stored sector and period. */
export async function readPrice(
  chain: Chain,
  options: ReadOptions = {},
): Promise<{ perSectorWei: bigint; perSectorPeriodWei: bigint }> {
  const { market } = chain.contracts
  const [perSectorWei, perSectorPeriodWei] = await read(
    Promise.all([market.pricePerSector(at(options)), market.pricePerSectorPeriod(at(options))]),
    options,
  )
  return { perSectorWei, perSectorPeriodWei }
}

/** Whom an owner lets seal its submissions; the zero address for nobody. */
export function readSealer(chain: Chain, owner: string, options: ReadOptions = {}): Promise<string> {
  return read(chain.contracts.market.sealerOf(owner, at(options)), options)
}

/** The round of a period. */
export async function readRound(chain: Chain, period: bigint, options: ReadOptions = {}): Promise<RoundView> {
  const round = await read(chain.contracts.prover.round(period, at(options)), options)
  const { seed, tail, span, live, bountyWei } = round
  return { seed, tail, span, live, draws: Number(round.draws), bountyWei }
}

/** Whether a draw is answered or reported. */
export function readIsResolved(
  chain: Chain,
  { period, draw }: { period: bigint; draw: number },
  options: ReadOptions = {},
): Promise<boolean> {
  return read(chain.contracts.prover.isResolved(period, draw, at(options)), options)
}

/** Figures of the audit line in force in the present period, and those of the next. */
export async function readFigures(
  chain: Chain,
  options: ReadOptions = {},
): Promise<{ now: LineFigures; next: LineFigures }> {
  const { prover } = chain.contracts
  const [now, next] = await read(
    Promise.all([prover.figures(at(options)), prover.nextFigures(at(options))]),
    options,
  )
  const plain = ({ tail, end, live }: LineFigures): LineFigures => ({ tail, end, live })
  return { now: plain(now), next: plain(next) }
}

/** How many entries the audit line has had, and the first that still counts. */
export async function readLineBounds(
  chain: Chain,
  options: ReadOptions = {},
): Promise<{ entryCount: bigint; tailEntry: bigint }> {
  const { prover } = chain.contracts
  const [entryCount, tailEntry] = await read(
    Promise.all([prover.entryCount(at(options)), prover.tailEntry(at(options))]),
    options,
  )
  return { entryCount, tailEntry }
}

/** Strikes of a provider inside the sliding window. */
export async function readStrikes(
  chain: Chain,
  provider: string,
  options: ReadOptions = {},
): Promise<number> {
  return Number(await read(chain.contracts.prover.strikesOf(provider, at(options)), options))
}

/**
 * Money and standing of a provider in the streams, all of one block when `blockTag` is given. Rates, lock and need are
 * undefined while the stream lies unsettled for more expiry buckets than the chain walks at once: `claimable` is then less
 * than all, and anybody may `claim` until it is settled.
 */
export async function readProviderStream(
  chain: Chain,
  provider: string,
  options: ReadOptions = {},
): Promise<ProviderStream> {
  const { streams } = chain.contracts
  const [rates, [claimableWei, throughPeriod], creditWei, lockWei, needWei, suspended] = await read(
    Promise.all([
      unlessRevert(streams.rateOf(provider, at(options)), 'StreamBehind'),
      streams.claimable(provider, at(options)),
      streams.creditOf(provider, at(options)),
      unlessRevert(streams.lockOf(provider, at(options)), 'StreamBehind'),
      unlessRevert(streams.needOf(provider, at(options)), 'StreamBehind'),
      streams.isSuspended(provider, at(options)),
    ]),
    options,
  )
  const [rateNowWei, rateNextWei] = rates ?? []
  return { rateNowWei, rateNextWei, claimableWei, throughPeriod, creditWei, lockWei, needWei, suspended }
}

export type ProviderStream = {
  rateNowWei: bigint | undefined
  rateNextWei: bigint | undefined
  /** What a claim would credit now, and the first period it would leave. */
  claimableWei: bigint
  throughPeriod: bigint
  /** Credited already and waiting for `withdraw`. */
  creditWei: bigint
  lockWei: bigint | undefined
  needWei: bigint | undefined
  suspended: boolean
}

/** What an account may withdraw from the streams. */
export function readCredit(chain: Chain, account: string, options: ReadOptions = {}): Promise<bigint> {
  return read(chain.contracts.streams.creditOf(account, at(options)), options)
}

/** Whether a provider gets neither pay nor new custody. */
export function readIsSuspended(chain: Chain, provider: string, options: ReadOptions = {}): Promise<boolean> {
  return read(chain.contracts.streams.isSuspended(provider, at(options)), options)
}

/** Money that waits for the seal of a submission. */
export function readEscrow(chain: Chain, txSeq: bigint, options: ReadOptions = {}): Promise<bigint> {
  return read(chain.contracts.streams.escrowOf(txSeq, at(options)), options)
}

/** The storage vault's books, in wei: their sum is all that it owes. */
export async function readVault(chain: Chain, options: ReadOptions = {}): Promise<Vault> {
  const { streams } = chain.contracts
  const [escrowWei, streamingWei, potWei, bondsWei, creditsWei] = await read(
    Promise.all([
      streams.escrowWei(at(options)),
      streams.streamingWei(at(options)),
      streams.potWei(at(options)),
      streams.bondsWei(at(options)),
      streams.creditsWei(at(options)),
    ]),
    options,
  )
  return { escrowWei, streamingWei, potWei, bondsWei, creditsWei }
}

export type Vault = {
  escrowWei: bigint
  streamingWei: bigint
  potWei: bigint
  bondsWei: bigint
  creditsWei: bigint
}

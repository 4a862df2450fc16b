import type { Chain, ChainTerms } from '../chain/connect.ts'
import { type ReadOptions, read } from '../chain/read.ts'
import { readPrice } from '../chain/storage.ts'
import { type Clock, periodAt, periodStart } from '../protocol/clock.ts'
import {
  DEFAULT_PARITY,
  dealPrice,
  escrowNeeded,
  expiry,
  MAX_PARITY,
  MIN_PARITY,
  paddedSectorPrice,
  storedSectors,
} from '../protocol/deal-price.ts'
import { ZerogError } from '../protocol/errors.ts'
import { type FileLayout, fileLayout } from '../protocol/layout.ts'

/** Parity and term that the buyer wants; what the public fee buys when absent. */
export type DealWish = { readonly parityShards?: number; readonly termPeriods?: bigint }

/** What an upload costs and gets. Of `totalWei`, the bond returns when the deal ends and rounding at the seal. */
export type Quote = {
  readonly layout: FileLayout
  readonly parityShards: number
  readonly termPeriods: bigint
  /** Paid at submission, and on top of it for another parity or term. */
  readonly feeWei: bigint
  readonly topUpWei: bigint
  readonly bondWei: bigint
  readonly totalWei: bigint
  /** Price per stored sector and period, and net pay of one shard per period, as a seal in the next blocks freezes them. */
  readonly sectorPriceWei: bigint
  readonly shardRateWei: bigint
  /** First period that the deal does not cover, and the block that begins it. */
  readonly expiresAt: bigint
  readonly expiresAtBlock: bigint
}

/**
 * Price of storing a file of `byteLength` bytes submitted in block `atBlock`, without asking anybody.
 *
 * Errors: EMPTY_FILE, FILE_TOO_LARGE, BAD_REQUEST when parity or term are out of range.
 */
export function quoteFile(terms: ChainTerms, options: quoteFile.Options): Quote {
  const { byteLength, perSectorPeriodWei, atBlock } = options
  const layout = fileLayout(byteLength)
  const parityShards = options.parityShards ?? DEFAULT_PARITY
  const termPeriods = options.termPeriods ?? terms.defaultTermPeriods
  checkWish(terms, { parityShards, termPeriods })
  const clock: Clock = terms
  const firstPeriod = periodAt(clock, atBlock) + 1n
  const expiresAt = expiry(clock, periodAt(clock, atBlock + terms.sealDeadlineBlocks), termPeriods)
  const feeWei =
    BigInt(layout.paddedSectors) * paddedSectorPrice(perSectorPeriodWei, terms.defaultTermPeriods)
  const isDefault = parityShards === DEFAULT_PARITY && termPeriods === terms.defaultTermPeriods
  const stored = storedSectors(layout.paddedSectors, parityShards)
  const neededWei = isDefault ? 0n : escrowNeeded(stored, expiresAt - firstPeriod, perSectorPeriodWei)
  const topUpWei = neededWei > feeWei ? neededWei - feeWei : 0n
  const { sectorPriceWei, shardRateWei } = dealPrice({
    escrowWei: feeWei + topUpWei,
    paddedSectors: layout.paddedSectors,
    parityShards,
    periods: expiresAt - firstPeriod,
    potBps: terms.potBps,
  })
  return {
    layout,
    parityShards,
    termPeriods,
    feeWei,
    topUpWei,
    bondWei: terms.parityBondWei,
    totalWei: feeWei + topUpWei + terms.parityBondWei,
    sectorPriceWei,
    shardRateWei,
    expiresAt,
    expiresAtBlock: periodStart(clock, expiresAt),
  }
}

export declare namespace quoteFile {
  type Options = DealWish & { byteLength: number; perSectorPeriodWei: bigint; atBlock: bigint }
}

/** Price of storing a file now, at the market's present list price. Errors: those of {@link quoteFile} and of the RPC. */
export async function quoteUpload(
  chain: Chain,
  options: DealWish & { byteLength: number } & Pick<ReadOptions, 'signal'>,
): Promise<Quote> {
  const { signal, ...wish } = options
  const reading = signal === undefined ? {} : { signal }
  const head = await read(chain.provider.getBlockNumber(), reading)
  const { perSectorPeriodWei } = await readPrice(chain, { ...reading, blockTag: head })
  return quoteFile(chain.terms, { ...wish, perSectorPeriodWei, atBlock: BigInt(head) + 1n })
}

function checkWish(terms: ChainTerms, { parityShards, termPeriods }: Required<DealWish>): void {
  if (!Number.isInteger(parityShards) || parityShards < MIN_PARITY || parityShards > MAX_PARITY)
    throw new ZerogError('BAD_REQUEST', `parity is a whole number from ${MIN_PARITY} to ${MAX_PARITY}`, {
      meta: { parityShards },
    })
  const { minTermPeriods: least, maxTermPeriods: most } = terms
  if (termPeriods < least || termPeriods > most)
    throw new ZerogError('BAD_REQUEST', `the term is a number of periods from ${least} to ${most}`, {
      meta: { termPeriods: `${termPeriods}` },
    })
}

import { readCustodyAt, readLineBounds, readRound } from '../../sdk/chain/storage.ts'
import { periodStart } from '../../sdk/protocol/clock.ts'
import { custodyLeaf, custodyProof, custodyRoot } from '../../sdk/protocol/custody.ts'
import { drawPosition } from '../../sdk/protocol/draw.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { RECENT_BLOCKS } from '../kernel/rpc.ts'
import { clockOf, type StorageContext } from './context.ts'
import type { DealIndex } from './deal-index.ts'

/** A draw of an open period that fell on a live deal: where it fell, and who must answer. */
export type Draw = {
  readonly period: bigint
  readonly draw: number
  readonly entryIndex: bigint
  readonly txSeq: bigint
  readonly shardIndex: number
  readonly sector: number
  readonly provider: string
  readonly shardRoot: string
}

type Known = { readonly id: string; readonly draws: readonly Draw[] }

const cache = new WeakMap<DealIndex, Known>()

/** All draws of `period` that someone must answer, none while it is not open; derived from the seed and the index. */
export async function drawsOf(ctx: StorageContext, period: bigint): Promise<readonly Draw[]> {
  const { chain, index } = ctx
  const round = await readRound(chain, period, { blockTag: ctx.head.number, signal: ctx.signal })
  if (round.draws === 0) return []
  const id = `${period}-${round.seed}-${index.revision()}`
  const known = cache.get(index)
  if (known?.id === id) return known.draws
  let isLineShort = false
  const draws = Array.from({ length: round.draws }, (_, draw) => draw).flatMap((draw): Draw[] => {
    const position = drawPosition({ ...round, index: BigInt(draw) })
    const entry = index.entryAt(position)
    if (!entry) isLineShort = true
    const deal = entry && index.deal(entry.txSeq)
    if (!entry || !deal || period < deal.startPeriod || period >= deal.endPeriod) return []
    const offset = position - entry.start
    const shardIndex = Number(offset >> BigInt(deal.shardHeight))
    const holder = index.custodiesAt(entry.txSeq, period)[shardIndex]
    if (!holder) return []
    return [
      {
        period,
        draw,
        entryIndex: entry.entryIndex,
        txSeq: entry.txSeq,
        shardIndex,
        sector: Number(offset - (BigInt(shardIndex) << BigInt(deal.shardHeight))),
        provider: holder.provider,
        shardRoot: holder.shardRoot,
      },
    ]
  })
  // A draw falls on what was there before its period: where there is no entry here, logs were left out, or come yet.
  if (!isLineShort) cache.set(index, { id, draws })
  else if (BigInt(index.appliedTo()) + 1n >= periodStart(clockOf(chain), period)) {
    ctx.log.warn({ period }, 'a draw fell on an entry that is missing from the logs')
    index.distrust(index.lastEntryBlock())
  }
  return draws
}

/**
 * Has logs read again where the index lacks entries of the audit line that the chain had at the block up to which they
 * were read: the one check that finds logs missing at the very end. `entryCount` is the chain's at the head.
 */
export async function checkLine({ chain, head, index, log, signal }: StorageContext, entryCount: bigint) {
  const applied = index.appliedTo()
  if (index.entryCount() >= entryCount || applied < head.number - RECENT_BLOCKS) return
  const options = { blockTag: Math.min(applied, head.number), signal }
  const due = applied >= head.number ? entryCount : (await readLineBounds(chain, options)).entryCount
  // Rolled back while the chain was asked: the logs come again anyway.
  if (index.appliedTo() < applied || index.entryCount() >= due) return
  log.warn({ entryCount: due, indexed: index.entryCount() }, 'entries are missing from the logs')
  index.distrust(index.lastEntryBlock())
}

/**
 * The custody leaf of a draw with its path, after a look at the root that the chain holds.
 * Errors: LOG_GAP (retryable) when the index says otherwise; the deal's logs are then read again.
 */
export async function custodyOf(
  ctx: StorageContext,
  { txSeq, period, shardIndex, provider, shardRoot }: Draw,
) {
  const leaves = ctx.index.custodiesAt(txSeq, period).map(custodyLeaf)
  const view = await readCustodyAt(ctx.chain, { txSeq, period }, { signal: ctx.signal })
  if (leaves.length !== view.shards || custodyRoot(leaves) !== view.custodyRoot.toLowerCase()) {
    ctx.index.distrust(ctx.index.deal(txSeq)?.sealedBlock ?? 0)
    throw new ZerogError('LOG_GAP', 'the custody that was read from logs is not the one on chain', {
      meta: { txSeq: txSeq.toString(), period: period.toString() },
    })
  }
  return { provider, shardRoot, path: custodyProof(leaves, shardIndex) }
}

import type { Chain } from '../../sdk/chain/connect.ts'
import { isRevert } from '../../sdk/chain/decode-error.ts'
import { type ReadOptions, read } from '../../sdk/chain/read.ts'
import {
  type DealState,
  readDealState,
  readSealer,
  readSealTerms,
  readSubmission,
  readSubmissionTerms,
} from '../../sdk/chain/storage.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { dealGeometry, shardBytes } from '../../sdk/protocol/layout.ts'

/** All that a provider wants to know of a submission before it takes a shard. */
export type SubmissionView = {
  readonly txSeq: bigint
  readonly state: DealState
  readonly digest: string
  readonly owner: string
  /** Whom the owner lets seal; the zero address for nobody. */
  readonly sealer: string
  readonly dataShards: number
  readonly parityShards: number
  readonly shards: number
  readonly shardHeight: number
  readonly shardBytes: number
  readonly expiresAt: bigint
  readonly sealDeadline: bigint
  /** What a seal now would freeze; 0 when the escrow is too low for any price. */
  readonly sectorPriceWei: bigint
  readonly shardRateWei: bigint
  /** The block at which this was read, and its hash. */
  readonly block: number
  readonly blockHash: string
}

const TTL_MS = 2000
const MAX_VIEWS = 512

/** Reads submissions at the latest block; one answer serves the many chunks of an upload for a short while. */
export function createSubmissionViews(chain: Chain) {
  const views = new Map<bigint, { view: SubmissionView; until: number }>()
  /** Reads under way: requests that come together share one. */
  const reading = new Map<bigint, Promise<SubmissionView>>()

  async function readFresh(txSeq: bigint, signal: AbortSignal): Promise<SubmissionView> {
    const latest = await read(chain.provider.getBlock('latest'), { signal })
    if (!latest?.hash) throw new ZerogError('RPC_UNREACHABLE', 'the chain RPC has no latest block')
    const { number: block, hash: blockHash } = latest
    // Nothing has changed since: one request in place of eight.
    const known = views.get(txSeq)?.view
    if (known?.blockHash === blockHash) return known
    const options = { signal, blockTag: block }
    const record = await readSubmission(chain, txSeq, options)
    if (!record) throw new ZerogError('UNKNOWN_SUBMISSION', undefined, { meta: { txSeq: txSeq.toString() } })
    const [state, terms, sealer] = await Promise.all([
      readDealState(chain, txSeq, options),
      readSubmissionTerms(chain, txSeq, options),
      readSealer(chain, record.owner, options),
    ])
    const price = await readPrice(chain, { txSeq, state }, options)
    const geometry = dealGeometry(Number(record.sectors))
    return {
      txSeq,
      state,
      digest: record.digest,
      owner: record.owner,
      sealer,
      dataShards: geometry.dataShards,
      parityShards: terms.parityShards,
      shards: geometry.dataShards + terms.parityShards,
      shardHeight: Math.log2(geometry.shardSectors),
      shardBytes: shardBytes(geometry),
      expiresAt: terms.expiresAt,
      sealDeadline: terms.sealDeadline,
      ...price,
      block,
      blockHash,
    }
  }

  return {
    /** A view at most two seconds old. Errors: UNKNOWN_SUBMISSION, RPC_UNREACHABLE. */
    async recent(txSeq: bigint, signal: AbortSignal): Promise<SubmissionView> {
      const known = views.get(txSeq)
      if (known && known.until > performance.now()) return known.view
      const pending = reading.get(txSeq) ?? this.fresh(txSeq, signal).finally(() => reading.delete(txSeq))
      reading.set(txSeq, pending)
      return pending
    },
    /** A view of this moment: for what is signed. */
    async fresh(txSeq: bigint, signal: AbortSignal): Promise<SubmissionView> {
      const view = await readFresh(txSeq, signal)
      views.delete(txSeq)
      views.set(txSeq, { view, until: performance.now() + TTL_MS })
      for (const oldest of views.keys()) {
        if (views.size <= MAX_VIEWS) break
        views.delete(oldest)
      }
      return view
    },
  }
}

export type SubmissionViews = ReturnType<typeof createSubmissionViews>

/** Throws unless the submission may still be sealed: ALREADY_SEALED, DEAL_ENDED, DEAL_REFUNDED, DEADLINE_PASSED. */
export function checkSealable(view: SubmissionView): void {
  const meta = { txSeq: view.txSeq.toString() }
  if (view.state === 'sealed') throw new ZerogError('ALREADY_SEALED', undefined, { meta })
  if (view.state === 'ended') throw new ZerogError('DEAL_ENDED', undefined, { meta })
  if (view.state === 'refunded') throw new ZerogError('DEAL_REFUNDED', undefined, { meta })
  if (BigInt(view.block) > view.sealDeadline) {
    throw new ZerogError('DEADLINE_PASSED', 'the submission can no longer be sealed', {
      meta: { ...meta, sealDeadline: view.sealDeadline.toString(), block: view.block },
    })
  }
}

/** What a seal now would pay; nothing once it is too late for one, or the escrow too low. */
async function readPrice(
  chain: Chain,
  { txSeq, state }: { txSeq: bigint; state: DealState },
  options: ReadOptions,
): Promise<{ sectorPriceWei: bigint; shardRateWei: bigint }> {
  const nothing = { sectorPriceWei: 0n, shardRateWei: 0n }
  if (state !== 'submitted') return nothing
  try {
    return await readSealTerms(chain, txSeq, options)
  } catch (error) {
    if (isRevert(error, 'PriceTooLow') || isRevert(error, 'SealDeadlinePassed')) return nothing
    throw error
  }
}

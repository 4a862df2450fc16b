import { setTimeout as sleep } from 'node:timers/promises'
import { readRetentionBounds } from '../../sdk/chain/da-retention.ts'
import { read } from '../../sdk/chain/read.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { periodOf } from './context.ts'
import { publishPayload } from './publish.ts'
import { readPayload } from './read-payload.ts'
import type { RollupPorts } from './rollup-blobs.ts'
import type { DaService } from './service.ts'

/** Blocks over which the block time is measured. */
const MEASURED_BLOCKS = 5_000
/** Blocks may come faster than they did: a tenth is added to what remains. */
const MARGIN = 10n
const INDEX_POLL_MS = 100

/** The agent as the rollup fronts see it. */
export function createRollupPorts(ctx: DaService): RollupPorts {
  const { chain, config, index } = ctx
  let knownHead = ctx.head.number

  const headNow = async (signal: AbortSignal): Promise<number> => {
    knownHead = await read(chain.provider.getBlockNumber(), { signal })
    return knownHead
  }

  return {
    minRetentionPeriods: chain.daTerms.minRetentionPeriods,

    async publish(payload, { retentionPeriods, signal }) {
      const { blobId, header } = await publishPayload(ctx, payload, {
        retentionPeriods,
        until: config.ROLLUP_UNTIL,
        signal,
      })
      // The quorum is known from the chain; the index, by which it is read back, follows some blocks behind.
      while (index.blob(blobId)?.confirmedBlock === undefined) {
        if (signal.aborted) throw new ZerogError('TIMEOUT', 'the blob is confirmed, but not indexed yet')
        await sleep(INDEX_POLL_MS)
      }
      return { blobId, expiresAt: header.expiresAt }
    },

    async read(blobId, signal) {
      const known = index.blob(blobId)
      if (known !== undefined && known.confirmedBlock === undefined)
        throw new ZerogError(known.stage === 'refunded' ? 'DA_REFUNDED' : 'DA_NOT_CONFIRMED')
      await headNow(signal)
      return readPayload(ctx, blobId, signal)
    },

    blobsClaiming: (payloadHash) =>
      index
        .byPayloadHash(payloadHash)
        .filter(({ confirmedBlock }) => confirmedBlock !== undefined)
        .map(({ blobId }) => blobId),

    currentPeriod: () => periodOf(ctx, Math.max(knownHead, index.appliedTo())),

    async latestExpiry(signal) {
      return (await readRetentionBounds(chain, { signal })).latestExpiry
    },

    async periodAfter(timeSec, signal) {
      const number = await headNow(signal)
      const earlier = Math.max(0, number - MEASURED_BLOCKS)
      const [head, first] = await read(
        Promise.all([chain.provider.getBlock(number), chain.provider.getBlock(earlier)]),
        { signal },
      )
      if (head === null || first === null)
        throw new ZerogError('RPC_UNREACHABLE', 'the RPC lacks its own blocks')
      const leftSec = timeSec - BigInt(head.timestamp)
      if (leftSec <= 0n) return periodOf(ctx, number)
      const spanSec = BigInt(Math.max(1, head.timestamp - first.timestamp))
      const blocks = (leftSec * BigInt(number - earlier)) / spanSec
      const bounded = blocks + blocks / MARGIN + 1n
      const { startBlock, periodBlocks } = chain.terms
      return (BigInt(number) + bounded - startBlock) / periodBlocks + 1n
    },
  }
}

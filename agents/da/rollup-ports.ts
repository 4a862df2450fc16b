import { readBlobRecord } from '../../sdk/chain/da.ts'
import { readRetentionBounds } from '../../sdk/chain/da-retention.ts'
import { read } from '../../sdk/chain/read.ts'
import { nodeTransport } from '../../sdk/client/http-node.ts'
import { readBlob } from '../../sdk/client/read-blob.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { periodOf } from './context.ts'
import { publishPayload } from './publish.ts'
import type { RollupPorts } from './rollup-blobs.ts'
import type { DaService } from './service.ts'

/** Blocks over which the block time is measured. */
const MEASURED_BLOCKS = 5_000
/** Blocks may come faster than they did: a tenth is added to what remains. */
const MARGIN = 10n

/** The agent as the rollup fronts see it. */
export function createRollupPorts(ctx: DaService): RollupPorts {
  const { chain, config, index } = ctx
  let knownHead = ctx.head.number

  const currentPeriod = (): bigint => periodOf(ctx, Math.max(knownHead, index.appliedTo()))

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
      return { blobId, expiresAt: header.expiresAt }
    },

    async read(blobId, signal) {
      const record = await readBlobRecord(chain, blobId, { signal })
      if (record?.status === 'submitted') throw new ZerogError('DA_NOT_CONFIRMED')
      await headNow(signal)
      const transport = nodeTransport
      const columnTimeoutMs = config.PEER_TIMEOUT_MS
      // As any other reader does: from the network, data columns first.
      const { payload } = await readBlob({ chain, blobId, kzg: ctx.kzg, transport, columnTimeoutMs, signal })
      return payload
    },

    blobsClaiming: (payloadHash) =>
      index.claiming(payloadHash, currentPeriod() - chain.daTerms.disputePeriods).map(({ blobId }) => blobId),

    currentPeriod,

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

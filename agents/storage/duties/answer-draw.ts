import { readIsResolved, readIsSuspended } from '../../../sdk/chain/storage.ts'
import { answerCall } from '../../../sdk/chain/storage-calls.ts'
import { errorCode, ZerogError } from '../../../sdk/protocol/errors.ts'
import { fromHex, toHex } from '../../../sdk/protocol/hex.ts'
import { SECTOR_BYTES } from '../../../sdk/protocol/layout.ts'
import { verifyMerkleProof } from '../../../sdk/protocol/merkle.ts'
import type { Duty } from '../../kernel/duty.ts'
import { submitCaughtUp } from '../catch-up.ts'
import { type StorageContext, windowsAt } from '../context.ts'
import { custodyOf, type Draw, drawsOf } from '../draws.ts'
import { rebuildChunk } from '../rebuild-shard.ts'
import { BLOCK_HEIGHT, pathInBlock } from '../shard-levels.ts'
import type { ShardChunk } from '../shard-store.ts'

type Answer = Draw & { answerCloses: bigint }

/** Answers every draw that fell on a shard kept here; a suspended provider has nothing to gain or lose by it. */
export const answerDraw: Duty<Answer, StorageContext> = {
  name: 'answer-draw',
  wakeOn: ['RoundOpened'],

  async due(ctx) {
    const windows = windowsAt(ctx.chain, ctx.head.number)
    if (!windows || BigInt(ctx.head.number) + 1n >= windows.answerCloses) return []
    const { period, answerCloses } = windows
    const mine = (await drawsOf(ctx, period)).filter(({ provider }) => provider === ctx.self.toLowerCase())
    if (mine.length === 0) return []
    const options = { blockTag: ctx.head.number, signal: ctx.signal }
    if (await readIsSuspended(ctx.chain, ctx.self, options)) return []
    const resolved = await Promise.all(
      mine.map(({ draw }) => readIsResolved(ctx.chain, { period, draw }, options)),
    )
    return mine.filter((_, i) => resolved[i] === false).map((draw) => ({ ...draw, answerCloses }))
  },

  id: answerId,
  deadline: ({ answerCloses }) => answerCloses - 2n,

  async perform(item, ctx) {
    const { period, draw, entryIndex, answerCloses } = item
    const custody = await custodyOf(ctx, item)
    const { bytes: sector, path } = await readSector(ctx, item)
    ctx.crashPoint('before-answer-send')
    const sent = await submitCaughtUp(ctx, {
      ...answerCall(ctx.chain, { period, draw, entryIndex, sector, path: path.map(toHex), custody }),
      label: answerId(item),
      deadlineBlock: answerCloses - 1n,
      done: ['DrawAlreadyResolved'],
    })
    if (!sent) return
    ctx.storageMetrics.answered.inc()
    ctx.log.info({ period, draw, txSeq: item.txSeq, shard: item.shardIndex }, 'draw answered')
  },
}

/** Names where the draw fell too: after a reorg another seed may put the same draw on another sector. */
function answerId({ period, draw, entryIndex, shardIndex, sector }: Answer): string {
  return `answer-${period}-${draw}-${entryIndex}-${shardIndex}-${sector}`
}

/** The sector of a draw with a path that leads to the shard's root: from disk, else rebuilt from the other shards. */
async function readSector(ctx: StorageContext, item: Answer): Promise<ShardChunk> {
  const key = { txSeq: item.txSeq, index: item.shardIndex }
  const own = await readOwn(ctx, item)
  if (own) return own
  ctx.log.warn({ ...key, period: item.period, draw: item.draw }, 'the sector is rebuilt from other shards')
  const chunk = await rebuildSector(ctx, item)
  if (!leadsToRoot(ctx, item, chunk)) {
    throw new ZerogError('ROOT_MISMATCH', 'the rebuilt sector is not of the shard', { retryable: true })
  }
  ctx.storageMetrics.answeredFromPeers.inc()
  return chunk
}

/** The sector from disk, or undefined when it is not what it ought to be; the shard then counts as damaged. */
async function readOwn(ctx: StorageContext, item: Answer): Promise<ShardChunk | undefined> {
  const key = { txSeq: item.txSeq, index: item.shardIndex }
  try {
    const chunk = await ctx.shards.chunk(key, 0, item.sector)
    if (leadsToRoot(ctx, item, chunk)) return chunk
    ctx.storageMetrics.rotten.inc()
    ctx.shards.markDamaged(key)
  } catch (error) {
    // Whatever keeps the disk from answering, the draw does not wait for it.
    const code = errorCode(error)
    if (code === 'ABORTED') throw error
    if (code !== 'SHARD_UNKNOWN' && code !== 'SHARD_INCOMPLETE')
      ctx.log.warn({ ...key, err: error }, 'shard cannot be read')
  }
  return undefined
}

/** Rebuilds the block around the sector; what lies above it comes from the shard's own levels. */
async function rebuildSector(ctx: StorageContext, item: Answer): Promise<ShardChunk> {
  const { txSeq, shardIndex, sector, period } = item
  const deal = ctx.index.deal(txSeq)
  if (!deal) throw new ZerogError('UNKNOWN_DEAL')
  const height = Math.min(BLOCK_HEIGHT, deal.shardHeight)
  const chunk = Math.floor(sector / 2 ** height)
  const block = await rebuildChunk(
    ctx,
    { ...deal, custodies: ctx.index.custodiesAt(txSeq, period) },
    { index: shardIndex, height, chunk, signal: ctx.signal },
  )
  const within = sector - chunk * 2 ** height
  const above =
    height === deal.shardHeight ? [] : await ctx.shards.siblings({ txSeq, index: shardIndex }, height, chunk)
  return {
    bytes: block.subarray(within * SECTOR_BYTES, (within + 1) * SECTOR_BYTES),
    path: [...pathInBlock(ctx.hasher, block, 0, within), ...above],
  }
}

function leadsToRoot({ hasher }: StorageContext, item: Answer, { bytes, path }: ShardChunk): boolean {
  return verifyMerkleProof(hasher, {
    root: fromHex(item.shardRoot),
    leaf: hasher.keccak256(bytes),
    index: item.sector,
    path,
  })
}

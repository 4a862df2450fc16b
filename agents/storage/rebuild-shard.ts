import type { Custody } from '../../sdk/protocol/custody.ts'
import { errorCode, ZerogError } from '../../sdk/protocol/errors.ts'
import { fromHex } from '../../sdk/protocol/hex.ts'
import { SECTOR_BYTES } from '../../sdk/protocol/layout.ts'
import { verifyMerkleProof } from '../../sdk/protocol/merkle.ts'
import type { StorageParts } from './context.ts'
import type { ShardKey } from './shard-files.ts'
import { chunkRoot } from './shard-levels.ts'

/** log2 of the sectors that are fetched and decoded at a time: 1 MiB of each shard. */
const STEP_HEIGHT = 12

/** A deal as a rebuild needs it: who holds which shard with which root. */
export type RebuildDeal = {
  readonly txSeq: bigint
  readonly dataShards: number
  readonly shardHeight: number
  /** All shards in order. */
  readonly custodies: readonly Custody[]
}

type Parts = Pick<StorageParts, 'shards' | 'peers' | 'erasure' | 'hasher'> & { readonly self: string }

/**
 * One aligned chunk of shard `index`, from the same chunk of any d other shards; each was checked against its root.
 * The result follows from them, and the caller checks it against the shard's own root.
 *
 * Errors: SHARDS_MISSING when fewer than d shards can be read.
 */
export async function rebuildChunk(
  { shards, peers, erasure, hasher, self }: Parts,
  deal: RebuildDeal,
  wanted: { index: number; height: number; chunk: number; signal: AbortSignal },
): Promise<Uint8Array> {
  const { custodies, dataShards, txSeq } = deal
  const found: (Uint8Array | undefined)[] = custodies.map(() => undefined)
  const failed: Record<string, string> = {}

  async function fetchOne({ index, provider, shardRoot }: Custody): Promise<void> {
    const key: ShardKey = { txSeq, index }
    try {
      if (provider.toLowerCase() === self.toLowerCase()) {
        const { bytes, path } = await shards.chunk(key, wanted.height, wanted.chunk)
        const claim = { root: fromHex(shardRoot), leaf: chunkRoot(hasher, bytes), index: wanted.chunk, path }
        if (!verifyMerkleProof(hasher, claim)) throw new ZerogError('ROOT_MISMATCH')
        found[index] = bytes
        return
      }
      found[index] = await peers.chunk({
        provider: provider.toLowerCase(),
        key,
        root: shardRoot,
        shardHeight: deal.shardHeight,
        height: wanted.height,
        index: wanted.chunk,
        signal: wanted.signal,
      })
    } catch (error) {
      if (wanted.signal.aborted) throw error
      failed[index] = errorCode(error)
    }
  }

  // Data shards first; each one that fails is made up for by the next in line.
  const line = custodies.filter(({ index }) => index !== wanted.index)
  let next = 0
  while (found.filter((chunk) => chunk !== undefined).length < dataShards) {
    const missing = dataShards - found.filter((chunk) => chunk !== undefined).length
    const batch = line.slice(next, next + missing)
    if (batch.length === 0) {
      throw new ZerogError('SHARDS_MISSING', 'too few other shards can be read to rebuild this one', {
        meta: { txSeq: txSeq.toString(), index: wanted.index, failed },
      })
    }
    next += batch.length
    await Promise.all(batch.map(fetchOne))
  }
  const [chunk] = erasure.reconstruct(found, dataShards, custodies.length - dataShards, [wanted.index])
  if (chunk === undefined) throw new ZerogError('ERASURE_INVALID')
  return chunk
}

/** All bytes of shard `index`, rebuilt piece by piece from the others. */
export async function* rebuildShard(
  parts: Parts,
  deal: RebuildDeal,
  { index, signal }: { index: number; signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const height = Math.min(STEP_HEIGHT, deal.shardHeight)
  const steps = 2 ** (deal.shardHeight - height)
  for (let chunk = 0; chunk < steps; chunk++) {
    const bytes = await rebuildChunk(parts, deal, { index, height, chunk, signal })
    if (bytes.length !== 2 ** height * SECTOR_BYTES) throw new ZerogError('ERASURE_INVALID')
    yield bytes
  }
}

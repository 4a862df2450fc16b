import { read } from '../../sdk/chain/read.ts'
import { periodStart } from '../../sdk/protocol/clock.ts'
import { drawPosition } from '../../sdk/protocol/draw.ts'
import type { BlobIndex, IndexedBlob } from './blob-index.ts'
import { clockOf, type DaContext } from './context.ts'

/** A draw of an open period that fell on a live, attested cell. */
export type Draw = {
  readonly period: bigint
  readonly draw: number
  readonly entryIndex: bigint
  readonly blobId: string
  readonly epoch: bigint
  readonly blobIndex: number
  readonly column: number
  /** Who attested the column, lower case. */
  readonly attester: string
  /** Block in which columns were last added to the blob. */
  readonly confirmedBlock: number
}

type Known = { readonly id: string; readonly draws: readonly Draw[] }

const cache = new WeakMap<BlobIndex, Known>()

/** All draws of `period` that someone may answer, none while it is not open; derived from the seed and the index. */
export async function drawsOf(ctx: DaContext, period: bigint): Promise<readonly Draw[]> {
  const { chain, index } = ctx
  const options = { blockTag: ctx.head.number, signal: ctx.signal }
  const {
    seed,
    tail,
    span,
    draws: count,
  } = await read(chain.da.prover.round(period, { blockTag: ctx.head.number }), options)
  if (count === 0n) return []
  const id = `${period}-${seed}-${index.revision()}`
  const known = cache.get(index)
  if (known?.id === id) return known.draws
  let isLineShort = false
  // All at once: the window to answer in is short, and each place is a question to the chain.
  const found = await Promise.all(
    Array.from({ length: Number(count) }, async (_, draw) => {
      const position = drawPosition({ seed, index: BigInt(draw), tail, span })
      const entry = index.entryAt(position)
      const blob = entry && index.byNumber(entry.number)
      if (!entry || !blob) {
        isLineShort = true
        return []
      }
      const place = await placeOf(ctx, blob, { period, draw, offset: Number(position - entry.start) })
      return place ? [{ ...place, entryIndex: entry.entryIndex }] : []
    }),
  )
  const draws: Draw[] = found.flat()
  // The line of a period was complete when it began: where there is no entry here by then, its logs were left out.
  if (!isLineShort) cache.set(index, { id, draws })
  else if (BigInt(index.appliedTo()) + 1n >= periodStart(clockOf(chain), period)) {
    ctx.log.warn({ period }, 'a draw fell on a blob that is missing from the logs')
    index.distrust(index.lastNumberedBlock())
  }
  return draws
}

async function placeOf(
  ctx: DaContext,
  { blobId, number, header }: IndexedBlob,
  { period, draw, offset }: { period: bigint; draw: number; offset: number },
): Promise<Omit<Draw, 'entryIndex'> | undefined> {
  const column = Math.floor(offset / header.blobCount)
  // Confirmations are not numbered, so one that is missing in the logs is not noticed: the chain's state says who must answer.
  const { availability } = ctx.chain.da
  const blockTag = ctx.head.number
  const { columns, confirmedAtBlock } = await read(availability.auditOf(number, { blockTag }), {
    blockTag,
    signal: ctx.signal,
  })
  if (period >= header.expiresAt || ((columns >> BigInt(column)) & 1n) === 0n) return undefined
  const committee = await ctx.committees.at(header.epoch, { signal: ctx.signal })
  const attester = committee.holders[column]?.operator.toLowerCase()
  if (attester === undefined) return undefined
  return {
    ...{ period, draw, blobId, column, attester },
    confirmedBlock: Number(confirmedAtBlock),
    epoch: header.epoch,
    blobIndex: offset % header.blobCount,
  }
}

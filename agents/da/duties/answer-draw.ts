import { answerAsSuccessorDaCall, answerDaCall } from '../../../sdk/chain/da-calls.ts'
import { readIsDaDrawResolved } from '../../../sdk/chain/da-prover.ts'
import { read } from '../../../sdk/chain/read.ts'
import { type Column, cellPathOf } from '../../../sdk/protocol/column.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import type { Duty } from '../../kernel/duty.ts'
import { submitCaughtUp } from '../catch-up.ts'
import { isSame } from '../committees.ts'
import { type DaContext, windowsAt } from '../context.ts'
import { type Draw, drawsOf } from '../draws.ts'
import { restoredColumn } from '../restore-columns.ts'

type Answer = Draw & { answerCloses: bigint; isAttester: boolean }

/** Answers every draw that fell on a column attested here, or taken over from a member that is out. */
export const answerDraw: Duty<Answer, DaContext> = {
  name: 'answer-draw',
  wakeOn: ['RoundOpened'],

  async due(ctx) {
    const windows = windowsAt(ctx, ctx.head.number)
    if (!windows || BigInt(ctx.head.number) + 1n >= windows.answerCloses) return []
    const { period, answerCloses } = windows
    const draws = await drawsOf(ctx, period)
    if (draws.length === 0) return []
    const options = { blockTag: ctx.head.number, signal: ctx.signal }
    const active = await ctx.committees.active({ signal: ctx.signal })
    const due = await Promise.all(
      draws.map(async (draw): Promise<Answer[]> => {
        const isAttester = isSame(draw.attester, ctx.self)
        const isHolder = isSame(active?.holders[draw.column]?.operator ?? '', ctx.self)
        if (!isAttester && !(isHolder && (await isOut(ctx, draw.attester)))) return []
        if (await readIsDaDrawResolved(ctx.chain, draw, options)) return []
        return [{ ...draw, answerCloses, isAttester }]
      }),
    )
    return due.flat()
  },

  id: answerId,
  deadline: ({ answerCloses }) => answerCloses - 2n,

  async perform(item, ctx) {
    const { period, draw, entryIndex, answerCloses, blobIndex } = item
    const column = await columnOf(ctx, item)
    const found = column.cells[blobIndex]
    if (!found) throw new ZerogError('INTERNAL', 'the column is shorter than its blob')
    const answer = item.isAttester ? answerDaCall : answerAsSuccessorDaCall
    ctx.crashPoint('before-answer-send')
    const sent = await submitCaughtUp(ctx, {
      ...answer(ctx.chain, {
        ...{ period, draw, entryIndex },
        cellAndProof: Buffer.concat([found.cell, found.proof]),
        path: cellPathOf(ctx.hasher, column, blobIndex),
      }),
      label: answerId(item),
      deadlineBlock: answerCloses - 1n,
      done: ['DrawAlreadyResolved'],
    })
    if (!sent) return
    ctx.daMetrics.answered.inc()
    ctx.log.info({ period, draw, blobId: item.blobId, column: item.column }, 'draw answered')
  },
}

/** Names where the draw fell too: after a reorg another seed may put the same draw on another cell. */
function answerId({ period, draw, entryIndex, column, blobIndex }: Answer): string {
  return `answer-${period}-${draw}-${entryIndex}-${column}-${blobIndex}`
}

/** The column from disk, else rebuilt from 64 others and kept. */
async function columnOf(ctx: DaContext, { blobId, column }: Answer): Promise<Column> {
  const own = await ctx.columns.read(blobId, column)
  if (own) return own
  ctx.log.warn({ blobId, column }, 'the column is rebuilt from others')
  const blob = ctx.index.blob(blobId)
  if (!blob) throw new ZerogError('DA_UNKNOWN_BLOB')
  const rebuilt = await restoredColumn(ctx, blob, column)
  ctx.daMetrics.answeredFromPeers.inc()
  return rebuilt
}

function isOut(ctx: DaContext, operator: string): Promise<boolean> {
  const { committee } = ctx.chain.da
  return read(committee.isOut(operator, { blockTag: ctx.head.number }), { signal: ctx.signal })
}

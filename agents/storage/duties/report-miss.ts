import { readIsResolved, readIsSuspended } from '../../../sdk/chain/storage.ts'
import { reportMissCall } from '../../../sdk/chain/storage-calls.ts'
import type { Duty } from '../../kernel/duty.ts'
import { rank } from '../../kernel/rank.ts'
import { submitCaughtUp } from '../catch-up.ts'
import { type StorageContext, windowsAt } from '../context.ts'
import { custodyOf, type Draw, drawsOf } from '../draws.ts'

/** So near to the end of the window, rank no longer counts. */
const URGENT_BLOCKS = 3n

type Miss = Draw & { reportCloses: bigint }

/** Reports draws that others left unanswered, in the order of rank. */
export const reportMiss: Duty<Miss, StorageContext> = {
  name: 'report-miss',

  async due(ctx) {
    const windows = windowsAt(ctx.chain, ctx.head.number)
    const next = BigInt(ctx.head.number) + 1n
    if (!windows || next < windows.answerCloses || next >= windows.reportCloses) return []
    const { period, answerCloses, reportCloses } = windows
    const wait = BigInt(rank(period, ctx.self, ctx.index.custodians(period)).waitBlocks)
    if (next < answerCloses + wait && next + URGENT_BLOCKS <= reportCloses) return []
    const others = (await drawsOf(ctx, period)).filter(({ provider }) => provider !== ctx.self.toLowerCase())
    const options = { blockTag: ctx.head.number, signal: ctx.signal }
    const resolved = await Promise.all(
      others.map(({ draw }) => readIsResolved(ctx.chain, { period, draw }, options)),
    )
    const missed = others.filter((_, i) => resolved[i] === false)
    const providers = [...new Set(missed.map(({ provider }) => provider))]
    const suspended = await Promise.all(
      providers.map((provider) => readIsSuspended(ctx.chain, provider, options)),
    )
    return missed
      .filter(({ provider }) => suspended[providers.indexOf(provider)] === false)
      .map((draw) => ({ ...draw, reportCloses }))
  },

  id: ({ period, draw }) => `miss-${period}-${draw}`,
  deadline: ({ reportCloses }) => reportCloses - 2n,

  async perform(item, ctx) {
    const { period, draw, entryIndex, reportCloses, provider } = item
    const custody = await custodyOf(ctx, item)
    const reported = await submitCaughtUp(ctx, {
      ...reportMissCall(ctx.chain, { period, draw, entryIndex, custody }),
      label: `report-miss-${period}-${draw}`,
      deadlineBlock: reportCloses - 1n,
      done: ['DrawAlreadyResolved', 'ProviderAlreadySuspended'],
    })
    if (!reported) return
    ctx.storageMetrics.reported.inc()
    ctx.log.info({ period, draw, provider }, 'miss reported')
  },
}

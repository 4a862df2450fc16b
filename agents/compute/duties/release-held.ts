import { readHeldFee } from '../../../sdk/chain/compute.ts'
import { releaseHeldCall } from '../../../sdk/chain/compute-calls.ts'
import { read } from '../../../sdk/chain/read.ts'
import type { Duty } from '../../kernel/duty.ts'
import type { ComputeContext } from '../context.ts'
import { submit } from '../submit.ts'

const MAX_RELEASED = 32

/** Has held fees credited once their windows are over. */
export const releaseHeld: Duty<{ heldIds: bigint[] }, ComputeContext> = {
  name: 'release-held',
  everyBlocks: 4,
  local: true,

  async due(ctx) {
    const open = ctx.held.open(MAX_RELEASED)
    if (open.length === 0) return []
    const options = { blockTag: ctx.head.number, signal: ctx.signal }
    const block = await read(ctx.provider.getBlock(ctx.head.number), { signal: ctx.signal })
    const nowSec = BigInt(block?.timestamp ?? 0)
    const { challengeSec } = ctx.chain.computeTerms
    const over = await Promise.all(
      open.map(async ({ heldId }) => {
        const { state, heldAtSec } = await readHeldFee(ctx.chain, heldId, options)
        return state === 'held' && nowSec > heldAtSec + challengeSec ? [heldId] : []
      }),
    )
    const heldIds = over.flat()
    return heldIds.length === 0 ? [] : [{ heldIds }]
  },

  id: ({ heldIds }) => `release-${heldIds[0]}-${heldIds.at(-1)}`,

  async perform({ heldIds }, ctx) {
    await submit(ctx, { ...releaseHeldCall(ctx.chain, heldIds), label: `release-${heldIds.join('-')}` })
  },
}

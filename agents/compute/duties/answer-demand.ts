import { readHeldFee } from '../../../sdk/chain/compute.ts'
import { postReceiptsCall } from '../../../sdk/chain/compute-calls.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import type { Duty } from '../../kernel/duty.ts'
import type { ComputeContext } from '../context.ts'
import { submit } from '../submit.ts'

/** Shows the receipts of every fee that its user demands them of. */
export const answerDemand: Duty<{ heldId: bigint }, ComputeContext> = {
  name: 'answer-demand',
  wakeOn: ['ReceiptsDemanded'],
  local: true,

  async due(ctx) {
    const options = { blockTag: ctx.head.number, signal: ctx.signal }
    const states = await Promise.all(
      ctx.held.demanded().map(async ({ heldId }) => {
        const { state } = await readHeldFee(ctx.chain, heldId, options)
        return state === 'demanded' ? [{ heldId }] : []
      }),
    )
    return states.flat()
  },

  id: ({ heldId }) => `demand-${heldId}`,

  async perform({ heldId }, ctx) {
    const { user, nonce } = await readHeldFee(ctx.chain, heldId, { signal: ctx.signal })
    const settlement = ctx.receipts.findSettlement(user, nonce)
    if (settlement === undefined)
      throw new ZerogError('NOT_FOUND', `the receipts of held fee ${heldId} are not in this data folder`)
    const receipts = ctx.receipts.receiptsOf(settlement.id)
    await submit(ctx, {
      ...postReceiptsCall(ctx.chain, { heldId, receipts }),
      label: `demand-${heldId}`,
      done: ['WrongHeldState', 'WindowClosed'],
    })
    ctx.log.info({ heldId: String(heldId), receipts: receipts.length }, 'receipts shown')
  },
}

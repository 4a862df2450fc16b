import { readEarnings } from '../../../sdk/chain/compute.ts'
import { withdrawEarningsCall } from '../../../sdk/chain/compute-calls.ts'
import type { Duty } from '../../kernel/duty.ts'
import type { ComputeConfig } from '../config.ts'
import type { ComputeContext } from '../context.ts'
import { submit } from '../submit.ts'

/** What a withdrawal takes, generously. */
const WITHDRAW_GAS = 100_000n

/** Withdraws earnings when they are worth the transaction. */
export function withdrawEarnings(config: ComputeConfig): Duty<{ block: number }, ComputeContext> {
  return {
    name: 'withdraw-earnings',
    everyBlocks: 48,

    async due(ctx) {
      const options = { blockTag: ctx.head.number, signal: ctx.signal }
      const earnedWei = await readEarnings(ctx.chain, ctx.self, options)
      if (earnedWei === 0n || earnedWei < config.MIN_WITHDRAW_WEI) return []
      const { maxFeePerGas, gasPrice } = await ctx.provider.getFeeData()
      if (earnedWei < WITHDRAW_GAS * (maxFeePerGas ?? gasPrice ?? 0n)) return []
      return [{ block: ctx.head.number }]
    },

    id: () => 'withdraw-earnings',

    async perform({ block }, ctx) {
      const call = withdrawEarningsCall(ctx.chain, config.PAYOUT_ADDRESS ?? ctx.self)
      await submit(ctx, { ...call, label: `withdraw-earnings-${block}`, done: ['NothingToWithdraw'] })
    },
  }
}

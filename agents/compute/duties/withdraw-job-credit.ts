import { withdrawJobCreditCall } from '../../../sdk/chain/job-calls.ts'
import { readJobCredit } from '../../../sdk/chain/jobs.ts'
import type { Duty } from '../../kernel/duty.ts'
import type { ComputeConfig } from '../config.ts'
import type { ComputeContext } from '../context.ts'
import { submit } from '../submit.ts'

/** What a withdrawal takes, generously. */
const WITHDRAW_GAS = 100_000n

/** Withdraws pay and bonds of jobs when they are worth the transaction. */
export function withdrawJobCredit(config: ComputeConfig): Duty<{ block: number }, ComputeContext> {
  return {
    name: 'withdraw-job-credit',
    everyBlocks: 16,
    wakeOn: ['JobClosed'],

    async due(ctx) {
      const creditWei = await readJobCredit(ctx.chain, ctx.self, {
        blockTag: ctx.head.number,
        signal: ctx.signal,
      })
      if (creditWei === 0n || creditWei < config.MIN_WITHDRAW_WEI) return []
      const { maxFeePerGas, gasPrice } = await ctx.provider.getFeeData()
      if (creditWei < WITHDRAW_GAS * (maxFeePerGas ?? gasPrice ?? 0n)) return []
      return [{ block: ctx.head.number }]
    },

    id: () => 'withdraw-job-credit',

    async perform({ block }, ctx) {
      const call = withdrawJobCreditCall(ctx.chain, config.PAYOUT_ADDRESS ?? ctx.self)
      await submit(ctx, { ...call, label: `withdraw-job-credit-${block}`, done: ['NothingToWithdraw'] })
    },
  }
}

import { readCredit, readProviderStream } from '../../../sdk/chain/storage.ts'
import { claimCall, withdrawCall } from '../../../sdk/chain/storage-calls.ts'
import type { Duty } from '../../kernel/duty.ts'
import { submitCaughtUp } from '../catch-up.ts'
import type { StorageConfig } from '../config.ts'
import { type StorageContext, windowsAt } from '../context.ts'

const MAX_BUCKETS = 64
/** What a claim and a withdrawal take together, generously. */
const CLAIM_GAS = 300_000n

type Claim = { period: bigint }

/**
 * Claims and withdraws the pay of closed periods when it is worth the transactions; and whatever it is worth when it lies
 * unclaimed for so long that no seal takes this provider any more.
 */
export function claimPay(config: StorageConfig): Duty<Claim, StorageContext> {
  const leastWei = async (ctx: StorageContext): Promise<bigint> => {
    const { maxFeePerGas, gasPrice } = await ctx.provider.getFeeData()
    const costWei = CLAIM_GAS * (maxFeePerGas ?? gasPrice ?? 0n)
    return costWei > config.MIN_CLAIM_WEI ? costWei : config.MIN_CLAIM_WEI
  }

  return {
    name: 'claim-pay',
    everyBlocks: config.CLAIM_EVERY_BLOCKS,

    async due(ctx) {
      const windows = windowsAt(ctx.chain, ctx.head.number)
      if (!windows) return []
      const options = { blockTag: ctx.head.number, signal: ctx.signal }
      const { claimableWei, creditWei, needWei } = await readProviderStream(ctx.chain, ctx.self, options)
      const isWorth = async () => claimableWei + creditWei >= (await leastWei(ctx))
      if (needWei !== undefined && (claimableWei + creditWei === 0n || !(await isWorth()))) return []
      return [{ period: windows.period }]
    },

    id: ({ period }) => `claim-${period}`,

    async perform({ period }, ctx) {
      const { chain, self, signal } = ctx
      for (let reached = -1n; ; ) {
        const { claimableWei, needWei, throughPeriod } = await readProviderStream(chain, self, { signal })
        if (throughPeriod <= reached || (claimableWei === 0n && needWei !== undefined)) break
        reached = throughPeriod
        await submitCaughtUp(ctx, {
          ...claimCall(chain, { provider: self, maxBuckets: MAX_BUCKETS }),
          label: `claim-${period}-${throughPeriod}`,
        })
      }
      ctx.crashPoint('after-claim')
      const creditWei = await readCredit(chain, self, { signal })
      if (creditWei === 0n) return
      const to = config.PAYOUT_ADDRESS ?? self
      const sent = await submitCaughtUp(ctx, {
        ...withdrawCall(chain, to),
        label: `withdraw-${period}`,
        done: ['NothingToWithdraw'],
      })
      if (!sent) return
      ctx.storageMetrics.claimedWei.inc(Number(creditWei))
      ctx.log.info({ creditWei: creditWei.toString(), to }, 'pay withdrawn')
    },
  }
}

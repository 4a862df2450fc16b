import { readDaMoney } from '../../../sdk/chain/da.ts'
import { claimBlobCall, withdrawDaCall } from '../../../sdk/chain/da-calls.ts'
import { read } from '../../../sdk/chain/read.ts'
import type { Duty } from '../../kernel/duty.ts'
import { rank } from '../../kernel/rank.ts'
import type { IndexedBlob } from '../blob-index.ts'
import { submitCaughtUp } from '../catch-up.ts'
import { memberOf } from '../committees.ts'
import type { DaConfig } from '../config.ts'
import { clockOf, type DaContext, periodOf } from '../context.ts'

/** What a withdrawal takes, generously. */
const WITHDRAW_GAS = 100_000n
/** Claiming a blob pays all its members; so much gas is worth it for a blob's whole fee. */
const CLAIM_GAS = 600_000n
/** Most claims at a time. */
const MAX_CLAIMS = 64

type Claim = { kind: 'claim'; blobId: string } | { kind: 'withdraw'; block: number }

/** Shares the fees of expired blobs out, in the order of rank, and withdraws when it is worth the transactions. */
export function claimPay(config: DaConfig): Duty<Claim, DaContext> {
  return {
    name: 'claim-pay',
    everyBlocks: config.CLAIM_EVERY_BLOCKS,

    async due(ctx) {
      const { maxFeePerGas, gasPrice } = await read(ctx.provider.getFeeData(), { signal: ctx.signal })
      const gasWei = maxFeePerGas ?? gasPrice ?? 0n
      const most = (a: bigint, b: bigint): bigint => (a > b ? a : b)
      const { creditWei } = await readDaMoney(ctx.chain, ctx.self, {
        blockTag: ctx.head.number,
        signal: ctx.signal,
      })
      const isWorthIt = creditWei > 0n && creditWei >= most(WITHDRAW_GAS * gasWei, config.MIN_CLAIM_WEI)
      return [
        ...(await claimable(ctx, most(CLAIM_GAS * gasWei, config.MIN_CLAIM_WEI))),
        ...(isWorthIt ? [{ kind: 'withdraw' as const, block: ctx.head.number }] : []),
      ]
    },

    id: (item) => (item.kind === 'claim' ? `claim-${item.blobId}` : `withdraw-${item.block}`),

    async perform(item, ctx) {
      const { chain, self, signal } = ctx
      if (item.kind === 'claim') {
        await submitCaughtUp(ctx, {
          ...claimBlobCall(chain, item.blobId),
          label: `da-claim-${item.blobId}`,
          done: ['AlreadyClaimed'],
        })
        return
      }
      const { creditWei } = await readDaMoney(chain, self, { signal })
      const to = config.PAYOUT_ADDRESS ?? self
      const sent = await submitCaughtUp(ctx, {
        ...withdrawDaCall(chain, to),
        label: `da-withdraw-${item.block}`,
        done: ['NothingToWithdraw'],
      })
      if (!sent) return
      ctx.daMetrics.claimedWei.inc(Number(creditWei))
      ctx.log.info({ creditWei: creditWei.toString(), to }, 'pay withdrawn')
    },
  }
}

/** Blobs that this node attested, that are over, and whose fee is worth `leastWei`. */
async function claimable(ctx: DaContext, leastWei: bigint): Promise<Claim[]> {
  const { disputePeriods, pricePerBlobPeriodWei } = ctx.chain.daTerms
  const now = periodOf(ctx, ctx.head.number)
  if (now < disputePeriods || (pricePerBlobPeriodWei === 0n && leastWei > 0n)) return []
  const priceWei = pricePerBlobPeriodWei === 0n ? 1n : pricePerBlobPeriodWei
  const query = {
    period: now - disputePeriods,
    leastBlobPeriods: (leastWei + priceWei - 1n) / priceWei,
    clock: clockOf(ctx.chain),
  }
  const due: Claim[] = []
  for (let after = 0; due.length < MAX_CLAIMS; ) {
    const page = ctx.index.unclaimed({ ...query, after })
    const last = page.at(-1)
    if (!last) break
    after = last.number
    for (const blob of page) if (await isMyClaim(ctx, blob)) due.push({ kind: 'claim', blobId: blob.blobId })
  }
  return due
}

/** Whether this node has a share of the fee, and it is its turn to claim it. */
async function isMyClaim(ctx: DaContext, { blobId, header }: IndexedBlob): Promise<boolean> {
  const committee = await ctx.committees.at(header.epoch, { signal: ctx.signal })
  if (!memberOf(committee, ctx.self)) return false
  const { waitBlocks } = rank(
    blobId,
    ctx.self,
    committee.members.map(({ operator }) => operator),
  )
  const { startBlock, periodBlocks } = ctx.chain.terms
  const readyAt = startBlock + (header.expiresAt + ctx.chain.daTerms.disputePeriods) * periodBlocks
  return BigInt(ctx.head.number) >= readyAt + BigInt(waitBlocks)
}

import { keccak256, toUtf8Bytes } from 'ethers'
import { readInferenceAccount } from '../../../sdk/chain/compute.ts'
import { previewSettlements, type SettlementClaim, settleCall } from '../../../sdk/chain/compute-calls.ts'
import { decodeComputeEvent } from '../../../sdk/chain/compute-events.ts'
import type { ReadOptions } from '../../../sdk/chain/read.ts'
import { requestsHash } from '../../../sdk/protocol/receipt.ts'
import { inferenceDomain, signInferenceMessage } from '../../../sdk/protocol/voucher.ts'
import type { Duty } from '../../kernel/duty.ts'
import type { ComputeConfig } from '../config.ts'
import type { ComputeContext } from '../context.ts'
import type { SettlementRow } from '../receipt-book.ts'
import { submit } from '../submit.ts'

/** Settlements of one transaction: the contract's limit. */
const MAX_SETTLEMENTS = 50
/** What cannot be settled is looked at again after this long. */
const PAUSE_MS = 15_000

/**
 * Settles receipts by interval or amount. A settlement is written down with its receipts before anything is sent, and is
 * closed only when the account's nonce on chain has reached it: whatever is repeated after a kill, the nonce lets it
 * count once.
 */
export function settleFees(config: ComputeConfig): Duty<{ sinceMs: number }, ComputeContext> {
  let pausedUntilMs = 0
  return {
    name: 'settle-fees',
    local: true,

    async due({ receipts }) {
      if (Date.now() < pausedUntilMs) return []
      const sinceMs = receipts.oldestUnsettledMs()
      if (sinceMs === undefined) return []
      const isTime = Date.now() - sinceMs >= config.SETTLE_INTERVAL_SEC * 1000
      return isTime || receipts.totalUnsettledWei() >= config.SETTLE_AMOUNT_WEI ? [{ sinceMs }] : []
    },

    id: () => 'settle-fees',

    async perform(_, ctx) {
      const open = ctx.receipts.openSettlements(MAX_SETTLEMENTS)
      ctx.crashPoint('settle-written')
      // Deep enough that no reorg takes back what is closed here.
      const blockTag = Math.max(0, ctx.head.number - config.CONFIRMATIONS)
      const left = await closeSettled(ctx, open, { blockTag })
      const ready = await payable(ctx, left)
      // While nothing can be paid, every block would find the same.
      if (left.length > 0 && ready.length === 0) pausedUntilMs = Date.now() + PAUSE_MS
      if (ready.length === 0) return
      const key = keccak256(toUtf8Bytes(ready.map(({ user, nonce }) => `${user}-${nonce}`).join(',')))
      const receipt = await submit(ctx, { ...settleCall(ctx.chain, ready), label: `settle-${key}` })
      ctx.crashPoint('settle-sent')
      for (const log of receipt?.logs ?? []) {
        const event = decodeComputeEvent(ctx.chain.book, log)
        if (event?.name === 'FeeSettled') ctx.computeMetrics.settledWei.inc(Number(event.args.paidWei))
        if (event?.name !== 'TEESettlementResult') continue
        const { user, status, unsettledAmount } = event.args
        ctx.computeMetrics.settlements.inc({ status: Number(status) })
        const unsettledWei = String(unsettledAmount)
        ctx.log.warn({ user, status: Number(status), unsettledWei }, 'fee not paid in full')
      }
      const rest = await closeSettled(ctx, left, {})
      ctx.log.info({ settled: left.length - rest.length, open: rest.length }, 'fees settled')
    },
  }
}

/**
 * The claims that would be paid. What the contract would refuse stays open: a signer that is not acknowledged may be so
 * again later. What it would cut waits for a voucher that is about to be posted: the rest would be lost.
 */
async function payable(ctx: ComputeContext, rows: readonly SettlementRow[]): Promise<SettlementClaim[]> {
  const claims = await Promise.all(rows.map((row) => claimOf(ctx, row)))
  const statuses = await previewSettlements(ctx.chain, claims, { signal: ctx.signal })
  return claims.filter(({ user }, i) => {
    const status = statuses[i]
    if (status === 0) return true
    if (status === 1 && ctx.vouchers.find(user) === undefined) return true
    const row = rows[i]
    if (row) ctx.receipts.postpone(row.id)
    if (status === 1) return false
    ctx.computeMetrics.settlements.inc({ status: Number(status) })
    ctx.log.warn({ user, status }, 'settlement would be refused')
    return false
  })
}

/** Closes what the chain has; returns the rest. */
async function closeSettled(
  ctx: ComputeContext,
  rows: readonly SettlementRow[],
  at: Pick<ReadOptions, 'blockTag'>,
): Promise<SettlementRow[]> {
  const users = [...new Set(rows.map(({ user }) => user))]
  const options = { ...at, signal: ctx.signal }
  const read = async (user: string) => {
    const account = await readInferenceAccount(ctx.chain, { user, provider: ctx.self }, options)
    return [user, account?.nonce ?? 0n] as const
  }
  const nonces = new Map(await Promise.all(users.map(read)))
  return rows.filter(({ id, user, nonce }) => {
    if ((nonces.get(user) ?? 0n) < nonce) return true
    ctx.accounts.forget(user)
    ctx.receipts.close(id)
    ctx.crashPoint('settle-closed')
    return false
  })
}

async function claimOf(ctx: ComputeContext, { id, user, nonce }: SettlementRow): Promise<SettlementClaim> {
  const { hash, sumWei } = requestsHash(ctx.receipts.receiptsOf(id))
  const message = { requestsHash: hash, nonce, provider: ctx.self, user, totalFee: sumWei }
  const domain = inferenceDomain(ctx.chainId, ctx.chain.compute.addresses.InferenceServing)
  const signature = await signInferenceMessage(ctx.wallet, domain, { type: 'TEESettlement', message })
  return { user, provider: ctx.self, totalFeeWei: sumWei, requestsHash: hash, nonce, signature }
}

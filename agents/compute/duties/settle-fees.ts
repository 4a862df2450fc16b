import { keccak256, toUtf8Bytes } from 'ethers'
import {
  type PriceEpochView,
  readInferenceAccount,
  readPriceBound,
  readPriceEpoch,
  readService,
} from '../../../sdk/chain/compute.ts'
import { type SettlementClaim, settleCall, simulateSettlements } from '../../../sdk/chain/compute-calls.ts'
import { decodeComputeEvent } from '../../../sdk/chain/compute-events.ts'
import { type ReadOptions, read } from '../../../sdk/chain/read.ts'
import { requestsHash } from '../../../sdk/protocol/receipt.ts'
import { inferenceDomain, signInferenceMessage } from '../../../sdk/protocol/voucher.ts'
import type { Duty } from '../../kernel/duty.ts'
import type { ComputeConfig } from '../config.ts'
import type { ComputeContext } from '../context.ts'
import type { SettlementRow } from '../receipt-book.ts'
import { submit } from '../submit.ts'
import { isPostable } from '../voucher-book.ts'

/** Settlements of one transaction: the contract's limit. */
const MAX_SETTLEMENTS = 50
/** A settlement may take this long to be mined. */
const SENDING_SEC = 60n
/** What cannot be settled is looked at again after this long. */
const PAUSE_MS = 15_000

/** Whether it is time. */
export function isSettlementDue(
  config: ComputeConfig,
  { receipts, chain }: Pick<ComputeContext, 'receipts' | 'chain'>,
): boolean {
  const sinceMs = receipts.oldestUnsettledMs()
  if (sinceMs === undefined) return false
  const isTime = Date.now() - sinceMs >= settleWithinSec(config, chain) * 1000
  return isTime || receipts.totalUnsettledWei() >= config.SETTLE_AMOUNT_WEI
}

/**
 * How long receipts wait: no longer than a quarter of what the contract allows. Until then the user cannot take back what they
 * cost, nor do prices change under them.
 */
export function settleWithinSec(
  { SETTLE_INTERVAL_SEC }: Pick<ComputeConfig, 'SETTLE_INTERVAL_SEC'>,
  { computeTerms }: Pick<ComputeContext['chain'], 'computeTerms'>,
): number {
  return Math.min(SETTLE_INTERVAL_SEC, Math.max(1, Math.floor(Number(computeTerms.graceSec) / 4)))
}

/**
 * Settles receipts by interval or amount. A settlement is written down with its receipts before anything is sent, and is
 * closed only when the account's nonce on chain has reached it: whatever is repeated after a kill, the nonce lets it
 * count once.
 */
export function settleFees(config: ComputeConfig): Duty<'settle', ComputeContext> {
  let pausedUntilMs = 0
  let isChecked = false
  return {
    name: 'settle-fees',
    local: true,

    async due(ctx) {
      return Date.now() >= pausedUntilMs && isSettlementDue(config, ctx) ? ['settle'] : []
    },

    id: () => 'settle-fees',

    async perform(_, ctx) {
      if (!isChecked) await closePassed(ctx)
      isChecked = true
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
 * again later. What it would cut waits for a voucher that is about to be posted: the rest would be lost. Later claims of the
 * same user wait too, because their nonces would close the earlier ones.
 */
async function payable(ctx: ComputeContext, rows: readonly SettlementRow[]): Promise<SettlementClaim[]> {
  const areProvable = await Promise.all(rows.map((row) => isProvable(ctx, row)))
  const waiting = new Set(rows.filter((_, i) => !areProvable[i]).map(({ user }) => user))
  const provable = rows.filter(({ user }) => !waiting.has(user))
  const claims = await Promise.all(provable.map((row) => claimOf(ctx, row)))
  const [statuses, service] = await Promise.all([
    simulateSettlements(ctx.chain, claims, { signal: ctx.signal }),
    readService(ctx.chain, ctx.self, { signal: ctx.signal }),
  ])
  // One that the contract would not take, as when prices have risen above it, would hold its user's fees up until it expires.
  const isAwaited = (user: string) => {
    const voucher = ctx.vouchers.find(user)?.voucher
    return voucher !== undefined && (service === undefined || isPostable(voucher, service))
  }
  return claims.filter(({ user }, i) => {
    if (waiting.has(user)) return false
    const status = statuses[i]
    if (status === 0) return true
    if (status === 1 && !isAwaited(user)) return true
    waiting.add(user)
    const row = provable[i]
    if (row) ctx.receipts.postpone(row.id)
    if (status === 1) return false
    ctx.computeMetrics.settlements.inc({ status: Number(status) })
    ctx.log.warn({ user, status }, 'settlement would be refused')
    return false
  })
}

/**
 * Whether the receipts would stand if their user demanded them. In open mode a receipt counts within the grace only: one that
 * an outage has kept longer, under a price that has ended since, would cost the stake, and is given up.
 */
async function isProvable(ctx: ComputeContext, row: SettlementRow): Promise<boolean> {
  const { chain, self: provider, signal, head } = ctx
  const pair = { user: row.user, provider }
  const [account, bound, block] = await Promise.all([
    readInferenceAccount(chain, pair, { signal }),
    readPriceBound(chain, pair, { signal }),
    read(ctx.provider.getBlock(head.number), { signal }),
  ])
  if (account === undefined || account.ceilingWei > 0n) return true
  const receipts = ctx.receipts.receiptsOf(row.id)
  const atSec = BigInt(block?.timestamp ?? 0) + SENDING_SEC
  const isGood = new Map<bigint, PriceEpochView | undefined>()
  for (const priceEpoch of new Set(receipts.map((receipt) => receipt.priceEpoch))) {
    const [own, next] = await Promise.all(
      [priceEpoch, priceEpoch + 1n].map((epoch) =>
        readPriceEpoch(chain, { provider, priceEpoch: epoch }, { signal }),
      ),
    )
    const isOld = next !== undefined && next.fromSec + chain.computeTerms.graceSec <= atSec
    isGood.set(priceEpoch, isOld ? undefined : own)
  }
  const lost = receipts.filter(({ inputUnits, outputUnits, feeWei, priceEpoch }) => {
    const prices = isGood.get(priceEpoch)
    if (prices === undefined) return true
    const mostWei =
      inputUnits * least(prices.inputPriceWei, bound.inputPriceWei) +
      outputUnits * least(prices.outputPriceWei, bound.outputPriceWei)
    return feeWei > mostWei
  })
  if (lost.length === 0) return true
  // What is on its way to the chain must stay as it was signed.
  if (ctx.sender.pendingCount() > 0) return false
  const lostWei = String(lost.reduce((sum, { feeWei }) => sum + feeWei, 0n))
  ctx.log.error({ user: row.user, receipts: lost.length, lostWei }, 'receipts are too old to be proved')
  ctx.receipts.giveUp(row.id, new Set(lost.map(({ nonce }) => nonce)))
  return false
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

/** A data folder that was restored from a copy knows receipts as unpaid that were settled since. */
async function closePassed(ctx: ComputeContext): Promise<void> {
  const blockTag = Math.max(0, ctx.head.number - ctx.config.CONFIRMATIONS)
  for (const user of ctx.receipts.waitingUsers()) {
    const pair = { user, provider: ctx.self }
    const account = await readInferenceAccount(ctx.chain, pair, { blockTag, signal: ctx.signal })
    const count = account === undefined ? 0 : ctx.receipts.closePassed(user, account.nonce)
    if (count > 0) ctx.log.warn({ user, count }, 'receipts were settled before: this data folder is older')
  }
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

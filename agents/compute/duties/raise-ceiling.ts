import { readInferenceAccount, readPendingService, readService } from '../../../sdk/chain/compute.ts'
import { raiseCeilingCall } from '../../../sdk/chain/compute-calls.ts'
import type { Duty } from '../../kernel/duty.ts'
import { type ComputeConfig, voucherSpareSec } from '../config.ts'
import type { ComputeContext } from '../context.ts'
import { submit } from '../submit.ts'
import { isPostable } from '../voucher-book.ts'
import { isSettlementDue } from './settle-fees.ts'

/** Reverts after which a voucher is of no use any more. */
const USELESS = ['CeilingNotRaised', 'SignatureExpired', 'SignatureInvalid', 'NotVoucherProvider']

/** So many looks after which an account is gone for good, and not just too new for the block that is looked at. */
const GONE_LOOKS = 32

type Ceiling = { user: string; ceilingWei: bigint }

/**
 * Posts the newest voucher of each user whose fees pass what the chain allows, when they are about to be settled, the voucher
 * to expire, or the service to change. One that nothing was served on is left to expire: posting costs the provider, and a
 * voucher costs its user nothing.
 */
export function raiseCeiling(config: ComputeConfig): Duty<Ceiling, ComputeContext> {
  const spareSec = BigInt(voucherSpareSec(config))
  /** Users that the chain has in voucher mode, which nobody leaves. */
  const inVoucherMode = new Set<string>()
  const absent = new Map<string, number>()
  return {
    name: 'raise-ceiling',
    local: true,

    async due(ctx) {
      const { chain, self, receipts, vouchers, admission } = ctx
      const nowSec = BigInt(Math.floor(Date.now() / 1000))
      for (const { voucher } of vouchers.all())
        if (voucher.validUntilSec <= nowSec) vouchers.drop(voucher.user, voucher.ceilingWei)
      // Most are of users who ask nothing now: to look at all of them at every block would be thousands of reads.
      const kept = vouchers.all().filter(({ voucher: { user } }) => {
        const isActive = receipts.unsettledWei(user) + admission.reservedWei(user) > 0n
        return isActive || vouchers.isWanted(user) || !inVoucherMode.has(user)
      })
      if (kept.length === 0) return []
      const options = { blockTag: ctx.head.number, signal: ctx.signal }
      const [pending, service] = await Promise.all([
        readPendingService(chain, self, options),
        readService(chain, self, options),
      ])
      const isChanging = pending !== undefined
      const isSettling = isSettlementDue(config, ctx)
      const checked = await Promise.all(
        kept.map(async ({ voucher }) => {
          const { user, ceilingWei, validUntilSec } = voucher
          const account = await readInferenceAccount(chain, { user, provider: self }, options)
          if (account && account.ceilingWei > 0n) inVoucherMode.add(user)
          if (account && account.ceilingWei >= ceilingWei) vouchers.drop(user, ceilingWei)
          const looks = account === undefined ? (absent.get(user) ?? 0) + 1 : 0
          if (looks === 0 || looks >= GONE_LOOKS) absent.delete(user)
          else absent.set(user, looks)
          if (looks >= GONE_LOOKS) vouchers.drop(user, ceilingWei)
          if (account === undefined || vouchers.find(user) === undefined) return []
          // Prices have risen above it: the contract takes it when they fall, or another one of its user.
          if (service !== undefined && !isPostable(voucher, service)) return []
          // The first voucher takes the pair out of open mode, so it never waits.
          if (account.ceilingWei === 0n) return [{ user, ceilingWei }]
          const owedWei = account.settledWei + receipts.unsettledWei(user)
          const isUrgent = isChanging || validUntilSec <= nowSec + spareSec
          const isOver = (sumWei: bigint) => sumWei > account.ceilingWei
          const isNeeded =
            (isSettling && isOver(owedWei)) ||
            (isUrgent && isOver(owedWei + admission.reservedWei(user))) ||
            (isChanging && vouchers.isWanted(user))
          return isNeeded ? [{ user, ceilingWei }] : []
        }),
      )
      return checked.flat()
    },

    id: ({ user, ceilingWei }) => `ceiling-${user}-${ceilingWei}`,

    async perform({ user, ceilingWei }, ctx) {
      const signed = ctx.vouchers.find(user)
      if (signed?.voucher.ceilingWei !== ceilingWei) return
      const receipt = await submit(ctx, {
        ...raiseCeilingCall(ctx.chain, signed),
        label: `ceiling-${user}-${ceilingWei}`,
        done: USELESS,
      })
      ctx.accounts.forget(user)
      ctx.vouchers.drop(user, ceilingWei)
      if (receipt === null)
        ctx.log.warn({ user, ceilingWei: String(ceilingWei) }, 'voucher is of no use on chain')
    },
  }
}

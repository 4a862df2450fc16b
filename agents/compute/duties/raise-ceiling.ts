import { readInferenceAccount } from '../../../sdk/chain/compute.ts'
import { raiseCeilingCall } from '../../../sdk/chain/compute-calls.ts'
import type { Duty } from '../../kernel/duty.ts'
import type { ComputeContext } from '../context.ts'
import { submit } from '../submit.ts'

/** A voucher is posted at the latest this long before it expires. */
const SAFETY_SEC = 600n
/** Reverts after which a voucher is of no use any more. */
const USELESS = ['CeilingNotRaised', 'SignatureExpired', 'SignatureInvalid', 'NotVoucherProvider']

type Ceiling = { user: string; ceilingWei: bigint }

/** Posts the newest voucher of each user whose fees pass what the chain allows, or whose voucher is about to expire. */
export const raiseCeiling: Duty<Ceiling, ComputeContext> = {
  name: 'raise-ceiling',
  local: true,

  async due(ctx) {
    const nowSec = BigInt(Math.floor(Date.now() / 1000))
    const options = { blockTag: ctx.head.number, signal: ctx.signal }
    const checked = await Promise.all(
      ctx.vouchers.all().map(async ({ voucher: { user, ceilingWei, validUntilSec } }) => {
        const account = await readInferenceAccount(ctx.chain, { user, provider: ctx.self }, options)
        if (account === undefined) return []
        if (account.ceilingWei >= ceilingWei) {
          ctx.vouchers.drop(user, ceilingWei)
          return []
        }
        // The first voucher takes the pair out of open mode, so it never waits.
        const owedWei = ctx.receipts.unsettledWei(user)
        const isNeeded = account.ceilingWei === 0n || account.settledWei + owedWei > account.ceilingWei
        return isNeeded || validUntilSec <= nowSec + SAFETY_SEC ? [{ user, ceilingWei }] : []
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

import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { ListedService } from './accounts.ts'
import type { ReceiptBook } from './receipt-book.ts'
import type { ReleaseBook } from './release-book.ts'
import type { Caller } from './session-check.ts'
import type { VoucherBook, VoucherService } from './voucher-book.ts'

/** Room for one request; `release` gives it back, once. */
export type Ticket = { release(): void }

/** Lets requests in that the account can pay and the machine can take. */
export type Admission = {
  /**
   * Sets `worstWei` of the account aside until the ticket is released.
   *
   * Errors: COMPUTE_BUSY, COMPUTE_BALANCE_TOO_LOW (meta: availableWei, neededWei).
   */
  enter(
    caller: Caller,
    request: { worstWei: bigint; service: ListedService; manifestRoot: string | undefined },
  ): Ticket
  /** What requests of the user that are under way may cost at most. */
  reservedWei(user: string): bigint
  /** Requests under way. */
  active(): number
}

export declare namespace createAdmission {
  type Options = {
    receipts: ReceiptBook
    vouchers: VoucherBook
    releases: Pick<ReleaseBook, 'heldWei'>
    maxRequests: number
    maxUserRequests: number
  }
}

export function createAdmission(options: createAdmission.Options): Admission {
  const { receipts, vouchers, releases, maxRequests, maxUserRequests } = options
  const users = new Map<string, { count: number; reservedWei: bigint }>()
  let active = 0

  function limitWei({ user, account }: Caller, service: VoucherService): bigint {
    const balanceWei = account.balanceWei - account.pendingRefundWei - releases.heldWei(user)
    const ceilingWei = vouchers.ceilingWei(user, account.ceilingWei, service)
    const roomWei =
      ceilingWei > 0n ? ceilingWei - account.settledWei : account.dailyCapWei - account.spentTodayWei
    return roomWei < balanceWei ? roomWei : balanceWei
  }

  return {
    active: () => active,

    reservedWei: (user) => users.get(user)?.reservedWei ?? 0n,

    enter(caller, { worstWei, service, manifestRoot }) {
      const { user, account } = caller
      if (
        service.inputPriceWei > account.maxInputPriceWei ||
        service.outputPriceWei > account.maxOutputPriceWei
      )
        throw new ZerogError(
          'COMPUTE_BALANCE_TOO_LOW',
          'the prices are above the maximum that the account has set',
          { meta: { inputPriceWei: service.inputPriceWei, outputPriceWei: service.outputPriceWei } },
        )
      if (active >= maxRequests) throw new ZerogError('COMPUTE_BUSY')
      const own = users.get(user) ?? { count: 0, reservedWei: 0n }
      if (own.count >= maxUserRequests)
        throw new ZerogError('COMPUTE_BUSY', `${maxUserRequests} requests of this account are under way`)
      const takenWei = receipts.unsettledWei(user) + own.reservedWei
      const wanted = { ...service, manifestRoot }
      const availableWei = limitWei(caller, wanted) - takenWei
      if (
        availableWei < worstWei &&
        limitWei(caller, { ...wanted, next: undefined }) - takenWei >= worstWei
      ) {
        vouchers.want(user)
        throw new ZerogError(
          'COMPUTE_BUSY',
          'prices are about to change: the ceiling is being posted, try again',
        )
      }
      if (availableWei < worstWei)
        throw new ZerogError(
          'COMPUTE_BALANCE_TOO_LOW',
          `insufficient balance: this request may cost ${worstWei} wei, the account has ${availableWei} wei left`,
          { meta: { availableWei, neededWei: worstWei } },
        )
      users.set(user, { count: own.count + 1, reservedWei: own.reservedWei + worstWei })
      active++
      let isReleased = false
      return {
        release() {
          if (isReleased) return
          isReleased = true
          active--
          const now = users.get(user)
          if (now === undefined || now.count <= 1) users.delete(user)
          else users.set(user, { count: now.count - 1, reservedWei: now.reservedWei - worstWei })
        },
      }
    },
  }
}

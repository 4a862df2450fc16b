import { readInferenceAccount } from '../chain/compute.ts'
import {
  depositFundCall,
  readLedger,
  readLedgerTerms,
  readSubAccounts,
  refundLedgerCall,
  retrieveFundCall,
  transferFundCall,
} from '../chain/ledger.ts'
import { read } from '../chain/read.ts'
import { sendCall } from '../chain/send.ts'
import { ZerogError } from '../protocol/errors.ts'
import type { Inference, InferenceBalances, Withdrawal } from './inference-api.ts'
import type { InferenceContext } from './inference-context.ts'
import { releaseFunds } from './release-funds.ts'
import type { SessionKeys } from './session-keys.ts'
import { committedWei } from './spending-book.ts'

type Money = Pick<Inference, 'fund' | 'withdraw' | 'balances'>

/** Providers of one `retrieveFund`. */
const RETRIEVE_BATCH = 20

/** A user's money: from the wallet to the ledger, to sub-accounts, and back. */
export function createInferenceMoney(context: InferenceContext, keys: SessionKeys): Money {
  const { chain, book } = context

  async function accountsOf(user: string, signal: AbortSignal | undefined) {
    const limits = signal === undefined ? {} : { signal }
    const accounts = await readSubAccounts(chain, user, limits)
    return accounts.filter(({ balanceWei, pendingRefundWei }) => balanceWei > 0n || pendingRefundWei > 0n)
  }

  return {
    async fund(amountWei, provider, signal) {
      if (amountWei <= 0n) throw new ZerogError('BAD_REQUEST', 'the amount is above 0')
      const limits = signal === undefined ? {} : { signal }
      const user = await context.user()
      const sender = await context.sender()
      const [ledger, terms] = await Promise.all([
        readLedger(chain, user, limits),
        readLedgerTerms(chain, limits),
      ])
      if (ledger === undefined && amountWei < terms.minAccountWei)
        throw new ZerogError('BAD_REQUEST', `a ledger is opened with ${terms.minAccountWei} wei at least`, {
          meta: { minAccountWei: terms.minAccountWei },
        })
      context.emit({ type: 'deposit', amountWei })
      await sendCall(sender, { ...depositFundCall(chain, amountWei), label: `deposit-${user}`, ...limits })
      if (provider === undefined) return
      context.emit({ type: 'top-up', provider, amountWei })
      const call = transferFundCall(chain, { provider, amountWei })
      await sendCall(sender, { ...call, label: `top-up-${provider}`, ...limits })
    },

    async withdraw({ provider, amountWei, signal } = {}): Promise<Withdrawal> {
      const limits = signal === undefined ? {} : { signal }
      const user = await context.user()
      const sender = await context.sender()
      const isMine = (other: string) =>
        provider === undefined || other.toLowerCase() === provider.toLowerCase()
      for (const account of (await accountsOf(user, signal)).filter((one) => isMine(one.provider))) {
        const released = await releaseFunds(context, { keys, provider: account.provider, signal })
        if (released)
          context.emit({ type: 'release', provider: account.provider, amountWei: released.amountWei })
      }
      const mine = (await accountsOf(user, signal)).filter((account) => isMine(account.provider))
      for (let i = 0; i < mine.length; i += RETRIEVE_BATCH) {
        const batch = mine.slice(i, i + RETRIEVE_BATCH).map((account) => account.provider)
        const call = retrieveFundCall(chain, batch)
        await sendCall(sender, { ...call, label: `retrieve-${user}-${i}`, ...limits })
      }
      const [ledger, terms, left] = await Promise.all([
        readLedger(chain, user, limits),
        readLedgerTerms(chain, limits),
        accountsOf(user, signal),
      ])
      const availableWei = ledger?.availableWei ?? 0n
      if (amountWei !== undefined && amountWei > availableWei)
        throw new ZerogError('INSUFFICIENT_FUNDS', 'the ledger has less than that free', {
          meta: { availableWei, amountWei },
        })
      const paidWei = amountWei ?? availableWei
      const restWei = availableWei - paidWei
      if (restWei > 0n && restWei < terms.minAccountWei)
        throw new ZerogError('BAD_REQUEST', `a ledger keeps ${terms.minAccountWei} wei, or nothing`, {
          meta: { availableWei, minAccountWei: terms.minAccountWei },
        })
      if (paidWei > 0n)
        await sendCall(sender, { ...refundLedgerCall(chain, paidWei), label: `pay-out-${user}`, ...limits })
      const refunds = left.filter((account) => isMine(account.provider)).flatMap((account) => account.refunds)
      const freeAt = refunds.map(({ freeAtSec }) => freeAtSec)
      return {
        paidWei,
        pendingWei: refunds.reduce((sum, refund) => sum + refund.amountWei, 0n),
        freeAtSec: freeAt.reduce<bigint | undefined>(
          (last, at) => (last === undefined || at > last ? at : last),
          undefined,
        ),
      }
    },

    async balances(signal): Promise<InferenceBalances> {
      const limits = signal === undefined ? {} : { signal }
      const user = await context.user()
      const [walletWei, ledger, accounts, records] = await Promise.all([
        read(chain.provider.getBalance(user), limits),
        readLedger(chain, user, limits),
        readSubAccounts(chain, user, limits),
        book.all(),
      ])
      return {
        walletWei,
        ledger,
        accounts: await Promise.all(
          accounts.map(async ({ provider, balanceWei, pendingRefundWei }) => {
            const account = await readInferenceAccount(chain, { user, provider }, limits)
            const record = records.get(provider)
            const settledWei = account?.settledWei ?? 0n
            const ceilingWei = account?.ceilingWei ?? 0n
            const spentWei = record?.spentWei ?? settledWei
            return {
              ...{ provider, balanceWei, pendingRefundWei, settledWei },
              ceilingWei:
                record !== undefined && record.ceilingWei > ceilingWei ? record.ceilingWei : ceilingWei,
              unsettledWei: spentWei > settledWei ? spentWei - settledWei : 0n,
            }
          }),
        ),
        committedWei: committedWei(records),
      }
    },
  }
}

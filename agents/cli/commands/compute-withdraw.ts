import { Command } from 'commander'
import {
  readLedger,
  readLedgerTerms,
  readSubAccounts,
  refundLedgerCall,
  retrieveFundCall,
  type SubAccountView,
} from '../../../sdk/chain/ledger.ts'
import { read } from '../../../sdk/chain/read.ts'
import { sendCall, signerSender } from '../../../sdk/chain/send.ts'
import { type ReleasedFunds, releaseFunds } from '../../../sdk/client/release-funds.ts'
import { createSessionKeys } from '../../../sdk/client/session-keys.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { parseAddress, parseAmount } from '../amount.ts'
import { type ComputeSession, withComputeSession } from '../compute-session.ts'
import { formatSeconds, formatWei } from '../format.ts'
import type { Output } from '../output.ts'
import { requireWallet } from '../session.ts'

type WithdrawOptions = { provider?: string; amount?: bigint; keep?: boolean }

/** Accounts that one transaction takes. */
const BATCH = 20

const HELP = `
Each provider is asked to release what it is not owed: that goes to your ledger at once, and from there to you. The rest, and all that
lies at a provider that does not answer, is asked back: it stays chargeable for a while, since requests may not be settled yet,
and the result says until when. Run it again after that time.`

/** `zerog compute withdraw`: money back from providers and from the ledger. */
export function withdrawFundsCommand(): Command {
  return new Command('withdraw')
    .description('get your coins back: at once what providers release, the rest after a lock that is said')
    .option('--provider <address>', 'only the account at this provider; all by default', parseAddress)
    .option('--amount <amount>', 'coins to take out of the ledger; all that is there by default', parseAmount)
    .option('--keep', 'leave what is free in the ledger')
    .addHelpText('after', HELP)
    .action(
      withComputeSession((session, output, _args: [], options: WithdrawOptions) =>
        withdraw(session, output, options),
      ),
    )
}

async function withdraw(session: ComputeSession, output: Output, options: WithdrawOptions): Promise<void> {
  const { chain, provider: rpc, signal } = session
  const wallet = requireWallet(session)
  const user = wallet.address
  const before = await readLedger(chain, user, { signal })
  if (before === undefined) throw new ZerogError('NOT_FOUND', `${user} has no money in compute`)
  const sender = await signerSender(chain, wallet)
  const transactions: string[] = []

  const now = await read(rpc.getBlock('latest'), { signal })
  const readMine = async () =>
    (await readSubAccounts(chain, user, { signal })).filter(
      ({ provider }) => options.provider === undefined || provider === options.provider,
    )
  const funded = await readMine()
  if (options.provider !== undefined && funded.length === 0)
    throw new ZerogError('NOT_FOUND', `${user} has no account at ${options.provider}`)
  const released: ReleasedFunds[] = []
  const parts = {
    ...{ chain, signer: wallet, options: { chain }, user: async () => user, sender: async () => sender },
    fetch: (input: string | URL | Request, init?: RequestInit) => fetch(input, init),
  }
  const keys = createSessionKeys(parts)
  for (const { provider, balanceWei } of funded) {
    const one = balanceWei === 0n ? undefined : await releaseFunds(parts, { keys, provider, signal })
    if (one !== undefined) released.push(one)
  }
  transactions.push(...released.map(({ transaction }) => transaction))
  const accounts = released.length === 0 ? funded : await readMine()
  const asked = accounts
    .filter((account) => hasWork(account, BigInt(now?.timestamp ?? 0)))
    .map(({ provider }) => provider)
  while (asked.length > 0) {
    const call = retrieveFundCall(chain, asked.splice(0, BATCH))
    transactions.push((await sendCall(sender, { ...call, label: 'compute retrieve', signal })).hash)
  }

  const [ledger, terms] = await Promise.all([
    readLedger(chain, user, { signal }),
    readLedgerTerms(chain, { signal }),
  ])
  const availableWei = ledger?.availableWei ?? 0n
  const paidWei = options.keep === true ? 0n : payableWei(availableWei, options.amount, terms.minAccountWei)
  if (paidWei > 0n) {
    const call = refundLedgerCall(chain, paidWei)
    transactions.push((await sendCall(sender, { ...call, label: 'compute refund', signal })).hash)
  }
  const [after, left, head] = await Promise.all([
    readSubAccounts(chain, user, { signal }),
    readLedger(chain, user, { signal }),
    read(rpc.getBlock('latest'), { signal }),
  ])
  const locked = after.filter(({ pendingRefundWei }) => pendingRefundWei > 0n).map(lockOf)
  const lockedWei = locked.reduce((sum, { amountWei }) => sum + amountWei, 0n)
  const freeAtSec = latest(locked.map(({ untilSec }) => untilSec))
  const nowSec = BigInt(head?.timestamp ?? 0)
  output.result(
    { paidWei, availableWei: left?.availableWei ?? 0n, released, lockedWei, freeAtSec, locked, transactions },
    [
      ...released.map(({ provider, amountWei }) => `released    ${formatWei(amountWei)} by ${provider}`),
      `paid out    ${formatWei(paidWei)}`,
      `ledger      ${formatWei(left?.availableWei ?? 0n)} available`,
      ...locked.map(
        ({ provider, amountWei, untilSec }) =>
          `locked      ${formatWei(amountWei)} at ${provider} until ${timeOf(untilSec)} ` +
          `(in ${formatSeconds(Number(untilSec - nowSec))}), and chargeable till then`,
      ),
      ...(locked.length === 0 ? [] : ['then again: zerog compute withdraw']),
    ],
  )
}

/** What may leave the ledger: what stays must be nothing or the minimum. Errors: BAD_REQUEST. */
function payableWei(availableWei: bigint, wantedWei: bigint | undefined, minAccountWei: bigint): bigint {
  if (wantedWei === undefined) return availableWei
  if (wantedWei > availableWei)
    throw new ZerogError('BAD_REQUEST', `only ${formatWei(availableWei)} is available in the ledger`)
  const leftWei = availableWei - wantedWei
  if (leftWei === 0n || leftWei >= minAccountWei) return wantedWei
  throw new ZerogError(
    'BAD_REQUEST',
    `${formatWei(leftWei)} would stay, and a ledger holds nothing or ${formatWei(minAccountWei)}: take all, or less`,
  )
}

/** Whether there is anything to ask back or to take: what is locked already only waits. */
function hasWork({ balanceWei, pendingRefundWei, refunds }: SubAccountView, nowSec: bigint): boolean {
  return balanceWei > pendingRefundWei || refunds.some(({ freeAtSec }) => freeAtSec <= nowSec)
}

/** All that is locked of an account, and when the last of it is free. */
function lockOf({ provider, refunds, pendingRefundWei }: SubAccountView) {
  const untilSec = latest(refunds.map(({ freeAtSec }) => freeAtSec))
  return { provider, amountWei: pendingRefundWei, untilSec, refunds }
}

function latest(times: readonly bigint[]): bigint {
  return times.toSorted((a, b) => (a < b ? -1 : 1)).at(-1) ?? 0n
}

function timeOf(second: bigint): string {
  return new Date(Number(second) * 1000).toISOString().replace(/\.000Z$/, 'Z')
}

import { Command } from 'commander'
import { readInferenceAccount, readService } from '../../../sdk/chain/compute.ts'
import {
  depositFundCall,
  readLedger,
  readLedgerTerms,
  readSubAccounts,
  transferFundCall,
} from '../../../sdk/chain/ledger.ts'
import { sendCall, signerSender } from '../../../sdk/chain/send.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { parseAddress, parseAmount } from '../amount.ts'
import { type ComputeSession, withComputeSession } from '../compute-session.ts'
import { formatTable, formatWei } from '../format.ts'
import type { Output } from '../output.ts'
import { requireWallet } from '../session.ts'

const HELP = `
Money goes from your ledger to an account at the provider; what the ledger lacks is deposited first. Without arguments it
shows what lies where. To get it back: zerog compute withdraw.`

/** `zerog compute fund [PROVIDER AMOUNT]`: money for requests. */
export function fundCommand(): Command {
  return new Command('fund')
    .description('put coins into your account at a provider; without arguments, show what lies where')
    .argument('[provider]', 'provider, as `zerog compute services` lists it', parseAddress)
    .argument('[amount]', 'coins, such as 0.5', parseAmount)
    .addHelpText('after', HELP)
    .action(
      withComputeSession((session, output, [provider, amountWei]: [string?, bigint?]) => {
        if (provider === undefined) return showFunds(session, output)
        if (amountWei === undefined)
          throw new ZerogError('BAD_REQUEST', 'how much? zerog compute fund PROVIDER AMOUNT')
        return fund(session, output, { provider, amountWei })
      }),
    )
}

async function fund(
  session: ComputeSession,
  output: Output,
  { provider, amountWei }: { provider: string; amountWei: bigint },
): Promise<void> {
  const { chain, signal } = session
  const wallet = requireWallet(session)
  const user = wallet.address
  const [service, ledger, account, terms] = await Promise.all([
    readService(chain, provider, { signal }),
    readLedger(chain, user, { signal }),
    readInferenceAccount(chain, { user, provider }, { signal }),
    readLedgerTerms(chain, { signal }),
  ])
  if (service === undefined)
    throw new ZerogError('NOT_FOUND', `${provider} lists no service: see zerog compute services`)
  if (amountWei === 0n) throw new ZerogError('BAD_REQUEST', 'the amount must be above 0')
  if (account === undefined && amountWei < terms.minTransferWei)
    throw new ZerogError('BAD_REQUEST', `a new account takes ${formatWei(terms.minTransferWei)} at least`)

  // What was asked back and is still there comes first: it needs no money of the ledger.
  const pendingWei = account?.pendingRefundWei ?? 0n
  const neededWei = amountWei > pendingWei ? amountWei - pendingWei : 0n
  const availableWei = ledger?.availableWei ?? 0n
  const lackingWei = neededWei > availableWei ? neededWei - availableWei : 0n
  const opensLedger = ledger === undefined && lackingWei > 0n
  const depositWei = opensLedger && lackingWei < terms.minAccountWei ? terms.minAccountWei : lackingWei

  const sender = await signerSender(chain, wallet)
  const sent: { step: string; transaction: string }[] = []
  if (depositWei > 0n) {
    const call = depositFundCall(chain, depositWei)
    const { hash } = await sendCall(sender, { ...call, label: 'compute deposit', signal })
    sent.push({ step: 'deposited', transaction: hash })
    output.note(`deposited   ${formatWei(depositWei)}: ${hash}`)
  }
  const call = transferFundCall(chain, { provider, amountWei })
  const { hash } = await sendCall(sender, { ...call, label: 'compute fund', signal })
  sent.push({ step: 'transferred', transaction: hash })
  const [after, left] = await Promise.all([
    readInferenceAccount(chain, { user, provider }, { signal }),
    readLedger(chain, user, { signal }),
  ])
  const spendableWei = (after?.balanceWei ?? 0n) - (after?.pendingRefundWei ?? 0n)
  output.result(
    { provider, amountWei, depositWei, spendableWei, availableWei: left?.availableWei ?? 0n, sent },
    [
      `transferred ${formatWei(amountWei)}: ${hash}`,
      `account     ${formatWei(spendableWei)} at ${provider} for ${service.model}`,
      `ledger      ${formatWei(left?.availableWei ?? 0n)} available`,
    ],
  )
}

async function showFunds(session: ComputeSession, output: Output): Promise<void> {
  const { chain, signal } = session
  const user = requireWallet(session).address
  const [ledger, accounts] = await Promise.all([
    readLedger(chain, user, { signal }),
    readSubAccounts(chain, user, { signal }),
  ])
  output.result({ user, ledger, accounts }, [
    ledger === undefined
      ? `${user} has no ledger yet: zerog compute fund PROVIDER AMOUNT`
      : `ledger ${formatWei(ledger.availableWei)} available of ${formatWei(ledger.totalWei)}`,
    ...(accounts.length === 0
      ? []
      : [
          '',
          ...formatTable(
            ['provider', 'to spend', 'asked back'],
            accounts.map(({ provider, balanceWei, pendingRefundWei }) => [
              provider,
              formatWei(balanceWei - pendingRefundWei),
              formatWei(pendingRefundWei),
            ]),
          ),
        ]),
  ])
}

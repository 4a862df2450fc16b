import { Command } from 'commander'
import type { ChainCall } from '../../../sdk/chain/chain-call.ts'
import { claimBlobCall, refundBlobCall, withdrawDaCall } from '../../../sdk/chain/da-calls.ts'
import { sendCall, signerSender } from '../../../sdk/chain/send.ts'
import { parseAddress, parseBlobId } from '../amount.ts'
import { type DaSession, withDaSession } from '../da-session.ts'
import type { Output } from '../output.ts'
import { requireWallet } from '../session.ts'
import { committeeCommand } from './da-committee.ts'
import { publishCommand } from './da-publish.ts'
import { readCommand } from './da-read.ts'
import { sampleCommand } from './da-sample.ts'
import { daStatusCommand } from './da-status.ts'

/** `zerog da …`: blobs whose availability a staked committee attests. */
export function daCommand(): Command {
  const da = new Command('da').description('publish data, make sure that it is available, read it back')
  da.addCommand(publishCommand())
  da.addCommand(readCommand())
  da.addCommand(sampleCommand())
  da.addCommand(daStatusCommand())
  da.addCommand(committeeCommand())
  da.command('refund')
    .description('return the fee of a blob that was not confirmed in time to its payer, less a share')
    .argument('<blobId>', 'id of the blob', parseBlobId)
    .action(
      withDaSession((session, output, [blobId]: [string]) =>
        send(session, output, { done: 'refunded', call: refundBlobCall(session.chain, blobId) }),
      ),
    )
  da.command('claim')
    .description('share the fee of an expired blob among those who kept it; running agents do it')
    .argument('<blobId>', 'id of the blob', parseBlobId)
    .action(
      withDaSession((session, output, [blobId]: [string]) =>
        send(session, output, { done: 'claimed', call: claimBlobCall(session.chain, blobId) }),
      ),
    )
  da.command('withdraw')
    .description('send what data availability owes you: refunds, pay, what was paid too much')
    .option('--to <address>', 'receiver; yourself by default', parseAddress)
    .action(
      withDaSession((session, output, _args: [], { to }: { to?: string }) => {
        const receiver = to ?? requireWallet(session).address
        return send(session, output, { done: 'withdrawn', call: withdrawDaCall(session.chain, receiver) })
      }),
    )
  return da
}

async function send(
  session: DaSession,
  output: Output,
  { done, call }: { done: string; call: ChainCall },
): Promise<void> {
  const sender = await signerSender(session.chain, requireWallet(session))
  const receipt = await sendCall(sender, { ...call, label: `da ${done}`, signal: session.signal })
  output.result({ done, transaction: receipt.hash }, [`${done}: ${receipt.hash}`])
}

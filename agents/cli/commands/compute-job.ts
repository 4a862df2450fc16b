import { Command } from 'commander'
import { ZeroAddress, ZeroHash } from 'ethers'
import type { ChainCall } from '../../../sdk/chain/chain-call.ts'
import {
  acceptJobCall,
  cancelJobCall,
  disputeJobCall,
  withdrawJobCreditCall,
} from '../../../sdk/chain/job-calls.ts'
import { type JobView, readJob, readJobCount, readJobCredit } from '../../../sdk/chain/jobs.ts'
import { sendCall, signerSender } from '../../../sdk/chain/send.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { parseAddress, parseFileId, parseNumber } from '../amount.ts'
import { type ComputeSession, withComputeSession } from '../compute-session.ts'
import { formatTable, formatWei, shortHex } from '../format.ts'
import type { Output } from '../output.ts'
import { requireWallet } from '../session.ts'
import { submitJobCommand } from './compute-job-submit.ts'
import { waitJobCommand } from './compute-job-wait.ts'

/** How many jobs of the whole network are looked through for one's own, from the newest. */
const LOOK_BACK = 128n

/** `zerog compute job …`: many requests as one, paid from escrow. */
export function jobCommand(): Command {
  const job = new Command('job').description('batches of requests, answered as one job and paid from escrow')
  job.addCommand(submitJobCommand())
  job
    .command('status')
    .description('state of a job, or your newest jobs')
    .argument('[job]', 'number of the job', parseNumber('job'))
    .action(
      withComputeSession((session, output, [jobId]: [bigint?]) =>
        jobId === undefined ? showOwn(session, output) : showJob(session, output, jobId),
      ),
    )
  job.addCommand(waitJobCommand())
  job
    .command('accept')
    .description('accept the output of a job without looking at it; `wait` looks')
    .argument('<job>', 'number of the job', parseNumber('job'))
    .action(
      withComputeSession(async (session, output, [jobId]: [bigint]) => {
        const { outputRoot } = await existing(session, jobId)
        await send(session, output, 'accepted', acceptJobCall(session.chain, { jobId, outputRoot }))
      }),
    )
  job
    .command('dispute')
    .description('dispute the output of a job before its arbiter, with your bond at stake')
    .argument('<job>', 'number of the job', parseNumber('job'))
    .option('--evidence <root>', 'root in storage of what the arbiter shall see', parseFileId)
    .action(
      withComputeSession(
        async (session, output, [jobId]: [bigint], { evidence }: { evidence?: { root?: string } }) => {
          await existing(session, jobId)
          const evidenceRoot = evidence?.root ?? ZeroHash
          await send(session, output, 'disputed', disputeJobCall(session.chain, { jobId, evidenceRoot }))
        },
      ),
    )
  job
    .command('cancel')
    .description('take back a job that nobody has taken')
    .argument('<job>', 'number of the job', parseNumber('job'))
    .action(
      withComputeSession(async (session, output, [jobId]: [bigint]) => {
        await existing(session, jobId)
        await send(session, output, 'cancelled', cancelJobCall(session.chain, jobId))
      }),
    )
  job
    .command('withdraw')
    .description('send what the escrow owes you: prices, bonds')
    .option('--to <address>', 'receiver; yourself by default', parseAddress)
    .action(
      withComputeSession((session, output, _args: [], { to }: { to?: string }) => {
        const call = withdrawJobCreditCall(session.chain, to ?? requireWallet(session).address)
        return send(session, output, 'withdrawn', call)
      }),
    )
  return job
}

/** Errors: JOB_UNKNOWN. */
async function existing({ chain, signal }: ComputeSession, jobId: bigint): Promise<JobView> {
  const job = await readJob(chain, jobId, { signal })
  if (job !== undefined) return job
  throw new ZerogError('JOB_UNKNOWN', `there is no job ${jobId}`)
}

async function showJob(session: ComputeSession, output: Output, jobId: bigint): Promise<void> {
  const job = await existing(session, jobId)
  const { state, client, provider, priceWei, bondWei, terms, untilSec, outputRoot, outputUnits } = job
  output.result({ ...job }, [
    `job       ${jobId}, ${state.toUpperCase()}`,
    `client    ${client}`,
    `provider  ${provider === ZeroAddress ? 'nobody yet' : provider}`,
    `price     ${formatWei(priceWei)} of ${formatWei(terms.maxPriceWei)}; bonds of ${formatWei(bondWei)}`,
    `input     ${terms.inputRoot}, ${terms.inputUnits} units`,
    `deadline  ${timeOf(terms.deadlineSec)}`,
    ...(untilSec === 0n || untilSec === terms.deadlineSec ? [] : [`window    until ${timeOf(untilSec)}`]),
    ...(outputRoot === ZeroHash ? [] : [`output    ${outputRoot}, ${outputUnits} units`]),
  ])
}

async function showOwn(session: ComputeSession, output: Output): Promise<void> {
  const { chain, signal } = session
  const { address } = requireWallet(session)
  const count = await readJobCount(chain, { signal })
  const ids = Array.from(
    { length: Number(count < LOOK_BACK ? count : LOOK_BACK) },
    (_, i) => count - BigInt(i),
  )
  const [creditWei, found] = await Promise.all([
    readJobCredit(chain, address, { signal }),
    Promise.all(ids.map((jobId) => readJob(chain, jobId, { signal }))),
  ])
  const jobs = found
    .filter((job) => job !== undefined)
    .filter((job) => [job.client, job.provider].includes(address))
  output.result({ creditWei, jobs }, [
    ...formatTable(
      ['job', 'state', 'price', 'client', 'provider', 'deadline'],
      jobs.map(({ jobId, state, priceWei, client, provider, terms }) => [
        String(jobId),
        state,
        formatWei(priceWei),
        shortHex(client),
        provider === ZeroAddress ? '-' : shortHex(provider),
        timeOf(terms.deadlineSec),
      ]),
    ),
    ...(creditWei === 0n ? [] : [`${formatWei(creditWei)} owed to you: zerog compute job withdraw`]),
  ])
}

async function send(session: ComputeSession, output: Output, done: string, call: ChainCall): Promise<void> {
  const sender = await signerSender(session.chain, requireWallet(session))
  const receipt = await sendCall(sender, { ...call, label: `job ${done}`, signal: session.signal })
  output.result({ done, transaction: receipt.hash }, [`${done}: ${receipt.hash}`])
}

function timeOf(second: bigint): string {
  return new Date(Number(second) * 1000).toISOString().replace(/\.000Z$/, 'Z')
}

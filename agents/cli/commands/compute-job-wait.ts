import { existsSync, writeFileSync } from 'node:fs'
import { Command } from 'commander'
import { nodeTransport } from '../../../sdk/client/http-node.ts'
import { waitJob } from '../../../sdk/client/wait-job.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { formatJobAnswer } from '../../../sdk/protocol/job-input.ts'
import { parseCount, parseNumber } from '../amount.ts'
import { type ComputeSession, withComputeSession } from '../compute-session.ts'
import { formatWei } from '../format.ts'
import type { Output } from '../output.ts'
import { requireWallet } from '../session.ts'

type WaitOptions = { output?: string; force?: boolean; lines?: number }

const HELP = `
The output is held against what was agreed: sealed in storage, of this job, model and input, a line for each request. If it is,
it is accepted and the provider paid; if not, it is disputed. A job that is late is closed. What the escrow owes you comes back to
your wallet. It may be repeated at any time.`

/** `zerog compute job wait JOB`: until it is over, with its answers. */
export function waitJobCommand(): Command {
  return new Command('wait')
    .description('wait for a job, verify its output, accept or dispute it, take what is owed')
    .argument('<job>', 'number of the job', parseNumber('job'))
    .option('--output <file>', 'where the answers go, a line each; standard output by default')
    .option('--force', 'replace an existing file')
    .option('--lines <count>', 'requests that it must answer', parseCount('--lines', 1, 1_000_000))
    .addHelpText('after', HELP)
    .action(
      withComputeSession((session, output, [jobId]: [bigint], options: WaitOptions) =>
        wait(session, output, { jobId, options }),
      ),
    )
}

async function wait(
  session: ComputeSession,
  output: Output,
  { jobId, options }: { jobId: bigint; options: WaitOptions },
): Promise<void> {
  const { chain, signal } = session
  const signer = requireWallet(session)
  const { output: file, force, lines } = options
  if (file !== undefined && force !== true && existsSync(file))
    throw new ZerogError('FILE_EXISTS', `${file} exists; --force replaces it`)
  const result = await waitJob({
    ...{ chain, jobId, signer, signal, lines },
    transport: nodeTransport,
    onState: (state, { provider }) => {
      output.note(`${state}${state === 'assigned' ? ` to ${provider}` : ''}`)
    },
  })
  const { answers, priceWei, provider, creditWei, outputRoot } = result
  const text = answers.map(formatJobAnswer).join('')
  if (file !== undefined) writeFileSync(file, text, { flush: true })
  const failed = answers.filter(({ result }) => !result.ok).length
  output.note(`done by   ${provider}: ${answers.length} answers, ${failed} of them errors`)
  output.note(`paid      ${formatWei(priceWei)}; back to you ${formatWei(creditWei)}`)
  output.note(`output    ${outputRoot}`)
  output.result({ ...result, ...(file === undefined ? {} : { answers: undefined, file }), failed }, [
    file === undefined ? text.trimEnd() : file,
  ])
}

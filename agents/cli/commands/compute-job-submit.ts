import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { nodeTransport } from '../../../sdk/client/http-node.ts'
import { folderStateStore } from '../../../sdk/client/state-store-node.ts'
import { type SubmitJobProgress, submitJob } from '../../../sdk/client/submit-job.ts'
import { isZerogError, ZerogError } from '../../../sdk/protocol/errors.ts'
import { type JobRequest, parseJobRequest } from '../../../sdk/protocol/job-input.ts'
import { parseAddress, parseAmount, parseFileId, parseNumber } from '../amount.ts'
import { type ComputeSession, withComputeSession } from '../compute-session.ts'
import { formatWei } from '../format.ts'
import type { Output } from '../output.ts'
import { requireWallet } from '../session.ts'

type SubmitOptions = {
  model: string
  modelRoot?: string
  provider?: string
  maxPrice?: bigint
  duration?: bigint
  bidWindow?: bigint
  maxUnits?: bigint
  arbiter?: string
  name?: string
}

const HELP = `
FILE has a request a line, as OpenAI's batches: {"custom_id": "a", "url": "/v1/chat/completions", "body": {…}}; also
/v1/completions, /v1/embeddings and /v1/infer. It is stored, and the price with your bond goes into escrow. Repeat it after any
failure: what an earlier attempt opened is found. The same file again as another job: --name. Then: zerog compute job wait JOB`

/** `zerog compute job submit FILE`: many requests as one job. */
export function submitJobCommand(): Command {
  return new Command('submit')
    .description('have a file of requests answered as one job; repeat it after any failure: it pays once')
    .argument('<file>', 'requests, one JSON object a line')
    .requiredOption('--model <id>', 'model that answers them')
    .option(
      '--model-root <root>',
      "its manifest's root; the registry's or the provider's by default",
      parseRoot,
    )
    .option('--provider <address>', 'who does it; the cheapest bid by default', parseAddress)
    .option('--max-price <amount>', 'most that it may cost; needed without --provider', parseAmount)
    .option(
      '--duration <seconds>',
      'time until it must be delivered; 3600 by default',
      parseNumber('--duration'),
    )
    .option(
      '--bid-window <seconds>',
      'time in which a cheaper bid replaces another',
      parseNumber('--bid-window'),
    )
    .option('--max-units <count>', 'units that the answers may use', parseNumber('--max-units'))
    .option('--arbiter <address>', "who decides a dispute; the deployment's by default", parseAddress)
    .option('--name <text>', 'tells jobs with the same requests apart')
    .addHelpText('after', HELP)
    .action(
      withComputeSession((session, output, [file]: [string], options: SubmitOptions) =>
        submit(session, output, file, options),
      ),
    )
}

function parseRoot(text: string): string {
  const id = parseFileId(text)
  if ('root' in id) return id.root
  throw new ZerogError('BAD_HEX', `"${text}" is not a root: 0x and 64 hex digits`)
}

async function submit(
  session: ComputeSession,
  output: Output,
  file: string,
  options: SubmitOptions,
): Promise<void> {
  const { chain, signal } = session
  const signer = requireWallet(session)
  const requests = await readRequests(file)
  const { model, modelRoot, provider, maxPrice, duration, bidWindow, maxUnits, arbiter, name } = options
  const { jobId, terms, bondWei, resumed } = await submitJob({
    ...{ chain, signer, requests, model, signal },
    stateStore: folderStateStore(join(homedir(), '.zerog', 'jobs', String(chain.chainId))),
    transport: nodeTransport,
    onProgress: progressNotes(output),
    ...(modelRoot === undefined ? {} : { modelRoot }),
    ...(provider === undefined ? {} : { provider }),
    ...(maxPrice === undefined ? {} : { maxPriceWei: maxPrice }),
    ...(duration === undefined ? {} : { durationSec: duration }),
    ...(bidWindow === undefined ? {} : { bidWindowSec: bidWindow }),
    ...(maxUnits === undefined ? {} : { maxUnits }),
    ...(arbiter === undefined ? {} : { arbiter }),
    ...(name === undefined ? {} : { name }),
  })
  output.result({ jobId, terms, bondWei, resumed, requests: requests.length }, [
    `job       ${jobId}${resumed ? ' (opened by an earlier attempt)' : ''}`,
    `requests  ${requests.length} for ${model}`,
    `escrow    ${formatWei(terms.maxPriceWei)} at most, and a bond of ${formatWei(bondWei)}, back when it is over`,
    `deadline  ${new Date(Number(terms.deadlineSec) * 1000).toISOString()}`,
    `then      zerog compute job wait ${jobId} --output answers.jsonl`,
  ])
}

/** Errors: FILE_MISSING; BAD_REQUEST with the number of the line. */
async function readRequests(file: string): Promise<JobRequest[]> {
  const text = await readFile(file, 'utf8').catch((cause) => {
    throw new ZerogError('FILE_MISSING', `${file} cannot be read`, { cause })
  })
  const lines = text.split('\n').map((line, i) => ({ line: line.trim(), number: i + 1 }))
  const requests = lines
    .filter(({ line }) => line !== '')
    .map(({ line, number }) => {
      try {
        return parseJobRequest(line)
      } catch (error) {
        if (!isZerogError(error)) throw error
        throw new ZerogError('BAD_REQUEST', `${file}, line ${number}: ${error.message}`, { cause: error })
      }
    })
  if (requests.length === 0) throw new ZerogError('BAD_REQUEST', `${file} holds no request`)
  return requests
}

function progressNotes(output: Output): (progress: SubmitJobProgress) => void {
  let isStoring = false
  return (progress) => {
    if (progress.stage === 'open') output.note('opening the job')
    else if (!isStoring) output.note('storing the requests')
    isStoring = progress.stage === 'store'
  }
}

import type { JobView } from '../../sdk/chain/jobs.ts'
import { BATCH_INFERENCE, MAX_JOB_LINES } from '../../sdk/protocol/job-input.ts'
import { JOB_HEADER_BYTES, jobKind } from '../../sdk/protocol/job-output.ts'
import { modelHash } from '../../sdk/protocol/receipt.ts'
import type { ComputeContext } from './context.ts'
import { jobFiles } from './job-files.ts'
import { fullAnswer, readLine, splitLines } from './job-line.ts'

/** Why the terms of a job do not suit this provider, whatever its input is; undefined when they do. */
export function termsFault(
  { config, runtime, self }: ComputeContext,
  { job, nowSec, arbiters }: { job: JobView; nowSec: bigint; arbiters: readonly string[] },
): string | undefined {
  const { terms } = job
  const startSec = job.bidsUntilSec > nowSec ? job.bidsUntilSec : nowSec
  if (job.client === self) return 'the job is our own'
  if (terms.kind !== jobKind(BATCH_INFERENCE)) return 'the kind of work is not known here'
  if (terms.modelHash !== modelHash(config.MODEL_ID)) return 'another model is asked for'
  if (terms.modelRoot !== runtime.current().folder.manifestRoot) return 'the model has another root here'
  if (!arbiters.includes(job.arbiter)) return `the arbiter ${job.arbiter} is not among those trusted here`
  if (terms.deadlineSec < startSec + BigInt(config.JOB_MIN_WORK_SEC)) return 'the deadline is too near'
  if (job.bondWei > config.JOB_MAX_BOND_WEI)
    return `the bond of ${job.bondWei} wei is more than is risked here`
  if (terms.minStoragePeriods > config.JOB_MAX_STORAGE_PERIODS)
    return 'the output must be stored for too long'
  return undefined
}

/**
 * Fetches the input of a job and says why it cannot be done for what it pays; undefined when it can. Errors: those of
 * the download; COMPUTE_UNAVAILABLE.
 */
export async function inputFault(
  ctx: ComputeContext,
  { jobId, terms, openedAtSec }: JobView,
  signal: AbortSignal,
): Promise<string | undefined> {
  const lines = splitLines(await jobFiles(ctx, jobId).input(terms.inputRoot, signal))
  if (lines.length > MAX_JOB_LINES) return 'the input has too many lines'
  let inputUnits = 0
  let sureUnits = 0
  let leastBytes = JOB_HEADER_BYTES
  for (const [i, text] of lines.entries()) {
    const line = readLine(ctx, { jobId, createdSec: Number(openedAtSec) }, text, i)
    inputUnits += line.inputUnits
    sureUnits += line.sureUnits
    leastBytes += Buffer.byteLength(fullAnswer(line))
  }
  if (BigInt(inputUnits) > terms.inputUnits)
    return `the input has ${inputUnits} units, the price is for ${terms.inputUnits}`
  if (BigInt(sureUnits) < terms.minUnits)
    return `the output has ${sureUnits} units for certain, at least ${terms.minUnits} are asked for`
  if (BigInt(leastBytes) > terms.maxOutputBytes)
    return `the output may need ${leastBytes} bytes, ${terms.maxOutputBytes} are allowed`
  return undefined
}

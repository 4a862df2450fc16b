import type { JobView } from '../../sdk/chain/jobs.ts'
import { readPrice } from '../../sdk/chain/storage.ts'
import { quoteFile } from '../../sdk/client/price.ts'
import { BATCH_INFERENCE, MAX_JOB_LINES } from '../../sdk/protocol/job-input.ts'
import { JOB_HEADER_BYTES, jobKind } from '../../sdk/protocol/job-output.ts'
import { modelHash } from '../../sdk/protocol/receipt.ts'
import { createBreather } from './breather.ts'
import type { ComputeContext } from './context.ts'
import { jobFiles } from './job-files.ts'
import { fullAnswer, readLine, splitLines } from './job-line.ts'
import { outputTerm } from './store-output.ts'

/** The part of the time that the work may fill; storing and delivering take some, and machines are busy. */
export const WORK_SHARE = 0.7
/** Bytes of output that a unit may take, over what every line takes. */
const UNIT_BYTES = 64

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
  { job, priceWei, nowSec }: { job: JobView; priceWei: bigint; nowSec: bigint },
  signal: AbortSignal,
): Promise<string | undefined> {
  const { jobId, terms, openedAtSec, bidsUntilSec } = job
  const lines = splitLines(await jobFiles(ctx, jobId).input(terms.inputRoot, signal))
  if (lines.length > MAX_JOB_LINES) return 'the input has too many lines'
  let inputUnits = 0
  let sureUnits = 0
  let mostUnits = 0
  let leastBytes = JOB_HEADER_BYTES
  const rest = createBreather()
  for (const [i, text] of lines.entries()) {
    await rest(signal)
    const line = readLine(ctx, { jobId, createdSec: Number(openedAtSec) }, text, i)
    inputUnits += line.inputUnits
    sureUnits += line.sureUnits
    mostUnits += line.mostUnits
    leastBytes += Buffer.byteLength(fullAnswer(line))
  }
  if (BigInt(inputUnits) > terms.inputUnits)
    return `the input has ${inputUnits} units, the price is for ${terms.inputUnits}`
  if (BigInt(sureUnits) < terms.minUnits)
    return `the output has ${sureUnits} units for certain, at least ${terms.minUnits} are asked for`
  if (BigInt(leastBytes) > terms.maxOutputBytes)
    return `the output may need ${leastBytes} bytes, ${terms.maxOutputBytes} are allowed`
  const startSec = bidsUntilSec > nowSec ? bidsUntilSec : nowSec
  const needSec = Math.ceil(
    (inputUnits + Math.min(mostUnits, Number(terms.maxUnits))) / ctx.config.JOB_UNITS_PER_SEC,
  )
  if (needSec > Number(terms.deadlineSec - startSec) * WORK_SHARE)
    return `the work may take ${needSec} s, which is too much of the time until the deadline`
  const bytes = Math.min(Number(terms.maxOutputBytes), leastBytes + UNIT_BYTES * mostUnits)
  const costWei = await storingWei(ctx, bytes, terms.minStoragePeriods, signal)
  if (costWei > priceWei + ctx.config.JOB_MAX_LOSS_WEI)
    return `storing the output may cost ${costWei} wei, the job pays ${priceWei}`
  return undefined
}

/** What storing an output of this length costs us; it is no part of the price. */
async function storingWei(
  { chain, head }: ComputeContext,
  byteLength: number,
  minPeriods: bigint,
  signal: AbortSignal,
): Promise<bigint> {
  const { perSectorPeriodWei } = await readPrice(chain, { signal })
  const termPeriods = outputTerm(chain, minPeriods)
  const { feeWei, topUpWei } = quoteFile(chain.terms, {
    ...{ byteLength, perSectorPeriodWei, atBlock: BigInt(head.number) },
    ...(termPeriods === undefined ? {} : { termPeriods }),
  })
  return feeWei + topUpWei
}

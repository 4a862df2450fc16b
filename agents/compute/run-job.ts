import { setTimeout as delay } from 'node:timers/promises'
import type { JobView } from '../../sdk/chain/jobs.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { formatJobAnswer } from '../../sdk/protocol/job-input.ts'
import { JOB_HEADER_BYTES, jobOutputKey, wrapJobOutput } from '../../sdk/protocol/job-output.ts'
import { createBreather } from './breather.ts'
import type { ComputeContext } from './context.ts'
import { WORK_SHARE } from './examine-job.ts'
import { jobFiles } from './job-files.ts'
import { errorAnswer, fullAnswer, isOurs, type JobLine, readLine, splitLines } from './job-line.ts'

/** How long a job waits for a model that ended under it. */
const MODEL_WAIT_MS = 60_000
const POLL_MS = 50
/** Lines that are passed over at once when the time is over. */
const UNANSWERED_LINES = 4096

type Answered = { readonly text: string; readonly units: number; readonly isError: boolean }

/**
 * Answers all lines of a job, batch by batch, and writes the output. Each batch is durable before the next one begins, so
 * that a process that is killed goes on where it was.
 *
 * Errors: COMPUTE_UNAVAILABLE while the job's model does not run here; those of the download; ABORTED.
 */
export async function runJob(ctx: ComputeContext, job: JobView, signal: AbortSignal): Promise<void> {
  const { jobId, terms } = job
  const files = jobFiles(ctx, jobId)
  const input = await files.input(terms.inputRoot, signal)
  ctx.jobs.begin(jobId)
  const lines = splitLines(input)
  const origin = { jobId, createdSec: Number(job.openedAtSec) }
  const read = (index: number) => readLine(ctx, origin, lines[index] ?? '', index)
  const maxBytes = Number(terms.maxOutputBytes) - JOB_HEADER_BYTES
  const maxUnits = Number(terms.maxUnits)

  let done = ctx.jobs.work(jobId) ?? { lines: 0, bytes: 0, units: 0, errors: 0 }
  // What the lines that are not answered yet take at least.
  let keptBytes = 0
  const rest = createBreather()
  for (let i = done.lines; i < lines.length; i++) {
    await rest(signal)
    keptBytes += Buffer.byteLength(fullAnswer(read(i)))
  }
  // Late is worth nothing: what is not answered by then is delivered as such.
  const leftSec = Number(job.untilSec) - ctx.head.timestampSec
  const stopMs = performance.now() + leftSec * 1000 * WORK_SHARE

  while (done.lines < lines.length) {
    signal.throwIfAborted()
    checkModelRoot(ctx, job)
    const isOver = performance.now() > stopMs
    const batch = takeBatch({
      ...{ from: done.lines, until: lines.length, read },
      most: isOver ? UNANSWERED_LINES : ctx.config.MAX_SEQUENCES,
      unitsLeft: isOver ? Number.POSITIVE_INFINITY : maxUnits - done.units,
    })
    const answers = isOver ? batch.map(unanswered) : await answerBatch(ctx, { batch, read, signal })
    let text = ''
    let { bytes, units, errors } = done
    for (const [i, answer] of answers.entries()) {
      const { line } = batch[i] ?? {}
      if (line === undefined) continue
      const full = fullAnswer(line)
      keptBytes -= Buffer.byteLength(full)
      const fits = bytes + Buffer.byteLength(answer.text) + keptBytes <= maxBytes
      const written = fits ? answer.text : full
      text += written
      bytes += Buffer.byteLength(written)
      units += answer.units
      errors += fits && !answer.isError ? 0 : 1
    }
    await files.append(done.bytes, text)
    done = { lines: done.lines + batch.length, bytes, units, errors }
    ctx.jobs.advance(jobId, done)
    ctx.crashPoint('job-batch')
  }

  const { modelRoot, inputRoot, kind } = terms
  const escrow = ctx.chain.compute.addresses.JobEscrow
  const key = jobOutputKey({ chainId: ctx.chainId, escrow, jobId, provider: ctx.self })
  const body = (await files.body()).subarray(0, done.bytes)
  await files.writeOutput(wrapJobOutput({ key, modelRoot, inputRoot, kind, units: BigInt(done.units) }, body))
  ctx.jobs.produced(jobId)
  ctx.log.info({ jobId: String(jobId), ...done }, 'job done')
  ctx.crashPoint('job-produced')
}

/** Throws COMPUTE_UNAVAILABLE unless the model of the job is the one that runs. */
function checkModelRoot({ runtime }: ComputeContext, { terms }: Pick<JobView, 'terms'>): void {
  if (runtime.current().folder.manifestRoot === terms.modelRoot) return
  throw new ZerogError('COMPUTE_UNAVAILABLE', 'the model of the job is not the one that runs here')
}

type Read = (index: number) => JobLine
type Share = { readonly index: number; readonly line: JobLine; readonly units: number }

/** The next lines, each with its units; the first one also where less is left than it might take. */
function takeBatch(options: {
  from: number
  until: number
  most: number
  unitsLeft: number
  read: Read
}): Share[] {
  const { from, until, most, read } = options
  const batch: Share[] = []
  let left = options.unitsLeft
  for (let index = from; index < until && batch.length < most; index++) {
    const line = read(index)
    if (line.mostUnits > left && batch.length > 0) break
    const units = Math.min(line.mostUnits, left)
    batch.push({ index, line, units })
    left -= units
  }
  return batch
}

/** Answers lines together. Those that the model's process ended with are tried once more, each alone. */
async function answerBatch(
  ctx: ComputeContext,
  { batch, read, signal }: { batch: readonly Share[]; read: Read; signal: AbortSignal },
): Promise<Answered[]> {
  const first = await Promise.all(batch.map((share) => answerLine(share, signal)))
  const answers: Answered[] = []
  for (const [i, share] of batch.entries())
    answers.push(first[i] ?? (await answerAgain(ctx, { share, read, signal })))
  return answers
}

/** The answer to a line for which no room or time is left. */
function unanswered({ line }: Pick<Share, 'line'>): Answered {
  return { text: fullAnswer(line), units: 0, isError: true }
}

/** Undefined when the model's process ended meanwhile. */
async function answerLine({ line, units }: Share, signal: AbortSignal): Promise<Answered | undefined> {
  try {
    // Rows are answered whole or not at all.
    const isShort = line.mostUnits > 0 && (units === 0 || line.sureUnits > units)
    if (isShort) return unanswered({ line })
    const { units: used, body } = await line.run(units, signal)
    const { id, customId } = line
    return {
      text: formatJobAnswer({ id, customId, result: { ok: true, body } }),
      units: used,
      isError: false,
    }
  } catch (error) {
    signal.throwIfAborted()
    if (isOurs(error)) return undefined
    return { text: formatJobAnswer(errorAnswer(line, error)), units: 0, isError: true }
  }
}

async function answerAgain(
  { runtime }: ComputeContext,
  { share, read, signal }: { share: Share; read: Read; signal: AbortSignal },
): Promise<Answered> {
  const giveUpMs = performance.now() + MODEL_WAIT_MS
  while (runtime.state().state !== 'ready') {
    if (performance.now() > giveUpMs) throw new ZerogError('COMPUTE_UNAVAILABLE')
    await delay(POLL_MS, undefined, { signal })
  }
  // It was planned for the process that has ended.
  const line = read(share.index)
  const again = await answerLine({ ...share, line }, signal)
  if (again !== undefined) return again
  const error = new ZerogError('COMPUTE_UNAVAILABLE', 'the model ended twice while it worked on this line')
  return { text: formatJobAnswer(errorAnswer(line, error)), units: 0, isError: true }
}

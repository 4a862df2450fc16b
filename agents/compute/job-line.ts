import { createHash } from 'node:crypto'
import { errorCode, ZerogError } from '../../sdk/protocol/errors.ts'
import {
  formatJobAnswer,
  type JobAnswer,
  type JobRequest,
  MAX_JOB_LINE_BYTES,
  parseJobRequest,
} from '../../sdk/protocol/job-input.ts'
import type { ComputeContext } from './context.ts'
import { asComputeError } from './openai-error.ts'
import { planEmbeddings, planInfer } from './plan-tensors.ts'
import { planText, seedOf, usageOf } from './plan-text.ts'
import { checkModel } from './request-steps.ts'
import { chatForm, completionForm } from './text-form.ts'
import { parseChat, parseCompletion } from './text-request.ts'
import { writeText } from './write-text.ts'

/** One line of a job's input, read as far as it can be without running anything. */
export type JobLine = {
  readonly id: string
  readonly customId: string | null
  /** Units of its input and the most of its output; none for a line that gets an error. */
  readonly inputUnits: number
  readonly mostUnits: number
  /** Units of output that it gives for certain. */
  readonly sureUnits: number
  /** Answers it, spending at most so many units. Errors: COMPUTE_UNAVAILABLE, ABORTED; others belong to the line. */
  run(units: number, signal: AbortSignal): Promise<{ units: number; body: Record<string, unknown> }>
}

export type LineJob = { readonly jobId: bigint; readonly createdSec: number }

const MAX_MESSAGE = 300

/** The lines of an input, without their line feeds. */
export function splitLines(input: Uint8Array): string[] {
  const decoder = new TextDecoder()
  const lines: string[] = []
  for (let start = 0; start < input.length; ) {
    const feed = input.indexOf(10, start)
    const end = feed < 0 ? input.length : feed
    // A line that is too long is refused by its length alone.
    lines.push(
      end - start > MAX_JOB_LINE_BYTES
        ? 'x'.repeat(MAX_JOB_LINE_BYTES + 1)
        : decoder.decode(input.subarray(start, end)),
    )
    start = end + 1
  }
  return lines
}

/** Reads a line. Whatever is wrong with it becomes its answer. Error: COMPUTE_UNAVAILABLE. */
export function readLine(ctx: ComputeContext, job: LineJob, line: string, index: number): JobLine {
  const id = `line-${index}`
  let customId: string | null = null
  try {
    if (line.length > MAX_JOB_LINE_BYTES) throw new ZerogError('BODY_TOO_LARGE', 'the line is too long')
    const request = parseJobRequest(line)
    customId = request.customId
    return { id, customId, ...planLine(ctx, { ...job, id, line, request }) }
  } catch (error) {
    if (isOurs(error)) throw error
    const known = error instanceof ZerogError ? error.meta.customId : undefined
    if (typeof known === 'string') customId = known
    const run = () => Promise.reject(error)
    return { id, customId, inputUnits: 0, mostUnits: 0, sureUnits: 0, run }
  }
}

/** The answer to a line that failed. */
export function errorAnswer({ id, customId }: Pick<JobLine, 'id' | 'customId'>, error: unknown): JobAnswer {
  const { code, message } = asComputeError(error)
  return { id, customId, result: { ok: false, code, message: message.slice(0, MAX_MESSAGE) } }
}

/** What a line gets when the units or bytes of its job are used up: the least that an answer takes. */
export function fullAnswer(line: Pick<JobLine, 'id' | 'customId'>): string {
  const full = new ZerogError('COMPUTE_BALANCE_TOO_LOW', 'the job is full')
  return formatJobAnswer(errorAnswer(line, full))
}

/** Whether a failure is the provider's, not the line's. */
export function isOurs(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'COMPUTE_UNAVAILABLE' || code === 'ABORTED'
}

function planLine(
  ctx: ComputeContext,
  {
    jobId,
    createdSec,
    id,
    line,
    request: { url, body },
  }: LineJob & { id: string; line: string; request: JobRequest },
): Omit<JobLine, 'id' | 'customId'> {
  if (url === '/v1/embeddings' || url === '/v1/infer') {
    const work = url === '/v1/infer' ? planInfer(ctx, body) : planEmbeddings(ctx, body)
    const { inputUnits, outputUnits } = work.units
    return {
      ...{ inputUnits, mostUnits: outputUnits, sureUnits: outputUnits },
      run: async (_, signal) => ({
        units: outputUnits,
        body: { ...(await work.run(signal))(`${work.idPrefix}job${jobId}-${id}`) },
      }),
    }
  }
  const isChat = url === '/v1/chat/completions'
  const wish = isChat ? parseChat(body) : parseCompletion(body)
  checkModel(ctx, wish.model)
  const { worker, model, promptIds, maxTokens } = planText(ctx, wish)
  return {
    ...{ inputUnits: promptIds.length, mostUnits: maxTokens, sureUnits: 0 },
    async run(units, signal) {
      const form = (isChat ? chatForm : completionForm)({
        id: `${isChat ? 'chatcmpl' : 'cmpl'}-job${jobId}-${id}`,
        created: createdSec,
        model: ctx.config.MODEL_ID,
      })
      const seed = seedOf(wish, `${createHash('sha256').update(line).digest('hex')}:job${jobId}-${id}`)
      const sampling = { temperature: wish.temperature, topP: wish.topP, seed }
      const wanted = { maxTokens: Math.min(maxTokens, units), sampling, stops: wish.stops, signal }
      let text = ''
      for await (const piece of writeText({ worker, model, user: `job-${jobId}`, promptIds, ...wanted })) {
        text += piece.text
        if (piece.finish === undefined) continue
        const usage = usageOf(promptIds.length, piece.tokens)
        return { units: piece.tokens, body: { ...form.whole(text, piece.finish, usage) } }
      }
      throw new ZerogError('ABORTED')
    },
  }
}

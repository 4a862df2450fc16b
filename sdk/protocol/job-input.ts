import { ZerogError } from './errors.ts'

/** The kind of job whose input and output are of the form below; `jobKind` makes its hash. */
export const BATCH_INFERENCE = 'batch-inference'

/** What a line of a batch asks for, by the name of the route that would answer it alone. */
export const JOB_ROUTES = ['/v1/chat/completions', '/v1/completions', '/v1/embeddings', '/v1/infer'] as const

export type JobRoute = (typeof JOB_ROUTES)[number]

/**
 * One request of a batch job. The input of a job is a file of JSON Lines in the form of OpenAI's batches: each line
 * `{"custom_id", "method": "POST", "url", "body"}`, `body` what the provider's route of that name takes, without `stream`.
 */
export type JobRequest = {
  /** Unique in the input; 1 to 64 characters. */
  readonly customId: string
  readonly url: JobRoute
  readonly body: Readonly<Record<string, unknown>>
}

/**
 * One answer: a line `{"id", "custom_id", "response": {"status_code", "request_id", "body"} | null, "error": {"code",
 * "message"} | null}` of the output, which has one line for each of the input, in the same order.
 */
export type JobAnswer = {
  /** `line-0`, `line-1`, …: the place in the input. */
  readonly id: string
  /** Null where the line of the input has none that can be read. */
  readonly customId: string | null
  readonly result:
    | { readonly ok: true; readonly body: Readonly<Record<string, unknown>> }
    | { readonly ok: false; readonly code: string; readonly message: string }
}

/** Longest input file, longest line in it (UTF-8), and most lines. */
export const MAX_JOB_INPUT_BYTES = 256 * 1024 * 1024
export const MAX_JOB_LINE_BYTES = 8 * 1024 * 1024
export const MAX_JOB_LINES = 1_000_000

/** The input file of these requests. Error: BAD_REQUEST for what could not be read back, or an id that occurs twice. */
export function formatJobInput(requests: readonly JobRequest[]): string {
  if (requests.length === 0 || requests.length > MAX_JOB_LINES)
    throw invalid(`a batch has 1 to ${MAX_JOB_LINES} requests`)
  if (new Set(requests.map(({ customId }) => customId)).size !== requests.length)
    throw invalid('two requests have one custom_id')
  return requests
    .map(({ customId, url, body }) => {
      const line = JSON.stringify({ custom_id: customId, method: 'POST', url, body })
      parseJobRequest(line)
      return `${line}\n`
    })
    .join('')
}

/** Reads one line of an input. Error: BAD_REQUEST with what is wrong; meta has `customId` when that much can be read. */
export function parseJobRequest(line: string): JobRequest {
  const { custom_id: customId, method, url: given, body } = objectOf(line)
  if (typeof customId !== 'string' || customId === '' || customId.length > 64)
    throw invalid('custom_id must be a text of 1 to 64 characters')
  const meta = { customId }
  if (method !== undefined && method !== 'POST') throw invalid('method must be POST', meta)
  const url = JOB_ROUTES.find((route) => route === given)
  if (url === undefined) throw invalid(`url must be one of ${JOB_ROUTES.join(', ')}`, meta)
  if (!isObject(body)) throw invalid('body must be an object', meta)
  if (body.stream === true) throw invalid('a line of a batch cannot be streamed', meta)
  return { customId, url, body }
}

/** One line of an output, with its line feed. */
export function formatJobAnswer({ id, customId, result }: JobAnswer): string {
  const response = result.ok ? { status_code: 200, request_id: id, body: result.body } : null
  const error = result.ok ? null : { code: result.code, message: result.message }
  return `${JSON.stringify({ id, custom_id: customId, response, error })}\n`
}

/**
 * Reads a whole output. Error: BAD_REQUEST when it is not of the form, has not `lines` lines (when given), or they are
 * not in order.
 */
export function parseJobOutput(text: string, lines?: number): JobAnswer[] {
  if (!text.endsWith('\n')) throw invalid('the output does not end with a line feed')
  const answers = text.slice(0, -1).split('\n').map(parseAnswer)
  if (lines !== undefined && answers.length !== lines)
    throw invalid(`the output has ${answers.length} lines, the input has ${lines}`)
  return answers
}

function parseAnswer(line: string, at: number): JobAnswer {
  const { id, custom_id: customId, response, error } = objectOf(line)
  if (id !== `line-${at}`) throw invalid(`line ${at} of the output is called ${JSON.stringify(id)}`)
  if (customId !== null && typeof customId !== 'string') throw invalid(`line ${at} has no custom_id`)
  if (isObject(response) && error === null && isObject(response.body))
    return { id, customId, result: { ok: true, body: response.body } }
  if (response === null && isObject(error) && typeof error.code === 'string') {
    const { code, message } = error
    return { id, customId, result: { ok: false, code, message: String(message ?? '') } }
  }
  throw invalid(`line ${at} of the output has neither a response nor an error`)
}

function objectOf(line: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (cause) {
    throw new ZerogError('BAD_REQUEST', 'the line is not JSON', { cause })
  }
  if (!isObject(value)) throw invalid('the line is no object')
  return value
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(message: string, meta: Record<string, string> = {}): ZerogError {
  return new ZerogError('BAD_REQUEST', message, { meta })
}

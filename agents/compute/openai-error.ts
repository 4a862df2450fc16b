import type { FastifyError, FastifyReply } from 'fastify'
import { ZodError, type z } from 'zod'
import { ERROR_CODES, isZerogError, ZerogError } from '../../sdk/protocol/errors.ts'
import { toJson } from '../kernel/http.ts'

/** An error in OpenAI's form; `code` is one of ours. */
export type OpenAiError = {
  readonly error: { message: string; type: string; param: string | null; code: string }
}

const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  402: 'insufficient_quota',
  403: 'permission_error',
  429: 'rate_limit_error',
}
const RETRY_AFTER_SEC = '1'

/** Turns anything thrown into one of our errors; what went wrong inside is not for the caller. */
export function asComputeError(error: unknown): ZerogError {
  if (isZerogError(error)) return error
  if (error instanceof ZodError) {
    const issues = error.issues.map(deepest)
    const param = issues[0]?.path.join('.') ?? ''
    const message = issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`).join('; ')
    return new ZerogError('BAD_REQUEST', message, { cause: error, meta: { param } })
  }
  const status =
    error instanceof Error && 'statusCode' in error ? (error as FastifyError).statusCode : undefined
  if (status === 413) return new ZerogError('BODY_TOO_LARGE', undefined, { cause: error })
  if (status !== undefined && status >= 400 && status < 500)
    return new ZerogError('BAD_REQUEST', error instanceof Error ? error.message : undefined, { cause: error })
  return new ZerogError('INTERNAL', undefined, { cause: error })
}

/** Of what an alternative lacks, the issue of the one that came furthest says most. */
function deepest(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue
  const inner = issue.errors.flat().map((one) => deepest({ ...one, path: [...issue.path, ...one.path] }))
  return inner.reduce((best, one) => (one.path.length > best.path.length ? one : best), inner[0] ?? issue)
}

/** The body that says it. */
export function openAiError(error: ZerogError): OpenAiError {
  const { httpStatus } = ERROR_CODES[error.code]
  const type = TYPES[httpStatus] ?? (httpStatus >= 500 ? 'server_error' : 'invalid_request_error')
  const { param } = error.meta
  return {
    error: {
      message: error.message,
      type,
      param: typeof param === 'string' ? param : null,
      code: error.code,
    },
  }
}

/** Answers a request with an error. */
export function sendError(reply: FastifyReply, error: ZerogError): FastifyReply {
  const { httpStatus } = ERROR_CODES[error.code]
  if (httpStatus === 429 || httpStatus === 503) reply.header('retry-after', RETRY_AFTER_SEC)
  return reply
    .status(httpStatus)
    .type('application/json')
    .serializer(String)
    .send(toJson(openAiError(error)))
}

import { errorCode, isErrorCode, ZerogError } from '../protocol/errors.ts'

/** A body that is read while it is sent; read anew should it have to be sent twice. A piece is only valid until the next. */
export type StreamedBody = { readonly byteLength: number; pieces(): AsyncIterable<Uint8Array> }

/** Where and how one HTTP request goes. `timeoutMs` covers all of it, the body included. */
export type HttpRequest = {
  readonly method?: 'GET' | 'HEAD' | 'PUT' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string | StreamedBody
  readonly timeoutMs: number
  /** The answer's body may have this many bytes at most. */
  readonly maxBytes: number
  readonly signal?: AbortSignal
}

export type HttpAnswer = { readonly status: number; readonly headers: Headers; readonly body: Uint8Array }

/**
 * What carries requests: sends one, and reads an answer of at most `maxBytes`; `signal` ends it. No redirects. One that
 * says `canStream` sends a {@link StreamedBody} as it is read; others are better given bodies that fit into memory.
 */
export type HttpTransport = {
  (
    url: string,
    request: Omit<HttpRequest, 'timeoutMs' | 'signal'> & { readonly signal: AbortSignal },
  ): Promise<HttpAnswer>
  readonly canStream?: boolean
}

/**
 * One request with a time-out and a bounded answer. Redirects are not followed: an endpoint speaks for itself.
 *
 * Errors: PEER_UNREACHABLE, TIMEOUT, ABORTED, PEER_MISBEHAVED when the body is over the bound, and for statuses of 400 up
 * the error that the JSON body names (its `meta` too), or PEER_MISBEHAVED.
 */
export async function httpRequest(
  url: string,
  { timeoutMs, signal, ...request }: HttpRequest,
  transport: HttpTransport = fetchTransport,
): Promise<HttpAnswer> {
  const timeout = AbortSignal.timeout(timeoutMs)
  let answer: HttpAnswer
  try {
    answer = await transport(url, {
      ...request,
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    })
  } catch (cause) {
    throw requestError(url, cause, { timeout, ...(signal === undefined ? {} : { signal }) })
  }
  if (answer.status >= 400) throw answerError(url, answer)
  return answer
}

/** The transport of every platform. */
export const fetchTransport: HttpTransport = async (
  url,
  { method = 'GET', headers = {}, body, maxBytes, signal },
) => {
  const response = await fetch(url, {
    method,
    headers,
    // A view of shared memory is not a valid body; ours never is one.
    ...(body === undefined ? {} : { body: (isStreamed(body) ? await gather(body) : body) as BodyInit }),
    redirect: 'error',
    signal,
  })
  return {
    status: response.status,
    headers: response.headers,
    body: await boundedBody(response, maxBytes),
  }
}

function isStreamed(body: Uint8Array | string | StreamedBody): body is StreamedBody {
  return typeof body === 'object' && 'pieces' in body
}

/** Browsers do not stream over HTTP/1.1. */
async function gather({ byteLength, pieces }: StreamedBody): Promise<Uint8Array> {
  const whole = new Uint8Array(byteLength)
  let at = 0
  for await (const piece of pieces()) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

/** The error of an answer that is longer than agreed. */
export function answerTooLong(url: string, maxBytes: number): ZerogError {
  return new ZerogError('PEER_MISBEHAVED', `the answer is over ${maxBytes} bytes`, { meta: { url } })
}

/** JSON of an answer. Throws PEER_MISBEHAVED when it is none. */
export function answerJson(url: string, { body }: HttpAnswer): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body))
  } catch (cause) {
    throw new ZerogError('PEER_MISBEHAVED', 'the answer is not JSON', { cause, meta: { url } })
  }
}

async function boundedBody(response: Response, maxBytes: number): Promise<Uint8Array> {
  const tooLong = () => answerTooLong(response.url, maxBytes)
  const announced = Number(response.headers.get('content-length') ?? 0)
  if (announced > maxBytes && response.body !== null) {
    await response.body.cancel()
    throw tooLong()
  }
  if (response.body === null) return new Uint8Array()
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of iterate(response.body)) {
    length += part.length
    if (length > maxBytes) throw tooLong()
    parts.push(part)
  }
  const [only] = parts
  if (only !== undefined && parts.length === 1) return only
  const whole = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** Chunks of a stream. Not every browser's streams are async iterables; ending the loop early cancels the stream. */
async function* iterate(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader()
  let finished = false
  try {
    while (!finished) {
      const { done, value } = await reader.read()
      finished = done
      if (value !== undefined) yield value
    }
  } finally {
    if (!finished) await reader.cancel().catch(() => undefined)
  }
}

function requestError(
  url: string,
  cause: unknown,
  { timeout, signal }: { timeout: AbortSignal; signal?: AbortSignal },
): ZerogError {
  if (signal?.aborted) return new ZerogError('ABORTED', undefined, { cause: signal.reason })
  if (timeout.aborted) return new ZerogError('TIMEOUT', undefined, { cause, meta: { url } })
  const code = errorCode(cause)
  if (cause instanceof ZerogError) return cause
  return new ZerogError(code === 'TIMEOUT' ? code : 'PEER_UNREACHABLE', undefined, { cause, meta: { url } })
}

function answerError(url: string, { status, body }: HttpAnswer): ZerogError {
  const error = errorOf(body)
  if (error === undefined)
    return new ZerogError('PEER_MISBEHAVED', `the answer has status ${status}`, {
      meta: { url, status },
      retryable: status >= 500,
    })
  return new ZerogError(error.code, error.message, { meta: { ...error.meta, url, status } })
}

function errorOf(body: Uint8Array) {
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(body))
    if (!isRecord(json) || !isRecord(json.error) || !isErrorCode(json.error.code)) return undefined
    const { code, message, meta } = json.error
    return {
      code,
      message: typeof message === 'string' ? message : undefined,
      meta: isRecord(meta) ? meta : {},
    }
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

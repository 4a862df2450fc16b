import { sha256 } from '@noble/hashes/sha2.js'
import { type ErrorCode, isZerogError, ZerogError } from '../protocol/errors.ts'
import { baseUrl } from './provider-client.ts'

export type ProviderRequest = {
  readonly fetch: typeof fetch
  /** The service's URL as it is listed. */
  readonly url: string
  readonly path: string
  /** Without one it is a GET. */
  readonly body?: Uint8Array | undefined
  readonly key?: string | undefined
  /** Token of an ERC-721 gate whose free units it may use. */
  readonly gateTokenId?: bigint | undefined
  /** For everything, until the last byte. */
  readonly timeoutMs: number
  /** For the first byte, and between two. */
  readonly silenceMs: number
  readonly maxBytes: number
  readonly signal?: AbortSignal | undefined
}

/** An answer whose head has come. */
export type ProviderAnswer = {
  readonly chatId: string | undefined
  /** The body as it comes, read once; leaving early ends the request. Errors: INFERENCE_CUT, TIMEOUT, ABORTED, PEER_MISBEHAVED. */
  bytes(): AsyncGenerator<Uint8Array>
  /** Ends the request, for who does not read it to its end. */
  cancel(): void
  /** SHA-256 of all bytes that were read, 64 hex digits. */
  digest(): string
}

/** Error bodies are short. */
const MAX_ERROR_BYTES = 64 * 1024
const CODES: Readonly<Record<number, ErrorCode>> = {
  401: 'UNAUTHORIZED',
  402: 'COMPUTE_BALANCE_TOO_LOW',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  413: 'BODY_TOO_LARGE',
  429: 'COMPUTE_BUSY',
}

/** The codes that a provider may answer with; others are ours to find. */
const PROVIDER_CODES: readonly ErrorCode[] = [
  ...['BAD_REQUEST', 'BODY_TOO_LARGE', 'UNAUTHORIZED', 'FORBIDDEN', 'NOT_FOUND', 'TIMEOUT'],
  ...['RATE_LIMITED', 'OVERLOADED', 'PRICE_TOO_LOW', 'SIGNATURE_INVALID'],
  ...['COMPUTE_MODEL_UNKNOWN', 'COMPUTE_CONTEXT_TOO_LONG', 'COMPUTE_INPUT_INVALID', 'COMPUTE_GATE_CLOSED'],
  ...['COMPUTE_BALANCE_TOO_LOW', 'COMPUTE_BUSY', 'COMPUTE_UNAVAILABLE'],
] as ErrorCode[]

/**
 * Sends one request to a provider and hashes the answer's bytes as they come.
 *
 * Errors: PEER_UNREACHABLE; TIMEOUT; ABORTED; of statuses from 400 the code that the body names, else the status' own, with
 * `meta` {url, status, retryAfterSec}; those of `bytes`.
 */
export async function askProvider(request: ProviderRequest): Promise<ProviderAnswer> {
  const { path, body, key, gateTokenId, signal, maxBytes } = request
  const url = baseUrl(request.url) + path
  const controller = new AbortController()
  const onAbort = () => controller.abort(new ZerogError('ABORTED', undefined, { cause: signal?.reason }))
  const late = (what: string) =>
    controller.abort(new ZerogError('TIMEOUT', `the provider ${what}`, { meta: { url } }))
  if (signal?.aborted) onAbort()
  signal?.addEventListener('abort', onAbort, { once: true })
  const timer = setTimeout(() => late(`took over ${request.timeoutMs} ms`), request.timeoutMs)
  let silence = setTimeout(() => late(`was silent for ${request.silenceMs} ms`), request.silenceMs)
  const heard = () => {
    clearTimeout(silence)
    silence = setTimeout(() => late(`was silent for ${request.silenceMs} ms`), request.silenceMs)
  }
  const over = () => {
    clearTimeout(timer)
    clearTimeout(silence)
    signal?.removeEventListener('abort', onAbort)
  }
  const failure = (cause: unknown, code: ErrorCode): ZerogError => {
    if (controller.signal.reason instanceof ZerogError) return controller.signal.reason
    return isZerogError(cause) ? cause : new ZerogError(code, undefined, { cause, meta: { url } })
  }

  const hash = sha256.create()
  let response: Response
  try {
    response = await request.fetch(url, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(gateTokenId === undefined ? {} : { 'x-gate-token-id': String(gateTokenId) }),
      },
      // A view of shared memory is not a valid body; ours never is one.
      ...(body === undefined ? {} : { body: body as BodyInit }),
      redirect: 'error',
      signal: controller.signal,
    })
  } catch (cause) {
    over()
    throw failure(cause, 'PEER_UNREACHABLE')
  }
  heard()

  async function* bytes(): AsyncGenerator<Uint8Array> {
    const reader = response.body?.getReader()
    let length = 0
    let isWhole = false
    try {
      while (reader !== undefined) {
        const { done, value } = await reader.read()
        if (done) break
        heard()
        length += value.length
        if (length > maxBytes)
          throw new ZerogError('PEER_MISBEHAVED', `the answer is over ${maxBytes} bytes`, { meta: { url } })
        hash.update(value)
        // A reader that takes its time is no silence of the provider's.
        clearTimeout(silence)
        yield value
        heard()
      }
      isWhole = true
    } catch (cause) {
      throw failure(cause, 'INFERENCE_CUT')
    } finally {
      over()
      if (!isWhole) controller.abort(new ZerogError('ABORTED'))
    }
  }

  if (response.status >= 400) throw await answerError(url, response, bytes())
  return {
    chatId: response.headers.get('zg-res-key') ?? undefined,
    bytes,
    cancel() {
      over()
      controller.abort(new ZerogError('ABORTED'))
    },
    digest: () => Array.from(hash.clone().digest(), (byte) => byte.toString(16).padStart(2, '0')).join(''),
  }
}

/** All bytes of an answer. */
export async function wholeBody({ bytes }: Pick<ProviderAnswer, 'bytes'>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of bytes()) {
    parts.push(part)
    length += part.length
  }
  const whole = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** A JSON object of a text; undefined when it is none. */
export function jsonObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

/** The error that an object in OpenAI's form names; undefined when it is none. */
export function namedError(
  object: Record<string, unknown> | undefined,
  fallback: ErrorCode,
  meta: Record<string, unknown> = {},
): ZerogError | undefined {
  const { error } = object ?? {}
  if (typeof error !== 'object' || error === null) return undefined
  const { code, message, param } = error as Record<string, unknown>
  return new ZerogError(
    PROVIDER_CODES.find((known) => known === code) ?? fallback,
    typeof message === 'string' ? message.slice(0, 1000) : undefined,
    { meta: { ...meta, ...(typeof param === 'string' ? { param } : {}) } },
  )
}

async function answerError(
  url: string,
  { status, headers }: Response,
  bytes: AsyncGenerator<Uint8Array>,
): Promise<ZerogError> {
  let text = ''
  const decoder = new TextDecoder()
  try {
    for await (const part of bytes) {
      text += decoder.decode(part, { stream: true })
      if (text.length > MAX_ERROR_BYTES) break
    }
  } catch {
    // The status says enough.
  }
  const code = CODES[status] ?? (status >= 500 ? 'COMPUTE_UNAVAILABLE' : 'BAD_REQUEST')
  const retryAfterSec = Number(headers.get('retry-after') ?? Number.NaN)
  const meta = { url, status, ...(Number.isFinite(retryAfterSec) ? { retryAfterSec } : {}) }
  return (
    namedError(jsonObject(text), code, meta) ??
    new ZerogError(code, `the provider answered with status ${status}`, { meta })
  )
}

import cors from '@fastify/cors'
import rateLimit from '@fastify/rate-limit'
import { type FastifyError, type FastifyInstance, type FastifyRequest, fastify } from 'fastify'
import { ZodError } from 'zod'
import { ERROR_CODES, isZerogError, ZerogError } from '../../sdk/protocol/errors.ts'
import type { Log } from './log.ts'
import type { KernelMetrics } from './metrics.ts'

export type HttpServer = FastifyInstance

/** Adds the routes of an agent. */
export type Routes<C> = (server: HttpServer, ctx: C) => void | Promise<void>

/** Says what is wrong with a part of the agent, or undefined when it is ready. */
export type ReadyCheck = () => Promise<string | undefined>

export type HttpLimits = {
  /** Largest body of a request; a route may set its own. */
  readonly bodyBytes: number
  /** Requests of one address in a minute. */
  readonly perMinute: number
  /** Requests served at the same time. */
  readonly concurrent: number
}

export const DEFAULT_HTTP_LIMITS: HttpLimits = { bodyBytes: 1 << 20, perMinute: 6000, concurrent: 256 }

export declare namespace createHttpServer {
  type Options = {
    log: Log
    metrics: KernelMetrics
    limits?: Partial<HttpLimits>
    /** Response headers of the agent's own that browsers may read. */
    exposedHeaders?: readonly string[]
    checks: Readonly<Record<string, ReadyCheck>>
    status: () => Promise<Record<string, unknown>>
  }
}

const CHECK_TIMEOUT_MS = 3000
/** The four of the operator are never refused: they are needed most when all else is. */
const OPERATOR_PATHS = new Set(['/health', '/ready', '/status', '/metrics'])

/**
 * Creates the HTTP server of an agent, not yet listening, with:
 * /health (the process lives), /ready (200 when every check passes, else 503 and the reasons), /status (JSON), /metrics.
 *
 * Every error leaves as `{ error: { code, message, meta } }` with the status of its code; `meta` only where the caller can
 * do something about it (4xx and DISK_FULL), and of an unreachable peer its name.
 */
export async function createHttpServer(options: createHttpServer.Options): Promise<HttpServer> {
  const { log, metrics, checks, status } = options
  const limits = { ...DEFAULT_HTTP_LIMITS, ...options.limits }
  const server = fastify({
    bodyLimit: limits.bodyBytes,
    logger: false,
    requestTimeout: 300_000,
    forceCloseConnections: 'idle',
    routerOptions: { ignoreTrailingSlash: true },
    // Node answers malformed HTTP by itself; this keeps the answer in our form.
    clientErrorHandler: (_, socket) => {
      if (!socket.writable) return
      const body = JSON.stringify(errorBody('BAD_REQUEST', 'the request is not valid HTTP'))
      socket.end(
        `HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
      )
    },
  })
  server.setReplySerializer((payload) => toJson(payload))
  server.setErrorHandler((error: FastifyError | Error, request, reply) => {
    const known = asZerogError(error)
    metrics.errors.inc({ code: known.code })
    const { httpStatus } = ERROR_CODES[known.code]
    if (httpStatus >= 500)
      log.warn(
        { method: request.method, path: pathOf(request.url), code: known.code, err: error },
        'request failed',
      )
    const meta = httpStatus < 500 || known.code === 'DISK_FULL' ? known.meta : peerOf(known)
    return reply.status(httpStatus).send(errorBody(known.code, known.message, meta))
  })
  server.setNotFoundHandler((request) => {
    throw notFound(request)
  })

  await server.register(cors, {
    origin: '*',
    methods: ['GET', 'HEAD', 'PUT', 'POST', 'DELETE'],
    exposedHeaders: ['content-range', 'retry-after', ...(options.exposedHeaders ?? [])],
  })
  limitConcurrency(server, limits.concurrent)
  await server.register(rateLimit, {
    max: limits.perMinute,
    timeWindow: 60_000,
    allowList: (request) => OPERATOR_PATHS.has(pathOf(request.url)),
    errorResponseBuilder: (_, { after }) =>
      new ZerogError('RATE_LIMITED', `too many requests; try again in ${after}`),
  })

  server.get('/health', async () => ({ status: 'alive' }))
  server.get('/ready', async (_, reply) => {
    const results = await Promise.all(
      Object.entries(checks).map(async ([name, check]) => [name, await runCheck(check)] as const),
    )
    const failed = results.filter(([, problem]) => problem !== undefined)
    return reply.status(failed.length === 0 ? 200 : 503).send({
      ready: failed.length === 0,
      checks: Object.fromEntries(results.map(([name, problem]) => [name, problem ?? 'ok'])),
    })
  })
  server.get('/status', status)
  server.get('/metrics', async (_, reply) => {
    const text = await metrics.registry.metrics()
    return reply.type(metrics.registry.contentType).serializer(String).send(text)
  })
  return server
}

/** JSON with bigints as decimal strings, as chain quantities are written. */
export function toJson(payload: unknown): string {
  return JSON.stringify(payload, (_, value) => (typeof value === 'bigint' ? String(value) : value))
}

function notFound({ method, url }: FastifyRequest): ZerogError {
  return new ZerogError('NOT_FOUND', `there is no ${method} ${pathOf(url)}`)
}

function limitConcurrency(server: HttpServer, most: number): void {
  let active = 0
  server.addHook('onRequest', async (request, reply) => {
    if (OPERATOR_PATHS.has(pathOf(request.url))) return
    // A body that nobody asked for is not waited for.
    if (request.is404) throw notFound(request)
    if (active >= most) throw new ZerogError('OVERLOADED')
    active++
    // Fires once, also when the caller goes away in the middle.
    reply.raw.once('close', () => {
      active--
    })
  })
}

async function runCheck(check: ReadyCheck): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((done) => {
    timer = setTimeout(done, CHECK_TIMEOUT_MS, 'does not answer')
  })
  try {
    return await Promise.race([check(), late])
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    clearTimeout(timer)
  }
}

function asZerogError(error: FastifyError | Error): ZerogError {
  if (isZerogError(error)) return error
  if (error instanceof ZodError) {
    const fields = error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`)
    return new ZerogError('BAD_REQUEST', fields.join('; '), { cause: error })
  }
  const status = 'statusCode' in error ? error.statusCode : undefined
  if (status === 413) return new ZerogError('BODY_TOO_LARGE', undefined, { cause: error })
  if (status !== undefined && status >= 400 && status < 500)
    return new ZerogError('BAD_REQUEST', error.message, { cause: error })
  // What went wrong inside is for the log, not for the caller.
  return new ZerogError('INTERNAL', undefined, { cause: error })
}

function peerOf({ code, meta }: ZerogError): Readonly<Record<string, unknown>> {
  return code === 'PEER_UNREACHABLE' && meta.provider !== undefined ? { provider: meta.provider } : {}
}

function errorBody(code: string, message: string, meta: Readonly<Record<string, unknown>> = {}) {
  return { error: { code, message, ...(Object.keys(meta).length === 0 ? {} : { meta }) } }
}

function pathOf(url: string): string {
  return url.split('?', 1)[0] ?? url
}

/** Begins to listen. Error: CONFIG_INVALID when the address is taken, not of this machine, or not allowed. */
export async function listen(
  server: HttpServer,
  { HTTP_HOST, HTTP_PORT }: { HTTP_HOST: string; HTTP_PORT: number },
): Promise<string> {
  try {
    return await server.listen({ host: HTTP_HOST, port: HTTP_PORT })
  } catch (cause) {
    const reasons: Record<string, string> = {
      EADDRINUSE: 'another process has this port',
      EADDRNOTAVAIL: 'this machine does not have that address',
      EACCES: 'this user may not open that port',
    }
    const code = (cause as NodeJS.ErrnoException).code ?? ''
    throw new ZerogError(
      'CONFIG_INVALID',
      `cannot listen on ${HTTP_HOST}:${HTTP_PORT}: ${reasons[code] ?? code}; see HTTP_HOST and HTTP_PORT`,
      { cause },
    )
  }
}

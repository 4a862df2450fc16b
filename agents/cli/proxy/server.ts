import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import type {
  Inference,
  InferenceKind,
  ServiceOffer,
  TextStream,
  VerifiedAnswer,
} from '../../../sdk/client/inference.ts'
import { isZerogError, ZerogError } from '../../../sdk/protocol/errors.ts'
import { asComputeError, sendError } from '../../compute/openai-error.ts'
import { parseJsonBody } from '../../compute/text-request.ts'
import type { ApiKey } from './api-key.ts'
import type { DayBudget } from './day-budget.ts'
import { chatBody, completionBody, embeddingBody } from './request-body.ts'
import { streamText } from './stream-text.ts'
import { DEFAULT_MAX_TOKENS, worstCaseWei } from './worst-case.ts'

export declare namespace createProxyServer {
  type Options = {
    inference: Inference
    key: ApiKey
    budget: DayBudget
    /** The only provider to ask. */
    provider: string | undefined
    /** Told of each request that ended: with its answer, or with the error. */
    onRequest: (request: {
      route: string
      model: string
      answer?: VerifiedAnswer
      error?: ZerogError
    }) => void
  }
}

const MAX_BODY_BYTES = 8 << 20
const OFFERS_MS = 5_000
/** What failed like this has cost nothing: nobody was there, or it was refused. */
const FREE =
  /^(PEER_UNREACHABLE|COMPUTE_|BAD_REQUEST|UNAUTHORIZED|FORBIDDEN|NOT_FOUND|RATE_LIMITED|OVERLOADED|BODY_TOO_LARGE)/

/** One request from its check to its bill. */
type Exchange = {
  readonly model: string
  readonly signal: AbortSignal
  readonly mostWei: bigint
  /** Called for each attempt that may have cost something and gave nothing. */
  readonly onLost: () => void
}

/**
 * An HTTP server in OpenAI's form whose answers come from the network, each verified. Everything needs the key. A provider that
 * fails before the first byte is replaced unseen; one that fails in the middle of a stream is replaced where the answer is
 * determined (temperature 0 or a seed) and goes on with the same text, and is an error event otherwise.
 */
export function createProxyServer(options: createProxyServer.Options): FastifyInstance {
  const { inference, key, budget, provider, onRequest } = options
  const only = provider === undefined ? {} : { provider }
  const server = fastify({
    logger: false,
    bodyLimit: MAX_BODY_BYTES,
    forceCloseConnections: true,
    routerOptions: { ignoreTrailingSlash: true },
  })
  // Whatever a client says of its body, it is read here, so that errors have one form.
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body))
  server.addHook('onRequest', async ({ headers }) => key.check(headers.authorization))
  server.setErrorHandler((error, _request, reply) => sendError(reply, asComputeError(error)))
  server.setNotFoundHandler(({ method, url }) => {
    throw new ZerogError('NOT_FOUND', `there is no ${method} ${url.split('?', 1)[0]}`)
  })

  let known: { offers: ServiceOffer[]; readMs: number } | undefined
  async function allOffers(): Promise<ServiceOffer[]> {
    if (known === undefined || performance.now() - known.readMs > OFFERS_MS) {
      const offers = await inference.services({ measure: false })
      known = { offers, readMs: performance.now() }
    }
    return known.offers.filter((offer) => provider === undefined || offer.provider === provider)
  }

  async function offersOf(model: string, kind: InferenceKind): Promise<ServiceOffer[]> {
    const offers = (await allOffers()).filter((offer) => offer.model === model)
    const fitting = offers.filter((offer) => offer.kind === kind)
    if (fitting.length > 0) return fitting
    const problem =
      offers.length > 0 ? `is no model of the kind ${kind}` : 'is served by nobody within the price'
    throw new ZerogError('COMPUTE_MODEL_UNKNOWN', `${JSON.stringify(model)} ${problem}`, {
      meta: { param: 'model' },
    })
  }

  /** Runs one request with its money set aside, and says what became of it. */
  async function exchange<T extends VerifiedAnswer>(
    { request, reply, model, kind, outputUnits }: ExchangeOptions,
    ask: (exchange: Exchange) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const route = request.routeOptions.url ?? ''
    const prices = dearest(await offersOf(model, kind))
    const mostWei = worstCaseWei(prices, { bodyBytes: bytesOf(request).length, outputUnits })
    const reservation = budget.reserve(mostWei)
    let spentWei = 0n
    let lost = 0
    const onLost = () => {
      lost++
    }
    try {
      const answer = await ask({ model, signal: whileOpen(reply), mostWei, onLost })
      if (answer !== undefined) {
        spentWei += answer.feeWei
        onRequest({ route, model, answer })
      }
      return answer
    } catch (error) {
      const code = isZerogError(error) ? error : asComputeError(error)
      lost = Math.max(lost, failuresOf(code).filter((failure) => !FREE.test(failure)).length)
      onRequest({ route, model, error: code })
      throw error
    } finally {
      reservation.close(spentWei + BigInt(lost) * mostWei)
    }
  }

  async function answerText(
    request: FastifyRequest,
    reply: FastifyReply,
    { body, plain, stream }: TextRoute,
  ): Promise<unknown> {
    const { model, max_tokens } = body
    const wish = { request, reply, model, kind: 'chat' as const, outputUnits: max_tokens }
    if (body.stream !== true) {
      const answer = await exchange(wish, ({ signal }) => plain({ signal, ...only }))
      if (answer === undefined) return reply
      return signed(reply, answer).send(answer.response)
    }
    const isDetermined = body.temperature === 0 || typeof body.seed === 'number'
    await exchange(wish, ({ signal, onLost }) =>
      streamText({
        reply,
        stream: stream({ signal, onBreak: isDetermined ? 'restart' : 'fail', ...only }),
        signal,
        onBreak: onLost,
      }),
    )
    return reply
  }

  server.get('/v1/models', async () => ({ object: 'list', data: modelsOf(await allOffers()) }))
  server.get('/v1/models/*', async (request: FastifyRequest<{ Params: { '*': string } }>) => {
    const id = request.params['*']
    const found = modelsOf(await allOffers()).find((model) => model.id === id)
    if (found !== undefined) return found
    throw new ZerogError(
      'COMPUTE_MODEL_UNKNOWN',
      `${JSON.stringify(id)} is served by nobody within the price`,
    )
  })

  server.post('/v1/chat/completions', async (request, reply) => {
    const { max_completion_tokens, ...given } = chatBody.parse(parseJsonBody(bytesOf(request)))
    const body = { ...given, max_tokens: max_completion_tokens ?? given.max_tokens ?? DEFAULT_MAX_TOKENS }
    return answerText(request, reply, {
      body,
      plain: (call) => inference.chat(body, call),
      stream: (call) => inference.streamChat(body, call),
    })
  })

  server.post('/v1/completions', async (request, reply) => {
    const given = completionBody.parse(parseJsonBody(bytesOf(request)))
    const body = { ...given, max_tokens: given.max_tokens ?? DEFAULT_MAX_TOKENS }
    return answerText(request, reply, {
      body,
      plain: (call) => inference.complete(body, call),
      stream: (call) => inference.streamComplete(body, call),
    })
  })

  server.post('/v1/embeddings', async (request, reply) => {
    const { model, input, encoding_format } = embeddingBody.parse(parseJsonBody(bytesOf(request)))
    const wish = { request, reply, model, kind: 'embedding' as const, outputUnits: 0 }
    const answer = await exchange(wish, ({ signal }) =>
      inference.embed({ model, input }, { signal, ...only }),
    )
    if (answer === undefined) return reply
    const data = answer.vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: encoding_format === 'base64' ? base64Of(vector) : Array.from(vector),
    }))
    const tokens = answer.usage.inputUnits
    return signed(reply, answer).send({
      object: 'list',
      ...{ data, model },
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    })
  })
  return server
}

type ExchangeOptions = {
  request: FastifyRequest
  reply: FastifyReply
  model: string
  kind: InferenceKind
  outputUnits: number
}

type TextRoute = {
  body: {
    model: string
    max_tokens: number
    temperature?: number | null | undefined
    seed?: number | null | undefined
    stream?: boolean | null | undefined
  }
  plain: (call: { signal: AbortSignal; provider?: string }) => ReturnType<Inference['chat']>
  stream: (call: { signal: AbortSignal; provider?: string; onBreak: 'restart' | 'fail' }) => TextStream
}

function bytesOf({ body }: FastifyRequest): Uint8Array {
  if (body instanceof Uint8Array && body.length > 0) return body
  throw new ZerogError('BAD_REQUEST', 'the request has no body')
}

/** Aborts when the client goes away; the end of an answer aborts nothing that still runs. */
function whileOpen({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController()
  raw.once('close', () => controller.abort(new ZerogError('ABORTED', 'the client went away')))
  if (raw.destroyed) controller.abort(new ZerogError('ABORTED', 'the client went away'))
  return controller.signal
}

/** What an answer is, for who wants to know: fields of the body would surprise clients. */
function signed(reply: FastifyReply, { provider, chatId, feeWei }: VerifiedAnswer): FastifyReply {
  return reply
    .header('x-zerog-provider', provider)
    .header('x-zerog-answer', chatId)
    .header('x-zerog-fee-wei', String(feeWei))
    .header('x-zerog-verified', 'true')
}

function dearest(offers: readonly ServiceOffer[]) {
  const most = (prices: bigint[]) => prices.toSorted((a, b) => (a < b ? 1 : -1))[0] ?? 0n
  return {
    inputPriceWei: most(offers.map(({ inputPriceWei }) => inputPriceWei)),
    outputPriceWei: most(offers.map(({ outputPriceWei }) => outputPriceWei)),
  }
}

function modelsOf(offers: readonly ServiceOffer[]) {
  return [...new Set(offers.map(({ model }) => model))].map((id) => {
    const own = offers.filter(({ model }) => model === id)
    const { inputPriceWei, outputPriceWei } = dearest(own)
    return {
      ...{ id, object: 'model', created: 0, owned_by: 'zerog', kind: own[0]?.kind },
      providers: own.length,
      pricing: { prompt: String(inputPriceWei), completion: String(outputPriceWei) },
    }
  })
}

/** The codes of all attempts behind an error. */
function failuresOf(error: ZerogError): string[] {
  const { failures } = error.meta
  if (!Array.isArray(failures)) return [error.code]
  return failures.map((failure: { code?: unknown }) => String(failure.code))
}

function base64Of({ buffer, byteOffset, byteLength }: Float32Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64')
}

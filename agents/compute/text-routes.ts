import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { HttpServer } from '../kernel/http.ts'
import type { ComputeContext } from './context.ts'
import { createEventStream, DONE, eventText } from './event-stream.ts'
import { asComputeError, openAiError } from './openai-error.ts'
import { planText, seedOf, usageOf } from './plan-text.ts'
import {
  type AdmittedRequest,
  admit,
  checkModel,
  passGate,
  readBody,
  requestSignal,
} from './request-steps.ts'
import { chatForm, completionForm, type TextForm } from './text-form.ts'
import { parseChat, parseCompletion, parseJsonBody, type TextRequest } from './text-request.ts'
import { type TextPiece, writeText } from './write-text.ts'

/** An admitted request with the text that answers it. */
type Answer = {
  readonly request: AdmittedRequest
  readonly wish: TextRequest
  readonly form: TextForm
  readonly promptTokens: number
  readonly pieces: AsyncGenerator<TextPiece>
  readonly signal: AbortSignal
}

/** POST /chat/completions and /completions, plain and as server-sent events, in OpenAI's form. */
export function addTextRoutes(server: HttpServer, ctx: ComputeContext): void {
  const kinds = [
    { path: '/v1/proxy/chat/completions', parse: parseChat, form: chatForm },
    { path: '/v1/proxy/completions', parse: parseCompletion, form: completionForm },
  ]
  for (const { path, parse, form } of kinds) {
    server.post(path, async (request, reply) => {
      const caller = await ctx.checkSession(request.headers.authorization)
      const body = readBody(request)
      const wish = parse(parseJsonBody(body))
      checkModel(ctx, wish.model)
      const guest = await passGate(ctx, caller, request)
      return answer({ request, reply, body, wish, form, caller: guest })
    })
  }

  async function answer(options: {
    request: FastifyRequest
    reply: FastifyReply
    body: Uint8Array
    wish: TextRequest
    form: (head: TextForm['head']) => TextForm
    caller: Parameters<typeof admit>[1]['caller']
  }): Promise<FastifyReply> {
    const { reply, body, wish, caller } = options
    const startedMs = performance.now()
    const { worker, model, promptIds, maxTokens } = planText(ctx, wish)
    const service = await ctx.accounts.service()
    const worst = { inputUnits: promptIds.length, outputUnits: maxTokens }
    const isChat = 'messages' in wish.prompt
    const admitted = admit(ctx, { caller, service, worst, body, idPrefix: isChat ? 'chatcmpl-' : 'cmpl-' })
    try {
      const signal = requestSignal(ctx, reply)
      const form = options.form({
        id: admitted.billed.chatId,
        created: Math.floor(Date.now() / 1000),
        model: ctx.config.MODEL_ID,
      })
      const { chatId, requestSha256 } = admitted.billed
      const seed = seedOf(wish, `${requestSha256}:${chatId}`)
      const sampling = { temperature: wish.temperature, topP: wish.topP, seed }
      const job = { worker, model, user: caller.user, promptIds, maxTokens, sampling, stops: wish.stops }
      const pieces = timed(writeText({ ...job, signal }), startedMs)
      const whole = { request: admitted, wish, form, promptTokens: promptIds.length, pieces, signal }
      reply.header('ZG-Res-Key', admitted.billed.chatId).header('Provider', ctx.self)
      return await (wish.isStream ? stream(reply, whole) : plain(reply, whole))
    } finally {
      admitted.ticket.release()
    }
  }

  async function* timed(pieces: AsyncGenerator<TextPiece>, startedMs: number): AsyncGenerator<TextPiece> {
    let isFirst = true
    for await (const piece of pieces) {
      if (isFirst) ctx.computeMetrics.firstTokenSeconds.observe((performance.now() - startedMs) / 1000)
      isFirst = false
      yield piece
    }
  }

  async function plain(
    reply: FastifyReply,
    { request, form, promptTokens, pieces, signal }: Answer,
  ): Promise<FastifyReply> {
    let text = ''
    let last: TextPiece = { text: '', tokens: 0 }
    for await (const piece of pieces) {
      text += piece.text
      last = piece
    }
    const units = { inputUnits: promptTokens, outputUnits: last.tokens }
    if (last.finish === undefined) {
      // Nobody gets a byte of it: the hash of nothing, and what was produced.
      if (reply.raw.destroyed && last.tokens > 0)
        await settleBill(request, { ...units, responseSha256: sha256('') }, 'cancelled')
      throw interrupted(signal)
    }
    const body = JSON.stringify(form.whole(text, last.finish, usageOf(promptTokens, last.tokens)))
    await settleBill(request, { ...units, responseSha256: sha256(body) }, 'served')
    return reply.type('application/json').serializer(String).send(body)
  }

  async function stream(reply: FastifyReply, answer: Answer): Promise<FastifyReply> {
    const { request, wish, form, promptTokens, pieces, signal } = answer
    const events = createEventStream(reply, signal)
    const extra = wish.includeUsage ? { usage: null } : {}
    let tokens = 0
    let finish: TextPiece['finish']
    let failure: unknown
    try {
      for await (const piece of pieces) {
        if (!events.isBegun()) for (const chunk of form.opening()) await events.send({ ...chunk, ...extra })
        tokens = piece.tokens
        finish = piece.finish
        if (piece.text !== '') await events.send({ ...form.chunk(piece.text), ...extra })
      }
      if (finish !== undefined) await events.send({ ...form.closing(finish), ...extra })
      if (finish !== undefined && wish.includeUsage)
        await events.send(form.usage(usageOf(promptTokens, tokens)))
    } catch (error) {
      failure = error
    }
    const isGone = reply.raw.destroyed
    // Nothing was produced: an error with its own status, and no bill.
    if (!events.isBegun()) throw failure ?? interrupted(signal)
    const isWhole = finish !== undefined && failure === undefined
    const problem = asComputeError(failure ?? interrupted(signal))
    const end = isWhole ? DONE : eventText(openAiError(problem))
    const last = isGone ? '' : end
    const outcome = isGone ? 'cancelled' : isWhole ? 'served' : problem.code
    const response = { inputUnits: promptTokens, outputUnits: tokens, responseSha256: events.digest(last) }
    try {
      await settleBill(request, response, outcome)
    } catch (error) {
      // Without a receipt the answer must not look complete.
      ctx.log.error({ err: error }, 'receipt could not be written')
      events.end(eventText(openAiError(asComputeError(error))))
      return reply
    }
    events.end(last)
    return reply
  }

  async function settleBill(
    { billed }: AdmittedRequest,
    response: Parameters<ComputeContext['bill']>[1],
    outcome: string,
  ): Promise<void> {
    await ctx.bill(billed, response)
    ctx.crashPoint('after-receipt')
    ctx.computeMetrics.requests.inc({ route: 'text', outcome })
    ctx.computeMetrics.units.inc({ kind: 'input' }, response.inputUnits)
    ctx.computeMetrics.units.inc({ kind: 'output' }, response.outputUnits)
  }
}

function interrupted(signal: AbortSignal): ZerogError {
  const { reason } = signal
  return reason instanceof ZerogError
    ? reason
    : new ZerogError('COMPUTE_UNAVAILABLE', 'the answer was interrupted')
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

import { createHash } from 'node:crypto'
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { HttpServer } from '../kernel/http.ts'
import { boundedList } from './bounded-list.ts'
import type { ComputeContext } from './context.ts'
import { embedTexts } from './embed-texts.ts'
import { admit, checkModel, passGate, readBody, requestSignal } from './request-steps.ts'
import type { Caller } from './session-check.ts'
import { inferSchema, readTensors, rowsOf, writeTensors } from './tensor-json.ts'
import { parseJsonBody } from './text-request.ts'

const MAX_TEXTS = 256
const oneText = z.string().min(1)
const embeddingsSchema = z.looseObject({
  model: z.string().max(256).optional(),
  input: z.union([
    oneText.transform((text) => [text]),
    boundedList(oneText, MAX_TEXTS).refine(({ length }) => length > 0, 'must not be empty'),
  ]),
  encoding_format: z.enum(['float', 'base64'], 'float or base64').default('float'),
  dimensions: z.never('not supported').optional(),
})

/** Work that is measured before it begins: its units are known, its answer comes whole. */
type WholeWork = {
  readonly route: string
  readonly idPrefix: string
  readonly units: { readonly inputUnits: number; readonly outputUnits: number }
  run(signal: AbortSignal): Promise<(chatId: string) => object>
}

/** POST /embeddings in OpenAI's form, and /infer for tensors as they are. */
export function addTensorRoutes(server: HttpServer, ctx: ComputeContext): void {
  server.post('/v1/proxy/embeddings', async (request, reply) => {
    const caller = await ctx.checkSession(request.headers.authorization)
    const body = readBody(request)
    const { model, input, encoding_format } = embeddingsSchema.parse(parseJsonBody(body))
    checkModel(ctx, model)
    const guest = await passGate(ctx, caller, request)
    const { kind, text, worker } = ctx.runtime.current()
    if (kind !== 'embedding' || text === undefined)
      throw new ZerogError('COMPUTE_MODEL_UNKNOWN', `the model served here is of the kind ${kind}`)
    const rows = input.map((one) => text.encodeText(one))
    const tokens = rows.reduce((sum, ids) => sum + ids.length, 0)
    return answer(reply, guest, body, {
      ...{ route: 'embeddings', idPrefix: 'emb-', units: { inputUnits: tokens, outputUnits: 0 } },
      run: async (signal) => {
        const vectors = await embedTexts(worker, rows, signal)
        const data = vectors.map((vector, index) => ({
          object: 'embedding',
          index,
          embedding: encoding_format === 'base64' ? base64Of(vector) : Array.from(vector),
        }))
        const usage = { prompt_tokens: tokens, total_tokens: tokens }
        return () => ({ object: 'list', data, model: ctx.config.MODEL_ID, usage })
      },
    })
  })

  server.post('/v1/proxy/infer', async (request, reply) => {
    const caller = await ctx.checkSession(request.headers.authorization)
    const body = readBody(request)
    const { model, inputs, encoding } = inferSchema.parse(parseJsonBody(body))
    checkModel(ctx, model)
    const guest = await passGate(ctx, caller, request)
    const { worker, kind } = ctx.runtime.current()
    // A row of such a model may hold thousands of tokens, which are what it is paid by.
    if (kind !== 'tensors')
      throw new ZerogError('COMPUTE_MODEL_UNKNOWN', `the model served here is of the kind ${kind}`)
    const tensors = readTensors(inputs, worker.graph.inputs)
    const rows = rowsOf(tensors)
    return answer(reply, guest, body, {
      ...{ route: 'infer', idPrefix: 'infer-', units: { inputUnits: rows, outputUnits: rows } },
      run: async (signal) => {
        const outputs = writeTensors(await worker.run(tensors, signal), encoding)
        const usage = { input_units: rows, output_units: rows }
        return (id) => ({ id, object: 'inference', model: ctx.config.MODEL_ID, outputs, usage })
      },
    })
  })

  async function answer(
    reply: FastifyReply,
    caller: Caller,
    body: Uint8Array,
    { route, idPrefix, units, run }: WholeWork,
  ): Promise<FastifyReply> {
    const service = await ctx.accounts.service()
    const { billed, ticket } = admit(ctx, {
      caller,
      service,
      worst: units,
      body,
      idPrefix,
    })
    try {
      const write = await run(requestSignal(ctx, reply))
      const text = JSON.stringify(write(billed.chatId))
      const responseSha256 = createHash('sha256').update(text).digest('hex')
      await ctx.bill(billed, { ...units, responseSha256 })
      ctx.crashPoint('after-receipt')
      ctx.computeMetrics.requests.inc({ route, outcome: 'served' })
      ctx.computeMetrics.units.inc({ kind: 'input' }, units.inputUnits)
      ctx.computeMetrics.units.inc({ kind: 'output' }, units.outputUnits)
      reply.header('ZG-Res-Key', billed.chatId).header('Provider', ctx.self)
      return reply.type('application/json').serializer(String).send(text)
    } finally {
      ticket.release()
    }
  }
}

function base64Of({ buffer, byteOffset, byteLength }: Float32Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64')
}

import { createHash } from 'node:crypto'
import type { FastifyReply } from 'fastify'
import type { HttpServer } from '../kernel/http.ts'
import type { ComputeContext } from './context.ts'
import { planEmbeddings, planInfer, type WholeWork } from './plan-tensors.ts'
import { admit, passGate, readBody, requestSignal } from './request-steps.ts'
import type { Caller } from './session-check.ts'
import { parseJsonBody } from './text-request.ts'

/** POST /embeddings in OpenAI's form, and /infer for tensors as they are. */
export function addTensorRoutes(server: HttpServer, ctx: ComputeContext): void {
  const kinds = [
    { path: '/v1/proxy/embeddings', plan: planEmbeddings },
    { path: '/v1/proxy/infer', plan: planInfer },
  ]
  for (const { path, plan } of kinds) {
    server.post(path, async (request, reply) => {
      const caller = await ctx.checkSession(request.headers.authorization)
      const body = readBody(request)
      const work = plan(ctx, parseJsonBody(body))
      return answer(reply, await passGate(ctx, caller, request), body, work)
    })
  }

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

import type { HttpServer } from '../kernel/http.ts'
import { toJson } from '../kernel/http.ts'
import { createBodyBudget, createStrangerBudget } from './body-budget.ts'
import type { ComputeContext } from './context.ts'
import { addInfoRoutes } from './info-routes.ts'
import { asComputeError, sendError } from './openai-error.ts'
import { addReleaseRoute } from './release-route.ts'
import { addTensorRoutes } from './tensor-routes.ts'
import { addTextRoutes } from './text-routes.ts'

/** Response headers that browsers may read. */
export const EXPOSED_HEADERS = ['zg-res-key', 'provider']

/** Time for a short body to come in. */
const SHORT_BODY_MS = 10_000

/** The provider's HTTP API: that of public compute providers, with errors in OpenAI's form. */
export async function addRoutes(server: HttpServer, ctx: ComputeContext): Promise<void> {
  await server.register(async (scope) => {
    scope.setReplySerializer(toJson)
    // The hash of a request is over its bytes, so nobody parses them first.
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser(
      '*',
      { parseAs: 'buffer', bodyLimit: ctx.config.MAX_BODY_BYTES },
      (_, body, done) => done(null, body),
    )
    scope.setErrorHandler((error, request, reply) => {
      const known = asComputeError(error)
      ctx.metrics.errors.inc({ code: known.code })
      ctx.computeMetrics.requests.inc({ route: request.routeOptions.url ?? 'other', outcome: known.code })
      if (known.code === 'INTERNAL')
        ctx.log.warn({ path: request.routeOptions.url, err: error }, 'request failed')
      return sendError(reply, known)
    })
    const budget = createBodyBudget({
      checkSession: ctx.checkSession,
      maxBodyBytes: ctx.config.MAX_BODY_BYTES,
      maxUserRequests: ctx.config.USER_REQUESTS,
    })
    const strangers = createStrangerBudget({
      most: Math.ceil(ctx.config.QUEUE_REQUESTS / 4),
      withinMs: SHORT_BODY_MS,
    })
    scope.addHook('onRequest', async (request, reply) => {
      if (request.method !== 'POST') return
      const isWork = request.routeOptions.url?.startsWith('/v1/proxy/') === true
      await (isWork ? budget : strangers)(request, reply)
    })
    addTextRoutes(scope, ctx)
    addTensorRoutes(scope, ctx)
    addInfoRoutes(scope, ctx)
    addReleaseRoute(scope, ctx)
  })
}

import { createHash, randomBytes } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { ListedService } from './accounts.ts'
import type { Ticket } from './admission.ts'
import { type BilledRequest, feeWei, paidUnits, type Units } from './billing.ts'
import type { ComputeContext } from './context.ts'
import type { Caller } from './session-check.ts'

/** Names the token of an ERC-721 gate whose free units the request may use. */
const TOKEN_ID_HEADER = 'x-gate-token-id'

/** A request that was let in; its ticket must be released. */
export type AdmittedRequest = { readonly billed: BilledRequest; readonly ticket: Ticket }

/** The raw body: what its hash in the receipt covers. */
export function readBody({ body }: FastifyRequest): Uint8Array {
  if (body instanceof Uint8Array && body.length > 0) return body
  throw new ZerogError('BAD_REQUEST', 'the request has no body')
}

/** Throws COMPUTE_MODEL_UNKNOWN unless the model is the one served; none means that one. */
export function checkModel({ config }: ComputeContext, model: string | undefined): void {
  if (model === undefined || model === '' || model === config.MODEL_ID) return
  const message = `the model ${JSON.stringify(model)} is not served here; ask for ${config.MODEL_ID}`
  throw new ZerogError('COMPUTE_MODEL_UNKNOWN', message, { meta: { param: 'model' } })
}

/** The caller with what the model's gate leaves to it. Errors: those of `GateKeeper.pass`; BAD_REQUEST. */
export async function passGate(
  { gate }: ComputeContext,
  caller: Caller,
  { headers }: FastifyRequest,
): Promise<Caller> {
  const text = headers[TOKEN_ID_HEADER]
  const isNumber = typeof text === 'string' && /^\d{1,78}$/.test(text)
  const tokenId = isNumber ? BigInt(text) : undefined
  if (text !== undefined && (tokenId === undefined || tokenId >= 1n << 256n))
    throw new ZerogError('BAD_REQUEST', `${TOKEN_ID_HEADER} must be a token id in decimal`)
  const quota = await gate.pass(caller.user, tokenId)
  return { ...caller, quota }
}

/** Lets a request in whose units are at most `worst`. Errors: those of `Admission.enter`. */
export function admit(
  ctx: ComputeContext,
  options: { caller: Caller; service: ListedService; worst: Units; body: Uint8Array; idPrefix: string },
): AdmittedRequest {
  const { caller, service, worst, body, idPrefix } = options
  const { manifestRoot } = ctx.runtime.current().folder
  const free = ctx.free.hold(caller.quota, worst.inputUnits + worst.outputUnits)
  const worstWei = feeWei(service, paidUnits(worst, free.units))
  let ticket: Ticket
  try {
    ticket = ctx.admission.enter(caller, { worstWei, service, manifestRoot })
  } catch (error) {
    free.release()
    throw error
  }
  return {
    ticket: {
      release() {
        ticket.release()
        free.release()
      },
    },
    billed: {
      free: free.use,
      ...{ caller, service },
      chatId: idPrefix + randomBytes(16).toString('hex'),
      model: ctx.config.MODEL_ID,
      requestSha256: createHash('sha256').update(body).digest('hex'),
    },
  }
}

/** Aborts when the client goes away, the time is over or the agent stops. */
export function requestSignal(
  { config, signal }: { config: Pick<ComputeContext['config'], 'REQUEST_TIMEOUT_MS'>; signal: AbortSignal },
  reply: FastifyReply,
): AbortSignal {
  const controller = new AbortController()
  const onLate = () =>
    controller.abort(new ZerogError('TIMEOUT', `an answer may take ${config.REQUEST_TIMEOUT_MS} ms`))
  const timer = setTimeout(onLate, config.REQUEST_TIMEOUT_MS)
  const onStop = () => controller.abort(new ZerogError('COMPUTE_UNAVAILABLE', 'the provider is stopping'))
  signal.addEventListener('abort', onStop, { once: true })
  // One that does not take its answer must not keep its place.
  const lastTimer = setTimeout(() => reply.raw.destroy(), 2 * config.REQUEST_TIMEOUT_MS)
  // Fires once, at the end of every answer too.
  reply.raw.once('close', () => {
    clearTimeout(timer)
    clearTimeout(lastTimer)
    signal.removeEventListener('abort', onStop)
    if (!reply.raw.writableFinished) controller.abort(new ZerogError('ABORTED', 'the client went away'))
  })
  if (reply.raw.destroyed) controller.abort(new ZerogError('ABORTED', 'the client went away'))
  return controller.signal
}

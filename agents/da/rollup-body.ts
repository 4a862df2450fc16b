import type { FastifyReply, FastifyRequest } from 'fastify'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { Budget, Lease } from './budget.ts'

/** Longest silence inside a body. */
const IDLE_MS = 15_000
/** Longest time from the first to the last byte of an answer. */
const SENDING_MS = 120_000

export declare namespace readBody {
  type Options = {
    maxBytes: number
    /** Bytes of memory that all requests share: the body is not read before it may be kept. */
    budget: Budget
    signal: AbortSignal
  }
}

/**
 * Reads a whole body within its limits. `lease` holds its memory; the caller releases it when the bytes are no longer needed.
 *
 * Errors: DA_PAYLOAD_TOO_LARGE, BAD_REQUEST (another length than declared), TIMEOUT, ABORTED.
 */
export async function readBody(
  request: FastifyRequest,
  { maxBytes, budget, signal }: readBody.Options,
): Promise<{ bytes: Uint8Array; lease: Lease }> {
  const declared = request.headers['content-length']
  const declaredBytes = declared === undefined ? undefined : Number(declared)
  if (declaredBytes !== undefined && declaredBytes > maxBytes) throw tooLarge(maxBytes)
  const lease = await takeWhileConnected(budget, declaredBytes ?? maxBytes, { request, signal })
  try {
    const pieces: Uint8Array[] = []
    let bytes = 0
    for await (const piece of piecesOf(request, signal)) {
      bytes += piece.length
      if (bytes > maxBytes) throw tooLarge(maxBytes)
      pieces.push(piece)
    }
    if (declaredBytes !== undefined && declaredBytes !== bytes)
      throw new ZerogError('BAD_REQUEST', 'the body is not as long as declared')
    return { bytes: Buffer.concat(pieces), lease }
  } catch (error) {
    lease.release()
    throw error
  }
}

/** Reads a refused body to its end, up to `maxBytes`, so that the answer reaches a sender that is still sending. */
export async function drainBody(
  request: FastifyRequest,
  reply: FastifyReply,
  { maxBytes, signal }: Pick<readBody.Options, 'maxBytes' | 'signal'>,
): Promise<void> {
  const { raw } = request
  if (raw.readableEnded || raw.destroyed) return
  let left = maxBytes
  try {
    for await (const piece of piecesOf(request, signal)) {
      left -= piece.length
      if (left < 0) break
    }
  } catch {
    left = -1
  }
  if (left < 0) reply.header('connection', 'close')
}

/**
 * Does the work of an answer in one of the places. It is free again when the work is done, also for a receiver that has gone
 * meanwhile, and the answer is sent, or its receiver was too slow. Errors: ABORTED; those of the work.
 */
export async function workForReply<T>(
  places: Budget,
  { reply, signal }: { reply: FastifyReply; signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  const lease = await takeWhileConnected(places, 1, { request: reply.request, signal })
  try {
    return await work()
  } finally {
    if (reply.raw.closed) lease.release()
    else {
      const tooLong = setTimeout(() => reply.raw.destroy(), SENDING_MS)
      reply.raw.once('close', () => {
        clearTimeout(tooLong)
        lease.release()
      })
    }
  }
}

/** Waits for a budget until the sender goes away. Errors: ABORTED. */
async function takeWhileConnected(
  budget: Budget,
  amount: number,
  { request, signal }: { request: FastifyRequest; signal: AbortSignal },
): Promise<Lease> {
  const { socket } = request.raw
  const gone = new AbortController()
  const onClose = (): void => gone.abort()
  socket.once('close', onClose)
  try {
    return await budget.take(amount, AbortSignal.any([signal, gone.signal]))
  } finally {
    // The connection may serve thousands of requests.
    socket.off('close', onClose)
  }
}

async function* piecesOf({ raw }: FastifyRequest, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  // Left whole on the way out: who stops early may still want to drain the rest, or to answer.
  const pieces: AsyncIterator<Uint8Array> = raw.iterator({ destroyOnReturn: false })
  const { promise: givenUp, reject } = Promise.withResolvers<never>()
  givenUp.catch(() => undefined)
  const onAbort = (): void => reject(new ZerogError('ABORTED'))
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    for (;;) {
      const timer = setTimeout(() => reject(new ZerogError('TIMEOUT', 'the body stopped coming')), IDLE_MS)
      const next = pieces.next().catch((cause) => {
        throw new ZerogError('ABORTED', 'the sender went away', { cause })
      })
      try {
        const piece = await Promise.race([next, givenUp])
        if (piece.done) return
        yield piece.value
      } finally {
        clearTimeout(timer)
        next.catch(() => undefined)
      }
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    pieces.return?.().catch(() => undefined)
  }
}

function tooLarge(maxBytes: number): ZerogError {
  return new ZerogError('DA_PAYLOAD_TOO_LARGE', `a payload has at most ${maxBytes} bytes here`, {
    meta: { maxBytes },
  })
}

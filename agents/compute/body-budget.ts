import type { FastifyReply, FastifyRequest } from 'fastify'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { SessionCheck } from './session-check.ts'

/** Longest bodies that are in memory at the same time: of everybody, and of one account. */
const BODIES = 32
const USER_BODIES = 8

export declare namespace createBodyBudget {
  type Options = { checkSession: SessionCheck; maxBodyBytes: number; maxUserRequests: number }
}

/**
 * A hook before a body is read: bodies of strangers are not read at all, and those of accounts only as far as there is memory
 * for them until they are answered. Errors: those of the session check; BAD_REQUEST; BODY_TOO_LARGE; COMPUTE_BUSY.
 */
export function createBodyBudget({ checkSession, maxBodyBytes, maxUserRequests }: createBodyBudget.Options) {
  const users = new Map<string, { bytes: number; count: number }>()
  let heldBytes = 0

  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const { user } = await checkSession(request.headers.authorization)
    const bytes = declaredBytes(request, maxBodyBytes)
    const own = users.get(user) ?? { bytes: 0, count: 0 }
    const isFull =
      heldBytes + bytes > BODIES * maxBodyBytes ||
      own.bytes + bytes > USER_BODIES * maxBodyBytes ||
      // Admission counts requests that are read; this counts those as well that take their time to be sent.
      own.count >= 2 * maxUserRequests
    if (isFull) throw new ZerogError('COMPUTE_BUSY', 'other requests are being read: try again')
    const add = (sign: 1 | -1) => {
      heldBytes += sign * bytes
      const now = users.get(user) ?? { bytes: 0, count: 0 }
      if (now.count + sign <= 0) users.delete(user)
      else users.set(user, { bytes: now.bytes + sign * bytes, count: now.count + sign })
    }
    add(1)
    const release = () => add(-1)
    if (reply.raw.destroyed) release()
    else reply.raw.once('close', release)
  }
}

/**
 * The same for short bodies that anybody may send: few are waited for at a time, and none for long, so that strangers who take
 * their time hold no places of accounts. Error: COMPUTE_BUSY.
 */
export function createStrangerBudget({ most, withinMs }: { most: number; withinMs: number }) {
  let reading = 0

  return async ({ raw: request }: FastifyRequest, reply: FastifyReply): Promise<void> => {
    if (reading >= most) throw new ZerogError('COMPUTE_BUSY', 'other requests are being read: try again')
    reading++
    const timer = setTimeout(() => request.destroy(), withinMs)
    let isOver = false
    const over = () => {
      if (isOver) return
      isOver = true
      clearTimeout(timer)
      reading--
    }
    request.once('end', over)
    reply.raw.once('close', over)
  }
}

/** What a body without a length may come to is the most that is read. */
function declaredBytes({ headers }: FastifyRequest, most: number): number {
  const length = headers['content-length']
  if (length === undefined) return most
  if (!/^\d{1,15}$/.test(length)) throw new ZerogError('BAD_REQUEST', 'Content-Length is no number')
  if (Number(length) > most) throw new ZerogError('BODY_TOO_LARGE')
  return Number(length)
}

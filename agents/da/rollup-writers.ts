import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { ZerogError } from '../../sdk/protocol/errors.ts'

const LOOPBACK = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1'])

/** Headers that a reverse proxy adds, or a browser: what carries one does not come from a rollup on this machine. */
const FOREIGN_HEADERS = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'origin', 'sec-fetch-site'] as const

/**
 * Refuses who may not spend the operator's money: with `token`, whoever does not show it (Bearer, or the password of Basic, which is how a
 * stock client sends `http://rollup:<token>@host`); without, whoever is not on this machine. Errors: UNAUTHORIZED, FORBIDDEN.
 */
export function requireRollup(request: FastifyRequest, token: string | undefined): void {
  const refusal = refusalOf(request, token)
  if (refusal) throw refusal
}

/** Whether a request is of the operator's own rollup, by the same test. */
export function isRollup(request: FastifyRequest, token: string | undefined): boolean {
  return refusalOf(request, token) === undefined
}

function refusalOf(request: FastifyRequest, token: string | undefined): ZerogError | undefined {
  if (token === undefined) {
    const { remoteAddress = '' } = request.raw.socket
    const isForeign = FOREIGN_HEADERS.some((name) => request.headers[name] !== undefined)
    if (LOOPBACK.has(remoteAddress) && !isForeign) return undefined
    return new ZerogError('FORBIDDEN', 'without ROLLUP_TOKEN only this machine may put')
  }
  const shown = tokenOf(request.headers.authorization)
  if (shown !== undefined && isEqual(shown, token)) return undefined
  return new ZerogError('UNAUTHORIZED', 'the rollup token is missing or wrong')
}

function tokenOf(header: string | undefined): string | undefined {
  const [, scheme, value] = /^(Bearer|Basic) (\S+)$/i.exec(header ?? '') ?? []
  if (scheme === undefined || value === undefined) return undefined
  if (scheme.toLowerCase() === 'bearer') return value
  const text = Buffer.from(value, 'base64').toString()
  return text.slice(text.indexOf(':') + 1)
}

/** In a time that says nothing of where they differ. */
function isEqual(left: string, right: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(left), digest(right))
}

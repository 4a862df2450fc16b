import type { FastifyReply, FastifyRequest } from 'fastify'
import { errorCode, ZerogError } from '../../sdk/protocol/errors.ts'
import { fromHex } from '../../sdk/protocol/hex.ts'
import type { HttpServer } from '../kernel/http.ts'
import type { RollupContext } from './alt-da-routes.ts'
import { createAnyTrustRpc, EXPIRATION_POLICY } from './anytrust-rpc.ts'
import { drainBody, readBody, workForReply } from './rollup-body.ts'

/** Longest JSON-RPC call: hex of a message of 5 MiB, and room around it; longer messages come in chunks. */
const RPC_BYTES = 11 * 1024 * 1024
/** The same where nobody may store. */
const SMALL_RPC_BYTES = 64 * 1024
const SHORT_CACHE = 'public, max-age=1'
const LONG_CACHE = 'public, max-age=2419200, immutable'

type HashRequest = FastifyRequest<{ Params: { hash?: string } }>

/**
 * An AnyTrust committee member's HTTP (Nitro): GET /expiration-policy/, GET /get-by-hash/<64 hex> (GET /health is every agent's), and
 * JSON-RPC on POST /. What is put is signed by a configured batch poster; what is read, anyone may read.
 */
export function addAnyTrustRoutes(
  server: HttpServer,
  ctx: RollupContext,
  parts: createAnyTrustRpc.Parts,
): void {
  const { calls, config, readsFor, signal } = ctx
  const maxBytes = config.ANYTRUST_BATCH_POSTERS.length > 0 ? RPC_BYTES : SMALL_RPC_BYTES
  const call = createAnyTrustRpc(ctx, parts)
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('*', (_request, payload, done) => done(null, payload))

  server.get('/expiration-policy', async (_request, reply) =>
    reply.header('cache-control', SHORT_CACHE).send({ expirationPolicy: EXPIRATION_POLICY }),
  )

  server.get('/get-by-hash/:hash', async (request: HashRequest, reply: FastifyReply) => {
    const hash = hashOf(request.params.hash ?? '')
    reply.header('cache-control', SHORT_CACHE)
    try {
      const data = await workForReply(readsFor(request), { reply, signal }, () => parts.anytrust.read(hash))
      reply.header('cache-control', LONG_CACHE)
      return reply.send({ data: Buffer.from(data.buffer, data.byteOffset, data.length).toString('base64') })
    } catch (error) {
      switch (errorCode(error)) {
        case 'DA_UNKNOWN_BLOB':
        case 'DA_EXPIRED':
        case 'DA_REFUNDED':
        case 'DA_NOT_CONFIRMED':
        case 'DA_INVALID_BLOB':
          return reply
            .status(404)
            .send({ error: { code: errorCode(error), message: 'there is no such data' } })
        default:
          throw error
      }
    }
  })

  server.post('/', async (request: FastifyRequest, reply: FastifyReply) => {
    try {
      const { bytes, lease } = await readBody(request, { maxBytes, budget: calls, signal })
      try {
        return await reply.send(await call(parseJson(bytes)))
      } finally {
        lease.release()
      }
    } catch (error) {
      await drainBody(request, reply, { maxBytes, signal })
      throw error
    }
  })
}

function hashOf(text: string): Uint8Array {
  const digits = text.startsWith('0x') ? text.slice(2) : text
  if (/^[0-9a-fA-F]{64}$/.test(digits)) return fromHex(`0x${digits}`)
  throw new ZerogError('BAD_HEX', 'a data hash has 64 hex digits')
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.length).toString())
  } catch (cause) {
    throw new ZerogError('BAD_REQUEST', 'the body is not JSON', { cause })
  }
}

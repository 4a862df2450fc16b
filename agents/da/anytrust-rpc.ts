import { z } from 'zod'
import { errorCode, isZerogError, ZerogError } from '../../sdk/protocol/errors.ts'
import { fromHex, toHex } from '../../sdk/protocol/hex.ts'
import type { RollupContext } from './alt-da-routes.ts'
import type { ChunkedMessages } from './anytrust-chunks.ts'
import { requireBatchPoster } from './anytrust-signer.ts'
import type { AnyTrustCertificate, AnyTrustStore } from './anytrust-store.ts'

const bytes = z
  .string()
  .regex(/^0x(?:[0-9a-fA-F]{2})*$/, 'bytes in hex')
  .transform((text) => fromHex(text))
const uint64 = z
  .string()
  .regex(/^0x(?:0|[1-9a-fA-F][0-9a-fA-F]{0,15})$/, 'a number in hex')
  .transform(BigInt)

const request = z.object({
  jsonrpc: z.literal('2.0'),
  id: z.union([z.string(), z.number(), z.null()]).optional(),
  method: z.string(),
  params: z.array(z.unknown()).default([]),
})

const METHOD_NOT_FOUND = -32_601
const INVALID_PARAMS = -32_602
const INVALID_REQUEST = -32_600
const SERVER_ERROR = -32_000

export const EXPIRATION_POLICY = 'DiscardAfterDataTimeout'

/** JSON-RPC of an AnyTrust committee member (Nitro, namespace `das`), one call per body. The answer is always 200, errors inside. */
export function createAnyTrustRpc(
  ctx: RollupContext,
  { anytrust, chunked, isHealthy }: createAnyTrustRpc.Parts,
): (body: unknown) => Promise<Record<string, unknown>> {
  const { config, hasher } = ctx
  const authorize = (data: Uint8Array, fields: readonly bigint[], signature: Uint8Array) =>
    requireBatchPoster(hasher, config.ANYTRUST_BATCH_POSTERS, { data, fields, signature })
  const nothing = new Uint8Array()

  const methods: Record<string, (params: readonly unknown[]) => Promise<unknown>> = {
    async das_store(params) {
      const [message, timeoutSec, signature] = z.tuple([bytes, uint64, bytes]).parse(params)
      authorize(message, [timeoutSec], signature)
      if (message.length > config.ROLLUP_MAX_BYTES) throw new ZerogError('DA_PAYLOAD_TOO_LARGE')
      return toResult(await anytrust.put(message, timeoutSec))
    },

    async das_startChunkedStore(params) {
      const numbers = [uint64, uint64, uint64, uint64, uint64] as const
      const [timestampSec, chunks, chunkBytes, totalBytes, timeoutSec, signature] = z
        .tuple([...numbers, bytes])
        .parse(params)
      authorize(nothing, [timestampSec, chunks, chunkBytes, totalBytes, timeoutSec], signature)
      const plan = { timestampSec, chunks, chunkBytes, totalBytes, timeoutSec }
      return { MessageId: toQuantity(chunked.start(plan, toHex(signature))) }
    },

    async das_sendChunk(params) {
      const [id, index, chunk, signature] = z.tuple([uint64, uint64, bytes, bytes]).parse(params)
      authorize(chunk, [id, index], signature)
      chunked.add(id, index, chunk)
      return null
    },

    async das_commitChunkedStore(params) {
      const [id, signature] = z.tuple([uint64, bytes]).parse(params)
      authorize(nothing, [id], signature)
      const { message, timeoutSec } = chunked.finish(id)
      return toResult(await anytrust.put(message, timeoutSec))
    },

    async das_healthCheck() {
      if (!(await isHealthy())) throw new ZerogError('RPC_UNREACHABLE')
      return null
    },

    das_expirationPolicy: async () => EXPIRATION_POLICY,
  }

  return async (body) => {
    const call = request.safeParse(body)
    if (!call.success) return failure(null, INVALID_REQUEST, 'invalid request', 'BAD_REQUEST')
    const { id = null, method, params } = call.data
    const perform = Object.hasOwn(methods, method) ? methods[method] : undefined
    if (perform === undefined) {
      const message = `the method ${method.slice(0, 64)} does not exist/is not available`
      return failure(id, METHOD_NOT_FOUND, message, 'NOT_FOUND')
    }
    try {
      return { jsonrpc: '2.0', id, result: await perform(params) }
    } catch (error) {
      if (error instanceof z.ZodError) {
        const [issue] = error.issues
        const message = `invalid argument ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`
        return failure(id, INVALID_PARAMS, message, 'BAD_REQUEST')
      }
      const known = isZerogError(error)
      if (!known) ctx.log.error({ method, err: error }, 'rollup call failed')
      return failure(id, SERVER_ERROR, known ? error.message : 'internal error', errorCode(error))
    }
  }
}

export declare namespace createAnyTrustRpc {
  type Parts = { anytrust: AnyTrustStore; chunked: ChunkedMessages; isHealthy: () => Promise<boolean> }
}

function failure(id: unknown, code: number, message: string, zerogCode: string): Record<string, unknown> {
  return { jsonrpc: '2.0', id, error: { code, message, data: { code: zerogCode } } }
}

function toResult(certificate: AnyTrustCertificate): Record<string, string> {
  return {
    dataHash: toHex(certificate.dataHash),
    timeout: toQuantity(certificate.timeoutSec),
    signersMask: toQuantity(certificate.signersMask),
    keysetHash: toHex(certificate.keysetHash),
    sig: toHex(certificate.signature),
    version: toQuantity(BigInt(certificate.version)),
  }
}

function toQuantity(value: bigint): string {
  return `0x${value.toString(16)}`
}

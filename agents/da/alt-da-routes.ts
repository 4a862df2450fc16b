import type { FastifyReply, FastifyRequest } from 'fastify'
import {
  type AltDaCommitment,
  encodeAltDaCommitment,
  parseAltDaCommitment,
} from '../../sdk/protocol/alt-da-commitment.ts'
import { errorCode, isZerogError, ZerogError } from '../../sdk/protocol/errors.ts'
import type { Hasher } from '../../sdk/protocol/hasher.ts'
import { toHex } from '../../sdk/protocol/hex.ts'
import type { HttpServer } from '../kernel/http.ts'
import type { Log } from '../kernel/log.ts'
import type { Budget } from './budget.ts'
import type { RollupBlobs, RollupPorts } from './rollup-blobs.ts'
import { drainBody, readBody, workForReply } from './rollup-body.ts'
import type { RollupConfig } from './rollup-config.ts'
import { requireRollup } from './rollup-writers.ts'

/** What both rollup fronts work with. */
export type RollupContext = {
  readonly config: RollupConfig
  readonly ports: RollupPorts
  readonly blobs: RollupBlobs
  readonly hasher: Hasher
  /** Bytes of payloads that are put, in memory. */
  readonly buffer: Budget
  /** Bytes of calls whose sender is known only once they are read; so they take nothing from `buffer`. */
  readonly calls: Budget
  /** Payloads that are read, and held until they are sent: for whoever asks, in places of its own for the operator's rollup. */
  readonly readsFor: (request: FastifyRequest) => Budget
  readonly signal: AbortSignal
  readonly log: Log
}

type Request = FastifyRequest<{ Params: { commitment?: string } }>

const RETRY_AFTER_SEC = 5
/** How a rollup is told that a certificate is worthless for ever, and to drop it. */
const CERTIFICATE_INVALID = 418

/**
 * The OP-stack alt-DA HTTP API: POST or PUT /put, /put/ and /put/0x<commitment>, GET /get/0x<commitment>. Bodies and answers are raw bytes.
 *
 * The stock client knows 200 and 404 only, so what is unknown, expired or not confirmed is 404 on /get; a blob that is invalid for every
 * reader is 418. On /put 503 means "publish elsewhere": everything that keeps a good payload from being published is a 503.
 */
export function addAltDaRoutes(server: HttpServer, ctx: RollupContext): void {
  const { config, ports, blobs, hasher, buffer, readsFor, signal, log } = ctx
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('*', (_request, payload, done) => done(null, payload))

  for (const url of ['/put', '/put/:commitment']) {
    server.route({ method: ['POST', 'PUT'], url, handler: put })
  }
  server.get('/get/:commitment', get)

  async function put(request: Request, reply: FastifyReply): Promise<FastifyReply> {
    try {
      const { commitment } = request.params
      const wanted = commitment === undefined ? undefined : keccakOf(parseAltDaCommitment(commitment))
      requireRollup(request, config.ROLLUP_TOKEN)
      const { bytes, lease } = await readBody(request, {
        maxBytes: config.ROLLUP_MAX_BYTES,
        budget: buffer,
        signal,
      })
      try {
        return await store(bytes, wanted, reply)
      } finally {
        lease.release()
      }
    } catch (error) {
      await drainBody(request, reply, { maxBytes: config.ROLLUP_MAX_BYTES, signal })
      throw error
    }
  }

  async function store(
    payload: Uint8Array,
    wanted: string | undefined,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    if (payload.length === 0) throw new ZerogError('DA_EMPTY_PAYLOAD')
    if (wanted !== undefined && toHex(hasher.keccak256(payload)) !== wanted)
      throw new ZerogError('BAD_REQUEST', 'the body does not hash to the commitment')
    let stored: { blobId: string; payloadHash: string }
    try {
      stored = await blobs.put(payload, await termsNow())
    } catch (error) {
      log.warn({ code: errorCode(error), err: error }, 'a rollup payload was not published')
      return refuse(reply.header('retry-after', RETRY_AFTER_SEC), 503, error)
    }
    const { blobId, payloadHash } = stored
    const isKeccak = wanted !== undefined || config.ROLLUP_COMMITMENT === 'keccak'
    const commitment = isKeccak
      ? encodeAltDaCommitment({ kind: 'keccak', payloadHash })
      : encodeAltDaCommitment({ kind: 'generic', blobId })
    return reply.type('application/octet-stream').send(Buffer.from(commitment))
  }

  async function termsNow(): Promise<{ retentionPeriods: bigint; until: bigint }> {
    const period = ports.currentPeriod()
    const wanted = config.ROLLUP_RETENTION_PERIODS
    const retentionPeriods =
      wanted === undefined ? (await ports.latestExpiry(signal)) - period : BigInt(wanted)
    // A payload put again is answered as before, unless the old blob would soon be gone.
    return { retentionPeriods, until: period + retentionPeriods / 2n }
  }

  async function get(request: Request, reply: FastifyReply): Promise<FastifyReply> {
    const commitment = parseAltDaCommitment(request.params.commitment ?? '')
    try {
      const payload = await workForReply(readsFor(request), { reply, signal }, () =>
        commitment.kind === 'keccak'
          ? blobs.readByHash(commitment.payloadHash)
          : blobs.read(commitment.blobId),
      )
      return reply
        .type('application/octet-stream')
        .send(Buffer.from(payload.buffer, payload.byteOffset, payload.length))
    } catch (error) {
      switch (errorCode(error)) {
        case 'DA_UNKNOWN_BLOB':
        case 'DA_EXPIRED':
        case 'DA_REFUNDED':
        case 'DA_NOT_CONFIRMED':
          return refuse(reply, 404, error)
        case 'DA_INVALID_BLOB':
          // A false claim of this hash says nothing about the payload; a blob that was certified does.
          return refuse(reply, commitment.kind === 'keccak' ? 404 : CERTIFICATE_INVALID, error)
        default:
          throw error
      }
    }
  }
}

/** The hash that a body must have. Generic commitments name a blob that only publishing makes. */
function keccakOf(commitment: AltDaCommitment): string {
  if (commitment.kind === 'keccak') return commitment.payloadHash
  throw new ZerogError(
    'BAD_REQUEST',
    'only a keccak commitment can be put; POST /put answers with a generic one',
  )
}

function refuse(reply: FastifyReply, status: number, error: unknown): FastifyReply {
  const message = isZerogError(error) ? error.message : undefined
  return reply.status(status).send({ error: { code: errorCode(error), message } })
}

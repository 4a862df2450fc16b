import type { FastifyReply, FastifyRequest } from 'fastify'
import { blobIdOf, type SignedHeader } from '../../sdk/protocol/blob-header.ts'
import { encodeColumn } from '../../sdk/protocol/column.ts'
import { isZerogError, ZerogError } from '../../sdk/protocol/errors.ts'
import { toHex } from '../../sdk/protocol/hex.ts'
import type { HttpServer } from '../kernel/http.ts'
import { type Admission, admit, attest, counted } from './attest.ts'
import { offerBytes, readOfferBody, readOfferHeader } from './blob-offer.ts'
import { type BodyReader, readBody } from './body-reader.ts'
import { createDoor } from './door.ts'
import { headNow, isGone } from './read-payload.ts'
import { parseBlobId, parseColumn } from './request.ts'
import type { DaService } from './service.ts'

type Request = FastifyRequest<{ Params: { id?: string; column?: string } }>

const RETRY_AFTER_SEC = '1'
/** A refused sender may still be sending; so much is read for it to hear the answer. */
const DRAIN_BYTES = 16 * 1024 * 1024

/** What nodes offer each other, and light clients sample. Bodies are streams of bytes whatever their content type says. */
export function addColumnRoutes(server: HttpServer, ctx: DaService): void {
  const { columns, config, daMetrics } = ctx
  const door = createDoor({ places: config.DA_INTAKES, mostBytes: Number.POSITIVE_INFINITY })
  let admissions = 0
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  server.setErrorHandler((error, _request, reply) => {
    if (isZerogError(error) && error.code === 'DA_BUSY') reply.header('retry-after', RETRY_AFTER_SEC)
    throw error
  })

  server.put('/da/blobs/:id/columns', async (request: Request, reply: FastifyReply) => {
    const { BODY_IDLE_MS: idleMs, PEER_TIMEOUT_MS: totalMs } = config
    const stop = new AbortController()
    const signal = AbortSignal.any([ctx.signal, stop.signal])
    const body = readBody(request.raw, { idleMs, totalMs, signal })
    try {
      const blobId = parseBlobId(request.params.id)
      return { signature: toHex(await counted(ctx, () => receive(request, { blobId, body, stop }))) }
    } catch (error) {
      if (stop.signal.aborted) {
        reply.header('connection', 'close')
        throw new ZerogError('DA_BUSY', 'the columns came too slowly', { cause: error })
      }
      await body.drain(DRAIN_BYTES).catch(() => undefined)
      throw error
    }
  })

  async function receive(
    request: Request,
    { blobId, body, stop }: { blobId: string; body: BodyReader; stop: AbortController },
  ): Promise<Uint8Array> {
    const signed = await readOfferHeader(body)
    if (blobIdOf(signed.header) !== blobId)
      throw new ZerogError('BAD_REQUEST', 'the header is of another blob than the path')
    const admission = await admitted(signed)
    if (admission.isHeld) {
      await body.drain(DRAIN_BYTES).catch(() => undefined)
      return attest(ctx, admission, { offer: undefined, signal: ctx.signal })
    }
    const { blobCount, disperser } = signed.header
    const { columns: seats } = admission.member
    const bytes = offerBytes(blobCount, seats.length)
    // A place is for what is paid: whoever only sends headers keeps nobody out. Paid headers are on chain for all to see, so
    // whoever is slow to send what belongs to one makes room for others.
    const visit = door.enter({ bytes, from: `${disperser} ${request.ip}` })
    try {
      visit.signal.addEventListener('abort', () => stop.abort(), { once: true })
      const offer = await readOfferBody(body, { blobCount, columns: seats })
      visit.arrived()
      daMetrics.receivedBytes.inc(bytes)
      request.raw.resume()
      return await attest(ctx, admission, { offer, signal: ctx.signal })
    } finally {
      visit.leave()
    }
  }

  /** When many are waiting for payments already, an unpaid header is refused at once: its disperser comes back. */
  async function admitted(signed: SignedHeader): Promise<Admission> {
    const waitMs = admissions < config.DA_INTAKES ? config.DA_PAYMENT_WAIT_MS : 0
    admissions++
    try {
      return await admit(ctx, signed, { waitMs, signal: ctx.signal })
    } finally {
      admissions--
    }
  }

  server.get('/da/blobs/:id/columns/:column', async (request: Request, reply: FastifyReply) => {
    const blobId = parseBlobId(request.params.id)
    const position = parseColumn(request.params.column)
    await checkKept(blobId)
    const column = await columns.read(blobId, position)
    if (!column) throw new ZerogError('DA_UNKNOWN_BLOB', 'this node does not have that column')
    const file = encodeColumn(column)
    daMetrics.servedBytes.inc(file.length)
    return reply.type('application/octet-stream').send(Buffer.from(file.buffer))
  })

  server.get('/da/blobs/:id/commitments', async (request: Request, reply: FastifyReply) => {
    const blobId = parseBlobId(request.params.id)
    await checkKept(blobId)
    const blob = columns.blob(blobId)
    if (!blob) throw new ZerogError('DA_UNKNOWN_BLOB', 'this node has nothing of that blob')
    return reply.type('application/octet-stream').send(Buffer.concat(blob.commitments))
  })

  /** Throws DA_EXPIRED for what may be deleted, deleted or not: the answer does not depend on when this node cleans up. */
  async function checkKept(blobId: string): Promise<void> {
    const header = ctx.index.blob(blobId)?.header ?? columns.blob(blobId)?.header
    if (!header) throw new ZerogError('DA_UNKNOWN_BLOB')
    const head = await headNow(ctx, ctx.signal)
    if (isGone(ctx, header, head)) throw new ZerogError('DA_EXPIRED')
  }
}

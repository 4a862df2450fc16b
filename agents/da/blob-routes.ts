import { getAddress } from 'ethers'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { readFee } from '../../sdk/chain/da.ts'
import { read } from '../../sdk/chain/read.ts'
import { blobCountOf } from '../../sdk/protocol/blob.ts'
import { headerToJson, signHeader } from '../../sdk/protocol/blob-header.ts'
import {
  daDomain,
  type PublishMessage,
  parsePublish,
  type SignedPublish,
  verifyPublish,
} from '../../sdk/protocol/da-typed-data.ts'
import { isZerogError, ZerogError } from '../../sdk/protocol/errors.ts'
import { toHex } from '../../sdk/protocol/hex.ts'
import type { HttpServer } from '../kernel/http.ts'
import { readBody } from './body-reader.ts'
import { createBudget } from './budget.ts'
import { countBits, isSame } from './committees.ts'
import type { Published } from './dispersals.ts'
import { createDoor, type Visit } from './door.ts'
import { headNow, isGone, readPayload } from './read-payload.ts'
import { parseBlobId, parsePeriods } from './request.ts'
import { workForReply } from './rollup-body.ts'
import type { DaService } from './service.ts'
import { readSubmittedHeader } from './submitted-header.ts'

type Params = { id?: string }
type Request = FastifyRequest<{ Params: Params; Querystring: { retentionPeriods?: string } }>

/** How far ahead a permission to publish may reach. */
const MAX_PUBLISH_SEC = 3600
const RETRY_AFTER_SEC = '2'
/** Longest time for a payload to come. */
const PUBLISH_BODY_MS = 120_000
/** Whole reads at a time: each may fetch and recover a blob of 31 MiB. */
const MAX_READS = 4

/** Publishing, and what is known of a blob. */
export function addBlobRoutes(server: HttpServer, ctx: DaService): void {
  const { config, dispersals } = ctx
  const domain = daDomain(ctx.chain.chainId, ctx.chain.da.addresses.DataAvailability)
  const reads = createBudget(MAX_READS)
  const door = createDoor({
    places: 2 * config.DA_BLOBS_IN_FLIGHT,
    mostBytes: Math.max(config.DA_BYTES_IN_FLIGHT, config.DA_MAX_PAYLOAD_BYTES),
  })
  const publishing = new Map<string, Promise<Published>>()

  server.removeAllContentTypeParsers()
  server.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  server.setErrorHandler((error, _request, reply) => {
    if (isZerogError(error) && error.code === 'DA_BUSY') reply.header('retry-after', RETRY_AFTER_SEC)
    throw error
  })

  server.post('/da/blobs', async (request: Request, reply: FastifyReply) => {
    checkPermission(request.headers.authorization)
    const maxBytes = config.DA_MAX_PAYLOAD_BYTES
    const declared = Number(request.headers['content-length'] ?? maxBytes)
    if (declared > maxBytes) throw new ZerogError('DA_PAYLOAD_TOO_LARGE', undefined, { meta: { maxBytes } })
    // Nobody sends a payload in vain while there is no room for one. The room itself is for who has shown more than a header.
    dispersals.reserve(declared)()
    const visit = door.enter({ bytes: declared, from: request.ip })
    try {
      const payload = await readPublished(request, visit)
      return await publish(request, reply, { payload, visit })
    } finally {
      visit.leave()
    }
  })

  async function readPublished(request: Request, visit: Visit): Promise<Uint8Array> {
    const signal = AbortSignal.any([ctx.signal, visit.signal])
    const body = readBody(request.raw, { idleMs: config.BODY_IDLE_MS, totalMs: PUBLISH_BODY_MS, signal })
    try {
      const payload = await body.whole(config.DA_MAX_PAYLOAD_BYTES)
      visit.arrived()
      return payload
    } catch (error) {
      throw visit.signal.aborted ? new ZerogError('DA_BUSY', 'the payload came too slowly') : error
    }
  }

  async function publish(
    request: Request,
    reply: FastifyReply,
    { payload, visit }: { payload: Uint8Array; visit: Visit },
  ): Promise<FastifyReply> {
    if (payload.length === 0) throw new ZerogError('DA_EMPTY_PAYLOAD')
    const permission = checkPermission(request.headers.authorization)
    const retentionPeriods = parsePeriods(
      request.query.retentionPeriods,
      ctx.chain.daTerms.minRetentionPeriods,
    )
    const message = {
      disperser: ctx.self,
      payloadHash: toHex(ctx.hasher.keccak256(payload)),
      payloadBytes: payload.length,
      retentionPeriods,
      until: permission.until,
    }
    verifyPublish(domain, message, permission)
    const publisher = getAddress(permission.address)
    const pays = [ctx.self, ...config.DA_SPONSORED].some((account) => isSame(account, publisher))
    // A permission is used once: shown again, by whomever, it gets the same answer.
    const permissionId = [publisher, message.payloadHash, retentionPeriods, permission.until].join(' ')
    const before = ctx.journal.permitted(permissionId)
    const known = before === undefined ? publishing.get(permissionId) : dispersals.published(before)
    const { blobId, header, signature, feeWei } = await (known ?? publishOnce())
    const mustPay = pays ? 'disperser' : 'publisher'
    return reply.status(202).send({ blobId, header: headerToJson(header), signature, feeWei, mustPay })

    function publishOnce(): Promise<Published> {
      const release = dispersals.reserve(payload.length)
      visit.leave()
      const use = { id: permissionId, until: permission.until }
      const started = (pays ? Promise.resolve() : admitUnpaid(publisher, message))
        .catch((error) => {
          release()
          throw error
        })
        .then(() =>
          dispersals.publish(
            { payload, retentionPeriods, pays, publisher, permission: use, signal: ctx.signal },
            release,
          ),
        )
        .finally(() => publishing.delete(permissionId))
      publishing.set(permissionId, started)
      return started
    }
  }

  function checkPermission(authorization: string | undefined): SignedPublish {
    if (authorization === undefined) throw new ZerogError('UNAUTHORIZED', 'there is no Authorization header')
    const permission = parsePublish(authorization)
    const nowSec = BigInt(Math.floor(Date.now() / 1000))
    if (permission.until >= nowSec && permission.until <= nowSec + BigInt(MAX_PUBLISH_SEC)) return permission
    throw new ZerogError('UNAUTHORIZED', `until lies in the past or over ${MAX_PUBLISH_SEC} s ahead`, {
      meta: { nowSec },
    })
  }

  /** Encoding costs this node seconds; a stranger gets it only with means to pay and without debts of that kind. */
  async function admitUnpaid(
    publisher: string,
    { payloadBytes, retentionPeriods }: PublishMessage,
  ): Promise<void> {
    const unpaid = ctx.journal.unpaidOf(publisher).filter(({ blobId }) => !ctx.index.blob(blobId)).length
    if (unpaid >= config.DA_UNPAID_PER_PUBLISHER)
      throw new ZerogError('DA_UNPAID', `${unpaid} blobs of this account wait for its payment`, {
        meta: { unpaid },
      })
    const blobCount = blobCountOf(payloadBytes)
    const [balanceWei, feeWei] = await Promise.all([
      read(ctx.provider.getBalance(publisher), { signal: ctx.signal }),
      readFee(ctx.chain, { blobCount, retentionPeriods }, { signal: ctx.signal }),
    ])
    if (balanceWei >= feeWei) return
    throw new ZerogError('INSUFFICIENT_FUNDS', `${publisher} cannot pay for the blob`, {
      meta: { balanceWei, feeWei },
    })
  }

  server.get('/da/blobs/:id', async (request: Request) => {
    const blobId = parseBlobId(request.params.id)
    const blob = ctx.index.blob(blobId)
    const dispersal = ctx.journal.get(blobId)
    const header = blob?.header ?? dispersal?.header
    if (!header) throw new ZerogError('DA_UNKNOWN_BLOB')
    const head = await headNow(ctx, ctx.signal)
    const held = ctx.columns.records(blobId).filter(({ damaged }) => !damaged)
    const timingsMs = dispersals.timingsOf(blobId)
    const signature = await signatureOf(blobId)
    return {
      blobId,
      header: headerToJson(header),
      ...(signature === undefined ? {} : { signature }),
      status: blob?.stage ?? 'signed',
      number: blob?.number ?? null,
      signedColumns: blob ? countBits(blob.columns) : 0,
      columns: `0x${(blob?.columns ?? 0n).toString(16).padStart(32, '0')}`,
      collectedSignatures: ctx.journal.collected(blobId).size,
      convicted: blob?.convictedBlock !== undefined,
      expired: isGone(ctx, header, head),
      heldColumns: held.map(({ column }) => column),
      ...(dispersal ? { dispersal: { state: dispersal.state, code: dispersal.code ?? null } } : {}),
      ...(timingsMs ? { timingsMs } : {}),
    }
  })

  /** The disperser's signature: from a column kept here, signed anew by this disperser, or from the chain. */
  async function signatureOf(blobId: string): Promise<string | undefined> {
    const held = ctx.columns.blob(blobId)?.signature
    if (held !== undefined && held !== '0x') return held
    const own = ctx.guard.ownHeader(blobId)
    if (own && ctx.journal.get(blobId)) return (await signHeader(ctx.wallet, own)).signature
    const blob = ctx.index.blob(blobId)
    return blob && (await readSubmittedHeader(ctx.chain, blob, { signal: ctx.signal }))?.signature
  }

  server.get('/da/blobs/:id/payload', async (request: Request, reply: FastifyReply) => {
    const blobId = parseBlobId(request.params.id)
    if (reads.free() === 0) throw new ZerogError('DA_BUSY', 'this node reads as many blobs as it can')
    const payload = await workForReply(reads, { reply, signal: ctx.signal }, () =>
      readPayload(ctx, blobId, ctx.signal),
    )
    return reply
      .type('application/octet-stream')
      .send(Buffer.from(payload.buffer, payload.byteOffset, payload.length))
  })
}

import type { FastifyReply, FastifyRequest } from 'fastify'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { SECTOR_BYTES } from '../../sdk/protocol/layout.ts'
import type { HttpServer } from '../kernel/http.ts'
import { bodyPieces } from './body-pieces.ts'
import type { StorageContext } from './context.ts'
import type { PermissionCheck } from './permission-check.ts'
import {
  chunksAtOnce,
  parseCount,
  parseCounts,
  parseHash,
  parseIndex,
  parseReadRange,
  parseTxSeq,
  parseUploadRange,
} from './request.ts'
import type { ShardInfo, ShardKey } from './shard-store.ts'
import { checkTerms } from './sign-custody.ts'
import type { SubmissionViews } from './submission-view.ts'

/** Chunks are at most this high: 4 MiB; and this high unless the reader says otherwise: 1 MiB. */
const MAX_CHUNK_HEIGHT = 14
const DEFAULT_CHUNK_HEIGHT = 12

type Params = { txSeq?: string; index?: string; chunk?: string }
type Query = { root?: string; height?: string }
type Request = FastifyRequest<{ Params: Params; Querystring: Query }>

/** PUT, HEAD and GET of shards and their chunks. Bodies are streams of bytes whatever their content type says. */
export function addShardRoutes(
  server: HttpServer,
  ctx: StorageContext,
  { views, permissions }: { views: SubmissionViews; permissions: PermissionCheck },
): void {
  const { book, config, index, shards, storageMetrics } = ctx
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('*', (_request, payload, done) => done(null, payload))

  server.put('/v1/shards/:txSeq/:index', async (request: Request, reply: FastifyReply) => {
    const key = keyOf(request)
    const root = parseHash(request.query.root, 'root')
    try {
      const info = await receive(request, key, root)
      return reply.send({
        offset: info.offset,
        total: info.bytes,
        complete: info.state === 'complete',
        ...(info.state === 'complete' ? { root: info.root } : {}),
      })
    } catch (error) {
      await drain(request, reply)
      throw error
    }
  })

  async function receive(request: Request, key: ShardKey, root: string): Promise<ShardInfo> {
    const view = await permissions.writer(request.headers.authorization, key.txSeq)
    const held = shards.info(key)
    const limits = { maxBytes: config.CHUNK_BYTES, ...(held ? { shardBytes: held.bytes } : {}) }
    const range = parseUploadRange(request.headers, limits)
    if (key.index >= view.shards) {
      throw new ZerogError('BAD_REQUEST', `the deal has ${view.shards} shards`, {
        meta: { shards: view.shards },
      })
    }
    if (range.total !== view.shardBytes) {
      throw new ZerogError('BAD_REQUEST', `a shard of this deal has ${view.shardBytes} bytes`, {
        meta: { shardBytes: view.shardBytes },
      })
    }
    // A repeated last chunk is answered as before, even after the seal.
    if (held?.state === 'complete' && held.root === root) return held
    checkTerms(ctx, view)
    const owner = view.owner.toLowerCase()
    const before = held?.offset ?? 0
    const info = await shards.write({
      key,
      root,
      bytes: view.shardBytes,
      owner,
      start: range.start,
      length: range.length,
      replace: !book.isPromised(key.txSeq, key.index),
      admit: () => admit(owner, view.shardBytes),
      body: bodyPieces(request.raw, { idleMs: config.BODY_IDLE_MS, signal: ctx.signal }),
    })
    storageMetrics.receivedBytes.inc(Math.max(0, info.offset - before))
    return info
  }

  /** Throws when the owner has too much here that no seal has paid for. */
  function admit(owner: string, bytes: number): void {
    const row = ctx.store.get<{ bytes: number }>(
      `SELECT coalesce(sum(bytes), 0) AS bytes FROM shard
       WHERE owner = ? AND NOT EXISTS (SELECT 1 FROM deal WHERE deal.tx_seq = shard.tx_seq)`,
      owner,
    )
    const unsealedBytes = row?.bytes ?? 0
    if (unsealedBytes + bytes <= config.UNSEALED_BYTES_PER_OWNER) return
    throw new ZerogError('QUOTA_EXCEEDED', undefined, {
      meta: { unsealedBytes, limitBytes: config.UNSEALED_BYTES_PER_OWNER },
    })
  }

  /** Reads a refused body to its end, so that the answer reaches a sender that is still sending. */
  async function drain(request: Request, reply: FastifyReply): Promise<void> {
    const { raw } = request
    if (raw.readableEnded || raw.destroyed) return
    let left = config.CHUNK_BYTES
    try {
      for await (const piece of bodyPieces(raw, { idleMs: config.BODY_IDLE_MS, signal: ctx.signal })) {
        left -= piece.length
        if (left < 0) break
      }
    } catch {
      left = -1
    }
    if (left < 0) reply.header('connection', 'close')
  }

  server.head('/v1/shards/:txSeq/:index', async (request: Request, reply: FastifyReply) => {
    const info = shards.info(keyOf(request))
    if (!info) throw new ZerogError('SHARD_UNKNOWN')
    return reply
      .header('upload-offset', info.offset)
      .header('upload-complete', info.state === 'complete' ? '?1' : '?0')
      .header('shard-root', info.root)
      .header('cache-control', 'no-store')
      .send()
  })

  server.get(
    '/v1/shards/:txSeq/:index',
    { exposeHeadRoute: false },
    async (request: Request, reply: FastifyReply) => {
      const key = keyOf(request)
      const info = await readable(request, key)
      const range = parseReadRange(request.headers.range, info.bytes)
      const body = await shards.stream(key, range.start, range.length)
      reply
        .status(range.partial ? 206 : 200)
        .type('application/octet-stream')
        .header('accept-ranges', 'bytes')
        .header('content-length', range.length)
        .header('shard-root', info.root)
      if (range.partial) {
        reply.header('content-range', `bytes ${range.start}-${range.start + range.length - 1}/${info.bytes}`)
      }
      storageMetrics.servedBytes.inc(range.length)
      return reply.send(body)
    },
  )

  server.get('/v1/shards/:txSeq/:index/chunks/:chunk', async (request: Request, reply: FastifyReply) => {
    const key = keyOf(request)
    const chunks = parseCounts(request.params.chunk, 'chunk', chunksAtOnce(0))
    const info = await readable(request, key)
    const shardHeight = Math.log2(info.bytes / SECTOR_BYTES)
    const height =
      request.query.height === undefined
        ? Math.min(shardHeight, DEFAULT_CHUNK_HEIGHT)
        : parseCount(request.query.height, 'height')
    if (height > Math.min(MAX_CHUNK_HEIGHT, shardHeight)) {
      throw new ZerogError('BAD_REQUEST', `height is at most ${Math.min(MAX_CHUNK_HEIGHT, shardHeight)}`)
    }
    if (chunks.length > chunksAtOnce(shardHeight - height)) {
      throw new ZerogError('BAD_REQUEST', 'the paths of these chunks together are too long')
    }
    if (chunks.length > 1 && chunks.length * 2 ** height > 2 ** MAX_CHUNK_HEIGHT) {
      throw new ZerogError('BAD_REQUEST', 'these chunks together are longer than the longest single one')
    }
    const parts = await shards.chunks(key, height, chunks)
    const bytes = Buffer.concat(parts.map((part) => part.bytes))
    storageMetrics.servedBytes.inc(bytes.length)
    return reply
      .type('application/octet-stream')
      .header('shard-path', Buffer.concat(parts.flatMap(({ path }) => path)).toString('base64'))
      .header('shard-root', info.root)
      .send(bytes)
  })

  /** The shard, if the caller may read it: anyone once the deal is sealed, before that a co-custodian. */
  async function readable(request: Request, key: ShardKey): Promise<ShardInfo> {
    const info = shards.info(key)
    if (!info) throw new ZerogError('SHARD_UNKNOWN')
    if (info.state !== 'complete') throw new ZerogError('SHARD_INCOMPLETE')
    if (index.deal(key.txSeq)) return info
    const { state } = await views.recent(key.txSeq, ctx.signal)
    if (state === 'sealed' || state === 'ended') return info
    const { authorization } = request.headers
    if (
      authorization !== undefined &&
      book.isCoCustodian(key.txSeq, permissions.reader(authorization, key.txSeq))
    ) {
      return info
    }
    throw new ZerogError('NOT_SEALED', 'before the seal only co-custodians may read this shard')
  }

  function keyOf({ params }: Request): ShardKey {
    return { txSeq: parseTxSeq(params.txSeq), index: parseIndex(params.index) }
  }
}

import type { FastifyReply, FastifyRequest } from 'fastify'
import { readDealState } from '../../sdk/chain/storage.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { HttpServer } from '../kernel/http.ts'
import type { StorageContext } from './context.ts'
import { proposalSchema } from './custody-book.ts'
import { checkProposal } from './custody-check.ts'
import type { PermissionCheck } from './permission-check.ts'
import { parseCount, parseTxSeq, signSchema } from './request.ts'
import type { ShardInfo } from './shard-store.ts'
import { checkTerms, type SignParts, signCustody } from './sign-custody.ts'
import type { SubmissionViews } from './submission-view.ts'

const PAGE_DEALS = 100

type Request = FastifyRequest<{ Params: { txSeq?: string }; Querystring: { cursor?: string } }>

/** Proposals of custody, signing, and what this provider holds. */
export function addDealRoutes(
  server: HttpServer,
  ctx: StorageContext,
  { views, permissions }: { views: SubmissionViews; permissions: PermissionCheck },
): void {
  const parts: SignParts = { ...ctx, views }

  server.put('/v1/deals/:txSeq/custody', async (request: Request) => {
    const txSeq = parseTxSeq(request.params.txSeq)
    const view = await permissions.writer(request.headers.authorization, txSeq)
    const proposal = proposalSchema.parse(request.body)
    checkTerms(parts, view)
    checkProposal(parts, view, proposal)
    ctx.book.putProposal(txSeq, proposal)
    return {}
  })

  server.post('/v1/deals/:txSeq/sign', async (request: Request) => {
    const txSeq = parseTxSeq(request.params.txSeq)
    await permissions.writer(request.headers.authorization, txSeq)
    const { custodyRoot } = signSchema.parse(request.body)
    return signCustody(parts, { txSeq, custodyRoot, signal: ctx.signal })
  })

  server.get('/v1/deals/:txSeq', async (request: Request) => {
    const txSeq = parseTxSeq(request.params.txSeq)
    const held = ctx.shards.list(txSeq)
    const state = await readDealState(ctx.chain, txSeq, { signal: ctx.signal })
    if (state === 'none' && held.length === 0) throw new ZerogError('UNKNOWN_SUBMISSION')
    return { txSeq, state, shards: held.map(toJson) }
  })

  server.get('/v1/deals', async (request: Request, reply: FastifyReply) => {
    const { cursor } = request.query
    const from = cursor === undefined ? 0n : BigInt(parseCount(cursor, 'cursor'))
    const deals = new Map<bigint, ShardInfo[]>()
    for (const shard of ctx.shards.page(from, PAGE_DEALS + 1)) {
      const own = deals.get(shard.txSeq)
      if (own) own.push(shard)
      else if (deals.size === PAGE_DEALS) return reply.send(page(deals, shard.txSeq))
      else deals.set(shard.txSeq, [shard])
    }
    return reply.send(page(deals))
  })

  function page(deals: ReadonlyMap<bigint, ShardInfo[]>, next?: bigint) {
    return {
      deals: [...deals].map(([txSeq, held]) => ({
        txSeq,
        sealed: ctx.index.deal(txSeq) !== undefined,
        shards: held.map(toJson),
      })),
      ...(next === undefined ? {} : { cursor: next }),
    }
  }
}

function toJson({ index, root, bytes, offset, state }: ShardInfo) {
  return { index, root, bytes, offset, complete: state === 'complete' }
}

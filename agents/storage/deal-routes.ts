import type { FastifyReply, FastifyRequest } from 'fastify'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { HttpServer } from '../kernel/http.ts'
import type { StorageContext } from './context.ts'
import { proposalSchema } from './custody-book.ts'
import { checkProposal } from './custody-check.ts'
import type { PermissionCheck } from './permission-check.ts'
import { parseCount, parseTxSeq, signSchema } from './request.ts'
import type { ShardInfo } from './shard-store.ts'
import { checkTerms, type SignedCustody, type SignParts, signCustody } from './sign-custody.ts'
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
  /** Signatures under way: each takes reads of the chain and of other providers, however often it is asked for. */
  const signing = new Map<string, Promise<SignedCustody>>()

  function signOnce(txSeq: bigint, custodyRoot: string): Promise<SignedCustody> {
    const id = `${txSeq}-${custodyRoot}`
    const running = signing.get(id)
    if (running) return running
    const signed = signCustody(parts, { txSeq, custodyRoot, signal: ctx.signal })
    signing.set(id, signed)
    return signed.finally(() => signing.delete(id))
  }

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
    return signOnce(txSeq, custodyRoot)
  })

  server.get('/v1/deals/:txSeq', async (request: Request) => {
    const txSeq = parseTxSeq(request.params.txSeq)
    const held = ctx.shards.list(txSeq)
    // The chain is not asked for strangers about what has nothing to do with this provider.
    if (held.length === 0 && !ctx.index.deal(txSeq)) throw new ZerogError('UNKNOWN_SUBMISSION')
    const { state } = await views.recent(txSeq, ctx.signal)
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

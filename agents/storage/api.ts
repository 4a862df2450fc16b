import type { HttpServer } from '../kernel/http.ts'
import { readVersion } from '../kernel/version.ts'
import type { StorageContext } from './context.ts'
import { addDealRoutes } from './deal-routes.ts'
import { createPermissionCheck } from './permission-check.ts'
import { addShardRoutes } from './shard-routes.ts'
import { createSubmissionViews } from './submission-view.ts'

/** Response headers that browsers may read. */
export const EXPOSED_HEADERS = ['shard-path', 'shard-root', 'upload-offset', 'upload-complete']

/** The provider's HTTP API, version 1. */
export async function addRoutes(server: HttpServer, ctx: StorageContext): Promise<void> {
  const { chain, config, self, shards } = ctx
  const views = createSubmissionViews(chain)
  const permissions = createPermissionCheck({ chainId: ctx.chainId, views, signal: ctx.signal })

  server.get('/v1/info', async () => {
    const freeBytes = Math.max(0, shards.capacityBytes - shards.usedBytes())
    return {
      service: 'storage',
      operator: self,
      chainId: ctx.chainId,
      market: chain.book.contracts.StorageMarket.address,
      version: readVersion(),
      freeBytes,
      capacityBytes: shards.capacityBytes,
      minPriceWei: config.MIN_PRICE_WEI,
      maxShardBytes: Math.min(freeBytes, config.UNSEALED_BYTES_PER_OWNER),
      chunkBytes: config.CHUNK_BYTES,
      unsealedBytesPerOwner: config.UNSEALED_BYTES_PER_OWNER,
    }
  })
  // In a scope of their own: their bodies are streams, everyone else's are JSON.
  await server.register(async (scope) => addShardRoutes(scope, ctx, { views, permissions }))
  await server.register(async (scope) => addDealRoutes(scope, ctx, { views, permissions }))
}

import type { HttpServer } from '../kernel/http.ts'
import { readVersion } from '../kernel/version.ts'
import { addBlobRoutes } from './blob-routes.ts'
import { addColumnRoutes } from './column-routes.ts'
import { addRollupRoutes, deriveAnyTrustKey } from './rollup.ts'
import { createRollupPorts } from './rollup-ports.ts'
import type { DaService } from './service.ts'

/** The node's and disperser's HTTP API. */
export async function addRoutes(server: HttpServer, ctx: DaService): Promise<void> {
  const { chain, columns, config, self } = ctx
  const { hasher, store, signal, log } = ctx
  const rollup = await addRollupRoutes(server, {
    ...{ config, hasher, store, signal, log },
    ports: createRollupPorts(ctx),
    key: deriveAnyTrustKey(ctx.wallet.privateKey),
    isHealthy: async () => (await ctx.committees.active({ signal })) !== undefined,
  })
  server.get('/da/info', async () => ({
    service: 'da',
    operator: self,
    chainId: ctx.chainId,
    dataAvailability: chain.da.addresses.DataAvailability,
    version: readVersion(),
    blsPublicKey: `0x${Buffer.from(ctx.bls.publicKey).toString('hex')}`,
    maxPayloadBytes: config.DA_MAX_PAYLOAD_BYTES,
    blobsInFlight: config.DA_BLOBS_IN_FLIGHT,
    sponsored: [self, ...config.DA_SPONSORED],
    ...rollup,
    freeBytes: Math.max(0, columns.capacityBytes - columns.usedBytes()),
  }))
  // In scopes of their own: bodies are whole payloads here, streams there.
  await server.register(async (scope) => addBlobRoutes(scope, ctx))
  await server.register(async (scope) => addColumnRoutes(scope, ctx))
}

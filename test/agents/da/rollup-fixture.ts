import { join } from 'node:path'
import { hexlify, id } from 'ethers'
import { addRollupRoutes, deriveAnyTrustKey } from '../../../agents/da/rollup.ts'
import type { RollupPorts } from '../../../agents/da/rollup-blobs.ts'
import { rollupEnv } from '../../../agents/da/rollup-config.ts'
import { createHttpServer } from '../../../agents/kernel/http.ts'
import { createMetrics } from '../../../agents/kernel/metrics.ts'
import { openStore } from '../../../agents/kernel/store.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { type Hasher, loadHasher } from '../../../sdk/protocol/hasher.ts'
import { silent } from '../kernel/kernel-fixture.ts'

/** Blobs in memory behind the ports of the rollup fronts; what goes wrong is set from outside. */
function memoryNetwork(hasher: Hasher) {
  const blobs = new Map<string, { payload: Uint8Array; expiresAt: bigint }>()
  const network = {
    blobs,
    period: 100n,
    published: 0,
    publishing: 0,
    mostPublishing: 0,
    /** Thrown by the next publications, one each. */
    publishFailures: [] as Error[],
    /** Thrown when this blob is read. */
    readFailures: new Map<string, ZerogError>(),
    claims: new Map<string, string[]>(),
    /** What is waited for before a publication is done, or a blob is read. */
    gate: Promise.resolve(),
    readGate: Promise.resolve(),
    reading: 0,
    mostReading: 0,
    add(payload: Uint8Array, expiresAt = 150n): string {
      network.published += 1
      const blobId = id(`blob ${network.published}`)
      blobs.set(blobId, { payload: Uint8Array.from(payload), expiresAt })
      const hash = hexlify(hasher.keccak256(payload))
      network.claims.set(hash, [...(network.claims.get(hash) ?? []), blobId])
      return blobId
    },
  }
  const ports: RollupPorts = {
    minRetentionPeriods: 2n,
    latestExpiry: async () => network.period + 50n,
    currentPeriod: () => network.period,
    periodAfter: async (timeSec) => timeSec / 60n,
    blobsClaiming: (payloadHash) => network.claims.get(payloadHash) ?? [],
    async publish(payload, { retentionPeriods }) {
      network.publishing += 1
      network.mostPublishing = Math.max(network.mostPublishing, network.publishing)
      try {
        await network.gate
        const failure = network.publishFailures.shift()
        if (failure !== undefined) throw failure
        const expiresAt = network.period + retentionPeriods
        return { blobId: network.add(payload, expiresAt), expiresAt }
      } finally {
        network.publishing -= 1
      }
    },
    async read(blobId) {
      network.reading += 1
      network.mostReading = Math.max(network.mostReading, network.reading)
      await network.readGate.finally(() => {
        network.reading -= 1
      })
      const failure = network.readFailures.get(blobId)
      if (failure !== undefined) throw failure
      const blob = blobs.get(blobId)
      if (blob === undefined) throw new ZerogError('DA_UNKNOWN_BLOB')
      if (blob.expiresAt < network.period) throw new ZerogError('DA_EXPIRED')
      return blob.payload
    },
  }
  return { network, ports }
}

export type Rollup = Awaited<ReturnType<typeof startRollup>>

/** The rollup fronts on a port of this machine. */
export async function startRollup(folder: string, env: Record<string, string> = {}) {
  const hasher = await loadHasher()
  const { network, ports } = memoryNetwork(hasher)
  const store = openStore(join(folder, 'rollup.sqlite'))
  const server = await createHttpServer({
    log: silent,
    metrics: createMetrics('rollup'),
    checks: {},
    status: async () => ({}),
  })
  const stop = new AbortController()
  const { anytrustPublicKey, anytrustKeysetHash } = await addRollupRoutes(server, {
    config: rollupEnv.parse(env),
    ports,
    store,
    hasher,
    key: deriveAnyTrustKey(id('an operator')),
    isHealthy: async () => true,
    signal: stop.signal,
    log: silent,
  })
  const url = await server.listen({ host: '127.0.0.1', port: 0 })
  return {
    url,
    network,
    publicKey: anytrustPublicKey,
    keysetHash: anytrustKeysetHash,
    async close() {
      stop.abort()
      await server.close()
      store.close()
    },
  }
}

import { hkdfSync } from 'node:crypto'
import { getBytes } from 'ethers'
import { type AnyTrustKey, anyTrustKey } from '../../sdk/protocol/anytrust-certificate.ts'
import type { Hasher } from '../../sdk/protocol/hasher.ts'
import { toHex } from '../../sdk/protocol/hex.ts'
import type { HttpServer } from '../kernel/http.ts'
import type { Log } from '../kernel/log.ts'
import type { Store } from '../kernel/store.ts'
import { addAltDaRoutes, type RollupContext } from './alt-da-routes.ts'
import { createChunkedMessages } from './anytrust-chunks.ts'
import { addAnyTrustRoutes } from './anytrust-routes.ts'
import { createAnyTrustStore } from './anytrust-store.ts'
import { createBudget } from './budget.ts'
import { createRollupBlobs, type RollupPorts } from './rollup-blobs.ts'
import type { RollupConfig } from './rollup-config.ts'
import { isRollup } from './rollup-writers.ts'

const SALT = 'ZeroG AnyTrust'
const INFO = 'Nitro BLS12-381 signing key, version 1'
const SEED_BYTES = 48

export declare namespace addRollupRoutes {
  type Options = {
    config: RollupConfig
    ports: RollupPorts
    store: Store
    hasher: Hasher
    key: AnyTrustKey
    /** Whether a payload could be published now. */
    isHealthy: () => Promise<boolean>
    signal: AbortSignal
    log: Log
  }
}

/** The key that signs AnyTrust certificates: HKDF-SHA256 of the operator key (0x-hex), so that there is nothing more to back up. */
export function deriveAnyTrustKey(operatorKey: string): AnyTrustKey {
  return anyTrustKey(new Uint8Array(hkdfSync('sha256', getBytes(operatorKey), SALT, INFO, SEED_BYTES)))
}

/** Adds both rollup fronts; returns what /status says of them. */
export async function addRollupRoutes(
  server: HttpServer,
  { config, ports, store, hasher, key, isHealthy, signal, log }: addRollupRoutes.Options,
): Promise<{ anytrustPublicKey: string; anytrustKeysetHash: string }> {
  const timeoutMs = config.ROLLUP_TIMEOUT_SEC * 1000
  const inFlight = config.ROLLUP_IN_FLIGHT
  const blobs = createRollupBlobs({ ports, store, hasher, inFlight, timeoutMs, signal, log })
  // Strangers that read slowly, or much, wait for each other: the rollup of this operator does not wait for them.
  const [own, strangers] = [createBudget(inFlight), createBudget(inFlight)]
  const ctx: RollupContext = {
    config,
    ports,
    blobs,
    hasher,
    buffer: createBudget(config.ROLLUP_BUFFER_BYTES),
    calls: createBudget(config.ROLLUP_BUFFER_BYTES),
    readsFor: (request) => (isRollup(request, config.ROLLUP_TOKEN) ? own : strangers),
    signal,
    log,
  }
  const anytrust = createAnyTrustStore({ blobs, ports, store, hasher, key, signal })
  const chunked = createChunkedMessages({ maxBytes: config.ROLLUP_MAX_BYTES })
  signal.addEventListener('abort', chunked.clear, { once: true })
  // In scopes of their own: their bodies are streams, everyone else's are JSON.
  await server.register(async (scope) => addAltDaRoutes(scope, ctx))
  await server.register(async (scope) => addAnyTrustRoutes(scope, ctx, { anytrust, chunked, isHealthy }))
  return {
    anytrustPublicKey: toHex(anytrust.publicKey),
    anytrustKeysetHash: toHex(anytrust.keyset.hash),
  }
}

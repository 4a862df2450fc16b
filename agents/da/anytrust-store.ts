import {
  type AnyTrustKey,
  anyTrustMessage,
  CERTIFICATE_VERSION,
  soleKeyset,
} from '../../sdk/protocol/anytrust-certificate.ts'
import { dastreeHash } from '../../sdk/protocol/dastree.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { Hasher } from '../../sdk/protocol/hasher.ts'
import { bytesEqual, toHex } from '../../sdk/protocol/hex.ts'
import type { Store } from '../kernel/store.ts'
import type { RollupBlobs, RollupPorts } from './rollup-blobs.ts'

/** What `das_store` answers, as bytes and numbers; `signersMask` 1: the only key of the keyset. */
export type AnyTrustCertificate = {
  readonly keysetHash: Uint8Array
  readonly dataHash: Uint8Array
  readonly timeoutSec: bigint
  readonly signersMask: bigint
  readonly signature: Uint8Array
  readonly version: number
}

export type AnyTrustStore = ReturnType<typeof createAnyTrustStore>

export declare namespace createAnyTrustStore {
  type Options = {
    blobs: RollupBlobs
    ports: RollupPorts
    store: Store
    hasher: Hasher
    key: AnyTrustKey
    signal: AbortSignal
  }
}

type DataRow = { payload_hash: string }

const STEPS = [
  `CREATE TABLE anytrust_data (
     data_hash TEXT PRIMARY KEY,
     payload_hash TEXT NOT NULL
   ) STRICT;`,
]

/** Data of AnyTrust rollups, kept as blobs and found again by their `dastree` hash. */
export function createAnyTrustStore(options: createAnyTrustStore.Options) {
  const { blobs, ports, store, hasher, key, signal } = options
  store.migrate('anytrust', STEPS)
  const keyset = soleKeyset(hasher, key)

  return {
    /** The key as it stands in keysets, for the rollup's configuration. */
    publicKey: key.publicKey,
    keyset,

    /**
     * Publishes `message` until `timeoutSec` at least, and only then signs the certificate.
     *
     * Errors: DA_EMPTY_PAYLOAD, DA_PAYLOAD_TOO_LARGE; BAD_REQUEST for a time-out that is past or that no blob lives to; those of publishing.
     */
    async put(message: Uint8Array, timeoutSec: bigint): Promise<AnyTrustCertificate> {
      if (message.length === 0) throw new ZerogError('DA_EMPTY_PAYLOAD')
      const until = await ports.periodAfter(timeoutSec, signal)
      const wanted = until - ports.currentPeriod()
      if (wanted <= 0n) throw new ZerogError('BAD_REQUEST', 'the time-out has passed')
      const latest = await ports.latestExpiry(signal)
      if (until > latest)
        throw new ZerogError('BAD_REQUEST', 'no blob is kept until this time-out', {
          meta: { period: String(until), latestPeriod: String(latest) },
        })
      const retentionPeriods = larger(wanted, ports.minRetentionPeriods)
      const { payloadHash } = await blobs.put(message, { retentionPeriods, until })
      const dataHash = dastreeHash(hasher, message)
      store.run(
        'INSERT OR REPLACE INTO anytrust_data (data_hash, payload_hash) VALUES (?, ?)',
        toHex(dataHash),
        payloadHash,
      )
      return {
        keysetHash: keyset.hash,
        dataHash,
        timeoutSec,
        signersMask: 1n,
        signature: key.sign(anyTrustMessage({ dataHash, timeoutSec })),
        version: CERTIFICATE_VERSION,
      }
    },

    /** The data with this `dastree` hash; also the keyset itself. Errors: DA_UNKNOWN_BLOB, and those of reading. */
    async read(dataHash: Uint8Array): Promise<Uint8Array> {
      if (bytesEqual(dataHash, keyset.hash)) return keyset.bytes
      const row = store.get<DataRow>(
        'SELECT payload_hash FROM anytrust_data WHERE data_hash = ?',
        toHex(dataHash),
      )
      if (row === undefined) throw new ZerogError('DA_UNKNOWN_BLOB', 'no data with this hash was stored here')
      const data = await blobs.readByHash(row.payload_hash)
      if (bytesEqual(dastreeHash(hasher, data), dataHash)) return data
      throw new ZerogError('INTERNAL', 'the stored data does not have this hash')
    },
  }
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

import type { Chain } from '../chain/connect.ts'
import { readOperator } from '../chain/operators.ts'
import { errorCode, ZerogError } from '../protocol/errors.ts'
import { HASH_BYTES, type Hasher } from '../protocol/hasher.ts'
import { fromHex } from '../protocol/hex.ts'
import type { SealedFile } from './find-deal.ts'
import type { HttpTransport } from './http.ts'
import { pause } from './pause.ts'
import { createProviderClient, type ProviderClient } from './provider-client.ts'

/** A proved chunk: its bytes and the root of the subtree that they are. */
export type ProvedChunk = { readonly bytes: Uint8Array; readonly root: Uint8Array }

/** The holders of a file's shards as a reader sees them. Lives as long as one download. */
export type ShardPeers = {
  /** A chunk of a shard, proved against the shard root. Throws what the provider did. */
  chunk(ref: { index: number; chunk: number; height: number }, signal: AbortSignal): Promise<ProvedChunk>
  /** Shard indexes, those expected to answer first and fastest in front. */
  ranked(): number[]
  /** Whether a shard's holder has just failed or been late, so that it is not asked first. */
  isDown(index: number): boolean
  /** Milliseconds after which an answer counts as late. */
  lateMs(): number
  /** Why shards could not be read: code per provider. */
  failures(): Record<string, string>
}

type Peer = {
  readonly provider: string
  readonly client: ProviderClient | undefined
  averageMs: number
  strikes: number
  failure: string | undefined
  /** When it last failed or was too slow to be waited for. */
  troubleAtMs: number
}

/** For so long after a failure a holder is asked only when others do not suffice. */
const TROUBLE_MS = 15_000
/** First and last pause before a holder that has not seen the seal yet is asked again. */
const FIRST_LAG_MS = 250
const LAST_LAG_MS = 2_000
/** Strikes of a holder that served wrong bytes or has no endpoint. */
const NEVER_AGAIN = 1_000
const MIN_LATE_MS = 1_000
const FIRST_LATE_MS = 3_000
const LATE_FACTOR = 4

/** Looks up the holders' endpoints. Errors: those of the RPC. */
export async function connectPeers(
  chain: Chain,
  {
    file,
    hasher,
    timeoutMs,
    signal,
    transport,
  }: {
    file: SealedFile
    hasher: Hasher
    timeoutMs?: number
    transport?: HttpTransport | undefined
    signal?: AbortSignal
  },
): Promise<ShardPeers> {
  const { txSeq, deal, custody } = file
  const operators = [...new Set(custody.shards.map(({ provider }) => provider))]
  const endpoints = await Promise.all(
    operators.map((operator) => readOperator(chain, operator, signal === undefined ? {} : { signal })),
  )
  const peers = new Map(
    operators.map((provider, i): [string, Peer] => {
      const client = clientFor(endpoints[i]?.endpoint ?? '', transport)
      const failure = client === undefined ? 'NO_ENDPOINT' : undefined
      const strikes = client === undefined ? NEVER_AGAIN : 0
      return [provider, { provider, client, averageMs: 0, strikes, failure, troubleAtMs: 0 }]
    }),
  )
  const roots = custody.shards.map(({ root }) => fromHex(root, HASH_BYTES))

  function peerOf(index: number): Peer {
    const peer = peers.get(custody.shards[index]?.provider ?? '')
    if (peer === undefined) throw new ZerogError('RANGE_INVALID', `the deal has no shard ${index}`)
    return peer
  }

  /** A holder may see the seal some blocks after us. */
  async function ask(
    client: ProviderClient,
    { shardRoot, ...ref }: { index: number; chunk: number; height: number; shardRoot: Uint8Array },
    callSignal: AbortSignal,
  ): Promise<ProvedChunk> {
    const proof = { hasher, shardRoot, shardHeight: deal.shardHeight }
    const limits = { signal: callSignal, ...(timeoutMs === undefined ? {} : { timeoutMs }) }
    for (let waitMs = FIRST_LAG_MS; ; waitMs *= 2) {
      try {
        return await client.chunk({ txSeq, ...ref }, proof, limits)
      } catch (error) {
        if (errorCode(error) !== 'NOT_SEALED' || waitMs > LAST_LAG_MS) throw error
        await pause(waitMs, callSignal)
      }
    }
  }

  function lateMs(): number {
    const known = [...peers.values()].map(({ averageMs }) => averageMs).filter((ms) => ms > 0)
    if (known.length === 0) return FIRST_LATE_MS
    known.sort((a, b) => a - b)
    return Math.max(MIN_LATE_MS, LATE_FACTOR * (known[Math.floor(known.length / 2)] ?? 0))
  }

  return {
    async chunk({ index, chunk, height }, callSignal) {
      const peer = peerOf(index)
      const shardRoot = roots[index]
      if (peer.client === undefined || shardRoot === undefined) throw new ZerogError('PEER_UNREACHABLE')
      const startedMs = performance.now()
      try {
        const proved = await ask(peer.client, { index, chunk, height, shardRoot }, callSignal)
        const tookMs = performance.now() - startedMs
        peer.averageMs = peer.averageMs === 0 ? tookMs : 0.8 * peer.averageMs + 0.2 * tookMs
        if (peer.strikes < NEVER_AGAIN) peer.strikes = 0
        return proved
      } catch (error) {
        peer.troubleAtMs = performance.now()
        if (callSignal.aborted) {
          // Nobody waited for it: it is at least as slow as this.
          peer.averageMs = Math.max(peer.averageMs, performance.now() - startedMs)
        } else {
          peer.failure = errorCode(error)
          peer.strikes += peer.failure === 'PROOF_INVALID' ? NEVER_AGAIN : 1
        }
        throw error
      }
    },
    ranked: () =>
      custody.shards
        .map(({ index }) => ({ index, peer: peerOf(index) }))
        .sort((a, b) => a.peer.strikes - b.peer.strikes || a.peer.averageMs - b.peer.averageMs)
        .map(({ index }) => index),
    isDown(index) {
      const { strikes, averageMs, troubleAtMs } = peerOf(index)
      if (strikes >= NEVER_AGAIN) return true
      const inTrouble = troubleAtMs > 0 && performance.now() - troubleAtMs < TROUBLE_MS
      return inTrouble && (strikes > 0 || averageMs > lateMs())
    },
    lateMs,
    failures: () =>
      Object.fromEntries(
        [...peers.values()].flatMap(({ provider, failure }) =>
          failure === undefined ? [] : [[provider, failure]],
        ),
      ),
  }
}

function clientFor(endpoint: string, transport: HttpTransport | undefined): ProviderClient | undefined {
  try {
    return endpoint === '' ? undefined : createProviderClient(endpoint, { transport })
  } catch {
    return undefined
  }
}

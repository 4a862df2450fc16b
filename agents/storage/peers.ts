import type { Wallet } from 'ethers'
import type { Chain } from '../../sdk/chain/connect.ts'
import { readOperator } from '../../sdk/chain/operators.ts'
import { type HttpAnswer, httpRequest } from '../../sdk/client/http.ts'
import { nodeTransport } from '../../sdk/client/http-node.ts'
import { errorCode, isZerogError, ZerogError } from '../../sdk/protocol/errors.ts'
import { HASH_BYTES, type Hasher } from '../../sdk/protocol/hasher.ts'
import { fromHex } from '../../sdk/protocol/hex.ts'
import { SECTOR_BYTES } from '../../sdk/protocol/layout.ts'
import { verifyMerkleProofs } from '../../sdk/protocol/merkle.ts'
import { formatPermission, permissionText } from '../../sdk/protocol/permission.ts'
import type { ShardKey } from './shard-files.ts'
import { chunkRoot } from './shard-levels.ts'

const ENDPOINT_TTL_MS = 60_000
const AUTH_VALID_SEC = 600

/** One chunk of a shard that another provider holds. */
export type PeerChunk = {
  readonly provider: string
  readonly key: ShardKey
  /** Root of the shard, which the chunk must prove itself against. */
  readonly root: string
  readonly shardHeight: number
  readonly height: number
  readonly index: number
  readonly signal: AbortSignal
}

/** Several chunks of one shard. */
export type PeerChunks = Omit<PeerChunk, 'index'> & { readonly indexes: readonly number[] }

export type Peers = {
  /** Fetches a chunk and checks it. Errors: PEER_UNREACHABLE, PEER_MISBEHAVED, ABORTED. */
  chunk(wanted: PeerChunk): Promise<Uint8Array>
  /** Fetches some chunks in one request (`chunksAtOnce`) and checks each. Errors: those of `chunk`. */
  chunks(wanted: PeerChunks): Promise<Uint8Array[]>
}

export declare namespace createPeers {
  type Options = { chain: Chain; wallet: Wallet; hasher: Hasher; timeoutMs: number }
}

/** Reads from other providers under the endpoints of the registry; nothing unverified comes through. */
export function createPeers({ chain, wallet, hasher, timeoutMs }: createPeers.Options): Peers {
  const endpoints = new Map<string, { url: Promise<string>; until: number }>()
  const headers = new Map<bigint, { header: Promise<string>; untilSec: number }>()

  /** Asked once for the many chunks of a provider; forgotten when it does not answer there. */
  function endpoint(provider: string): Promise<string> {
    const known = endpoints.get(provider)
    if (known && known.until > performance.now()) return known.url
    const url = readEndpoint(provider)
    url.catch(() => endpoints.delete(provider))
    endpoints.set(provider, { url, until: performance.now() + ENDPOINT_TTL_MS })
    return url
  }

  async function readEndpoint(provider: string): Promise<string> {
    const { endpoint: url } = await readOperator(chain, provider, { timeoutMs })
    if (/^https?:\/\//.test(url)) return url.replace(/\/+$/, '')
    throw new ZerogError('PEER_UNREACHABLE', `${provider} has no storage endpoint`, { meta: { provider } })
  }

  /** One permission per submission serves all its shards, wherever they lie. */
  function permission(txSeq: bigint): Promise<string> {
    const nowSec = Math.floor(Date.now() / 1000)
    const known = headers.get(txSeq)
    if (known && known.untilSec > nowSec + AUTH_VALID_SEC / 2) return known.header
    if (headers.size > 1024) headers.clear()
    const untilSec = nowSec + AUTH_VALID_SEC
    const header = signRead(txSeq, untilSec)
    headers.set(txSeq, { header, untilSec })
    return header
  }

  async function signRead(txSeq: bigint, validUntilSec: number): Promise<string> {
    const { chainId } = chain
    const text = permissionText({ action: 'read', chainId, txSeq }, validUntilSec)
    const signature = await wallet.signMessage(text)
    return formatPermission({ address: wallet.address, validUntilSec, signature })
  }

  /** Asks for the chunks; what comes is not checked yet but for its length. */
  async function fetchChunks({ provider, key, height, indexes, signal }: PeerChunks): Promise<HttpAnswer> {
    const path = `v1/shards/${key.txSeq}/${key.index}/chunks/${indexes.join(',')}?height=${height}`
    const url = `${await endpoint(provider)}/${path}`
    const request = {
      headers: { authorization: await permission(key.txSeq) },
      timeoutMs,
      maxBytes: indexes.length * 2 ** height * SECTOR_BYTES,
      signal,
    }
    try {
      return await httpRequest(url, request, nodeTransport)
    } catch (error) {
      if (signal.aborted) throw new ZerogError('ABORTED', undefined, { cause: error })
      const status = isZerogError(error) ? error.meta.status : undefined
      if (status === undefined && errorCode(error) === 'PEER_MISBEHAVED') throw error
      if (status === undefined) endpoints.delete(provider)
      const fact = status === undefined ? undefined : `${provider} answered ${status}`
      throw new ZerogError('PEER_UNREACHABLE', fact, {
        cause: error,
        meta: {
          provider,
          txSeq: key.txSeq.toString(),
          index: key.index,
          ...(status === undefined ? {} : { status }),
        },
      })
    }
  }

  async function chunks(wanted: PeerChunks): Promise<Uint8Array[]> {
    const { provider, key, height, indexes, shardHeight } = wanted
    const answer = await fetchChunks(wanted)
    const length = 2 ** height * SECTOR_BYTES
    const depth = shardHeight - height
    const flat = new Uint8Array(Buffer.from(answer.headers.get('shard-path') ?? '', 'base64'))
    const whole = answer.body.length === indexes.length * length
    const root = fromHex(wanted.root)
    if (whole && flat.length === indexes.length * depth * HASH_BYTES) {
      const parts = indexes.map((_, i) => answer.body.subarray(i * length, (i + 1) * length))
      const claims = indexes.map((index, i) => ({
        root,
        leaf: chunkRoot(hasher, parts[i] ?? new Uint8Array()),
        index,
        path: Array.from({ length: depth }, (_, level) =>
          flat.subarray((i * depth + level) * HASH_BYTES, (i * depth + level + 1) * HASH_BYTES),
        ),
      }))
      if (verifyMerkleProofs(hasher, claims)) return parts
    }
    throw new ZerogError('PEER_MISBEHAVED', `${provider} sent a chunk that is not of the shard`, {
      meta: { provider, txSeq: key.txSeq.toString(), index: key.index },
    })
  }

  return {
    chunks,
    async chunk({ index, ...wanted }) {
      const [bytes = new Uint8Array()] = await chunks({ ...wanted, indexes: [index] })
      return bytes
    },
  }
}

import type { Wallet } from 'ethers'
import type { Chain } from '../../sdk/chain/connect.ts'
import { readOperator } from '../../sdk/chain/operators.ts'
import { type HttpAnswer, httpRequest } from '../../sdk/client/http.ts'
import { nodeTransport } from '../../sdk/client/http-node.ts'
import { errorCode, isZerogError, ZerogError } from '../../sdk/protocol/errors.ts'
import { HASH_BYTES, type Hasher } from '../../sdk/protocol/hasher.ts'
import { fromHex } from '../../sdk/protocol/hex.ts'
import { SECTOR_BYTES } from '../../sdk/protocol/layout.ts'
import { verifyMerkleProof } from '../../sdk/protocol/merkle.ts'
import { readHeader } from './read-auth.ts'
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

export type Peers = {
  /** Fetches a chunk and checks it. Errors: PEER_UNREACHABLE, PEER_MISBEHAVED, ABORTED. */
  chunk(wanted: PeerChunk): Promise<Uint8Array>
}

export declare namespace createPeers {
  type Options = { chain: Chain; wallet: Wallet; hasher: Hasher; timeoutMs: number }
}

/** Reads from other providers under the endpoints of the registry; nothing unverified comes through. */
export function createPeers({ chain, wallet, hasher, timeoutMs }: createPeers.Options): Peers {
  const endpoints = new Map<string, { url: Promise<string>; until: number }>()
  const headers = new Map<string, { header: Promise<string>; untilSec: number }>()

  /** Asked once for the many chunks of a provider; forgotten when it does not answer there. */
  function endpoint(provider: string): Promise<string> {
    const known = endpoints.get(provider)
    if (known && known.until > Date.now()) return known.url
    const url = readEndpoint(provider)
    url.catch(() => endpoints.delete(provider))
    endpoints.set(provider, { url, until: Date.now() + ENDPOINT_TTL_MS })
    return url
  }

  async function readEndpoint(provider: string): Promise<string> {
    const { endpoint: url } = await readOperator(chain, provider, { timeoutMs })
    if (/^https?:\/\//.test(url)) return url.replace(/\/+$/, '')
    throw new ZerogError('PEER_UNREACHABLE', `${provider} has no storage endpoint`, { meta: { provider } })
  }

  /** One permission per shard serves many chunks. */
  function permission(key: ShardKey): Promise<string> {
    const id = `${key.txSeq}/${key.index}`
    const nowSec = Math.floor(Date.now() / 1000)
    const known = headers.get(id)
    if (known && known.untilSec > nowSec + AUTH_VALID_SEC / 2) return known.header
    if (headers.size > 1024) headers.clear()
    const untilSec = nowSec + AUTH_VALID_SEC
    const header = readHeader(wallet, { chainId: chain.chainId, key, validUntilSec: untilSec })
    headers.set(id, { header, untilSec })
    return header
  }

  return {
    async chunk(wanted) {
      const { provider, key, height, index } = wanted
      const url = `${await endpoint(provider)}/v1/shards/${key.txSeq}/${key.index}/chunks/${index}?height=${height}`
      const length = 2 ** height * SECTOR_BYTES
      let answer: HttpAnswer
      try {
        const request = {
          headers: { authorization: await permission(key) },
          timeoutMs,
          maxBytes: length,
          signal: wanted.signal,
        }
        answer = await httpRequest(url, request, nodeTransport)
      } catch (error) {
        if (wanted.signal.aborted) throw new ZerogError('ABORTED', undefined, { cause: error })
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
      const bytes = answer.body
      const proof = answer.headers.get('shard-path') ?? ''
      const flat = new Uint8Array(Buffer.from(proof, 'base64'))
      const path = Array.from({ length: flat.length / HASH_BYTES }, (_, i) =>
        flat.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES),
      )
      const whole = bytes.length === length && flat.length === (wanted.shardHeight - height) * HASH_BYTES
      const claim = { root: fromHex(wanted.root), leaf: chunkRoot(hasher, bytes), index, path }
      if (whole && verifyMerkleProof(hasher, claim)) return bytes
      throw new ZerogError('PEER_MISBEHAVED', `${provider} sent a chunk that is not of the shard`, {
        meta: { provider, txSeq: key.txSeq.toString(), index: key.index },
      })
    },
  }
}

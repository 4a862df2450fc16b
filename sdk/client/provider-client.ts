import { getAddress } from 'ethers'
import { z } from 'zod'
import { ZerogError } from '../protocol/errors.ts'
import { HASH_BYTES, type Hasher } from '../protocol/hasher.ts'
import { SECTOR_BYTES } from '../protocol/layout.ts'
import { merkleRoot, verifyMerkleProof } from '../protocol/merkle.ts'
import {
  answerJson,
  type HttpAnswer,
  type HttpRequest,
  type HttpTransport,
  httpRequest,
  type StreamedBody,
} from './http.ts'

/** One shard of one deal. */
export type ShardRef = { readonly txSeq: bigint; readonly index: number }

/** An aligned piece of a shard: the subtree number `chunk` of height `height`. */
export type ChunkRef = ShardRef & { readonly chunk: number; readonly height: number }

type Limits = { readonly signal?: AbortSignal; readonly timeoutMs?: number }

const SMALL_BYTES = 64 * 1024
const QUICK_MS = 5_000
const CHUNK_MS = 30_000
/** Signing waits for the parity check, which reads from other custodians. */
const SIGN_MS = 60_000
const MAX_HEIGHT = 14

const whole = z.number().int().nonnegative()
const decimal = z
  .string()
  .regex(/^\d{1,78}$/)
  .transform(BigInt)
const hash = z.string().regex(/^0x[0-9a-fA-F]{64}$/)
const address = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/)
  .transform((text) => getAddress(text.toLowerCase()))
const count = z.union([whole, decimal.transform(Number)])

const infoSchema = z.object({
  service: z.literal('storage'),
  operator: address,
  chainId: z.union([decimal, whole.transform(BigInt)]),
  market: address,
  version: z.string(),
  freeBytes: count,
  capacityBytes: count,
  minPriceWei: decimal,
  maxShardBytes: count,
  chunkBytes: count.pipe(z.number().min(SECTOR_BYTES)),
})

const putSchema = z.object({ offset: count, total: count, complete: z.boolean() })

const offerSchema = z.object({
  provider: address,
  shardBitmap: decimal,
  ratePerPeriod: decimal,
  validUntil: decimal,
  expiresAt: decimal,
  signature: z
    .string()
    .regex(/^0x([0-9a-fA-F]{2})+$/)
    .max(2 + 2 * 4096),
})

/** What a provider says of itself; `minPriceWei` is per sector and period. */
export type ProviderInfo = z.output<typeof infoSchema>

/** A provider's signed offer of custody. Verify it before use. */
export type CustodyOffer = z.output<typeof offerSchema>

/** How much of a shard a provider has. */
export type ShardProgress = { readonly offset: number; readonly complete: boolean; readonly root?: string }

export type CustodyProposal = {
  readonly byteLength: bigint
  readonly nodes: readonly { root: string; height: number }[]
  readonly custodyRoot: string
  readonly shards: readonly { index: number; provider: string; root: string }[]
}

/**
 * A client of one provider's HTTP API, version 1. Nothing that it returns is trusted but what is verified here: chunks
 * are checked against the shard root. Errors: those of the peer's JSON errors, PEER_UNREACHABLE, TIMEOUT, ABORTED,
 * PEER_MISBEHAVED, PROOF_INVALID.
 */
export type ProviderClient = {
  readonly endpoint: string
  /** Whether `putChunk` sends a streamed body as it is read, so that a chunk need not fit into memory. */
  readonly canStream: boolean
  info(limits?: Limits): Promise<ProviderInfo>
  /** What the provider has of a shard; undefined when nothing. */
  progress(ref: ShardRef, limits?: Limits): Promise<ShardProgress | undefined>
  /** Sends the bytes from `offset` on. Returns the offset that the provider has reached. */
  putChunk(
    ref: ShardRef,
    piece: { root: string; offset: number; total: number; bytes: Uint8Array | StreamedBody },
    limits?: Limits,
  ): Promise<ShardProgress>
  propose(txSeq: bigint, proposal: CustodyProposal, limits?: Limits): Promise<void>
  sign(txSeq: bigint, custodyRoot: string, limits?: Limits): Promise<CustodyOffer>
  /** The bytes of a chunk, proved against the shard root (32 B). */
  chunk(
    ref: ChunkRef,
    proof: { hasher: Hasher; shardRoot: Uint8Array; shardHeight: number },
    limits?: Limits,
  ): Promise<{ bytes: Uint8Array; root: Uint8Array }>
}

export declare namespace createProviderClient {
  type Options = {
    transport?: HttpTransport | undefined
    /** Gives the Authorization header of what only a submission's owner may do: `putChunk`, `propose`, `sign`. */
    authorize?: (() => Promise<string>) | undefined
  }
}

/** A client for the provider at `endpoint`, an http(s) URL. Throws BAD_REQUEST for anything else. */
export function createProviderClient(
  endpoint: string,
  { transport, authorize }: createProviderClient.Options = {},
): ProviderClient {
  const base = baseUrl(endpoint)
  const ask = async (
    path: string,
    request: Omit<HttpRequest, 'timeoutMs'>,
    ms: number,
    limits: Limits = {},
  ) => {
    const url = `${base}/v1/${path}`
    const { timeoutMs = ms, signal } = limits
    return {
      url,
      answer: await httpRequest(url, { ...request, timeoutMs, ...(signal && { signal }) }, transport),
    }
  }
  const askJson = async <S extends z.ZodType>(
    schema: S,
    path: string,
    request: Omit<HttpRequest, 'timeoutMs' | 'maxBytes'>,
    ms: number,
    limits?: Limits,
  ): Promise<z.output<S>> => {
    const { url, answer } = await ask(path, { ...request, maxBytes: SMALL_BYTES }, ms, limits)
    const parsed = schema.safeParse(answerJson(url, answer))
    if (parsed.success) return parsed.data
    const [issue] = parsed.error.issues
    throw new ZerogError('PEER_MISBEHAVED', `${issue?.path.join('.')}: ${issue?.message}`, { meta: { url } })
  }
  const authorized = async (headers: Record<string, string>) =>
    authorize === undefined ? headers : { ...headers, authorization: await authorize() }
  const json = async (method: 'PUT' | 'POST', value: unknown) => ({
    method,
    headers: await authorized({ 'content-type': 'application/json' }),
    body: JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? item.toString() : item)),
  })

  return {
    endpoint: base,
    canStream: transport?.canStream === true,
    info: (limits) => askJson(infoSchema, 'info', {}, QUICK_MS, limits),

    async progress({ txSeq, index }, limits) {
      try {
        const request = { method: 'HEAD', maxBytes: 0 } as const
        const { answer } = await ask(`shards/${txSeq}/${index}`, request, QUICK_MS, limits)
        return progressOf(answer)
      } catch (error) {
        // A HEAD answer has no body, so a 404 carries its status only.
        if (error instanceof ZerogError && error.meta.status === 404) return undefined
        throw error
      }
    },

    async putChunk({ txSeq, index }, { root, offset, total, bytes }, limits) {
      const length = bytes instanceof Uint8Array ? bytes.length : bytes.byteLength
      const headers = await authorized({
        'content-type': 'application/octet-stream',
        'content-range': `bytes ${offset}-${offset + length - 1}/${total}`,
      })
      const request = { method: 'PUT', headers, body: bytes } as const
      return askJson(putSchema, `shards/${txSeq}/${index}?root=${root}`, request, CHUNK_MS, limits)
    },

    async propose(txSeq, proposal, limits) {
      const request = await json('PUT', proposal)
      await askJson(z.object({}), `deals/${txSeq}/custody`, request, CHUNK_MS, limits)
    },

    async sign(txSeq, custodyRoot, limits) {
      const request = await json('POST', { custodyRoot })
      return askJson(offerSchema, `deals/${txSeq}/sign`, request, SIGN_MS, limits)
    },

    async chunk({ txSeq, index, chunk, height }, proof, limits) {
      const length = SECTOR_BYTES * 2 ** height
      const path = `shards/${txSeq}/${index}/chunks/${chunk}?height=${height}`
      const { url, answer } = await ask(path, { maxBytes: length }, CHUNK_MS, limits)
      if (height > MAX_HEIGHT || answer.body.length !== length)
        throw new ZerogError('PEER_MISBEHAVED', `a chunk has ${length} bytes`, { meta: { url } })
      const siblings = shardPath(answer, url)
      const root = merkleRoot(proof.hasher, answer.body)
      const claim = { root: proof.shardRoot, leaf: root, index: chunk, path: siblings }
      if (siblings.length !== proof.shardHeight - height || !verifyMerkleProof(proof.hasher, claim))
        throw new ZerogError('PROOF_INVALID', 'the chunk is not of this shard', { meta: { url } })
      return { bytes: answer.body, root }
    },
  }
}

/** Origin and path of an http(s) URL without a trailing slash. Throws BAD_REQUEST for anything else. */
export function baseUrl(endpoint: string): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
    throw new ZerogError('BAD_REQUEST', 'an endpoint is an http:// or https:// URL', { meta: { endpoint } })
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '')
}

function progressOf({ headers }: HttpAnswer): ShardProgress {
  const offset = Number(headers.get('upload-offset') ?? Number.NaN)
  if (!Number.isSafeInteger(offset) || offset < 0)
    throw new ZerogError('PEER_MISBEHAVED', 'the answer names no Upload-Offset')
  const root = hash.safeParse(headers.get('shard-root'))
  const complete = headers.get('upload-complete') === '?1'
  return { offset, complete, ...(root.success ? { root: root.data.toLowerCase() } : {}) }
}

function shardPath({ headers }: HttpAnswer, url: string): Uint8Array[] {
  const text = headers.get('shard-path') ?? ''
  let joined: Uint8Array
  try {
    joined = Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
  } catch (cause) {
    throw new ZerogError('PEER_MISBEHAVED', 'Shard-Path is not base64', { cause, meta: { url } })
  }
  if (joined.length % HASH_BYTES !== 0)
    throw new ZerogError('PEER_MISBEHAVED', 'Shard-Path is no row of hashes', { meta: { url } })
  return Array.from({ length: joined.length / HASH_BYTES }, (_, i) =>
    joined.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES),
  )
}

import type { Signer } from 'ethers'
import { type DaChain, daPlace } from '../chain/da-chain.ts'
import { readActiveEpoch, readCommittee, readDaEndpoints } from '../chain/da-committee.ts'
import { read } from '../chain/read.ts'
import { blobCountOf, encodeBlob } from '../protocol/blob.ts'
import { type BlobHeader, verifyHeader } from '../protocol/blob-header.ts'
import { commitmentsRoot } from '../protocol/cell-tree.ts'
import { bucketCeil, periodAt } from '../protocol/clock.ts'
import { columnsOf } from '../protocol/column.ts'
import { daDomain, formatPublish, signPublish } from '../protocol/da-typed-data.ts'
import { errorCode, isZerogError, ZerogError } from '../protocol/errors.ts'
import type { Hasher } from '../protocol/hasher.ts'
import { toHex } from '../protocol/hex.ts'
import type { KzgEngine } from '../protocol/kzg-engine.ts'
import { drawRandom } from '../protocol/sampling.ts'
import { createDaClient, type PublishAnswer } from './da-client.ts'
import type { HttpTransport } from './http.ts'

/** What is asked of a disperser. */
export type DisperserRequest = {
  readonly payload: Uint8Array
  readonly payloadHash: string
  readonly retentionPeriods: bigint
  readonly signer: Signer
  readonly hasher: Hasher
  /** The one to ask; any member of the committee without it. */
  readonly disperser?: string | undefined
  /** Encodes the payload here too, and refuses a header that does not fit. */
  readonly kzg?: KzgEngine | undefined
  readonly transport?: HttpTransport | undefined
  readonly signal?: AbortSignal | undefined
}

/** The signature on a request is good for this long. */
const PERMISSION_SEC = 600
const MAX_ASKED = 8
/** Buckets that a disperser may add to the retention, for the time until the header is mined. */
const SPARE_BUCKETS = 2n

/**
 * Has a payload encoded and signed by a disperser, the next one when the first does not. The answer is checked: right payload, chain,
 * signature, retention, and with `kzg` every cell.
 *
 * Errors: DA_BUSY and the like when all say so, else PEER_UNREACHABLE, with `meta.failures` by operator; DA_WRONG_EPOCH before the first
 * committee; ABORTED; those of the RPC.
 */
export async function askDisperser(chain: DaChain, request: DisperserRequest): Promise<PublishAnswer> {
  const { signal, disperser } = request
  const candidates = await dispersersOf(chain, { disperser, signal })
  const failures: Record<string, string> = {}
  let last: unknown
  for (const [operator, endpoint] of candidates) {
    try {
      return await askOne(chain, { ...request, operator, endpoint })
    } catch (error) {
      if (signal?.aborted) throw new ZerogError('ABORTED', undefined, { cause: error })
      failures[operator] = errorCode(error)
      last = error
    }
  }
  const codes = new Set(Object.values(failures))
  if (codes.size === 1 && isZerogError(last))
    throw new ZerogError(last.code, last.message, { cause: last, meta: { ...last.meta, failures } })
  throw new ZerogError('PEER_UNREACHABLE', 'no disperser took the payload', {
    cause: last,
    meta: { failures },
  })
}

async function askOne(
  chain: DaChain,
  request: DisperserRequest & { operator: string; endpoint: string },
): Promise<PublishAnswer> {
  const { payload, payloadHash, retentionPeriods, signer, hasher, operator, endpoint, signal } = request
  const { chainId, da } = daPlace(chain)
  const until = BigInt(Math.floor(Date.now() / 1000) + PERMISSION_SEC)
  const address = await signer.getAddress()
  const signature = await signPublish(signer, daDomain(chainId, da), {
    disperser: operator,
    payloadHash,
    payloadBytes: payload.length,
    retentionPeriods,
    until,
  })
  const client = createDaClient(endpoint, { hasher, transport: request.transport })
  const answer = await client.publish(
    payload,
    { authorization: formatPublish({ address, until, signature }), retentionPeriods },
    signal === undefined ? {} : { signal },
  )
  await checkAnswer(chain, answer, request)
  return answer
}

/** Checks what a disperser has signed before anybody pays for it. Throws PEER_MISBEHAVED, DA_WRONG_CHAIN, SIGNATURE_INVALID. */
async function checkAnswer(
  chain: DaChain,
  answer: PublishAnswer,
  request: DisperserRequest & { operator: string },
): Promise<void> {
  const { payload, payloadHash, retentionPeriods, operator, signal } = request
  const { header } = answer
  verifyHeader(answer, daPlace(chain))
  const head = await read(chain.provider.getBlockNumber(), signal === undefined ? {} : { signal })
  const now = periodAt(chain.terms, BigInt(head))
  const latest = bucketCeil(chain.terms, now + retentionPeriods) + SPARE_BUCKETS * chain.terms.bucketPeriods
  const expected: [unknown, unknown, string][] = [
    [header.disperser, operator, 'disperser'],
    [header.payloadHash, payloadHash, 'payloadHash'],
    [header.payloadBytes, payload.length, 'payloadBytes'],
    [header.blobCount, blobCountOf(payload.length), 'blobCount'],
    // One period may pass while the disperser works.
    [header.expiresAt >= now - 1n + retentionPeriods && header.expiresAt <= latest, true, 'expiresAt'],
  ]
  const wrong = expected.filter(([got, wanted]) => got !== wanted).map(([, , field]) => field)
  if (wrong.length === 0 && request.kzg !== undefined)
    wrong.push(...(await wrongRoots(request.kzg, header, request)))
  if (wrong.length === 0) return
  throw new ZerogError('PEER_MISBEHAVED', `the disperser signed another ${wrong.join(', ')}`, {
    meta: { operator, fields: wrong },
  })
}

/** Which roots of the header are not those of the payload. */
async function wrongRoots(
  kzg: KzgEngine,
  header: BlobHeader,
  { payload, hasher, signal }: DisperserRequest,
): Promise<string[]> {
  const blobs = []
  for (let blobIndex = 0; blobIndex < header.blobCount; blobIndex++)
    blobs.push(await kzg.encode(encodeBlob(payload, blobIndex), signal))
  const commitments = commitmentsRoot(
    hasher,
    blobs.map(({ commitment }) => commitment),
  )
  const { cellsRoot } = columnsOf(hasher, blobs)
  return [
    ...(toHex(commitments) === header.commitmentsRoot ? [] : ['commitmentsRoot']),
    ...(toHex(cellsRoot) === header.cellsRoot ? [] : ['cellsRoot']),
  ]
}

/** Operators with their endpoints, in random order. */
async function dispersersOf(
  chain: DaChain,
  { disperser, signal }: Pick<DisperserRequest, 'disperser' | 'signal'>,
): Promise<[string, string][]> {
  const limits = signal === undefined ? {} : { signal }
  const operators = disperser === undefined ? await membersOf(chain, limits) : [disperser]
  const endpoints = [...(await readDaEndpoints(chain, operators, limits))]
  if (endpoints.length === 0)
    throw new ZerogError('PEER_UNREACHABLE', 'no disperser has an endpoint', { meta: { operators } })
  return drawRandom(endpoints, MAX_ASKED)
}

async function membersOf(chain: DaChain, limits: { signal?: AbortSignal }): Promise<string[]> {
  const epoch = await readActiveEpoch(chain, limits)
  if (epoch === undefined) throw new ZerogError('DA_WRONG_EPOCH', 'no committee has been formed yet')
  const { members } = await readCommittee(chain, epoch, limits)
  return members.map(({ operator }) => operator)
}

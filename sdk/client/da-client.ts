import { z } from 'zod'
import { type BlobHeader, blobIdOf, parseSignedHeader, type SignedHeader } from '../protocol/blob-header.ts'
import { COMMITMENT_BYTES } from '../protocol/cell-layout.ts'
import { commitmentsRoot } from '../protocol/cell-tree.ts'
import { type Column, columnFileBytes, decodeColumn, verifyColumn } from '../protocol/column.ts'
import { ZerogError } from '../protocol/errors.ts'
import type { Hasher } from '../protocol/hasher.ts'
import { toHex } from '../protocol/hex.ts'
import { answerJson, type HttpRequest, type HttpTransport, httpRequest } from './http.ts'
import { baseUrl } from './provider-client.ts'

type Limits = { readonly signal?: AbortSignal; readonly timeoutMs?: number }

const SMALL_BYTES = 64 * 1024
const QUICK_MS = 5_000
const COLUMN_MS = 30_000
/** Uploading and encoding 31 MiB. */
const PUBLISH_MS = 180_000

const decimal = z
  .string()
  .regex(/^\d{1,78}$/)
  .transform(BigInt)

const publishedSchema = z.object({ feeWei: decimal, mustPay: z.enum(['publisher', 'disperser']) })
const statusSchema = z.object({
  status: z.string().max(64),
  signedColumns: z.number().int().min(0).max(128).optional(),
})

/** What a disperser answers to a payload. The header is signed by it, and verified by nobody yet. */
export type PublishAnswer = SignedHeader & {
  readonly blobId: string
  readonly feeWei: bigint
  readonly mustPay: 'publisher' | 'disperser'
}

/** What an agent says of a blob. Its header hashes to the id; the rest is its word. */
export type BlobView = SignedHeader & { readonly status: string; readonly signedColumns: number | undefined }

/**
 * A client of one DA agent's HTTP API. Commitments and columns are checked against the header here, cells against their commitments by the
 * caller. Errors: those of the peer's JSON errors, PEER_UNREACHABLE, TIMEOUT, ABORTED, PEER_MISBEHAVED, DA_CELL_INVALID.
 */
export type DaClient = {
  readonly endpoint: string
  /** Gives a payload to a disperser. `authorization` is the value of the header of that name (`formatPublish`). */
  publish(
    payload: Uint8Array,
    options: { authorization: string; retentionPeriods: bigint },
    limits?: Limits,
  ): Promise<PublishAnswer>
  blob(blobId: string, limits?: Limits): Promise<BlobView>
  /** All commitments (48 B each), proved against the header's `commitmentsRoot`. */
  commitments(header: BlobHeader, limits?: Limits): Promise<Uint8Array[]>
  /** A column, proved against the header's `cellsRoot`. Its cells are not verified yet. */
  column(header: BlobHeader, column: number, limits?: Limits): Promise<Column>
}

/** A client for the DA agent at `endpoint`, an http(s) URL. Throws BAD_REQUEST for anything else. */
export function createDaClient(
  endpoint: string,
  { hasher, transport }: { readonly hasher: Hasher; readonly transport?: HttpTransport | undefined },
): DaClient {
  const base = baseUrl(endpoint)
  const ask = async (
    path: string,
    request: Omit<HttpRequest, 'timeoutMs'>,
    ms: number,
    { timeoutMs = ms, signal }: Limits = {},
  ) => {
    const url = `${base}/da/blobs${path}`
    return {
      url,
      answer: await httpRequest(url, { ...request, timeoutMs, ...(signal && { signal }) }, transport),
    }
  }

  return {
    endpoint: base,

    async publish(payload, { authorization, retentionPeriods }, limits) {
      const headers = { authorization, 'content-type': 'application/octet-stream' }
      const request = { method: 'POST', headers, body: payload, maxBytes: SMALL_BYTES } as const
      const { url, answer } = await ask(`?retentionPeriods=${retentionPeriods}`, request, PUBLISH_MS, limits)
      const json = answerJson(url, answer)
      const signed = signedHeaderOf(url, json)
      return { ...signed, blobId: blobIdOf(signed.header), ...parsed(url, publishedSchema, json) }
    },

    async blob(blobId, limits) {
      const { url, answer } = await ask(`/${blobId}`, { maxBytes: SMALL_BYTES }, QUICK_MS, limits)
      const json = answerJson(url, answer)
      const signed = signedHeaderOf(url, json)
      if (blobIdOf(signed.header) !== blobId.toLowerCase())
        throw misbehaved(url, 'the header is of another blob')
      const { status, signedColumns } = parsed(url, statusSchema, json)
      return { ...signed, status, signedColumns }
    },

    async commitments(header, limits) {
      const length = header.blobCount * COMMITMENT_BYTES
      const path = `/${blobIdOf(header)}/commitments`
      const { url, answer } = await ask(path, { maxBytes: length }, QUICK_MS, limits)
      if (answer.body.length !== length) throw misbehaved(url, `commitments have ${length} bytes`)
      const commitments = Array.from({ length: header.blobCount }, (_, b) =>
        answer.body.subarray(b * COMMITMENT_BYTES, (b + 1) * COMMITMENT_BYTES),
      )
      if (toHex(commitmentsRoot(hasher, commitments)) !== header.commitmentsRoot)
        throw misbehaved(url, 'the commitments are not of this blob')
      return commitments
    },

    async column(header, column, limits) {
      const length = columnFileBytes(header.blobCount)
      const path = `/${blobIdOf(header)}/columns/${column}`
      const { url, answer } = await ask(path, { maxBytes: length }, COLUMN_MS, limits)
      const got = decodeColumn(answer.body)
      if (got.column !== column || !verifyColumn(hasher, got, header))
        throw new ZerogError('DA_CELL_INVALID', 'the column is not of this blob', { meta: { url, column } })
      return got
    },
  }
}

function signedHeaderOf(url: string, json: unknown): SignedHeader {
  try {
    return parseSignedHeader(json)
  } catch (cause) {
    throw new ZerogError('PEER_MISBEHAVED', 'the answer holds no header', { cause, meta: { url } })
  }
}

function parsed<S extends z.ZodType>(url: string, schema: S, json: unknown): z.output<S> {
  const result = schema.safeParse(json)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw misbehaved(url, `${issue?.path.join('.')}: ${issue?.message}`)
}

function misbehaved(url: string, why: string): ZerogError {
  return new ZerogError('PEER_MISBEHAVED', why, { meta: { url } })
}

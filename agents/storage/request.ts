import { z } from 'zod'
import { ZerogError } from '../../sdk/protocol/errors.ts'

const MAX_SHARDS = 80
/** Chunks of one request, as `chunks/1,5,9`, and hashes of all their paths: in base64, these leave a quarter of what Node takes as headers. */
const MAX_CHUNKS = 16
const MAX_PATH_HASHES = 288

/** Part of a shard that a request names: bytes [start, start + length) of `total`. */
export type ByteRange = { readonly start: number; readonly length: number; readonly total: number }

/** A txSeq as it stands in a path. Throws BAD_REQUEST. */
export function parseTxSeq(text: unknown): bigint {
  if (typeof text === 'string' && /^(0|[1-9]\d{0,14})$/.test(text)) return BigInt(text)
  throw new ZerogError('BAD_REQUEST', 'txSeq must be a whole number')
}

/** A shard index as it stands in a path. Throws BAD_REQUEST. */
export function parseIndex(text: unknown): number {
  const index = parseCount(text, 'index')
  if (index < MAX_SHARDS) return index
  throw new ZerogError('BAD_REQUEST', `index must be below ${MAX_SHARDS}`)
}

/** A whole number that is safe to calculate with. Throws BAD_REQUEST. */
export function parseCount(text: unknown, name: string): number {
  if (typeof text === 'string' && /^(0|[1-9]\d{0,14})$/.test(text)) return Number(text)
  throw new ZerogError('BAD_REQUEST', `${name} must be a whole number`)
}

/** One to `most` whole numbers, separated by commas. Throws BAD_REQUEST. */
export function parseCounts(text: unknown, name: string, most: number): number[] {
  const items = typeof text === 'string' ? text.split(',') : [text]
  if (items.length <= most) return items.map((item) => parseCount(item, name))
  throw new ZerogError('BAD_REQUEST', `at most ${most} of ${name} at a time`)
}

/** Chunks that one request may name when each has a path of `depth` hashes. */
export function chunksAtOnce(depth: number): number {
  return Math.min(MAX_CHUNKS, Math.floor(MAX_PATH_HASHES / Math.max(1, depth)))
}

/** 32 bytes of hex, lower case. Throws BAD_HEX. */
export function parseHash(text: unknown, name: string): string {
  if (typeof text === 'string' && /^0x[0-9a-fA-F]{64}$/.test(text)) return text.toLowerCase()
  throw new ZerogError('BAD_HEX', `${name} must be 0x and 64 hex digits`)
}

/**
 * Where the body of a PUT belongs: `Content-Range: bytes a-b/total`, or the whole shard without one.
 *
 * Errors: BAD_REQUEST (malformed, or not the body's length), BODY_TOO_LARGE.
 */
export function parseUploadRange(
  headers: Readonly<Record<string, unknown>>,
  { shardBytes, maxBytes }: { shardBytes?: number; maxBytes: number },
): ByteRange {
  const declared = headers['content-length']
  const bodyBytes = declared === undefined ? undefined : parseCount(declared, 'Content-Length')
  if (bodyBytes !== undefined && bodyBytes > maxBytes) throw tooLarge(maxBytes)
  const header = headers['content-range']
  if (header === undefined) {
    const total = shardBytes ?? bodyBytes
    if (total === undefined) throw new ZerogError('BAD_REQUEST', 'send Content-Length or Content-Range')
    if (bodyBytes !== undefined && bodyBytes !== total) {
      throw new ZerogError('BAD_REQUEST', `the shard has ${total} bytes, the body ${bodyBytes}`, {
        meta: { shardBytes: total },
      })
    }
    if (total > maxBytes) throw tooLarge(maxBytes)
    return { start: 0, length: total, total }
  }
  const [, first, last, total] =
    /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(typeof header === 'string' ? header : '') ?? []
  if (first === undefined || last === undefined || total === undefined) {
    throw new ZerogError('BAD_REQUEST', 'Content-Range must be: bytes first-last/total')
  }
  const range = { start: Number(first), length: Number(last) - Number(first) + 1, total: Number(total) }
  if (range.length < 1 || Number(last) >= range.total) {
    throw new ZerogError('BAD_REQUEST', 'Content-Range is not a range of the whole')
  }
  if (range.length > maxBytes) throw tooLarge(maxBytes)
  if (bodyBytes !== undefined && bodyBytes !== range.length) {
    throw new ZerogError(
      'BAD_REQUEST',
      `Content-Range names ${range.length} bytes, the body has ${bodyBytes}`,
    )
  }
  return range
}

/** The bytes that a GET asks for, all of them without a Range header. Throws RANGE_INVALID, for several ranges too. */
export function parseReadRange(header: unknown, bytes: number): ByteRange & { readonly partial: boolean } {
  if (header === undefined) return { start: 0, length: bytes, total: bytes, partial: false }
  const [, first, last] =
    /^bytes=(\d{0,15})-(\d{0,15})$/.exec(typeof header === 'string' ? header.trim() : '') ?? []
  const meta = { bytes }
  if (first === undefined || last === undefined || (first === '' && last === '')) {
    throw new ZerogError('RANGE_INVALID', 'expected one range: bytes=first-last', { meta })
  }
  const start = first === '' ? Math.max(0, bytes - Number(last)) : Number(first)
  const end = first === '' || last === '' ? bytes : Math.min(bytes, Number(last) + 1)
  if (start >= end) throw new ZerogError('RANGE_INVALID', `the shard has ${bytes} bytes`, { meta })
  return { start, length: end - start, total: bytes, partial: true }
}

/** The body of a request to sign. */
export const signSchema = z.strictObject({
  custodyRoot: z
    .string()
    .regex(/^0x[0-9a-fA-F]{64}$/, 'a hash: 0x and 64 hex digits')
    .transform((text) => text.toLowerCase()),
})

function tooLarge(maxBytes: number): ZerogError {
  return new ZerogError('BODY_TOO_LARGE', `one PUT carries at most ${maxBytes} bytes`, { meta: { maxBytes } })
}

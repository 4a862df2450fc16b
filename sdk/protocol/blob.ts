import { BLOB_BYTES, ELEMENT_BYTES, FIELD_ELEMENTS_PER_BLOB, MAX_BLOBS } from './cell-layout.ts'
import { ZerogError } from './errors.ts'
import type { Hasher } from './hasher.ts'
import { bytesEqual, fromHex } from './hex.ts'

/** Payload bytes of a field element: its top byte is zero, so every value is below the field order. */
export const PAYLOAD_BYTES_PER_ELEMENT = 31
/** Payload bytes of a KZG blob. */
export const PAYLOAD_BYTES_PER_BLOB = FIELD_ELEMENTS_PER_BLOB * PAYLOAD_BYTES_PER_ELEMENT
/** The element in front of the payload: version 1 B, length 8 B big-endian, flags 1 B, zeros. */
export const PREFIX_BYTES = PAYLOAD_BYTES_PER_ELEMENT
/** Most payload bytes under one header: 32,505,825. */
export const MAX_PAYLOAD_BYTES = MAX_BLOBS * PAYLOAD_BYTES_PER_BLOB - PREFIX_BYTES

const VERSION = 1
const LENGTH_AT = 1
const FLAGS_AT = 9
const RESERVED_AT = 10

/**
 * Why a blob is no canonical encoding; the first that applies, in this order, so every reader says the same. `cell`: so many published cells
 * do not fit their commitments that nobody can restore it.
 */
export type InvalidReason =
  | 'cell'
  | 'count'
  | 'element'
  | 'version'
  | 'flags'
  | 'reserved'
  | 'length'
  | 'padding'
  | 'hash'

/** What a header claims of its payload: length in bytes, keccak256 (32 B of hex). */
export type PayloadClaim = {
  readonly blobCount: number
  readonly payloadBytes: number
  readonly payloadHash: string
}

/** KZG blobs that a payload needs. Throws DA_EMPTY_PAYLOAD and DA_PAYLOAD_TOO_LARGE. */
export function blobCountOf(payloadBytes: number): number {
  if (payloadBytes === 0) throw new ZerogError('DA_EMPTY_PAYLOAD')
  if (!Number.isSafeInteger(payloadBytes) || payloadBytes < 0 || payloadBytes > MAX_PAYLOAD_BYTES)
    throw new ZerogError('DA_PAYLOAD_TOO_LARGE', `a blob carries at most ${MAX_PAYLOAD_BYTES} bytes`, {
      meta: { payloadBytes, maxBytes: MAX_PAYLOAD_BYTES },
    })
  return Math.ceil((payloadBytes + PREFIX_BYTES) / PAYLOAD_BYTES_PER_BLOB)
}

/**
 * KZG blob number `blobIndex` (131,072 B) of a payload. The stream prefix ‖ payload ‖ zeros is cut into pieces of 31 bytes, each the low
 * bytes of one big-endian field element. Throws DA_EMPTY_PAYLOAD, DA_PAYLOAD_TOO_LARGE, RANGE_INVALID.
 */
export function encodeBlob(payload: Uint8Array, blobIndex: number): Uint8Array {
  const blobCount = blobCountOf(payload.length)
  if (!Number.isInteger(blobIndex) || blobIndex < 0 || blobIndex >= blobCount)
    throw new ZerogError('RANGE_INVALID', `the payload has ${blobCount} blobs`, { meta: { blobIndex } })
  const blob = new Uint8Array(BLOB_BYTES)
  let element = 0
  if (blobIndex === 0) {
    blob.set(prefixOf(payload.length), 1)
    element = 1
  }
  let at = blobIndex * PAYLOAD_BYTES_PER_BLOB + element * PAYLOAD_BYTES_PER_ELEMENT - PREFIX_BYTES
  for (; element < FIELD_ELEMENTS_PER_BLOB && at < payload.length; element++) {
    const end = at + PAYLOAD_BYTES_PER_ELEMENT
    blob.set(payload.subarray(at, end), element * ELEMENT_BYTES + 1)
    at = end
  }
  return blob
}

/** All KZG blobs of a payload. Throws DA_EMPTY_PAYLOAD and DA_PAYLOAD_TOO_LARGE. */
export function encodePayload(payload: Uint8Array): Uint8Array[] {
  return Array.from({ length: blobCountOf(payload.length) }, (_, index) => encodeBlob(payload, index))
}

/**
 * The payload of the KZG blobs of one header. Everything is checked: the encoding must be canonical to the last bit and the payload what
 * the header claims.
 *
 * Errors: DA_INVALID_BLOB with `meta.reason`, an {@link InvalidReason}: the verdict "invalid", the same for every reader.
 */
export function decodePayload(hasher: Hasher, blobs: readonly Uint8Array[], claim: PayloadClaim): Uint8Array {
  if (blobs.length !== claim.blobCount || blobs.length === 0) throw invalidBlob('count')
  blobs.forEach(checkBlob)
  const stream = streamOf(blobs)
  const payloadBytes = readPrefix(stream)
  if (
    payloadBytes !== claim.payloadBytes ||
    Math.ceil((payloadBytes + PREFIX_BYTES) / PAYLOAD_BYTES_PER_BLOB) !== blobs.length
  )
    throw invalidBlob('length')
  const end = PREFIX_BYTES + payloadBytes
  if (!isZero(stream.subarray(end))) throw invalidBlob('padding')
  const payload = stream.subarray(PREFIX_BYTES, end)
  if (!bytesEqual(hasher.keccak256(payload), fromHex(claim.payloadHash, 32))) throw invalidBlob('hash')
  return payload
}

/** Checks the length of a KZG blob. Throws DA_INVALID_BLOB. */
export function checkBlob(blob: Uint8Array): void {
  if (blob.length !== BLOB_BYTES) throw invalidBlob('count')
}

/** The verdict "invalid". */
export function invalidBlob(reason: InvalidReason): ZerogError {
  return new ZerogError('DA_INVALID_BLOB', undefined, { meta: { reason } })
}

function prefixOf(payloadBytes: number): Uint8Array {
  const prefix = new Uint8Array(PREFIX_BYTES)
  prefix[0] = VERSION
  new DataView(prefix.buffer).setBigUint64(LENGTH_AT, BigInt(payloadBytes))
  return prefix
}

/** The 31-byte pieces of all elements side by side. */
function streamOf(blobs: readonly Uint8Array[]): Uint8Array {
  const stream = new Uint8Array(blobs.length * PAYLOAD_BYTES_PER_BLOB)
  let to = 0
  for (const blob of blobs) {
    for (let from = 0; from < BLOB_BYTES; from += ELEMENT_BYTES) {
      if (blob[from] !== 0) throw invalidBlob('element')
      stream.set(blob.subarray(from + 1, from + ELEMENT_BYTES), to)
      to += PAYLOAD_BYTES_PER_ELEMENT
    }
  }
  return stream
}

/** The length that the prefix names. */
function readPrefix(stream: Uint8Array): number {
  if (stream[0] !== VERSION) throw invalidBlob('version')
  if (stream[FLAGS_AT] !== 0) throw invalidBlob('flags')
  if (!isZero(stream.subarray(RESERVED_AT, PREFIX_BYTES))) throw invalidBlob('reserved')
  const length = new DataView(stream.buffer, stream.byteOffset).getBigUint64(LENGTH_AT)
  if (length === 0n || length > BigInt(MAX_PAYLOAD_BYTES)) throw invalidBlob('length')
  return Number(length)
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}

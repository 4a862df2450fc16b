import { ZerogError } from './errors.ts'
import { bytesEqual, fromHex, toHex } from './hex.ts'

/**
 * What an OP-stack rollup writes to its settlement chain instead of its data (specs/experimental/alt-da.md):
 * `keccak` 0x00 ‖ keccak256 of the payload, `generic` 0x01 ‖ 0x7a ‖ blob id; hashes are 32 B of hex.
 */
export type AltDaCommitment =
  | { readonly kind: 'keccak'; readonly payloadHash: string }
  | { readonly kind: 'generic'; readonly blobId: string }

const KECCAK = Uint8Array.of(0x00)
/** The byte after 0x01 names the DA layer; 0x7a ("z") is ours. */
const GENERIC = Uint8Array.of(0x01, 0x7a)
const HASH_BYTES = 32

/** The bytes of a commitment: 33 of a keccak, 34 of a generic one. */
export function encodeAltDaCommitment(commitment: AltDaCommitment): Uint8Array {
  switch (commitment.kind) {
    case 'keccak':
      return join(KECCAK, commitment.payloadHash)
    case 'generic':
      return join(GENERIC, commitment.blobId)
  }
}

/** Reads a commitment from hex, with or without 0x. Throws BAD_HEX; BAD_REQUEST for types and layers that are not ours. */
export function parseAltDaCommitment(text: string): AltDaCommitment {
  const bytes = fromHex(text.startsWith('0x') ? text.toLowerCase() : `0x${text.toLowerCase()}`)
  for (const [kind, prefix] of [
    ['keccak', KECCAK],
    ['generic', GENERIC],
  ] as const) {
    if (!bytesEqual(bytes.subarray(0, prefix.length), prefix)) continue
    if (bytes.length !== prefix.length + HASH_BYTES)
      throw new ZerogError('BAD_REQUEST', `a ${kind} commitment has ${prefix.length + HASH_BYTES} bytes`)
    const hash = toHex(bytes.subarray(prefix.length))
    return kind === 'keccak' ? { kind, payloadHash: hash } : { kind, blobId: hash }
  }
  throw new ZerogError('BAD_REQUEST', 'a commitment begins with 0x00 (keccak) or 0x017a (a blob id)')
}

function join(prefix: Uint8Array, hash: string): Uint8Array {
  const bytes = new Uint8Array(prefix.length + HASH_BYTES)
  bytes.set(prefix)
  bytes.set(fromHex(hash, HASH_BYTES), prefix.length)
  return bytes
}

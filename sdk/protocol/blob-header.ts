import { getAddress, type Signer, TypedDataEncoder, verifyTypedData } from 'ethers'
import { blobCountOf, invalidBlob, MAX_PAYLOAD_BYTES, type PayloadClaim } from './blob.ts'
import { MAX_BLOBS } from './cell-layout.ts'
import { daDomain, typesOf } from './da-typed-data.ts'
import { ZerogError } from './errors.ts'
import { hasContractForm } from './signature-form.ts'

/**
 * What a disperser claims of a blob; twin of `IDataAvailability.DaHeader`. `da` is the DataAvailability contract, `payloadHash` keccak256 of
 * the payload, `expiresAt` a period, hashes are 32 B of hex.
 */
export type BlobHeader = PayloadClaim & {
  readonly version: number
  readonly chainId: bigint
  readonly da: string
  readonly disperser: string
  readonly epoch: bigint
  readonly nonce: bigint
  readonly commitmentsRoot: string
  readonly cellsRoot: string
  readonly expiresAt: bigint
}

/** A header with the disperser's ECDSA signature (65 B of hex). */
export type SignedHeader = { readonly header: BlobHeader; readonly signature: string }

/** A header in JSON: 64-bit numbers as decimal strings, small ones as numbers, the rest as hex. */
export type BlobHeaderJson = {
  version: number
  chainId: string
  da: string
  disperser: string
  epoch: string
  nonce: string
  blobCount: number
  payloadBytes: number
  payloadHash: string
  commitmentsRoot: string
  cellsRoot: string
  expiresAt: string
}

export const HEADER_VERSION = 1

/** The id of a blob: the EIP-712 digest (hex) of its header in the domain that the header itself names. */
export function blobIdOf(header: BlobHeader): string {
  return TypedDataEncoder.hash(daDomain(header.chainId, header.da), typesOf('Header'), header)
}

/** Signs a header with the disperser's operator key. */
export async function signHeader(
  signer: Pick<Signer, 'signTypedData'>,
  header: BlobHeader,
): Promise<SignedHeader> {
  const domain = daDomain(header.chainId, header.da)
  return { header, signature: await signer.signTypedData(domain, typesOf('Header'), header) }
}

/**
 * Checks that a header is of this chain and contract, and signed by the disperser that it names. Throws DA_WRONG_CHAIN and
 * SIGNATURE_INVALID.
 */
export function verifyHeader(
  { header, signature }: SignedHeader,
  { chainId, da }: { readonly chainId: bigint; readonly da: string },
): void {
  checkChain(header, { chainId, da })
  if (!hasContractForm(signature))
    throw new ZerogError('SIGNATURE_INVALID', 'the signature of the header is malformed')
  let recovered: string
  try {
    recovered = verifyTypedData(daDomain(chainId, da), typesOf('Header'), header, signature)
  } catch (cause) {
    throw new ZerogError('SIGNATURE_INVALID', 'the signature of the header is malformed', { cause })
  }
  if (recovered.toLowerCase() === header.disperser.toLowerCase()) return
  throw new ZerogError('SIGNATURE_INVALID', 'the disperser did not sign this header', {
    meta: { disperser: header.disperser, recovered },
  })
}

/** Checks that a header names this chain and this contract. Throws DA_WRONG_CHAIN. */
export function checkChain(
  header: BlobHeader,
  { chainId, da }: { readonly chainId: bigint; readonly da: string },
): void {
  if (header.chainId === chainId && header.da.toLowerCase() === da.toLowerCase()) return
  throw new ZerogError('DA_WRONG_CHAIN', undefined, {
    meta: { chainId: `${header.chainId}`, da: header.da, expected: { chainId: `${chainId}`, da } },
  })
}

/** Checks what a header says of itself: its version, and the number of blobs for its length. Throws DA_INVALID_BLOB. */
export function checkHeader({ version, payloadBytes, blobCount }: BlobHeader): void {
  if (version !== HEADER_VERSION) throw invalidBlob('version')
  if (payloadBytes < 1 || payloadBytes > MAX_PAYLOAD_BYTES) throw invalidBlob('length')
  if (blobCountOf(payloadBytes) !== blobCount) throw invalidBlob('count')
}

/** JSON form of a header. */
export function headerToJson(header: BlobHeader): BlobHeaderJson {
  const { chainId, epoch, nonce, expiresAt } = header
  return {
    version: header.version,
    chainId: `${chainId}`,
    da: header.da,
    disperser: header.disperser,
    epoch: `${epoch}`,
    nonce: `${nonce}`,
    blobCount: header.blobCount,
    payloadBytes: header.payloadBytes,
    payloadHash: header.payloadHash,
    commitmentsRoot: header.commitmentsRoot,
    cellsRoot: header.cellsRoot,
    expiresAt: `${expiresAt}`,
  }
}

/** Reads a header from JSON: exactly these fields, each in range and in its only spelling. Throws BAD_REQUEST with `meta.field`. */
export function parseHeader(json: unknown): BlobHeader {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw malformed('header')
  const entries = new Map<string, unknown>(Object.entries(json))
  const text = (field: string, pattern: RegExp): string => {
    const value = entries.get(field)
    if (typeof value !== 'string' || !pattern.test(value)) throw malformed(field)
    return value
  }
  const uint64 = (field: string): bigint => {
    const value = BigInt(text(field, /^(?:0|[1-9]\d{0,19})$/))
    if (value >= 1n << 64n) throw malformed(field)
    return value
  }
  const count = (field: string, most: number): number => {
    const value = entries.get(field)
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > most)
      throw malformed(field)
    return value
  }
  const hash = (field: string): string => text(field, /^0x[0-9a-f]{64}$/)
  const address = (field: string): string => getAddress(text(field, /^0x[0-9a-fA-F]{40}$/).toLowerCase())
  const header: BlobHeader = {
    version: count('version', 255),
    chainId: uint64('chainId'),
    da: address('da'),
    disperser: address('disperser'),
    epoch: uint64('epoch'),
    nonce: uint64('nonce'),
    blobCount: count('blobCount', MAX_BLOBS),
    payloadBytes: count('payloadBytes', MAX_PAYLOAD_BYTES),
    payloadHash: hash('payloadHash'),
    commitmentsRoot: hash('commitmentsRoot'),
    cellsRoot: hash('cellsRoot'),
    expiresAt: uint64('expiresAt'),
  }
  for (const field of entries.keys()) if (!Object.hasOwn(header, field)) throw malformed(field)
  return header
}

/** Reads `{header, signature}` from JSON; the signature is not verified yet. Throws BAD_REQUEST with `meta.field`. */
export function parseSignedHeader(json: unknown): SignedHeader {
  if (typeof json !== 'object' || json === null || !('header' in json) || !('signature' in json))
    throw malformed('header')
  const { signature } = json
  if (typeof signature !== 'string' || !/^0x[0-9a-fA-F]{130}$/.test(signature)) throw malformed('signature')
  return { header: parseHeader(json.header), signature }
}

function malformed(field: string): ZerogError {
  return new ZerogError('BAD_REQUEST', `the header's ${field} is missing or malformed`, { meta: { field } })
}

import { sha256 } from '@noble/hashes/sha2.js'
import { AbiCoder, concat, getBytes, id, keccak256, toBeHex } from 'ethers'
import { ZerogError } from './errors.ts'
import type { Hasher } from './hasher.ts'
import { toHex } from './hex.ts'
import { fileLayout, SECTOR_BYTES } from './layout.ts'
import { merkleLevels, merkleProof, sectorHashes } from './merkle.ts'
import { fileTreeOf, type SubmissionNode } from './submission.ts'

/** Bytes of the header that stands before the body of every output: one sector. */
export const JOB_HEADER_BYTES = SECTOR_BYTES

const MAGIC = id('ZeroG JobOutput 1')
const WORDS = 8

/** What an output says of itself. Hashes are 0x and 64 hex digits. */
export type JobHeader = {
  /** Which job, and who did it: {@link jobOutputKey}. */
  readonly key: string
  readonly modelRoot: string
  readonly inputRoot: string
  readonly kind: string
  readonly units: bigint
  readonly bodyBytes: number
  /** SHA-256 of the body. */
  readonly bodySha256: string
}

/** A stored output and the proof of its header, as the contract takes them. */
export type JobDelivery = {
  readonly txSeq: bigint
  readonly byteLength: number
  readonly nodes: readonly SubmissionNode[]
  /** The first sector, hex. */
  readonly header: string
  /** Siblings of the first sector in the first node, from the leaf upwards. */
  readonly path: readonly string[]
}

/** The kind of a job by its name: keccak256 of the text. */
export function jobKind(name: string): string {
  return id(name)
}

/** One job of one escrow on one chain, done by one provider. Twin: JobOutputLib.key. */
export function jobOutputKey(job: {
  readonly chainId: bigint
  readonly escrow: string
  readonly jobId: bigint
  readonly provider: string
}): string {
  const values = [job.chainId, job.escrow, job.jobId, job.provider]
  return keccak256(AbiCoder.defaultAbiCoder().encode(['uint256', 'address', 'uint256', 'address'], values))
}

/** The header as bytes: eight words. Twin: JobOutputLib. */
export function formatJobHeader(header: JobHeader): Uint8Array {
  const { key, modelRoot, inputRoot, kind, units, bodyBytes, bodySha256 } = header
  const numbers = [toBeHex(units, 32), toBeHex(bodyBytes, 32)]
  const bytes = getBytes(concat([MAGIC, key, modelRoot, inputRoot, kind, ...numbers, bodySha256]))
  if (bytes.length !== JOB_HEADER_BYTES) throw invalid('a hash of the header is not 32 bytes long')
  return bytes
}

/** Reads the header of an output. Error: BAD_REQUEST with what is wrong. */
export function parseJobHeader(output: Uint8Array): JobHeader {
  if (output.length < JOB_HEADER_BYTES) throw invalid('the output is shorter than its header')
  const words = Array.from({ length: WORDS }, (_, i) => toHex(output.subarray(32 * i, 32 * (i + 1))))
  const [
    magic,
    key = '',
    modelRoot = '',
    inputRoot = '',
    kind = '',
    units = '',
    bytes = '',
    bodySha256 = '',
  ] = words
  if (magic !== MAGIC) throw invalid('this is no output of a job')
  const bodyBytes = Number(bytes)
  if (!Number.isSafeInteger(bodyBytes)) throw invalid('the length of the body is out of range')
  return { key, modelRoot, inputRoot, kind, units: BigInt(units), bodyBytes, bodySha256 }
}

/** The whole output: header, then `body`, whose length and hash the header gets from here. */
export function wrapJobOutput(
  header: Omit<JobHeader, 'bodyBytes' | 'bodySha256'>,
  body: Uint8Array,
): Uint8Array {
  if (body.length === 0) throw invalid('the body is empty')
  const output = new Uint8Array(JOB_HEADER_BYTES + body.length)
  const measured = { bodyBytes: body.length, bodySha256: toHex(sha256(body)) }
  output.set(formatJobHeader({ ...header, ...measured }))
  output.set(body, JOB_HEADER_BYTES)
  return output
}

/**
 * Takes an output apart and checks that it is whole, and that it is the one expected: each field of `expected` that is
 * given. Error: BAD_REQUEST with what is wrong.
 */
export function unwrapJobOutput(
  output: Uint8Array,
  expected: Partial<JobHeader> = {},
): { header: JobHeader; body: Uint8Array } {
  const header = parseJobHeader(output)
  const body = output.subarray(JOB_HEADER_BYTES)
  if (body.length !== header.bodyBytes) throw invalid('the body is not as long as the header says')
  if (toHex(sha256(body)) !== header.bodySha256)
    throw invalid('the body has another hash than the header says')
  for (const [name, value] of Object.entries(expected)) {
    const found = header[name as keyof JobHeader]
    if (value !== undefined && String(found) !== String(value).toLowerCase())
      throw invalid(`the output has ${name} ${found}, expected ${value}`)
  }
  return { header, body }
}

/** Root of an output, and its delivery but for the number of its submission. What the header says is not looked at. */
export function describeJobOutput(
  hasher: Hasher,
  output: Uint8Array,
): Omit<JobDelivery, 'txSeq'> & { readonly root: string } {
  if (output.length < JOB_HEADER_BYTES) throw invalid('the output is shorter than its header')
  const { root, submission } = fileTreeOf(hasher, output)
  const [height = 0] = fileLayout(output.length).nodeHeights
  const sectors = 2 ** height
  const levels = merkleLevels(
    hasher,
    sectorHashes(hasher, output.subarray(0, sectors * SECTOR_BYTES), sectors),
  )
  const path = merkleProof(levels, 0).map(toHex)
  return { root, ...submission, header: toHex(output.subarray(0, JOB_HEADER_BYTES)), path }
}

function invalid(message: string): ZerogError {
  return new ZerogError('BAD_REQUEST', message)
}

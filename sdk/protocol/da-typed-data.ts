import { type Signer, type TypedDataDomain, TypedDataEncoder, verifyTypedData } from 'ethers'
import { ZerogError } from './errors.ts'

/** EIP-712 types of data availability, by primary type. Field for field those of the contracts. */
export const DA_TYPES = {
  Header: [
    { name: 'version', type: 'uint8' },
    { name: 'chainId', type: 'uint64' },
    { name: 'da', type: 'address' },
    { name: 'disperser', type: 'address' },
    { name: 'epoch', type: 'uint64' },
    { name: 'nonce', type: 'uint64' },
    { name: 'blobCount', type: 'uint16' },
    { name: 'payloadBytes', type: 'uint64' },
    { name: 'payloadHash', type: 'bytes32' },
    { name: 'commitmentsRoot', type: 'bytes32' },
    { name: 'cellsRoot', type: 'bytes32' },
    { name: 'expiresAt', type: 'uint64' },
  ],
  Attestation: [
    { name: 'blobId', type: 'bytes32' },
    { name: 'epoch', type: 'uint64' },
  ],
  Publish: [
    { name: 'disperser', type: 'address' },
    { name: 'payloadHash', type: 'bytes32' },
    { name: 'payloadBytes', type: 'uint64' },
    { name: 'retentionPeriods', type: 'uint64' },
    { name: 'until', type: 'uint64' },
  ],
  BlsKey: [
    { name: 'operator', type: 'address' },
    { name: 'keyHash', type: 'bytes32' },
  ],
} as const

/** A publisher's wish to have a payload dispersed; `until` is Unix time in seconds. */
export type PublishMessage = {
  readonly disperser: string
  readonly payloadHash: string
  readonly payloadBytes: number
  readonly retentionPeriods: bigint
  readonly until: bigint
}

/** EIP-712 domain of headers, attestations and publishing, on one chain. */
export function daDomain(chainId: bigint, verifyingContract: string): TypedDataDomain {
  return { name: 'ZeroG DataAvailability', version: '1', chainId, verifyingContract }
}

/** EIP-712 domain of proofs of possession, on one chain. */
export function committeeDomain(chainId: bigint, verifyingContract: string): TypedDataDomain {
  return { name: 'ZeroG DaCommittee', version: '1', chainId, verifyingContract }
}

/** What a node signs with BLS: the 32-byte EIP-712 digest (hex) of `Attestation{blobId, epoch}`. */
export function attestationDigest(
  domain: TypedDataDomain,
  attestation: { readonly blobId: string; readonly epoch: bigint },
): string {
  return TypedDataEncoder.hash(domain, typesOf('Attestation'), attestation)
}

/** What a proof of possession signs: the digest (hex) of `BlsKey`; `keyHash` is keccak256 of the key's 128 uncompressed bytes. */
export function blsKeyDigest(
  domain: TypedDataDomain,
  key: { readonly operator: string; readonly keyHash: string },
): string {
  return TypedDataEncoder.hash(domain, typesOf('BlsKey'), key)
}

const PUBLISH = /^ZeroGDa (0x[0-9a-fA-F]{40}) (\d{1,12}) (0x[0-9a-fA-F]{130})$/

/** A publishing permission as it travels in the Authorization header. */
export type SignedPublish = {
  readonly address: string
  readonly until: bigint
  readonly signature: string
}

/** Signature (65 B of hex) over a {@link PublishMessage}. */
export function signPublish(
  signer: Pick<Signer, 'signTypedData'>,
  domain: TypedDataDomain,
  message: PublishMessage,
): Promise<string> {
  return signer.signTypedData(domain, typesOf('Publish'), message)
}

/** The value of the Authorization header. */
export function formatPublish({ address, until, signature }: SignedPublish): string {
  return `ZeroGDa ${address} ${until} ${signature}`
}

/** Reads an Authorization header; what it says is not verified yet. Throws UNAUTHORIZED. */
export function parsePublish(header: string): SignedPublish {
  const [, address, until, signature] = PUBLISH.exec(header) ?? []
  if (address === undefined || until === undefined || signature === undefined)
    throw new ZerogError('UNAUTHORIZED', 'expected: ZeroGDa <address> <untilUnixSec> <signature>')
  return { address, until: BigInt(until), signature }
}

/** Checks that the account that the header names signed the message. Throws UNAUTHORIZED. */
export function verifyPublish(
  domain: TypedDataDomain,
  message: PublishMessage,
  { address, signature }: SignedPublish,
): void {
  let recovered: string
  try {
    recovered = verifyTypedData(domain, typesOf('Publish'), message, signature)
  } catch (cause) {
    throw new ZerogError('UNAUTHORIZED', 'the signature is malformed', { cause, meta: { address } })
  }
  if (recovered.toLowerCase() !== address.toLowerCase())
    throw new ZerogError('UNAUTHORIZED', 'somebody else signed this request', { meta: { address } })
}

/** The types that ethers' encoder takes for one primary type. */
export function typesOf(type: keyof typeof DA_TYPES) {
  return { [type]: [...DA_TYPES[type]] }
}

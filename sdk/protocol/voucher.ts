import { type Signer, type TypedDataDomain, TypedDataEncoder, verifyTypedData } from 'ethers'
import { ZerogError } from './errors.ts'
import { hasContractForm } from './signature-form.ts'

/**
 * A user's promise: all that `provider` ever takes from it stays within `ceilingWei`, counted from the first wei settled
 * between the two. Prices are the dearest unit prices at which the user buys; `modelRoot` zero means any model.
 */
export type Voucher = {
  readonly user: string
  readonly provider: string
  readonly ceilingWei: bigint
  readonly inputPriceWei: bigint
  readonly outputPriceWei: bigint
  readonly modelRoot: string
  readonly validUntilSec: bigint
}

/** A provider's consent that `user` takes `amountWei` back at once; nonces grow per user and provider. */
export type Release = {
  readonly user: string
  readonly amountWei: bigint
  readonly nonce: bigint
  readonly validUntilSec: bigint
}

/** What the service's signer claims of a user; `requestsHash` is that of the receipts. */
export type Settlement = {
  readonly requestsHash: string
  readonly nonce: bigint
  readonly provider: string
  readonly user: string
  readonly totalFee: bigint
}

/** EIP-712 types of `InferenceServing`, by primary type. */
export const INFERENCE_TYPES = {
  Voucher: [
    { name: 'user', type: 'address' },
    { name: 'provider', type: 'address' },
    { name: 'ceilingWei', type: 'uint256' },
    { name: 'inputPriceWei', type: 'uint256' },
    { name: 'outputPriceWei', type: 'uint256' },
    { name: 'modelRoot', type: 'bytes32' },
    { name: 'validUntilSec', type: 'uint256' },
  ],
  Release: [
    { name: 'user', type: 'address' },
    { name: 'amountWei', type: 'uint256' },
    { name: 'nonce', type: 'uint256' },
    { name: 'validUntilSec', type: 'uint256' },
  ],
  TEESettlement: [
    { name: 'requestsHash', type: 'bytes32' },
    { name: 'nonce', type: 'uint256' },
    { name: 'provider', type: 'address' },
    { name: 'user', type: 'address' },
    { name: 'totalFee', type: 'uint256' },
  ],
} as const

/** A message together with its primary type. */
export type InferenceMessage =
  | { type: 'Voucher'; message: Voucher }
  | { type: 'Release'; message: Release }
  | { type: 'TEESettlement'; message: Settlement }

/** EIP-712 domain of `InferenceServing` on one chain. */
export function inferenceDomain(chainId: bigint, verifyingContract: string): TypedDataDomain {
  return { name: '0G Inference Serving', version: '1', chainId, verifyingContract }
}

/** The digest that is signed. */
export function inferenceDigest(domain: TypedDataDomain, { type, message }: InferenceMessage): string {
  return TypedDataEncoder.hash(domain, typesOf(type), message)
}

/** Signs a message: 65 bytes of 0x-hex. */
export function signInferenceMessage(
  signer: Signer,
  domain: TypedDataDomain,
  { type, message }: InferenceMessage,
): Promise<string> {
  return signer.signTypedData(domain, typesOf(type), message)
}

/** The account that signed. Throws UNAUTHORIZED when the signature is malformed; contract wallets answer by ERC-1271. */
export function inferenceSigner(
  domain: TypedDataDomain,
  { type, message }: InferenceMessage,
  signature: string,
): string {
  if (!hasContractForm(signature)) throw new ZerogError('UNAUTHORIZED', 'the signature is malformed')
  try {
    return verifyTypedData(domain, typesOf(type), message, signature)
  } catch (cause) {
    throw new ZerogError('UNAUTHORIZED', 'the signature is malformed', { cause })
  }
}

function typesOf(type: InferenceMessage['type']) {
  return { [type]: [...INFERENCE_TYPES[type]] }
}

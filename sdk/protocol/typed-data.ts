import { type Signer, type TypedDataDomain, TypedDataEncoder, verifyTypedData } from 'ethers'
import { ZerogError } from './errors.ts'
import { hasContractForm } from './signature-form.ts'

/** A provider's promise for all its shards of a deal. `shardBitmap` has bit i set for shard i. */
export type CustodyMessage = {
  txSeq: bigint
  digest: string
  custodyRoot: string
  shardBitmap: bigint
  ratePerPeriod: bigint
  expiresAt: bigint
  validUntil: bigint
}

/** The owner's consent to a custody, for a seal sent by somebody else. */
export type ApproveMessage = { txSeq: bigint; custodyRoot: string }

/** A provider's promise to take over one shard of a sealed deal. */
export type TakeoverMessage = {
  txSeq: bigint
  shardIndex: bigint
  custodyRoot: string
  ratePerPeriod: bigint
  validUntil: bigint
}

/** EIP-712 types of the storage market, by primary type. */
export const STORAGE_TYPES = {
  Custody: [
    { name: 'txSeq', type: 'uint256' },
    { name: 'digest', type: 'bytes32' },
    { name: 'custodyRoot', type: 'bytes32' },
    { name: 'shardBitmap', type: 'uint256' },
    { name: 'ratePerPeriod', type: 'uint256' },
    { name: 'expiresAt', type: 'uint256' },
    { name: 'validUntil', type: 'uint256' },
  ],
  Approve: [
    { name: 'txSeq', type: 'uint256' },
    { name: 'custodyRoot', type: 'bytes32' },
  ],
  Takeover: [
    { name: 'txSeq', type: 'uint256' },
    { name: 'shardIndex', type: 'uint256' },
    { name: 'custodyRoot', type: 'bytes32' },
    { name: 'ratePerPeriod', type: 'uint256' },
    { name: 'validUntil', type: 'uint256' },
  ],
} as const

/** A message together with its primary type. */
export type StorageMessage =
  | { type: 'Custody'; message: CustodyMessage }
  | { type: 'Approve'; message: ApproveMessage }
  | { type: 'Takeover'; message: TakeoverMessage }

/** EIP-712 domain of the storage market on one chain. */
export function marketDomain(chainId: bigint, verifyingContract: string): TypedDataDomain {
  return { name: 'ZeroG StorageMarket', version: '1', chainId, verifyingContract }
}

/** EIP-712 hash to sign: keccak256(0x1901 ‖ domain separator ‖ struct hash). */
export function hashStorageMessage(domain: TypedDataDomain, { type, message }: StorageMessage): string {
  return TypedDataEncoder.hash(domain, typesOf(type), message)
}

/** Signature (65 B of hex) over a message. */
export function signStorageMessage(
  signer: Signer,
  domain: TypedDataDomain,
  { type, message }: StorageMessage,
): Promise<string> {
  return signer.signTypedData(domain, typesOf(type), message)
}

/**
 * Checks that `signer`, a plain account, signed the message. Throws SIGNATURE_INVALID. Contract wallets (ERC-1271) must be asked on chain.
 */
export function verifyStorageMessage(
  domain: TypedDataDomain,
  { type, message }: StorageMessage,
  { signer, signature }: { signer: string; signature: string },
): void {
  if (!hasContractForm(signature))
    throw new ZerogError('SIGNATURE_INVALID', 'the signature is malformed', { meta: { type, signer } })
  let recovered: string
  try {
    recovered = verifyTypedData(domain, typesOf(type), message, signature)
  } catch (cause) {
    throw new ZerogError('SIGNATURE_INVALID', 'the signature is malformed', { cause, meta: { type, signer } })
  }
  if (recovered.toLowerCase() !== signer.toLowerCase()) {
    throw new ZerogError('SIGNATURE_INVALID', undefined, { meta: { type, signer, recovered } })
  }
}

function typesOf(type: StorageMessage['type']) {
  return { [type]: [...STORAGE_TYPES[type]] }
}

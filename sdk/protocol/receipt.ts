import { AbiCoder, id, keccak256 } from 'ethers'

/** What one response cost, bound to its exact bytes. Hashes are 0x and 64 hex digits, `feeWei` is in wei. */
export type Receipt = {
  /** SHA-256 of the request's body. */
  readonly requestHash: string
  /** SHA-256 of the response's body; of a stream, of all its raw bytes. */
  readonly responseHash: string
  readonly modelHash: string
  readonly inputUnits: bigint
  readonly outputUnits: bigint
  readonly feeWei: bigint
  readonly priceEpoch: bigint
  /** Strictly increasing per (user, provider), for ever. */
  readonly nonce: bigint
  readonly traceRoot: string
}

/** Node of a Merkle-sum tree. */
type SumNode = { readonly hash: string; readonly sumWei: bigint }

export const NO_TRACE = `0x${'00'.repeat(32)}`

const RECEIPT_TUPLE =
  'tuple(bytes32 requestHash,bytes32 responseHash,bytes32 modelHash,uint64 inputUnits,uint64 outputUnits,' +
  'uint128 feeWei,uint32 priceEpoch,uint64 nonce,bytes32 traceRoot)'
const EMPTY: SumNode = { hash: NO_TRACE, sumWei: 0n }
const coder = AbiCoder.defaultAbiCoder()

/** The model's id as receipts carry it: keccak256 of its text. */
export function modelHash(modelId: string): string {
  return id(modelId)
}

/** The leaf of one receipt. */
export function leafHash(receipt: Receipt): string {
  return keccak256(coder.encode([RECEIPT_TUPLE], [receipt]))
}

/**
 * What a settlement of `receipts` signs, and their sum: the root of a Merkle-sum tree in which an odd last node pairs
 * with (0, 0), hashed with the sum and the count. Twin: ReceiptLib.requestsHash.
 */
export function requestsHash(receipts: readonly Receipt[]): { hash: string; sumWei: bigint } {
  let level: SumNode[] = receipts.map((receipt) => ({ hash: leafHash(receipt), sumWei: receipt.feeWei }))
  while (level.length > 1) level = fold(level)
  const { hash: root, sumWei } = level[0] ?? EMPTY
  const types = ['bytes32', 'uint256', 'uint256']
  return { hash: keccak256(coder.encode(types, [root, sumWei, receipts.length])), sumWei }
}

function fold(level: readonly SumNode[]): SumNode[] {
  const parents: SumNode[] = []
  for (let i = 0; i < level.length; i += 2) {
    const left = level[i] ?? EMPTY
    const right = level[i + 1] ?? EMPTY
    const types = ['bytes32', 'uint256', 'bytes32', 'uint256']
    const encoded = coder.encode(types, [left.hash, left.sumWei, right.hash, right.sumWei])
    parents.push({ hash: keccak256(encoded), sumWei: left.sumWei + right.sumWei })
  }
  return parents
}

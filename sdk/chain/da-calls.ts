import type { SignedHeader } from '../protocol/blob-header.ts'
import { type ChainCall, chainCall } from './chain-call.ts'
import { headerStruct } from './da.ts'
import type { DaChain } from './da-chain.ts'

/** Puts a signed header on chain and pays its fee; what is paid too much is credited to the sender. */
export function submitBlobCall(
  { da: { availability } }: DaChain,
  { header, signature }: SignedHeader,
  feeWei: bigint,
): ChainCall {
  const data = availability.interface.encodeFunctionData('submit', [headerStruct(header), signature])
  return chainCall(availability, data, feeWei)
}

/** Confirms a blob with a quorum's aggregate signature (256 B, G2), or adds columns to it. */
export function confirmBlobCall(
  { da: { availability }, chainId }: DaChain,
  request: { blobId: string; epoch: bigint; signers: bigint; signature: Uint8Array | string },
): ChainCall {
  return chainCall(
    availability,
    availability.interface.encodeFunctionData('confirm', [{ chainId, ...request }]),
  )
}

/** Gives the fee of a blob that was not confirmed in time back to its payer's credit, less a share. */
export function refundBlobCall({ da: { availability } }: DaChain, blobId: string): ChainCall {
  return chainCall(availability, availability.interface.encodeFunctionData('refund', [blobId]))
}

/** Shares the fee of an expired blob among those who attested and kept it. */
export function claimBlobCall({ da: { availability } }: DaChain, blobId: string): ChainCall {
  return chainCall(availability, availability.interface.encodeFunctionData('claim', [blobId]))
}

/** Sends all that data availability has credited to the sender to `to`. */
export function withdrawDaCall({ da: { availability } }: DaChain, to: string): ChainCall {
  return chainCall(availability, availability.interface.encodeFunctionData('withdraw', [to]))
}

/** Joins the committee with a BLS key (128 B) and its proof of possession (256 B); `replaced` is needed only when all slots are taken. */
export function registerMemberCall(
  { da: { committee } }: DaChain,
  {
    publicKey,
    proofOfPossession,
    replaced = `0x${'0'.repeat(40)}`,
  }: { publicKey: Uint8Array; proofOfPossession: Uint8Array; replaced?: string },
): ChainCall {
  const data = committee.interface.encodeFunctionData('register', [publicKey, proofOfPossession, replaced])
  return chainCall(committee, data)
}

/** Gives the sender's slot up from the next formed epoch on. */
export function resignMemberCall({ da: { committee } }: DaChain): ChainCall {
  return chainCall(committee, committee.interface.encodeFunctionData('resign'))
}

/** Removes a member whose stake no longer suffices. */
export function dropMemberCall({ da: { committee } }: DaChain, operator: string): ChainCall {
  return chainCall(committee, committee.interface.encodeFunctionData('drop', [operator]))
}

/** Forms the committee of the current epoch. `headerRlp` may be '0x' where the Beacon has the seed. */
export function newEpochCall({ da: { committee } }: DaChain, headerRlp: string): ChainCall {
  return chainCall(committee, committee.interface.encodeFunctionData('newEpoch', [headerRlp]))
}

/** Opens the present period's audit round. `headerRlp` may be '0x' where the Beacon has the seed or needs no header. */
export function openDaRoundCall(
  { da: { prover } }: DaChain,
  { period, headerRlp }: { period: bigint; headerRlp: string },
): ChainCall {
  return chainCall(prover, prover.interface.encodeFunctionData('openRound', [period, headerRlp]))
}

/** An answer to a draw: cell ‖ proof (2096 B) and its path up to `cellsRoot`. */
export type DaAnswer = {
  period: bigint
  draw: number
  entryIndex: bigint
  cellAndProof: Uint8Array
  path: readonly Uint8Array[]
}

/** Answers a draw; the bounty is that of who attested the column, whoever sends it. */
export function answerDaCall({ da: { prover } }: DaChain, answer: DaAnswer): ChainCall {
  return chainCall(prover, prover.interface.encodeFunctionData('answer', answerFields(answer)))
}

/** Answers a draw on a column whose attester is out; the bounty is that of who holds the column now. */
export function answerAsSuccessorDaCall({ da: { prover } }: DaChain, answer: DaAnswer): ChainCall {
  return chainCall(prover, prover.interface.encodeFunctionData('answerAsSuccessor', answerFields(answer)))
}

function answerFields({
  period,
  draw,
  entryIndex,
  cellAndProof,
  path,
}: DaAnswer): [bigint, number, bigint, Uint8Array, Uint8Array[]] {
  return [period, draw, entryIndex, cellAndProof, [...path]]
}

/** Reports a draw that nobody answered in time. */
export function reportDaMissCall(
  { da: { prover } }: DaChain,
  { period, draw, entryIndex }: { period: bigint; draw: number; entryIndex: bigint },
): ChainCall {
  return chainCall(prover, prover.interface.encodeFunctionData('reportMiss', [period, draw, entryIndex]))
}

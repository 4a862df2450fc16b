import { type ChainCall, chainCall } from './chain-call.ts'
import type { Chain } from './connect.ts'

export type SubmissionNode = { root: string; height: bigint | number }
export type SubmissionInput = { byteLength: bigint; tags?: string; nodes: readonly SubmissionNode[] }

export type CustodianInput = {
  provider: string
  shardBitmap: bigint
  ratePerPeriod: bigint
  validUntil: bigint
  signature: string
}

/** A custody leaf with its path to the deal's custody root, bottom up. */
export type CustodyProofInput = { provider: string; shardRoot: string; path: readonly string[] }

type DrawRef = { period: bigint; draw: number; entryIndex: bigint; custody: CustodyProofInput }

/** Appends a file to the flow and pays for it; `submitter` is only repeated in the event. */
export function submitCall(
  { contracts: { flow } }: Chain,
  { submission, submitter, valueWei }: { submission: SubmissionInput; submitter: string; valueWei: bigint },
): ChainCall {
  const data = flow.interface.encodeFunctionData('submit(((uint256,bytes,(bytes32,uint256)[]),address))', [
    {
      data: { length: submission.byteLength, tags: submission.tags ?? '0x', nodes: [...submission.nodes] },
      submitter,
    },
  ])
  return chainCall(flow, data, valueWei)
}

/** Buys another parity or term before the seal; the value tops the escrow up. */
export function configureCall(
  { contracts: { market } }: Chain,
  options: { txSeq: bigint; parityShards: number; termPeriods: bigint; valueWei: bigint },
): ChainCall {
  const { txSeq, parityShards, termPeriods, valueWei } = options
  return chainCall(
    market,
    market.interface.encodeFunctionData('configure', [txSeq, parityShards, termPeriods]),
    valueWei,
  )
}

/** Names who may seal the sender's submissions; the zero address for nobody. */
export function setSealerCall({ contracts: { market } }: Chain, sealer: string): ChainCall {
  return chainCall(market, market.interface.encodeFunctionData('setSealer', [sealer]))
}

/** Turns a submission into a deal; the value is the parity bond. `approval` is empty when the owner sends it. */
export function sealCall(
  { contracts: { market }, terms }: Chain,
  request: {
    txSeq: bigint
    byteLength: bigint
    nodes: readonly SubmissionNode[]
    shardRoots: readonly string[]
    custodians: readonly CustodianInput[]
    approval?: string
  },
): ChainCall {
  const data = market.interface.encodeFunctionData('seal', [
    {
      txSeq: request.txSeq,
      byteLength: request.byteLength,
      nodes: [...request.nodes],
      shardRoots: [...request.shardRoots],
      custodians: [...request.custodians],
      approval: request.approval ?? '0x',
    },
  ])
  return chainCall(market, data, terms.parityBondWei)
}

/** Returns the escrow of a submission that was not sealed in time to its owner's credit. */
export function refundCall({ contracts: { market } }: Chain, txSeq: bigint): ChainCall {
  return chainCall(market, market.interface.encodeFunctionData('refund', [txSeq]))
}

/** Closes a deal whose term is over and releases the bond. */
export function endCall({ contracts: { market } }: Chain, txSeq: bigint): ChainCall {
  return chainCall(market, market.interface.encodeFunctionData('end', [txSeq]))
}

/** Hands one shard of a deal to a successor; sent by its present custodian. */
export function handOverCall(
  { contracts: { market } }: Chain,
  change: {
    txSeq: bigint
    shardIndex: number
    successor: string
    providers: readonly string[]
    shardRoots: readonly string[]
    validUntil: bigint
    signature: string
  },
): ChainCall {
  const data = market.interface.encodeFunctionData('handOver', [
    { ...change, providers: [...change.providers], shardRoots: [...change.shardRoots] },
  ])
  return chainCall(market, data)
}

/** Opens the present period's round. `headerRlp` may be '0x' where the Beacon has the seed or needs no header. */
export function openRoundCall(
  { contracts: { prover } }: Chain,
  { period, headerRlp }: { period: bigint; headerRlp: string },
): ChainCall {
  return chainCall(prover, prover.interface.encodeFunctionData('openRound', [period, headerRlp]))
}

/** Answers a draw with the sector's 256 bytes and its path to the shard root, bottom up. */
export function answerCall(
  { contracts: { prover } }: Chain,
  {
    period,
    draw,
    entryIndex,
    sector,
    path,
    custody,
  }: DrawRef & { sector: Uint8Array; path: readonly string[] },
): ChainCall {
  const data = prover.interface.encodeFunctionData('answer', [
    period,
    draw,
    entryIndex,
    sector,
    [...path],
    { ...custody, path: [...custody.path] },
  ])
  return chainCall(prover, data)
}

/** Reports a draw that nobody answered in time. */
export function reportMissCall(
  { contracts: { prover } }: Chain,
  { period, draw, entryIndex, custody }: DrawRef,
): ChainCall {
  const data = prover.interface.encodeFunctionData('reportMiss', [
    period,
    draw,
    entryIndex,
    { ...custody, path: [...custody.path] },
  ])
  return chainCall(prover, data)
}

/** Lifts a suspension once strikes have aged out and the stake suffices. */
export function reinstateCall({ contracts: { prover } }: Chain, provider: string): ChainCall {
  return chainCall(prover, prover.interface.encodeFunctionData('reinstate', [provider]))
}

/** Moves the tail of the audit line over at most `maxEntries` entries. */
export function moveTailCall({ contracts: { prover } }: Chain, maxEntries: number): ChainCall {
  return chainCall(prover, prover.interface.encodeFunctionData('moveTail', [maxEntries]))
}

/** Brings the line's figures up to the present period over at most `maxBuckets` expiry buckets. */
export function rollCall({ contracts: { prover } }: Chain, maxBuckets: number): ChainCall {
  return chainCall(prover, prover.interface.encodeFunctionData('roll', [maxBuckets]))
}

/** Settles a provider's stream over closed periods, at most `maxBuckets` expiry buckets. */
export function claimCall(
  { contracts: { streams } }: Chain,
  { provider, maxBuckets }: { provider: string; maxBuckets: number },
): ChainCall {
  return chainCall(streams, streams.interface.encodeFunctionData('claim', [provider, maxBuckets]))
}

/** Settles the pot's stream; needed only after a long silence. */
export function advancePotCall({ contracts: { streams } }: Chain, maxBuckets: number): ChainCall {
  return chainCall(streams, streams.interface.encodeFunctionData('advancePot', [maxBuckets]))
}

/** Sends all that the streams have credited to the sender to `to`. */
export function withdrawCall({ contracts: { streams } }: Chain, to: string): ChainCall {
  return chainCall(streams, streams.interface.encodeFunctionData('withdraw', [to]))
}

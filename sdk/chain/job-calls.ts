import type { JobDelivery } from '../protocol/job-output.ts'
import { type ChainCall, chainCall } from './chain-call.ts'
import type { ComputeChain } from './compute-chain.ts'
import type { JobTerms } from './jobs.ts'

/** Opens a job; pays its maximum price and the client's bond (`readJobBond`). */
export function openJobCall(
  { compute: { jobs } }: ComputeChain,
  { terms, bondWei }: { terms: JobTerms; bondWei: bigint },
): ChainCall {
  const data = jobs.interface.encodeFunctionData('open', [terms])
  return chainCall(jobs, data, terms.maxPriceWei + bondWei)
}

/** Bids on a job whose terms have this hash, with the provider's bond. */
export function bidCall(
  { compute: { jobs } }: ComputeChain,
  { jobId, termsHash, bondWei }: { jobId: bigint; termsHash: string; bondWei: bigint },
): ChainCall {
  return chainCall(jobs, jobs.interface.encodeFunctionData('bid', [jobId, termsHash]), bondWei)
}

/** The client takes back a job that nobody has taken. */
export function cancelJobCall({ compute: { jobs } }: ComputeChain, jobId: bigint): ChainCall {
  return chainCall(jobs, jobs.interface.encodeFunctionData('cancel', [jobId]))
}

/** The assigned provider gives up, and its bond with it. */
export function giveUpJobCall({ compute: { jobs } }: ComputeChain, jobId: bigint): ChainCall {
  return chainCall(jobs, jobs.interface.encodeFunctionData('giveUp', [jobId]))
}

/** Delivers a stored output. */
export function deliverJobCall(
  { compute: { jobs } }: ComputeChain,
  { jobId, delivery }: { jobId: bigint; delivery: JobDelivery },
): ChainCall {
  const { nodes, path, ...rest } = delivery
  const struct = { ...rest, nodes: [...nodes], path: [...path] }
  return chainCall(jobs, jobs.interface.encodeFunctionData('deliver', [jobId, struct]))
}

/** The client accepts the output with this root. */
export function acceptJobCall(
  { compute: { jobs } }: ComputeChain,
  { jobId, outputRoot }: { jobId: bigint; outputRoot: string },
): ChainCall {
  return chainCall(jobs, jobs.interface.encodeFunctionData('accept', [jobId, outputRoot]))
}

/** The client disputes the output; `evidenceRoot` is a file in storage, or zero. */
export function disputeJobCall(
  { compute: { jobs } }: ComputeChain,
  { jobId, evidenceRoot }: { jobId: bigint; evidenceRoot: string },
): ChainCall {
  return chainCall(jobs, jobs.interface.encodeFunctionData('dispute', [jobId, evidenceRoot]))
}

/** The provider answers a dispute; `evidenceRoot` is a file in storage. */
export function answerDisputeCall(
  { compute: { jobs } }: ComputeChain,
  { jobId, evidenceRoot }: { jobId: bigint; evidenceRoot: string },
): ChainCall {
  return chainCall(jobs, jobs.interface.encodeFunctionData('answerDispute', [jobId, evidenceRoot]))
}

/** The arbiter decides a dispute. */
export function ruleJobCall(
  { compute: { jobs } }: ComputeChain,
  { jobId, forProvider }: { jobId: bigint; forProvider: boolean },
): ChainCall {
  return chainCall(jobs, jobs.interface.encodeFunctionData('rule', [jobId, forProvider]))
}

/** Closes a job whose window is over. */
export function closeJobCall({ compute: { jobs } }: ComputeChain, jobId: bigint): ChainCall {
  return chainCall(jobs, jobs.interface.encodeFunctionData('close', [jobId]))
}

/** Sends all that the sender has been credited to `to`. */
export function withdrawJobCreditCall({ compute: { jobs } }: ComputeChain, to: string): ChainCall {
  return chainCall(jobs, jobs.interface.encodeFunctionData('withdraw', [to]))
}

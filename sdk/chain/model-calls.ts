import { type ChainCall, chainCall } from './chain-call.ts'
import type { ComputeChain } from './compute-chain.ts'
import { gateStruct, type ModelTerms } from './models.ts'

/** Gives the sender the name `modelId`. */
export function registerModelCall(
  { compute: { models } }: ComputeChain,
  { modelId, terms }: { modelId: string; terms: ModelTerms },
): ChainCall {
  const data = models.interface.encodeFunctionData('register', [modelId, termsStruct(terms)])
  return chainCall(models, data)
}

/** Sets all terms of a model of the sender anew. */
export function updateModelCall(
  { compute: { models } }: ComputeChain,
  { modelId, terms }: { modelId: string; terms: ModelTerms },
): ChainCall {
  return chainCall(models, models.interface.encodeFunctionData('update', [modelId, termsStruct(terms)]))
}

function termsStruct(terms: ModelTerms) {
  return { ...terms, gate: gateStruct(terms.gate) }
}

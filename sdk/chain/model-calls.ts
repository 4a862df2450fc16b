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

/** Offers a model of the sender to `to`; the zero address takes an offer back. */
export function offerModelCall(
  { compute: { models } }: ComputeChain,
  { modelId, to }: { modelId: string; to: string },
): ChainCall {
  return chainCall(models, models.interface.encodeFunctionData('offerModel', [modelId, to]))
}

/** Takes over a model that was offered to the sender. */
export function acceptModelCall({ compute: { models } }: ComputeChain, modelId: string): ChainCall {
  return chainCall(models, models.interface.encodeFunctionData('acceptModel', [modelId]))
}

function termsStruct(terms: ModelTerms) {
  return { ...terms, gate: gateStruct(terms.gate) }
}

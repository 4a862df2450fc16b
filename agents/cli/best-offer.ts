import type { Inference, InferenceKind, ServiceOffer } from '../../sdk/client/inference.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { InferenceChoice } from './inference-session.ts'

/** The best offer of a kind, for who names no model. Errors: INFERENCE_NO_PROVIDER, RPC_UNREACHABLE, ABORTED. */
export async function bestOffer(
  inference: Inference,
  { kind, choice, signal }: { kind: InferenceKind; choice: InferenceChoice; signal: AbortSignal },
): Promise<ServiceOffer> {
  const { model, provider } = choice
  const offers = await inference.services({ kind, signal, ...(model === undefined ? {} : { model }) })
  const fitting = offers.filter((offer) => provider === undefined || offer.provider === provider)
  const offer = fitting.find(({ isReady }) => isReady) ?? fitting[0]
  if (offer !== undefined) return offer
  const what = model === undefined ? `a model of the kind ${kind}` : model
  const who = provider === undefined ? 'nobody serves' : `${provider} does not serve`
  throw new ZerogError(
    'INFERENCE_NO_PROVIDER',
    `${who} ${what} within the price: see \`zerog compute services\``,
  )
}

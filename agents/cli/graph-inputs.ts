import { z } from 'zod'
import type { ServiceOffer } from '../../sdk/client/inference.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { TENSOR_TYPES } from '../../sdk/protocol/tensor.ts'

/** An input as a provider says its graph takes it; a free dimension carries a name. */
export type GraphInput = z.output<typeof inputSchema>

const inputSchema = z.object({
  name: z.string(),
  type: z.enum(TENSOR_TYPES),
  dims: z.array(z.union([z.number().int(), z.string()])),
})
const modelsSchema = z.object({ data: z.array(z.object({ id: z.string(), inputs: z.array(inputSchema) })) })

const FETCH_TIMEOUT_MS = 10_000

/** What the graph of an offer takes. Errors: PEER_UNREACHABLE, PEER_MISBEHAVED, ABORTED. */
export async function readGraphInputs(
  { url, model }: Pick<ServiceOffer, 'url' | 'model'>,
  signal: AbortSignal,
): Promise<readonly GraphInput[]> {
  let answer: unknown
  try {
    const response = await fetch(`${url}/v1/models`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(FETCH_TIMEOUT_MS)]),
    })
    answer = await response.json()
  } catch (cause) {
    if (signal.aborted) throw new ZerogError('ABORTED', undefined, { cause })
    throw new ZerogError('PEER_UNREACHABLE', `${url} does not say what its model takes`, { cause })
  }
  const found = modelsSchema.safeParse(answer).data?.data.find(({ id }) => id === model)
  if (found !== undefined && found.inputs.length > 0) return found.inputs
  throw new ZerogError('PEER_MISBEHAVED', `${url} does not say what ${model} takes`)
}

import { z } from 'zod'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { boundedList } from './bounded-list.ts'
import type { ComputeContext } from './context.ts'
import { embedTexts } from './embed-texts.ts'
import { checkModel } from './request-steps.ts'
import { inferSchema, readTensors, rowsOf, writeTensors } from './tensor-json.ts'

const MAX_TEXTS = 256
const oneText = z.string().min(1)
const embeddingsSchema = z.looseObject({
  model: z.string().max(256).optional(),
  input: z.union([
    oneText.transform((text) => [text]),
    boundedList(oneText, MAX_TEXTS).refine(({ length }) => length > 0, 'must not be empty'),
  ]),
  encoding_format: z.enum(['float', 'base64'], 'float or base64').default('float'),
  dimensions: z.never('not supported').optional(),
})

/** Work that is measured before it begins: its units are known, its answer comes whole. */
export type WholeWork = {
  readonly route: string
  readonly idPrefix: string
  readonly units: { readonly inputUnits: number; readonly outputUnits: number }
  /** Gives the body of the answer for its id. */
  run(signal: AbortSignal): Promise<(id: string) => object>
}

/**
 * Reads the body of /embeddings. Errors: a ZodError that names the field; COMPUTE_MODEL_UNKNOWN, COMPUTE_UNAVAILABLE,
 * COMPUTE_CONTEXT_TOO_LONG.
 */
export function planEmbeddings(ctx: ComputeContext, body: unknown): WholeWork {
  const { model, input, encoding_format } = embeddingsSchema.parse(body)
  checkModel(ctx, model)
  const { kind, text, worker } = ctx.runtime.current()
  if (kind !== 'embedding' || text === undefined)
    throw new ZerogError('COMPUTE_MODEL_UNKNOWN', `the model served here is of the kind ${kind}`)
  const rows = input.map((one) => text.encodeText(one))
  const tokens = rows.reduce((sum, ids) => sum + ids.length, 0)
  return {
    ...{ route: 'embeddings', idPrefix: 'emb-', units: { inputUnits: tokens, outputUnits: 0 } },
    run: async (signal) => {
      const vectors = await embedTexts(worker, rows, signal)
      const data = vectors.map((vector, index) => ({
        object: 'embedding',
        index,
        embedding: encoding_format === 'base64' ? base64Of(vector) : Array.from(vector),
      }))
      const usage = { prompt_tokens: tokens, total_tokens: tokens }
      return () => ({ object: 'list', data, model: ctx.config.MODEL_ID, usage })
    },
  }
}

/** Reads the body of /infer. Errors: a ZodError that names the field; COMPUTE_INPUT_INVALID, COMPUTE_UNAVAILABLE. */
export function planInfer(ctx: ComputeContext, body: unknown): WholeWork {
  const { model, inputs, encoding } = inferSchema.parse(body)
  checkModel(ctx, model)
  const { worker, kind } = ctx.runtime.current()
  // A row of such a model may hold thousands of tokens, which are what it is paid by.
  if (kind !== 'tensors')
    throw new ZerogError('COMPUTE_MODEL_UNKNOWN', `the model served here is of the kind ${kind}`)
  const tensors = readTensors(inputs, worker.graph.inputs)
  const rows = rowsOf(tensors)
  return {
    ...{ route: 'infer', idPrefix: 'infer-', units: { inputUnits: rows, outputUnits: rows } },
    run: async (signal) => {
      const outputs = writeTensors(await worker.run(tensors, signal), encoding)
      const usage = { input_units: rows, output_units: rows }
      return (id) => ({ id, object: 'inference', model: ctx.config.MODEL_ID, outputs, usage })
    },
  }
}

function base64Of({ buffer, byteOffset, byteLength }: Float32Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64')
}

import { z } from 'zod'

const model = z.string().min(1).max(256)
const count = z.number().int().positive().nullish()
/** Absent or there, never undefined: it is passed on as it came. */
const number = z.number().nullable().exactOptional()
const integer = z.number().int().nullable().exactOptional()
const streaming = { stream: z.boolean().nullish() }

/** Body of /v1/chat/completions; what is not named is passed on, and judged by the provider. */
export const chatBody = z.looseObject({
  model,
  messages: z.array(z.looseObject({ role: z.string(), content: z.unknown() })).min(1),
  max_tokens: count,
  max_completion_tokens: count,
  temperature: number,
  seed: integer,
  ...streaming,
})

/** Body of /v1/completions. */
export const completionBody = z.looseObject({
  model,
  prompt: z.union([z.string(), z.tuple([z.string()]).transform(([one]) => one)]),
  max_tokens: count,
  temperature: number,
  seed: integer,
  ...streaming,
})

/** Body of /v1/embeddings. */
export const embeddingBody = z.looseObject({
  model,
  input: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]),
  encoding_format: z.enum(['float', 'base64'], 'float or base64').default('float'),
  dimensions: z.never('not supported').optional(),
})

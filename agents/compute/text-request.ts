import { z } from 'zod'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { boundedList } from './bounded-list.ts'
import type { ChatMessage } from './text-model.ts'

/** A wish for text in the terms of the agent. */
export type TextRequest = {
  readonly model: string | undefined
  readonly prompt: { readonly messages: readonly ChatMessage[] } | { readonly text: string }
  readonly maxTokens: number | undefined
  readonly temperature: number
  readonly topP: number
  readonly seed: number | undefined
  readonly stops: readonly string[]
  readonly isStream: boolean
  readonly includeUsage: boolean
}

const textPart = z.looseObject({ type: z.literal('text', 'only text parts are taken'), text: z.string() })
const message = z.looseObject({
  role: z.string().min(1).max(32),
  content: z.union([
    z.string(),
    boundedList(textPart, 1024).transform((parts) => parts.map(({ text }) => text).join('')),
    z.null().transform(() => ''),
  ]),
})
/** Values that a client may send and that change nothing; others would change the answer, and are refused. */
const only = <T extends z.core.util.Literal>(...values: T[]) => z.literal(values, 'not supported').nullish()

const settings = {
  model: z.string().max(256).optional(),
  max_tokens: z.number().int().positive().nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  seed: z.number().int().nullish(),
  stop: z
    .union([
      z
        .string()
        .min(1)
        .transform((one) => [one]),
      boundedList(z.string().min(1), 4),
    ])
    .nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().optional() }).nullish(),
  n: only(1),
  frequency_penalty: only(0),
  presence_penalty: only(0),
}
const chatSchema = z.looseObject({
  ...settings,
  messages: boundedList(message, 1024).refine(({ length }) => length > 0, 'must not be empty'),
  max_completion_tokens: z.number().int().positive().nullish(),
  logprobs: only(false),
  tools: z.tuple([], 'tools are not supported').nullish(),
  response_format: z.looseObject({ type: z.literal('text', 'only text is supported') }).nullish(),
})
const completionSchema = z.looseObject({
  ...settings,
  prompt: z.union([z.string(), z.tuple([z.string()]).transform(([one]) => one)]),
  best_of: only(1),
  echo: only(false),
  suffix: only(''),
  logprobs: only(0),
})

/** Most fields and lists of a body: millions of them would keep the agent from everybody else for seconds. */
const MAX_FIELDS = 20_000
const MAX_LISTS = 100_000

/** Parses the JSON of a body. Throws BAD_REQUEST. */
export function parseJsonBody(body: Uint8Array): unknown {
  if (holdsMore(body, '":', MAX_FIELDS) || holdsMore(body, '[', MAX_LISTS))
    throw new ZerogError('BAD_REQUEST', 'the body has too many fields or lists')
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch (cause) {
    throw new ZerogError('BAD_REQUEST', 'the body is not valid JSON', { cause })
  }
}

function holdsMore(body: Uint8Array, text: string, most: number): boolean {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  let count = 0
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1))
    if (++count > most) return true
  return false
}

/** Reads the body of /chat/completions. Throws a ZodError that names the field. */
export function parseChat(body: unknown): TextRequest {
  const fields = chatSchema.parse(body)
  return request(fields, { messages: fields.messages }, fields.max_completion_tokens ?? fields.max_tokens)
}

/** Reads the body of /completions. Throws a ZodError that names the field. */
export function parseCompletion(body: unknown): TextRequest {
  const fields = completionSchema.parse(body)
  return request(fields, { text: fields.prompt }, fields.max_tokens)
}

type Settings = z.output<z.ZodObject<typeof settings>>

function request(
  fields: Settings,
  prompt: TextRequest['prompt'],
  maxTokens: number | null | undefined,
): TextRequest {
  return {
    prompt,
    model: fields.model,
    maxTokens: maxTokens ?? undefined,
    temperature: fields.temperature ?? 1,
    topP: fields.top_p ?? 1,
    seed: fields.seed ?? undefined,
    stops: fields.stop ?? [],
    isStream: fields.stream ?? false,
    includeUsage: fields.stream_options?.include_usage ?? false,
  }
}

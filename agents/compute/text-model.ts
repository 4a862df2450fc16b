import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Template } from '@huggingface/jinja'
import { Tokenizer } from '@huggingface/tokenizers'
import { z } from 'zod'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { ModelFolder } from './model-store.ts'

export type ChatMessage = { readonly role: string; readonly content: string }

/** Text to tokens and back, as a model's folder says. */
export type TextModel = {
  /** Tokens that prompt and answer may have together. */
  readonly contextTokens: number
  readonly endIds: readonly number[]
  readonly hasTemplate: boolean
  /** Errors: COMPUTE_CONTEXT_TOO_LONG, COMPUTE_INPUT_INVALID (the template refuses, or there is none). */
  encodeChat(messages: readonly ChatMessage[]): number[]
  /** Errors: COMPUTE_CONTEXT_TOO_LONG. */
  encodeText(text: string): number[]
  /** Turns tokens into text as they come. */
  createDecoder(): TextDecoderStream
}

/** Gives the text that is certain so far: bytes of a character that is not whole yet wait for the next token. */
export type TextDecoderStream = { push(token: number): string; flush(): string }

const configSchema = z.looseObject({
  max_position_embeddings: z.number().int().positive().optional(),
  n_positions: z.number().int().positive().optional(),
  eos_token_id: z.union([z.number().int(), z.array(z.number().int())]).optional(),
})
const settingsSchema = z.looseObject({
  chat_template: z.string().optional(),
  model_max_length: z.number().positive().optional(),
  bos_token: z.unknown().optional(),
  eos_token: z.unknown().optional(),
})
const tokenizerSchema = z.looseObject({
  model: z.looseObject({ vocab: z.record(z.string(), z.number()) }),
  added_tokens: z.array(z.looseObject({ content: z.string() })).default([]),
})

const DEFAULT_CONTEXT = 2048
const BROKEN = '\uFFFD'

/** Reads tokenizer, template and limits of a folder; undefined when it has no tokenizer. Error: COMPUTE_MODEL_INVALID. */
export async function loadTextModel({ path, files }: ModelFolder): Promise<TextModel | undefined> {
  if (!files.has('tokenizer.json')) return undefined
  const read = async <S extends z.ZodType>(name: string, schema: S): Promise<z.output<S>> => {
    try {
      const text = files.has(name) ? await readFile(join(path, name), 'utf8') : '{}'
      return schema.parse(JSON.parse(text))
    } catch (cause) {
      throw new ZerogError('COMPUTE_MODEL_INVALID', `${name} is not usable`, { cause })
    }
  }
  const [tokens, settings, config, generation] = await Promise.all([
    read('tokenizer.json', tokenizerSchema),
    read('tokenizer_config.json', settingsSchema),
    read('config.json', configSchema),
    read('generation_config.json', configSchema),
  ])
  const tokenizer = makeTokenizer(tokens, settings)
  const contextTokens = Math.min(
    config.max_position_embeddings ?? config.n_positions ?? DEFAULT_CONTEXT,
    settings.model_max_length ?? Number.POSITIVE_INFINITY,
  )
  const template = settings.chat_template === undefined ? undefined : parseTemplate(settings.chat_template)
  const vocabulary = [
    ...Object.keys(tokens.model.vocab),
    ...tokens.added_tokens.map(({ content }) => content),
  ]
  const longestToken = vocabulary.reduce((most, token) => Math.max(most, token.length), 1)

  function encode(text: string, add_special_tokens: boolean): number[] {
    // No token covers more characters than the longest one: what cannot fit is refused before any work.
    if (text.length > contextTokens * longestToken) throw tooLong(text.length, 'characters')
    const { ids } = tokenizer.encode(text, { add_special_tokens })
    if (ids.length > contextTokens) throw tooLong(ids.length, 'tokens')
    return ids
  }

  function tooLong(count: number, unit: string): ZerogError {
    const message = `the prompt has ${count} ${unit}; the context of this model is ${contextTokens} tokens`
    return new ZerogError('COMPUTE_CONTEXT_TOO_LONG', message, { meta: { contextTokens } })
  }

  return {
    contextTokens,
    endIds: [generation.eos_token_id ?? config.eos_token_id ?? []].flat(),
    hasTemplate: template !== undefined,
    encodeText: (text) => encode(text, true),
    encodeChat(messages) {
      if (template === undefined)
        throw new ZerogError('COMPUTE_INPUT_INVALID', 'this model has no chat template; use /completions')
      let prompt: string
      try {
        const tokens = { bos_token: settings.bos_token, eos_token: settings.eos_token }
        prompt = template.render({ messages, add_generation_prompt: true, ...tokens })
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause)
        throw new ZerogError(
          'COMPUTE_INPUT_INVALID',
          `the messages do not fit the chat template: ${reason}`,
          { cause },
        )
      }
      return encode(prompt, false)
    },
    createDecoder: () => createDecoder((ids) => tokenizer.decode(ids, { skip_special_tokens: true })),
  }
}

/** Decodes a window that starts at a whole character, so that a long text costs no more per token than a short one. */
function createDecoder(decode: (ids: number[]) => string): TextDecoderStream {
  let window: number[] = []
  let known = ''
  const take = (isLast: boolean): string => {
    const text = decode(window)
    if (text.endsWith(BROKEN) && !isLast) return ''
    const added = text.slice(known.length)
    known = text
    // The last token stays in the window: how the next one reads may depend on it.
    if (window.length > 16) {
      window = window.slice(-1)
      known = decode(window)
    }
    return added
  }
  return {
    push(token) {
      window.push(token)
      return take(false)
    },
    flush: () => (window.length === 0 ? '' : take(true)),
  }
}

function makeTokenizer(tokens: object, settings: object): Tokenizer {
  try {
    return new Tokenizer(tokens, settings)
  } catch (cause) {
    throw new ZerogError('COMPUTE_MODEL_INVALID', 'tokenizer.json is not usable', { cause })
  }
}

function parseTemplate(text: string): Template {
  try {
    return new Template(text)
  } catch (cause) {
    throw new ZerogError('COMPUTE_MODEL_INVALID', 'the chat template is not usable', { cause })
  }
}

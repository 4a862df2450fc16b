import { ZerogError } from '../protocol/errors.ts'
import type { Content, NetworkRequest } from './ask-network.ts'
import { jsonObject, namedError, type ProviderAnswer, wholeBody } from './ask-provider.ts'
import { createEventReader } from './event-reader.ts'
import type { ChatRequest, CompletionRequest, StreamPiece, TextResult } from './inference-api.ts'
import type { Units } from './verify-answer.ts'

type TextValue = Pick<TextResult, 'text' | 'finish' | 'response'>

const DEFAULT_TOKENS = 256
const MAX_TEXT_BYTES = 64 * 1024 * 1024
/** Tokens that a chat template may put around one message, and around all. */
const TEMPLATE_TOKENS = 64

/** A request for text, as its bytes go out. Throws BAD_REQUEST for what has no model or no bound. */
export function textRequest(
  wish: ChatRequest | CompletionRequest,
  isStream: boolean,
): NetworkRequest<TextValue> {
  const {
    messages,
    prompt,
    max_completion_tokens: newer,
    max_tokens: older,
  } = wish as Record<string, unknown>
  const isChat = messages !== undefined
  if (typeof wish.model !== 'string' || wish.model === '')
    throw new ZerogError('BAD_REQUEST', 'the request names no model', { meta: { param: 'model' } })
  if (isChat ? !Array.isArray(messages) : typeof prompt !== 'string')
    throw new ZerogError('BAD_REQUEST', 'the request has neither messages nor a prompt')
  const maxTokens = newer ?? older ?? DEFAULT_TOKENS
  if (typeof maxTokens !== 'number' || !Number.isSafeInteger(maxTokens) || maxTokens < 1)
    throw new ZerogError('BAD_REQUEST', 'max_tokens is a whole number of at least 1', {
      meta: { param: 'max_tokens' },
    })
  const {
    stream: _,
    stream_options: options,
    max_completion_tokens: _newer,
    ...rest
  } = wish as Record<string, unknown>
  const asksUsage = (options as { include_usage?: unknown } | null | undefined)?.include_usage === true
  const sent = {
    ...rest,
    max_tokens: maxTokens,
    ...(isStream ? { stream: true, stream_options: { include_usage: true } } : {}),
  }
  const body = new TextEncoder().encode(JSON.stringify(sent))
  const parts = Array.isArray(messages) ? messages.length : 0
  return {
    ...{ model: wish.model, kind: 'chat', body, maxBytes: MAX_TEXT_BYTES },
    path: isChat ? '/v1/proxy/chat/completions' : '/v1/proxy/completions',
    // No tokenizer makes more tokens than the text has bytes.
    bound: { inputUnits: body.length + TEMPLATE_TOKENS * (parts + 1), outputUnits: maxTokens },
    read: isStream ? (answer) => readStream(answer, asksUsage) : readWhole,
  }
}

// biome-ignore lint/correctness/useYield: what comes whole has no pieces
async function* readWhole(answer: ProviderAnswer): AsyncGenerator<StreamPiece, Content<TextValue>> {
  const response = jsonObject(new TextDecoder().decode(await wholeBody(answer)))
  const { text, finish } = choiceOf(response ?? {})
  if (response === undefined || text === undefined)
    throw new ZerogError('PEER_MISBEHAVED', 'the answer holds no text')
  const value = { text, finish: finish ?? 'stop', response }
  return { value, usage: usageOf(response), model: modelOf(response), id: idOf(response) }
}

async function* readStream(
  answer: ProviderAnswer,
  asksUsage: boolean,
): AsyncGenerator<StreamPiece, Content<TextValue>> {
  const events = createEventReader()
  let text = ''
  let finish: string | undefined
  let usage: Units | undefined
  let model: string | undefined
  let id: string | undefined
  let isDone = false
  for await (const bytes of answer.bytes())
    for (const data of events.push(bytes)) {
      if (data === '[DONE]') {
        isDone = true
        continue
      }
      const chunk = jsonObject(data)
      if (chunk === undefined || isDone)
        throw new ZerogError('PEER_MISBEHAVED', 'the stream holds what is no chunk')
      const failure = namedError(chunk, 'INFERENCE_CUT')
      if (failure !== undefined) throw failure
      const choice = choiceOf(chunk)
      text += choice.text ?? ''
      finish = choice.finish ?? finish
      usage = usageOf(chunk) ?? usage
      id = idOf(chunk) ?? id
      const named = modelOf(chunk)
      // One chunk of another model makes the answer one of another model.
      if (model === undefined || named === model) model = named
      else throw new ZerogError('INFERENCE_MODEL_DIFFERS', 'the chunks are of several models')
      const isUsage = Array.isArray(chunk.choices) && chunk.choices.length === 0
      if (!isUsage || asksUsage) yield { type: 'text', text: choice.text ?? '', chunk }
    }
  if (!isDone) throw new ZerogError('INFERENCE_CUT', 'the stream ended before its end')
  return { value: { text, finish: finish ?? 'stop', response: undefined }, usage, model, id }
}

function choiceOf({ choices }: Record<string, unknown>): {
  text: string | undefined
  finish: string | undefined
} {
  const [first] = Array.isArray(choices) ? choices : []
  const { message, delta, text, finish_reason } = recordOf(first)
  const content = text ?? recordOf(message ?? delta).content
  return {
    text: typeof content === 'string' ? content : undefined,
    finish: typeof finish_reason === 'string' ? finish_reason : undefined,
  }
}

/** What an answer in OpenAI's form says it used; undefined when it says nothing. */
export function usageOf({ usage }: Record<string, unknown>): Units | undefined {
  const { prompt_tokens: inputUnits, completion_tokens: outputUnits = 0 } = recordOf(usage)
  if (typeof inputUnits !== 'number' || typeof outputUnits !== 'number') return undefined
  return Number.isSafeInteger(inputUnits) && Number.isSafeInteger(outputUnits)
    ? { inputUnits, outputUnits }
    : undefined
}

/** The model that an answer names. */
export function modelOf({ model }: Record<string, unknown>): string | undefined {
  return typeof model === 'string' ? model : undefined
}

/** The id that an answer names. */
export function idOf({ id }: Record<string, unknown>): string | undefined {
  return typeof id === 'string' ? id : undefined
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

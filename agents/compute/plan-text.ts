import { createHash } from 'node:crypto'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import type { ComputeContext } from './context.ts'
import type { TextModel } from './text-model.ts'
import type { TextRequest } from './text-request.ts'
import type { WorkerProcess } from './worker-process.ts'

/** What is known of an answer in text before its first token. */
export type TextPlan = {
  readonly worker: WorkerProcess
  readonly model: TextModel
  readonly promptIds: readonly number[]
  /** What was asked for, or the default, as far as the context has room. */
  readonly maxTokens: number
}

/**
 * Reads a wish for text with the model that is served. Errors: COMPUTE_UNAVAILABLE, COMPUTE_MODEL_UNKNOWN (it writes no
 * text), COMPUTE_CONTEXT_TOO_LONG, COMPUTE_INPUT_INVALID.
 */
export function planText({ runtime, config }: ComputeContext, wish: TextRequest): TextPlan {
  const { kind, text: model, worker } = runtime.current()
  if (kind !== 'text-generation' || model === undefined)
    throw new ZerogError('COMPUTE_MODEL_UNKNOWN', `the model served here is of the kind ${kind}`)
  const promptIds =
    'text' in wish.prompt ? model.encodeText(wish.prompt.text) : model.encodeChat(wish.prompt.messages)
  const room = model.contextTokens - promptIds.length
  if (room < 1)
    throw new ZerogError(
      'COMPUTE_CONTEXT_TOO_LONG',
      `the prompt fills the context of ${model.contextTokens} tokens`,
    )
  return { worker, model, promptIds, maxTokens: Math.min(wish.maxTokens ?? config.DEFAULT_MAX_TOKENS, room) }
}

/** With a seed of the client the answer repeats; else `unique`, a text that its signature or its job covers, is its seed. */
export function seedOf({ seed }: TextRequest, unique: string): Uint8Array {
  return createHash('sha256')
    .update(seed === undefined ? unique : `seed:${seed}`)
    .digest()
}

/** The usage of an answer in OpenAI's form. */
export function usageOf(prompt_tokens: number, completion_tokens: number) {
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }
}

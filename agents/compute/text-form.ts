export type Usage = { prompt_tokens: number; completion_tokens: number; total_tokens: number }
type Finish = 'stop' | 'length'

/** How an answer is written in OpenAI's objects. */
export type TextForm = {
  readonly head: { readonly id: string; readonly created: number; readonly model: string }
  whole(text: string, finish: Finish, usage: Usage): object
  /** Chunks before the first text. */
  opening(): object[]
  chunk(text: string): object
  closing(finish: Finish): object
  /** The chunk that `stream_options.include_usage` asks for. */
  usage(usage: Usage): object
}

/** chat.completion and chat.completion.chunk. */
export function chatForm(head: TextForm['head']): TextForm {
  const base = { ...head, object: 'chat.completion.chunk' }
  const choice = (delta: object, finish: Finish | null) => ({
    ...base,
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
  })
  return {
    head,
    whole: (content, finish, usage) => ({
      ...head,
      object: 'chat.completion',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content, refusal: null },
          logprobs: null,
          finish_reason: finish,
        },
      ],
      usage,
    }),
    opening: () => [choice({ role: 'assistant', content: '' }, null)],
    chunk: (content) => choice({ content }, null),
    closing: (finish) => choice({}, finish),
    usage: (usage) => ({ ...base, choices: [], usage }),
  }
}

/** text_completion. */
export function completionForm(head: TextForm['head']): TextForm {
  const base = { ...head, object: 'text_completion' }
  const choice = (text: string, finish: Finish | null) => ({
    ...base,
    choices: [{ index: 0, text, logprobs: null, finish_reason: finish }],
  })
  return {
    head,
    whole: (text, finish, usage) => ({ ...choice(text, finish), usage }),
    opening: () => [],
    chunk: (text) => choice(text, null),
    closing: (finish) => choice('', finish),
    usage: (usage) => ({ ...base, choices: [], usage }),
  }
}

import { Template } from '@huggingface/jinja'
import { Tokenizer } from '@huggingface/tokenizers'
import { type InferenceSession, Tensor } from 'onnxruntime-node'
import { argmax, floats, openModel, type Precision, readModelJson } from './model-folder.ts'

export type Message = { role: string; content: string }
type Config = {
  num_hidden_layers: number
  num_key_value_heads: number
  head_dim: number
  vocab_size: number
  eos_token_id: number
}
type Answer = { text: string; tokens: number; stopped: boolean }

const integers = (rows: number[][]) =>
  new Tensor('int64', BigInt64Array.from(rows.flat(), BigInt), [rows.length, rows[0]?.length ?? 0])

/** Greedy generation with the chat model and its cache: several dialogues at once, padded on the left. */
export async function openChat(precision: Precision) {
  const session = await openModel('chat', precision)
  const config = readModelJson<Config>('chat', 'config.json')
  const settings = readModelJson<{ chat_template: string }>('chat', 'tokenizer_config.json')
  const tokenizer = new Tokenizer(readModelJson<object>('chat', 'tokenizer.json'), settings)
  const template = new Template(settings.chat_template)
  const layers = Array.from({ length: config.num_hidden_layers }, (_, i) => i)

  const encode = (messages: Message[]): number[] =>
    tokenizer.encode(template.render({ messages, add_generation_prompt: true }), {
      add_special_tokens: false,
    }).ids

  function emptyCache(rows: number): InferenceSession.FeedsType {
    const empty = () =>
      new Tensor('float32', new Float32Array(0), [rows, config.num_key_value_heads, 0, config.head_dim])
    return Object.fromEntries(
      layers.flatMap((i) => [
        [`past_key_values.${i}.key`, empty()],
        [`past_key_values.${i}.value`, empty()],
      ]),
    )
  }

  const cacheOf = (outputs: InferenceSession.ReturnType): InferenceSession.FeedsType =>
    Object.fromEntries(
      Object.entries(outputs)
        .filter(([name]) => name.startsWith('present.'))
        .map(([name, value]) => [name.replace('present', 'past_key_values'), value]),
    )

  async function complete(prompts: number[][], maxTokens: number): Promise<Answer[]> {
    const width = Math.max(...prompts.map((ids) => ids.length))
    const pad = (ids: number[], value: (i: number) => number) => [
      ...new Array<number>(width - ids.length).fill(0),
      ...ids.map((_, i) => value(i)),
    ]
    let ids = prompts.map((prompt) => pad(prompt, (i) => prompt[i] ?? 0))
    let mask = prompts.map((prompt) => pad(prompt, () => 1))
    let positions = prompts.map((prompt) => pad(prompt, (i) => i))
    let cache = emptyCache(prompts.length)
    const written = prompts.map((): number[] => [])
    const stopped = prompts.map(() => false)
    for (let step = 0; step < maxTokens && stopped.includes(false); step++) {
      const feeds = {
        input_ids: integers(ids),
        attention_mask: integers(mask),
        position_ids: integers(positions),
      }
      const outputs = await session.run({ ...feeds, ...cache })
      const logits = floats(outputs, 'logits')
      const wide = ids[0]?.length ?? 1
      const next = ids.map((_, row) =>
        argmax(logits, ((row + 1) * wide - 1) * config.vocab_size, config.vocab_size),
      )
      next.forEach((token, row) => {
        if (token === config.eos_token_id) stopped[row] = true
        if (stopped[row] === false) written[row]?.push(token)
      })
      cache = cacheOf(outputs)
      ids = next.map((token) => [token])
      mask = mask.map((row) => [...row, 1])
      positions = prompts.map((prompt) => [prompt.length + step])
    }
    return written.map((tokens, row) => ({
      text: tokenizer.decode(tokens),
      tokens: tokens.length,
      stopped: stopped[row] ?? false,
    }))
  }

  return {
    encode,
    complete,
    answer: (dialogues: Message[][], maxTokens = 320) => complete(dialogues.map(encode), maxTokens),
  }
}

import type { Inference, TextResult } from '../../sdk/client/inference.ts'
import { SHIPPED_MODELS } from '../devnet/serve-models.ts'

/** A stream that broke: where, how, and after how many pieces of text. */
export type BrokenStream = { provider: string; code: string; texts: number }

/** An answer that was streamed to its end, and the streams that broke before. */
export type AskedChat = { result: TextResult; firstTextMs: number; broken: BrokenStream[] }

type Options = {
  /** Called with the provider at each piece of text. */
  onText?: (provider: string) => Promise<void>
}

/** Most tokens of an answer; the questions have fewer. */
export const MAX_TOKENS = 256

/** Streams one answer to a question. */
export async function ask(
  { inference, signal }: { inference: Inference; signal: AbortSignal },
  question: string,
  { onText }: Options = {},
): Promise<AskedChat> {
  const startedMs = performance.now()
  const stream = inference.streamChat(
    {
      model: SHIPPED_MODELS.chat.id,
      messages: [{ role: 'user', content: question }],
      max_tokens: MAX_TOKENS,
      temperature: 0,
    },
    { signal },
  )
  const broken: BrokenStream[] = []
  let [provider, texts, text, firstTextMs] = ['', 0, '', 0]
  for await (const piece of stream) {
    switch (piece.type) {
      case 'start':
        provider = piece.provider
        texts = 0
        text = ''
        break
      case 'text':
        if (piece.text === '') break
        if (texts === 0) firstTextMs = performance.now() - startedMs
        texts += 1
        text += piece.text
        await onText?.(provider)
        break
      case 'restart':
        broken.push({ provider: piece.provider, code: piece.code, texts })
        break
    }
  }
  const result = await stream.result
  if (result.text !== text) throw new Error('the verified text is not what was streamed')
  return { result, firstTextMs, broken }
}

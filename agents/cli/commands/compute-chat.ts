import { createInterface } from 'node:readline/promises'
import { text as readAll } from 'node:stream/consumers'
import { Command } from 'commander'
import type { ChatRequest, Inference, TextResult } from '../../../sdk/client/inference.ts'
import { errorCode, ZerogError } from '../../../sdk/protocol/errors.ts'
import { parseCount } from '../amount.ts'
import { answerFields, answerLines } from '../answer-lines.ts'
import { bestOffer } from '../best-offer.ts'
import {
  addInferenceOptions,
  type InferenceChoice,
  type InferenceSession,
  withInference,
} from '../inference-session.ts'
import { type Output, printable, printError } from '../output.ts'

type ChatOptions = InferenceChoice & {
  system?: string
  maxTokens: number
  temperature?: number
  topP?: number
  seed?: number
  stop?: string[]
}

type Message = { role: 'system' | 'user' | 'assistant'; content: string }

const HELP = `
The prompt is the argument, or standard input; at a terminal without either it is a conversation: Ctrl-C ends an answer,
Ctrl-D the conversation. On a terminal text appears as it is written; elsewhere only once it is whole and verified. When a
provider fails in the middle, the text so far is void, and another begins anew: standard error says so.`

/** `zerog compute chat [PROMPT]`: text from a model, verified. */
export function chatCommand(): Command {
  const command = new Command('chat')
    .description('ask a chat model: one answer, or a conversation at a terminal; every answer is verified')
    .argument('[prompt]', 'what to say; standard input by default')
  return addInferenceOptions(command)
    .option('--system <text>', 'what the model is told first')
    .option(
      '--max-tokens <count>',
      'tokens of an answer at most',
      parseCount('--max-tokens', 1, 1_000_000),
      256,
    )
    .option('--temperature <number>', '0 to 2; 0 takes the likeliest', parseDecimal('--temperature', 0, 2))
    .option('--top-p <number>', 'above 0 to 1', parseDecimal('--top-p', 0, 1))
    .option('--seed <number>', 'the same words again for the same seed', parseCount('--seed', 0, 2 ** 31))
    .option('--stop <text...>', 'ends the answer where it comes (up to 4)')
    .addHelpText('after', HELP)
    .action(
      withInference((session, output, [prompt]: [string?], options: ChatOptions) =>
        chat(session, output, prompt, options),
      ),
    )
}

function parseDecimal(name: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+(\.\d+)?$/.test(text) && value >= min && value <= max) return value
    throw new ZerogError('BAD_REQUEST', `${name} must be a number from ${min} to ${max}, not "${text}"`)
  }
}

async function chat(
  session: InferenceSession,
  output: Output,
  prompt: string | undefined,
  options: ChatOptions,
): Promise<void> {
  const history: Message[] = options.system === undefined ? [] : [{ role: 'system', content: options.system }]
  if (prompt === undefined && process.stdin.isTTY && !output.json)
    return await converse(session, output, { history, options })
  const content = (prompt ?? (await readAll(process.stdin))).trim()
  if (content === '') throw new ZerogError('BAD_REQUEST', 'there is no prompt')
  const { inference, signal } = session
  const { model } = await bestOffer(inference, { kind: 'chat', choice: options, signal })
  const request = requestOf(model, [...history, { role: 'user', content }], options)
  const result = await answer(inference, output, { request, options, signal })
  const fields = { text: result.text, finish: result.finish, ...answerFields(result) }
  // On a terminal it has been written already.
  if (output.json || !process.stdout.isTTY) output.result(fields, [result.text])
  for (const line of answerLines(result)) output.note(line)
}

function requestOf(model: string, messages: readonly Message[], options: ChatOptions): ChatRequest {
  const { maxTokens, temperature, topP, seed, stop } = options
  return {
    ...{ model, messages, max_tokens: maxTokens },
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { top_p: topP }),
    ...(seed === undefined ? {} : { seed }),
    ...(stop === undefined ? {} : { stop }),
  }
}

/** Asks, and shows the text on a terminal while it comes. */
async function answer(
  inference: Inference,
  output: Output,
  { request, options, signal }: { request: ChatRequest; options: ChatOptions; signal: AbortSignal },
): Promise<TextResult> {
  const { provider, gateToken: gateTokenId } = options
  const shows = process.stdout.isTTY && !output.json
  const stream = inference.streamChat(request, {
    signal,
    provider,
    gateTokenId,
  })
  for await (const piece of stream) {
    if (piece.type === 'text' && shows) process.stdout.write(printable(piece.text))
    if (piece.type !== 'restart') continue
    if (shows) process.stdout.write('\n')
    output.note(
      `restarted   ${piece.provider} broke off (${piece.code}): its text is void, another begins anew`,
    )
  }
  if (shows) process.stdout.write('\n')
  return await stream.result
}

/** A conversation at a terminal, with all that was said sent each time. */
async function converse(
  { inference, signal }: InferenceSession,
  output: Output,
  { history, options }: { history: Message[]; options: ChatOptions },
): Promise<void> {
  const { model } = await bestOffer(inference, { kind: 'chat', choice: options, signal })
  const keys = 'Ctrl-C ends an answer, Ctrl-D the conversation'
  output.note(`talking to ${model}; ${keys}`)
  const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: '> ' })
  let cancel: AbortController | undefined
  lines.on('SIGINT', () => {
    if (cancel !== undefined) return cancel.abort()
    output.note(`\n${keys}`)
    lines.prompt()
  })
  const onAbort = () => lines.close()
  signal.addEventListener('abort', onAbort)
  try {
    lines.prompt()
    for await (const line of lines) {
      const content = line.trim()
      if (content !== '') {
        cancel = new AbortController()
        const messages: Message[] = [...history, { role: 'user', content }]
        const abort = AbortSignal.any([signal, cancel.signal])
        try {
          const request = requestOf(model, messages, options)
          const result = await answer(inference, output, { request, options, signal: abort })
          history.splice(0, history.length, ...messages, { role: 'assistant', content: result.text })
          for (const note of answerLines(result)) output.note(note)
        } catch (error) {
          // One answer that failed ends no conversation.
          if (signal.aborted) throw error
          if (errorCode(error) === 'ABORTED') output.note('\nended')
          else printError(error, false)
        }
        cancel = undefined
      }
      lines.prompt()
    }
    if (signal.aborted) throw new ZerogError('ABORTED')
  } finally {
    signal.removeEventListener('abort', onAbort)
    lines.close()
  }
}

import { createStopWatch } from './stop-watch.ts'
import type { TextModel } from './text-model.ts'
import type { Sampling } from './worker/messages.ts'
import type { WorkerProcess } from './worker-process.ts'

/** A piece of an answer. `tokens` counts all so far; `finish` stands on the last piece. */
export type TextPiece = {
  readonly text: string
  readonly tokens: number
  readonly finish?: 'stop' | 'length'
}

export declare namespace writeText {
  type Options = {
    worker: WorkerProcess
    model: TextModel
    user: string
    promptIds: readonly number[]
    maxTokens: number
    sampling: Sampling
    stops: readonly string[]
    signal: AbortSignal
  }
}

/**
 * Writes an answer piece by piece. Ends without a `finish` when the signal aborts. Errors: COMPUTE_UNAVAILABLE when the
 * model's process ends.
 */
export async function* writeText(options: writeText.Options): AsyncGenerator<TextPiece> {
  const { worker, model, user, promptIds, maxTokens, sampling, stops, signal } = options
  const decoder = model.createDecoder()
  const watch = createStopWatch(stops)
  let tokens = 0
  const job = { user, promptIds, maxTokens, sampling, endIds: model.endIds }
  for await (const { token, end } of worker.generate(job, signal)) {
    // The end token is no text and is not billed.
    const added = end === 'stop' ? decoder.flush() : decoder.push(token)
    if (end !== 'stop') tokens++
    const rest = end === 'length' ? decoder.flush() : ''
    const { text, isStopped } = watch.push(added + rest)
    if (isStopped) {
      yield { text, tokens, finish: 'stop' }
      return
    }
    if (end !== undefined) {
      yield { text: text + watch.flush(), tokens, finish: end }
      return
    }
    yield { text, tokens }
  }
}

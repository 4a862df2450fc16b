import { ZerogError } from '../protocol/errors.ts'
import type { StreamPiece, TextResult, TextStream } from './inference-api.ts'

/** A stream over a generator of pieces that begins with its first reader and is told when it is cancelled. */
export function streamOf(
  begin: (cancelled: AbortSignal) => AsyncGenerator<StreamPiece, TextResult>,
): TextStream {
  const controller = new AbortController()
  const { promise: result, resolve, reject } = Promise.withResolvers<TextResult>()
  // Whoever reads the pieces gets the error there.
  result.catch(() => undefined)
  let isBegun = false

  async function* pieces(): AsyncGenerator<StreamPiece, void> {
    let isOver = false
    try {
      const generator = begin(controller.signal)
      try {
        for (;;) {
          const step = await generator.next()
          if (step.done) {
            resolve(step.value)
            isOver = true
            return
          }
          yield step.value
        }
      } finally {
        if (!isOver) await generator.return(undefined as never)
      }
    } catch (error) {
      reject(error)
      isOver = true
      throw error
    } finally {
      if (!isOver) reject(new ZerogError('ABORTED', 'the reader left the stream'))
    }
  }

  return {
    result,
    cancel: () => {
      controller.abort(new ZerogError('ABORTED', 'the stream was cancelled'))
      if (!isBegun) reject(new ZerogError('ABORTED', 'the stream was cancelled'))
    },
    [Symbol.asyncIterator]() {
      if (isBegun) throw new ZerogError('BAD_REQUEST', 'a stream is read once')
      isBegun = true
      return pieces()
    },
  }
}

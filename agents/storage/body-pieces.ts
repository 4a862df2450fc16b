import type { Readable } from 'node:stream'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { givePiece, PIECE_BYTES, takePiece } from './piece-memory.ts'

/**
 * A body in pieces of a quarter of a mebibyte, the last one shorter; a piece is only valid until the next is asked for. The
 * body is given up when nothing comes for `idleMs`. What has come before an error is given first.
 *
 * Errors: TIMEOUT, ABORTED.
 */
export async function* bodyPieces(
  body: Readable,
  { idleMs, signal }: { idleMs: number; signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const arrived = collect(body, { idleMs, signal })
  const buffer = takePiece()
  try {
    for (;;) {
      await arrived.enough()
      const filled = arrived.take(buffer)
      if (filled > 0) yield buffer.subarray(0, filled)
      else if (arrived.isOver()) return
    }
  } finally {
    arrived.stop()
    givePiece(buffer)
  }
}

/** Listens to a body, and holds it up while a piece waits to be taken. */
function collect(body: Readable, { idleMs, signal }: { idleMs: number; signal: AbortSignal }) {
  const parts: Buffer[] = []
  let bytes = 0
  let state: 'coming' | 'ended' | ZerogError = 'coming'
  let wake: (() => void) | undefined
  let timer: NodeJS.Timeout | undefined

  const onData = (part: Buffer): void => {
    parts.push(part)
    bytes += part.length
    timer?.refresh()
    if (bytes < PIECE_BYTES) return
    body.pause()
    wake?.()
  }
  const over = (how: 'ended' | ZerogError): void => {
    if (state === 'coming') state = how
    wake?.()
  }
  const onEnd = (): void => over('ended')
  const onGone = (cause?: unknown): void => over(new ZerogError('ABORTED', 'the sender went away', { cause }))
  const onAbort = (): void => over(new ZerogError('ABORTED'))

  body.on('data', onData).once('end', onEnd).once('error', onGone).once('close', onGone)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  else if (body.readableEnded) onEnd()
  else if (body.destroyed) onGone(body.errored)
  body.pause()

  return {
    /** Waits for a whole piece, or for the end. */
    async enough(): Promise<void> {
      if (bytes >= PIECE_BYTES || state !== 'coming') return
      const { promise, resolve } = Promise.withResolvers<void>()
      wake = resolve
      timer = setTimeout(() => over(new ZerogError('TIMEOUT', 'the body stopped coming')), idleMs)
      body.resume()
      await promise
      clearTimeout(timer)
      timer = undefined
      wake = undefined
    },
    /** Moves what is there into `buffer`, and says how much that was. Throws when that is nothing and nothing will come. */
    take(buffer: Uint8Array): number {
      let filled = 0
      while (filled < buffer.length) {
        const [part] = parts
        if (part === undefined) break
        const taken = part.subarray(0, buffer.length - filled)
        buffer.set(taken, filled)
        filled += taken.length
        if (taken.length === part.length) parts.shift()
        else parts[0] = part.subarray(taken.length)
      }
      bytes -= filled
      if (filled === 0 && state instanceof ZerogError) throw state
      // What comes while the piece is worked on waits for the next.
      if (state === 'coming') body.resume()
      return filled
    },
    isOver: () => state !== 'coming' && bytes === 0,
    /** Leaves the body whole: who stops early may still want to read the rest, or to answer. */
    stop(): void {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      body.pause()
      body.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone)
    },
  }
}

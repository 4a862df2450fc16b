import type { Readable } from 'node:stream'
import { ZerogError } from '../../sdk/protocol/errors.ts'

/** Reads a request's body piece by piece, so that what comes first decides whether the rest is read at all. */
export type BodyReader = {
  /** The bytes before the next newline, which is read too. Throws BAD_REQUEST over `most` bytes. */
  line(most: number): Promise<Uint8Array>
  /** Exactly this many bytes. Throws BAD_REQUEST when the body ends before. */
  exactly(length: number): Promise<Uint8Array>
  /** All that is left. Throws DA_PAYLOAD_TOO_LARGE over `most` bytes. */
  whole(most: number): Promise<Uint8Array>
  /** Throws BAD_REQUEST unless nothing is left. */
  end(): Promise<void>
  /** Reads on without keeping, at most `most` bytes, so that an answer reaches a sender that is still sending. */
  drain(most: number): Promise<void>
}

const NEWLINE = 0x0a

/**
 * Errors of its methods too: TIMEOUT when the body falls silent for `idleMs` or is not over after `totalMs`, ABORTED when its
 * sender goes away.
 */
export function readBody(
  body: Readable,
  { idleMs, totalMs, signal }: { idleMs: number; totalMs: number; signal: AbortSignal },
): BodyReader {
  const giveUpAt = performance.now() + totalMs
  // Left whole on the way out: who stops early may still want to drain it.
  const pieces: AsyncIterator<Uint8Array> = body.iterator({ destroyOnReturn: false })
  let rest: Uint8Array = new Uint8Array()

  async function nextPiece(): Promise<Uint8Array | undefined> {
    if (signal.aborted) throw new ZerogError('ABORTED')
    const { promise: givenUp, reject } = Promise.withResolvers<never>()
    givenUp.catch(() => undefined)
    const onAbort = () => reject(new ZerogError('ABORTED'))
    const waitMs = Math.max(0, Math.min(idleMs, giveUpAt - performance.now()))
    const timer = setTimeout(() => reject(new ZerogError('TIMEOUT', 'the body stopped coming')), waitMs)
    signal.addEventListener('abort', onAbort, { once: true })
    const next = pieces.next().catch((cause) => {
      throw new ZerogError('ABORTED', 'the sender went away', { cause })
    })
    try {
      const piece = await Promise.race([next, givenUp])
      return piece.done ? undefined : piece.value
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      next.catch(() => undefined)
    }
  }

  return {
    async line(most) {
      for (;;) {
        const at = rest.indexOf(NEWLINE)
        if (at >= 0 && at <= most) {
          const line = rest.subarray(0, at)
          rest = rest.subarray(at + 1)
          return line
        }
        if (rest.length > most) throw new ZerogError('BAD_REQUEST', `the first line is over ${most} bytes`)
        const piece = await nextPiece()
        if (!piece) throw new ZerogError('BAD_REQUEST', 'the body ends in its first line')
        rest = Buffer.concat([rest, piece])
      }
    },

    async exactly(length) {
      const whole = new Uint8Array(length)
      for (let at = 0; at < length; ) {
        if (rest.length === 0) {
          const piece = await nextPiece()
          if (!piece) throw new ZerogError('BAD_REQUEST', `the body ends ${length - at} bytes early`)
          rest = piece
        }
        const part = rest.subarray(0, length - at)
        whole.set(part, at)
        at += part.length
        rest = rest.subarray(part.length)
      }
      return whole
    },

    async whole(most) {
      const found: Uint8Array[] = []
      let length = 0
      for (let piece: Uint8Array | undefined = rest; piece; piece = await nextPiece()) {
        length += piece.length
        if (length > most)
          throw new ZerogError('DA_PAYLOAD_TOO_LARGE', undefined, { meta: { maxBytes: most } })
        found.push(piece)
      }
      rest = new Uint8Array()
      return Buffer.concat(found)
    },

    async end() {
      while (rest.length === 0) {
        const piece = await nextPiece()
        if (!piece) return
        rest = piece
      }
      throw new ZerogError('BAD_REQUEST', 'the body goes on after its end')
    },

    async drain(most) {
      let left = most - rest.length
      rest = new Uint8Array()
      while (left > 0) {
        const piece = await nextPiece()
        if (!piece) return
        left -= piece.length
      }
      body.destroy()
    },
  }
}

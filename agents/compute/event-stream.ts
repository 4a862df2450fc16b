import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { FastifyReply } from 'fastify'

/** Server-sent events whose raw bytes are hashed as they leave. */
export type EventStream = {
  /** Sends one event; waits while the reader is behind. The first one sends the headers. */
  send(payload: unknown): Promise<void>
  isBegun(): boolean
  /** SHA-256 of all that was sent and of `last`, in hex: what a receipt holds before `end` lets the last bytes go. */
  digest(last: string): string
  end(last: string): void
}

export const DONE = 'data: [DONE]\n\n'

/** The bytes of one event. */
export function eventText(payload: unknown): string {
  return `data: ${JSON.stringify(payload)}\n\n`
}

export function createEventStream(reply: FastifyReply, signal: AbortSignal): EventStream {
  const hash = createHash('sha256')
  const { raw } = reply
  let isBegun = false
  const begin = () => {
    if (isBegun) return
    isBegun = true
    reply.hijack()
    // What plug-ins have set (CORS) would be lost with the reply.
    raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      connection: 'keep-alive',
    })
  }
  return {
    isBegun: () => isBegun,
    async send(payload) {
      begin()
      const text = eventText(payload)
      hash.update(text)
      if (raw.destroyed || raw.write(text)) return
      await once(raw, 'drain', { signal }).catch(() => undefined)
    },
    digest: (last) => hash.copy().update(last).digest('hex'),
    end(last) {
      begin()
      raw.end(last)
    },
  }
}

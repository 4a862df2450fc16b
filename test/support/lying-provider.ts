import { once } from 'node:events'
import { createServer, request as forward, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a proxy does to one request of a client. */
export type Lie =
  | { readonly kind: 'pass' | 'silent' | 'refuse' }
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly headers?: Record<string, string>
      readonly body: string
    }
  /** Breaks the connection once so many bytes of the answer were passed on. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  | { readonly kind: 'change'; change(body: string): string }

export type Seen = { readonly method: string; readonly path: string; readonly body: string }

/** A real HTTP proxy before a real provider, which streams what it passes on: the network or the provider that lies. */
export async function startLyingProvider() {
  let target = ''
  let decide: (seen: Seen) => Lie = () => ({ kind: 'pass' })
  const seen: Seen[] = []
  const server = createServer(async (incoming, outgoing) => {
    const { method = 'GET', url: path = '/' } = incoming
    const body = await bodyOf(incoming)
    const entry = { method, path, body: body.toString() }
    seen.push(entry)
    const lie = decide(entry)
    if (lie.kind === 'silent') return
    if (lie.kind === 'refuse') return incoming.socket.destroy()
    if (lie.kind === 'answer') return outgoing.writeHead(lie.status, lie.headers).end(lie.body)
    const { host: _, connection: _c, ...headers } = incoming.headers
    const upstream = forward(`${target}${path}`, { method, headers })
    outgoing.on('close', () => upstream.destroy())
    upstream.on('error', () => outgoing.destroy())
    upstream.on('response', async (answer) => {
      try {
        if (lie.kind === 'change') {
          const changed = lie.change((await bodyOf(answer)).toString())
          const { 'content-length': _l, 'transfer-encoding': _t, ...kept } = answer.headers
          outgoing.writeHead(answer.statusCode ?? 502, kept).end(changed)
          return
        }
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        let passed = 0
        for await (const part of answer as AsyncIterable<Buffer>) {
          passed += part.length
          await new Promise((resolve) => outgoing.write(part, resolve))
          if (lie.kind === 'cut' && passed >= lie.afterBytes) return incoming.socket.destroy()
        }
        outgoing.end()
      } catch {
        outgoing.destroy()
      }
    })
    upstream.end(body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    before: (url: string): void => {
      target = url
    },
    decide: (next: (seen: Seen) => Lie): void => {
      decide = next
    },
    honest: (): void => {
      decide = () => ({ kind: 'pass' })
    },
    stop: (): void => {
      server.closeAllConnections()
      server.close()
    },
  }
}

export type LyingProvider = Awaited<ReturnType<typeof startLyingProvider>>

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of message) parts.push(part)
  return Buffer.concat(parts)
}

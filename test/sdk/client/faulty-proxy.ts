import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a proxy does to a request: pass it on, keep silent, cut it, answer for the provider, or change the answer. */
export type Fault =
  | {
      readonly kind: 'pass' | 'silent' | 'cut'
    }
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly body: string
    }
  | {
      readonly kind: 'change'
      change(body: Buffer): Buffer
    }

export type FaultyProxy = {
  readonly url: string
  /** Decides about each request from now on. */
  decide(fault: (request: { method: string; path: string }) => Fault): void
  stop(): void
}

/** A real HTTP proxy before a real provider: the bad network and the bad provider of the tests. */
export async function startFaultyProxy(target: string): Promise<FaultyProxy> {
  let decide: (request: { method: string; path: string }) => Fault = () => ({ kind: 'pass' })
  const server = createServer(async (request, response) => {
    const { method = 'GET', url: path = '/' } = request
    const fault = decide({ method, path })
    if (fault.kind === 'silent') return
    if (fault.kind === 'cut') return request.socket.destroy()
    const body = await bodyOf(request)
    if (fault.kind === 'answer') return response.writeHead(fault.status).end(fault.body)
    try {
      const { host: _, connection: _c, 'content-length': _l, ...headers } = request.headers
      const answer = await fetch(`${target}${path}`, {
        method,
        headers: headers as Record<string, string>,
        ...(body.length > 0 ? { body: new Uint8Array(body) } : {}),
      })
      const bytes = Buffer.from(await answer.arrayBuffer())
      for (const [name, value] of answer.headers)
        if (!/^(connection|keep-alive|transfer-encoding|content-length)$/.test(name))
          response.setHeader(name, value)
      response.writeHead(answer.status).end(fault.kind === 'change' ? fault.change(bytes) : bytes)
    } catch {
      request.socket.destroy()
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    decide(fault) {
      decide = fault
    },
    stop() {
      server.closeAllConnections()
      server.close()
    },
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part)
  return Buffer.concat(parts)
}

import { createServer, type IncomingMessage } from 'node:http'

export type RpcCall = { readonly method: string; readonly params: readonly unknown[] }
export type RpcAnswer = { result?: unknown; error?: { code: number; message: string } }

/** Changes an answer of the real node on its way; returning the answer itself leaves it alone. */
export type Tamper = (call: RpcCall, answer: RpcAnswer) => RpcAnswer | Promise<RpcAnswer>

/** Starts an HTTP proxy before a real node, as a faulty or lagging RPC provider would be. */
export async function startRpcProxy(target: string) {
  let tamper: Tamper = (_, answer) => answer
  const calls: RpcCall[] = []
  const server = createServer(async (request, response) => {
    try {
      const body = await readBody(request)
      const call = JSON.parse(body) as RpcCall & { id: number; jsonrpc: string }
      calls.push(call)
      const forwarded = await fetch(target, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
        signal: AbortSignal.timeout(10_000),
      })
      const { result, error } = (await forwarded.json()) as RpcAnswer
      const answer = await tamper(call, error ? { error } : { result })
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ jsonrpc: '2.0', id: call.id, ...answer }))
    } catch {
      response.destroy()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
  return {
    rpcUrl: `http://127.0.0.1:${address.port}`,
    calls,
    tamper: (next: Tamper): void => {
      tamper = next
    },
    stop: async (): Promise<void> => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  let body = ''
  request.setEncoding('utf8')
  for await (const part of request) body += part
  return body
}

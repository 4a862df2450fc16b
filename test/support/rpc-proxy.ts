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
    /** Repeats logs, and leaves each with one of these first topics out of the first answer it is in; returns how many so far. */
    repeatAndLeaveOut: (topics: readonly string[]): (() => number) => {
      const seen = new Set<string>()
      tamper = ({ method }, answer) => {
        if (method !== 'eth_getLogs' || !Array.isArray(answer.result)) return answer
        const logs: { topics: string[]; transactionHash: string; logIndex: string }[] = answer.result
        const fresh = logs.filter(({ topics: own }) => topics.includes(own[0] ?? ''))
        const ids = fresh.map(({ transactionHash, logIndex }) => `${transactionHash}-${logIndex}`)
        const dropped = new Set(fresh.filter((_, i) => !seen.has(ids[i] ?? '')))
        for (const id of ids) seen.add(id)
        const kept = logs.filter((log) => !dropped.has(log))
        return { result: [...kept, ...kept] }
      }
      return () => seen.size
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

import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'

const plainAgent = new HttpAgent({ keepAlive: true })
const secureAgent = new HttpsAgent({ keepAlive: true })

export type PostAnswer = { readonly status: number; readonly text: string }

/**
 * POSTs a text to an http(s) URL over a connection that is kept. An agent asks its node several times a second, and
 * `fetch` takes twice the processor time or more. Redirects are answers like others. Rejects when no whole answer comes.
 */
export async function post(
  url: string,
  request: { headers: Readonly<Record<string, string>>; body: string; signal: AbortSignal },
): Promise<PostAnswer> {
  try {
    return await send(url, request)
  } catch (error) {
    // The server may close a connection that was kept just as it is used again.
    if (!(error instanceof StaleConnection)) throw error
    return await send(url, request)
  }
}

class StaleConnection extends Error {}

function send(
  url: string,
  { headers, body, signal }: { headers: Readonly<Record<string, string>>; body: string; signal: AbortSignal },
): Promise<PostAnswer> {
  return new Promise((resolve, reject) => {
    const isSecure = url.startsWith('https:')
    const outgoing = (isSecure ? httpsRequest : httpRequest)(url, {
      method: 'POST',
      headers: { ...headers, 'content-length': Buffer.byteLength(body) },
      agent: isSecure ? secureAgent : plainAgent,
      signal,
    })
    let hasAnswer = false
    outgoing.once('response', (incoming) => {
      hasAnswer = true
      readAnswer(incoming).then(resolve, reject)
    })
    outgoing.on('error', (error) => {
      const isStale = outgoing.reusedSocket && !hasAnswer && 'code' in error && error.code === 'ECONNRESET'
      reject(isStale && !signal.aborted ? new StaleConnection('', { cause: error }) : error)
    })
    outgoing.end(body)
  })
}

async function readAnswer(incoming: IncomingMessage): Promise<PostAnswer> {
  const parts: Buffer[] = []
  for await (const part of incoming) parts.push(part)
  return { status: incoming.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') }
}

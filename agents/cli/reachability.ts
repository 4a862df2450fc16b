import { randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { z } from 'zod'
import { ZerogError } from '../../sdk/protocol/errors.ts'

const FETCH_TIMEOUT_MS = 5_000

const agentStatus = z.object({ operator: z.string() })

/**
 * Checks that `publicUrl` leads to this machine's `host:port`, with a small server that answers only what was agreed; where
 * the port is taken, that the operator's own agent answers under the URL.
 *
 * Errors: PEER_UNREACHABLE when it does not; CONFIG_INVALID when something else has the port.
 */
export async function checkReachable(options: {
  publicUrl: string
  host: string
  port: number
  operator: string
  signal: AbortSignal
}): Promise<void> {
  const { publicUrl, host, port, operator, signal } = options
  const token = randomUUID()
  const server = createServer((_request, response) => response.end(token))
  const taken = await listen(server, host, port)
  if (taken !== undefined) {
    const found = await fetchText(`${publicUrl}/status`, signal).then(operatorOf, () => undefined)
    if (found === operator) return
    throw new ZerogError('CONFIG_INVALID', `cannot listen on ${host}:${port}: ${taken}`, {
      meta: { host, port },
    })
  }
  try {
    const answer = await fetchText(`${publicUrl}/reachability`, signal)
    if (answer === token) return
    throw new ZerogError(
      'PEER_UNREACHABLE',
      `${publicUrl} answers, but it is not this machine's port ${port}`,
    )
  } catch (cause) {
    if (cause instanceof ZerogError) throw cause
    if (signal.aborted) throw new ZerogError('ABORTED', undefined, { cause })
    throw new ZerogError(
      'PEER_UNREACHABLE',
      `${publicUrl} does not lead here: open port ${port} in the firewall or router, or correct --public-url`,
      { cause, meta: { publicUrl, port } },
    )
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

/** Why the address cannot be had; undefined when the server listens. */
function listen(server: Server, host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE'
      resolve(taken ? 'another program has this port; stop it, or give another --port' : error.message)
    })
    server.listen(port, host, () => resolve(undefined))
  })
}

async function fetchText(url: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(url, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(FETCH_TIMEOUT_MS)]),
  })
  return await response.text()
}

/** The operator that an agent's /status names. */
export function operatorOf(statusText: string): string | undefined {
  try {
    return agentStatus.parse(JSON.parse(statusText)).operator
  } catch {
    // Whatever it is, it is no agent of ours.
    return undefined
  }
}

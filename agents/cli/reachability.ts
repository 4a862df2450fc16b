import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { ZerogError } from '../../sdk/protocol/errors.ts'

const FETCH_TIMEOUT_MS = 5_000

/**
 * Checks that `publicUrl` leads to this machine's `host:port`, with a small server that answers only what was agreed.
 *
 * Errors: PEER_UNREACHABLE when it does not; CONFIG_INVALID when the port is taken (an agent runs already?).
 */
export async function checkReachable(options: {
  publicUrl: string
  host: string
  port: number
  signal: AbortSignal
}): Promise<void> {
  const { publicUrl, host, port } = options
  const token = randomUUID()
  const server = createServer((_request, response) => response.end(token))
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new ZerogError(
          'CONFIG_INVALID',
          `cannot listen on ${host}:${port}: is an agent running there already?`,
          {
            cause,
          },
        ),
      ),
    )
    server.listen(port, host, resolve)
  })
  try {
    const signal = AbortSignal.any([options.signal, AbortSignal.timeout(FETCH_TIMEOUT_MS)])
    const answer = await fetch(`${publicUrl}/reachability`, { signal }).then((response) => response.text())
    if (answer === token) return
    throw new ZerogError(
      'PEER_UNREACHABLE',
      `${publicUrl} answers, but it is not this machine's port ${port}`,
    )
  } catch (cause) {
    if (cause instanceof ZerogError) throw cause
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

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { describe, it } from 'node:test'
import { fastify } from 'fastify'
import { requestSignal } from '../../../agents/compute/request-steps.ts'

describe('requestSignal', () => {
  it('behavior: a client that never takes its answer does not keep its place for ever', {
    timeout: 30_000,
  }, async () => {
    const server = fastify()
    const closed = Promise.withResolvers<void>()
    server.get('/', (_, reply) => {
      requestSignal({ config: { REQUEST_TIMEOUT_MS: 200 }, signal: new AbortController().signal }, reply)
      reply.raw.once('close', closed.resolve)
      return reply.send(Buffer.alloc(64 << 20))
    })
    await server.listen({ host: '127.0.0.1', port: 0 })
    const { port } = server.server.address() as AddressInfo
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.pause()
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    socket.on('error', () => undefined)
    await closed.promise
    socket.destroy()
    await server.close()
    assert.ok(socket.destroyed)
  })
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import { fastify } from 'fastify'
import { createBodyBudget } from '../../../agents/compute/body-budget.ts'
import { asComputeError, sendError } from '../../../agents/compute/openai-error.ts'
import type { Caller } from '../../../agents/compute/session-check.ts'
import { until } from '../../support/until.ts'

describe('createBodyBudget', () => {
  const server = fastify({ bodyLimit: 1000 })
  const sockets: Socket[] = []
  after(async () => {
    for (const socket of sockets) socket.destroy()
    await server.close()
  })

  it('error: bodies beyond the memory or the requests of one account, and of all', async () => {
    const checkSession = async (user = '') => ({ user }) as Caller
    const budget = createBodyBudget({ checkSession, maxBodyBytes: 1000, maxUserRequests: 5 })
    let passed = 0
    server.addHook('onRequest', budget)
    server.addHook('onRequest', async () => void passed++)
    server.setErrorHandler((error, _, reply) => sendError(reply, asComputeError(error)))
    server.post('/', async () => ({}))
    await server.listen({ host: '127.0.0.1', port: 0 })
    const { port } = server.server.address() as AddressInfo

    /** Sends a head and a byte of the body; says what came back so far. */
    const begin = async (user: string, length: number | undefined) => {
      const socket = connect(port, '127.0.0.1')
      sockets.push(socket)
      socket.on('error', () => undefined)
      await once(socket, 'connect')
      let answer = ''
      socket.on('data', (part) => {
        answer += String(part)
      })
      const size = length === undefined ? 'transfer-encoding: chunked' : `content-length: ${length}`
      const type = 'content-type: application/json'
      socket.write(`POST / HTTP/1.1\r\nhost: x\r\nauthorization: ${user}\r\n${type}\r\n${size}\r\n\r\n`)
      return { socket, status: () => Number(answer.slice(9, 12)) }
    }
    const refused = async (user: string, length: number | undefined, status: number) => {
      const { socket, status: got } = await begin(user, length)
      await until(`${user} is refused`, () => got() === status)
      socket.destroy()
    }
    /** Requests that are let in and whose bodies never come. */
    const hold = async (user: string, length: number | undefined, count: number) => {
      const wanted = passed + count
      const held = []
      for (let i = 0; i < count; i++) held.push(await begin(user, length))
      await until('all are let in', () => passed === wanted)
      return held
    }
    const big = await hold('big', undefined, 8)
    await refused('big', 1, 429)
    await hold('many', 1, 10)
    await refused('many', 1, 429)
    await refused('long', 1001, 413)
    await hold('second', 1000, 8)
    await hold('third', 1000, 8)
    await hold('fourth', 1000, 7)
    await refused('fifth', 1000, 429)
    for (const { socket } of big) socket.destroy()
    let last: Awaited<ReturnType<typeof begin>> | undefined
    await until('there is room again', async () => {
      last = await begin('fifth', 2)
      last.socket.write('{}')
      await until('an answer', () => (last?.status() ?? 0) > 0)
      return last.status() === 200
    })
    assert.equal(last?.status(), 200)
  })
})

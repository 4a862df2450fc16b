import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { afterEach, describe, it } from 'node:test'
import { z } from 'zod'
import { createHttpServer, type HttpServer, listen } from '../../../agents/kernel/http.ts'
import { createMetrics } from '../../../agents/kernel/metrics.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { until } from '../../support/until.ts'
import { silent } from './kernel-fixture.ts'

describe('createHttpServer', () => {
  const servers = new Set<HttpServer>()
  afterEach(async () => {
    for (const server of servers) await server.close()
    servers.clear()
  })

  const start = async (
    options: Partial<createHttpServer.Options> = {},
    routes: (server: HttpServer) => void = () => undefined,
  ) => {
    const metrics = createMetrics('test')
    const status = async () => ({ name: 'test', balanceWei: 2n ** 100n })
    const server = await createHttpServer({ log: silent, metrics, checks: {}, status, ...options })
    servers.add(server)
    routes(server)
    const url = await server.listen({ host: '127.0.0.1', port: 0 })
    const get = (path: string, init: RequestInit = {}) =>
      fetch(`${url}${path}`, { signal: AbortSignal.timeout(10_000), ...init })
    return { url, get, metrics }
  }

  const errorOf = async (response: Response) => {
    const { error } = (await response.json()) as { error: { code: string; message: string } }
    return [response.status, error.code]
  }

  it('default: health, status and metrics', async () => {
    const { get, metrics } = await start()
    metrics.headBlock.set(5)
    assert.deepEqual(await (await get('/health')).json(), { status: 'alive' })
    assert.deepEqual(await (await get('/status')).json(), { name: 'test', balanceWei: String(2n ** 100n) })
    const text = await (await get('/metrics')).text()
    assert.match(text, /^zerog_head_block\{agent="test"\} 5$/m)
  })

  it('error: a port that another server has', async () => {
    const { url } = await start()
    const second = await createHttpServer({
      log: silent,
      metrics: createMetrics('second'),
      checks: {},
      status: async () => ({}),
    })
    servers.add(second)
    const port = Number(new URL(url).port)
    await assert.rejects(
      listen(second, { HTTP_HOST: '127.0.0.1', HTTP_PORT: port }),
      (error: ZerogError) =>
        error.code === 'CONFIG_INVALID' && /another process has this port/.test(error.message),
    )
  })

  it('behavior: is ready only when every check passes, and says why not', async () => {
    let redis: string | undefined = 'redis does not answer'
    const checks = { chain: async () => undefined, redis: async () => redis }
    const { get } = await start({ checks })
    const first = await get('/ready')
    assert.equal(first.status, 503)
    assert.deepEqual(await first.json(), {
      ready: false,
      checks: { chain: 'ok', redis: 'redis does not answer' },
    })
    redis = undefined
    assert.equal((await get('/ready')).status, 200)
  })

  it('behavior: a check that throws counts as not ready', async () => {
    const { get } = await start({
      checks: {
        store: async () => {
          throw new Error('disk gone')
        },
      },
    })
    assert.equal((await get('/ready')).status, 503)
  })

  it('behavior: answers browsers of other origins', async () => {
    const { get } = await start()
    const response = await get('/health', { headers: { origin: 'https://app.example' } })
    assert.equal(response.headers.get('access-control-allow-origin'), '*')
  })

  it('error: unknown route, malformed JSON, wrong type, wrong field', async () => {
    const { get } = await start({}, (server) => {
      server.post('/echo', async (request) => z.object({ n: z.number() }).parse(request.body))
    })
    const post = (body: string, type = 'application/json') =>
      get('/echo', { method: 'POST', body, headers: { 'content-type': type } })
    assert.deepEqual(await errorOf(await get('/nothing')), [404, 'NOT_FOUND'])
    assert.deepEqual(await errorOf(await post('{"n":')), [400, 'BAD_REQUEST'])
    assert.deepEqual(await errorOf(await post('')), [400, 'BAD_REQUEST'])
    assert.deepEqual(await errorOf(await post('n=1', 'text/strange')), [400, 'BAD_REQUEST'])
    assert.deepEqual(await errorOf(await post('{"n":"x"}')), [400, 'BAD_REQUEST'])
    assert.equal((await post('{"n":1}')).status, 200)
  })

  it('error: malformed HTTP', async () => {
    const { url } = await start()
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () =>
      socket.write('GET /health HTTP/9.9 nonsense\r\n\r\n'),
    )
    let text = ''
    socket.setEncoding('utf8').on('data', (part) => {
      text += part
    })
    await until('it answers', () => text.includes('BAD_REQUEST'))
    assert.match(text, /^HTTP\/1.1 400 /)
    socket.destroy()
  })

  it('error: codes of ours keep their status, others hide their message', async () => {
    const { get, metrics } = await start({}, (server) => {
      server.get('/full', async () => {
        throw new ZerogError('DISK_FULL', 'no room for a shard')
      })
      server.get('/bug', async () => {
        throw new Error('internal detail')
      })
    })
    assert.deepEqual(await errorOf(await get('/full')), [507, 'DISK_FULL'])
    const bug = await get('/bug')
    assert.equal(bug.status, 500)
    assert.ok(!(await bug.text()).includes('internal detail'))
    const { values } = await metrics.errors.get()
    assert.deepEqual(values.map(({ labels }) => labels.code).sort(), ['DISK_FULL', 'INTERNAL'])
  })

  it('error: a body over the limit', async () => {
    const { get } = await start({ limits: { bodyBytes: 100 } }, (server) => {
      server.post('/echo', async (request) => request.body)
    })
    const body = JSON.stringify('x'.repeat(200))
    const response = await get('/echo', {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    })
    assert.deepEqual(await errorOf(response), [413, 'BODY_TOO_LARGE'])
  })

  it('error: too many requests; the operator still gets through', async () => {
    const { get } = await start({ limits: { perMinute: 5 } }, (server) => {
      server.get('/work', async () => ({}))
    })
    const statuses: number[] = []
    for (let i = 0; i < 8; i++) statuses.push((await get('/work')).status)
    assert.deepEqual(statuses, [200, 200, 200, 200, 200, 429, 429, 429])
    assert.deepEqual(await errorOf(await get('/work')), [429, 'RATE_LIMITED'])
    assert.equal((await get('/health')).status, 200)
  })

  it('error: too many at the same time; places come back, also of callers who went away', async () => {
    let inside = 0
    const gate = Promise.withResolvers<void>()
    const { get } = await start({ limits: { concurrent: 2 } }, (server) => {
      server.get('/slow', async () => {
        inside++
        await gate.promise
        return {}
      })
      server.get('/quick', async () => ({}))
    })
    const leaving = new AbortController()
    const first = get('/slow')
    const second = get('/slow', { signal: leaving.signal })
    second.catch(() => undefined)
    await until('both are inside', () => inside === 2)
    assert.deepEqual(await errorOf(await get('/slow')), [503, 'OVERLOADED'])
    assert.equal((await get('/health')).status, 200)
    leaving.abort()
    await until('a place is free', async () => (await get('/quick')).status === 200)
    gate.resolve()
    assert.equal((await first).status, 200)
  })
})

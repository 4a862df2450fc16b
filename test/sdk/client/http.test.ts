import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, describe, it } from 'node:test'
import {
  fetchTransport,
  type HttpRequest,
  type StreamedBody,
  httpRequest as send,
} from '../../../sdk/client/http.ts'
import { nodeTransport } from '../../../sdk/client/http-node.ts'
import { createProviderClient } from '../../../sdk/client/provider-client.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'

const servers: ReturnType<typeof createServer>[] = []
after(() => {
  for (const server of servers) {
    server.closeAllConnections()
    server.close()
  }
})

/** A real server with one answer to everything. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const limits = { timeoutMs: 5_000, maxBytes: 1_000 }

const PIECE_BYTES = 300_000

/** Piece number i is full of i; all are the same memory, so that one that is kept too long is wrong. */
function streamed(pieces: number, inTheMiddle = () => {}): StreamedBody {
  const buffer = new Uint8Array(PIECE_BYTES)
  return {
    byteLength: pieces * PIECE_BYTES,
    async *pieces() {
      for (let piece = 0; piece < pieces; piece++) {
        if (piece === pieces / 2) inTheMiddle()
        yield buffer.fill(piece)
      }
    },
  }
}

for (const [name, transport] of Object.entries({ fetchTransport, nodeTransport })) {
  const httpRequest = (url: string, request: HttpRequest) => send(url, request, transport)

  describe(`httpRequest over ${name}`, () => {
    it('sends bytes and text', async () => {
      const url = await serve(async (request, response) => {
        const parts: Buffer[] = []
        for await (const part of request) parts.push(part)
        response.end(Buffer.concat(parts))
      })
      const bytes = Uint8Array.from([1, 2, 255])
      assert.deepEqual((await httpRequest(url, { ...limits, method: 'PUT', body: bytes })).body, bytes)
      const text = await httpRequest(url, { ...limits, method: 'POST', body: 'h\u00e9' })
      assert.equal(new TextDecoder().decode(text.body), 'h\u00e9')
    })

    it('sends a streamed body whose pieces share one buffer', async () => {
      const url = await serve(async (request, response) => {
        const parts: Buffer[] = []
        for await (const part of request) parts.push(part)
        const whole = Buffer.concat(parts)
        const isRight = whole.every((byte, at) => byte === Math.floor(at / PIECE_BYTES))
        response.end(`${request.headers['content-length']} ${whole.length} ${isRight}`)
      })
      const answer = await httpRequest(url, { ...limits, method: 'PUT', body: streamed(20) })
      const all = 20 * PIECE_BYTES
      assert.equal(new TextDecoder().decode(answer.body), `${all} ${all} true`)
    })

    it('error: the failure of a streamed body is the failure of the request', async () => {
      const url = await serve((request, response) => {
        request.resume().once('end', () => response.end())
      })
      const body = streamed(20, () => {
        throw new ZerogError('FILE_CHANGED')
      })
      await assert.rejects(httpRequest(url, { ...limits, method: 'PUT', body }), { code: 'FILE_CHANGED' })
    })

    it('gives status, headers and body', async () => {
      const url = await serve((_request, response) => response.setHeader('x-a', 'b').end('body'))
      const answer = await httpRequest(url, limits)
      assert.equal(answer.status, 200)
      assert.equal(answer.headers.get('x-a'), 'b')
      assert.equal(new TextDecoder().decode(answer.body), 'body')
    })

    it('error: takes the code, message and values of a JSON error', async () => {
      const body = { error: { code: 'DISK_FULL', message: 'no room', meta: { freeBytes: 1 } } }
      const url = await serve((_request, response) => response.writeHead(507).end(JSON.stringify(body)))
      await assert.rejects(httpRequest(url, limits), (error: Error & { code: string; meta: object }) => {
        assert.equal(error.code, 'DISK_FULL')
        assert.equal(error.message, 'no room')
        assert.deepEqual(error.meta, { freeBytes: 1, url, status: 507 })
        return true
      })
    })

    it('error: an answer without a code of ours', async () => {
      for (const body of ['', '<html>', '{"error":{"code":"NOPE"}}', '[]', '{"error":null}']) {
        const url = await serve((_request, response) => response.writeHead(400).end(body))
        await assert.rejects(httpRequest(url, limits), { code: 'PEER_MISBEHAVED', retryable: false })
      }
      const url = await serve((_request, response) => response.writeHead(503).end('busy'))
      await assert.rejects(httpRequest(url, limits), { code: 'PEER_MISBEHAVED', retryable: true })
    })

    it('error: a body over the bound, announced or not', async () => {
      const announced = await serve((_request, response) => response.end('x'.repeat(1_001)))
      await assert.rejects(httpRequest(announced, limits), { code: 'PEER_MISBEHAVED', message: /over 1000/ })
      const endless = await serve((_request, response) => {
        const write = () => {
          while (response.write('x'.repeat(64 * 1024)));
        }
        response.on('drain', write)
        write()
      })
      await assert.rejects(httpRequest(endless, limits), { code: 'PEER_MISBEHAVED', message: /over 1000/ })
    })

    it('error: silence before and inside the body, no server, a redirect, an abort', async () => {
      const silent = await serve(() => undefined)
      await assert.rejects(httpRequest(silent, { ...limits, timeoutMs: 50 }), { code: 'TIMEOUT' })
      const stuck = await serve((_request, response) => {
        response.writeHead(200, { 'content-length': '10' })
        response.write('half')
      })
      await assert.rejects(httpRequest(stuck, { ...limits, timeoutMs: 100 }), { code: 'TIMEOUT' })
      const cut = await serve((_request, response) => {
        response.writeHead(200, { 'content-length': '10' })
        response.write('half', () => response.destroy())
      })
      await assert.rejects(httpRequest(cut, limits), { code: 'PEER_UNREACHABLE' })
      await assert.rejects(httpRequest('http://127.0.0.1:9', limits), {
        code: 'PEER_UNREACHABLE',
        retryable: true,
      })
      const moved = await serve((_request, response) => response.writeHead(302, { location: silent }).end())
      await assert.rejects(httpRequest(moved, limits), { code: 'PEER_UNREACHABLE' })
      await assert.rejects(httpRequest(silent, { ...limits, signal: AbortSignal.abort() }), {
        code: 'ABORTED',
      })
    })
  })
}

describe('createProviderClient', () => {
  it('error: an endpoint that is no http URL, or carries a password', () => {
    for (const endpoint of [
      '',
      'ftp://x',
      'file:///etc/passwd',
      'localhost:80',
      'http://a:b@c',
      'javascript:1',
    ])
      assert.throws(() => createProviderClient(endpoint), { code: 'BAD_REQUEST' })
  })

  it('keeps a path of the endpoint and drops the slash at its end', async () => {
    const paths: (string | undefined)[] = []
    const url = await serve((request, response) => {
      paths.push(request.url)
      response.writeHead(404).end()
    })
    assert.equal(await createProviderClient(`${url}/storage/`).progress({ txSeq: 1n, index: 2 }), undefined)
    assert.deepEqual(paths, ['/storage/v1/shards/1/2'])
  })

  it('error: answers that are not JSON or not of the agreed shape', async () => {
    for (const body of [
      '',
      'hello',
      '[]',
      '{"service":"storage"}',
      '{"offset":-1,"total":1,"complete":true}',
    ]) {
      const client = createProviderClient(await serve((_request, response) => response.end(body)))
      await assert.rejects(client.info(), { code: 'PEER_MISBEHAVED' })
      const piece = { root: `0x${'1'.repeat(64)}`, offset: 0, total: 1, bytes: new Uint8Array(1) }
      await assert.rejects(client.putChunk({ txSeq: 1n, index: 0 }, piece), { code: 'PEER_MISBEHAVED' })
      await assert.rejects(client.sign(1n, piece.root), { code: 'PEER_MISBEHAVED' })
    }
  })

  it('error: a HEAD answer without an offset', async () => {
    const client = createProviderClient(await serve((_request, response) => response.end()))
    await assert.rejects(client.progress({ txSeq: 1n, index: 0 }), { code: 'PEER_MISBEHAVED' })
  })
})

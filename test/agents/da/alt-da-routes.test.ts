import assert from 'node:assert/strict'
import { Agent, type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { finished } from 'node:stream/promises'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { concat, getBytes, hexlify, keccak256, randomBytes } from 'ethers'
import { MAX_PAYLOAD_BYTES } from '../../../sdk/protocol/blob.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../../support/until.ts'
import { sendWild } from '../../support/wild-requests.ts'
import { type Rollup, startRollup } from './rollup-fixture.ts'

describe('alt-DA routes', () => {
  let folder: string
  let rollup: Rollup

  beforeEach(async () => {
    folder = tempDir()
    rollup = await startRollup(folder)
  })
  afterEach(() => rollup.close())

  const restart = async (env: Record<string, string>) => {
    await rollup.close()
    rollup = await startRollup(folder, env)
  }
  const put = (path: string, body: Uint8Array, init: RequestInit = {}) =>
    fetch(`${rollup.url}${path}`, {
      method: 'POST',
      body: body.slice(),
      signal: AbortSignal.timeout(30_000),
      ...init,
      headers: { 'content-type': 'application/octet-stream', ...init.headers },
    })
  const get = (commitment: string) =>
    fetch(`${rollup.url}/get/${commitment}`, { signal: AbortSignal.timeout(30_000) })
  const hexOf = async (response: Response) => hexlify(new Uint8Array(await response.arrayBuffer()))
  const failure = async (response: Response) => {
    const { error } = (await response.json()) as { error: { code: string } }
    return [response.status, error.code]
  }
  const generic = (blobId: string) => concat(['0x017a', blobId])
  const keccak = (payload: Uint8Array | string) => concat(['0x00', keccak256(payload)])

  it('put without a commitment: raw generic commitment, read back with and without 0x', async () => {
    const payload = randomBytes(1_000)
    for (const [path, method] of [
      ['/put', 'POST'],
      ['/put/', 'POST'],
      ['/put', 'PUT'],
    ] as const) {
      const response = await put(path, payload, { method })
      assert.equal(response.status, 200)
      assert.equal(response.headers.get('content-type'), 'application/octet-stream')
      const commitment = await hexOf(response)
      assert.match(commitment, /^0x017a[0-9a-f]{64}$/)
      for (const text of [commitment, commitment.slice(2), commitment.toUpperCase().replace('0X', '0x')]) {
        const read = await get(text)
        assert.equal(read.status, 200)
        assert.equal(await hexOf(read), hexlify(payload))
      }
    }
    assert.equal(rollup.network.published, 1, 'the same payload is published once')
  })

  it('put with its keccak commitment, as a stock client in keccak mode does', async () => {
    const payload = randomBytes(500)
    const response = await put(`/put/${keccak(payload)}`, payload)
    assert.equal(response.status, 200)
    assert.equal(await hexOf(response), keccak(payload))
    assert.equal(await hexOf(await get(keccak(payload))), hexlify(payload))
  })

  it('ROLLUP_COMMITMENT=keccak: put without a commitment answers with a keccak one', async () => {
    await restart({ ROLLUP_COMMITMENT: 'keccak' })
    const payload = randomBytes(40)
    assert.equal(await hexOf(await put('/put', payload)), keccak(payload))
  })

  it('bodies of 5 MiB and of the largest size', async () => {
    for (const bytes of [5 * 1024 * 1024, MAX_PAYLOAD_BYTES]) {
      const payload = new Uint8Array(bytes).fill(7)
      const commitment = await hexOf(await put('/put', payload))
      const read = new Uint8Array(await (await get(commitment)).arrayBuffer())
      assert.ok(Buffer.from(read).equals(payload))
    }
  })

  it('a connection that serves many requests gathers nothing', async () => {
    const warnings: string[] = []
    const onWarning = ({ name }: Error) => warnings.push(name)
    process.on('warning', onWarning)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const blobId = rollup.network.add(randomBytes(10))
    try {
      for (let i = 0; i < 30; i++) {
        const answer = await new Promise<IncomingMessage>((resolve, reject) =>
          request(`${rollup.url}/get/${generic(blobId)}`, { agent }, resolve)
            .on('error', reject)
            .end(),
        )
        assert.equal(answer.statusCode, 200)
        await finished(answer.resume())
      }
      // Warnings come with the next tick.
      await new Promise((resolve) => setImmediate(resolve))
      assert.deepEqual(warnings, [])
    } finally {
      agent.destroy()
      process.off('warning', onWarning)
    }
  })

  it('200 parallel puts: none lost, no more in flight than allowed, each answer its own', async () => {
    await restart({ ROLLUP_IN_FLIGHT: '8', ROLLUP_BUFFER_BYTES: String(MAX_PAYLOAD_BYTES) })
    const payloads = Array.from({ length: 200 }, () => randomBytes(300_000))
    const answers = await Promise.all(payloads.map(async (payload) => hexOf(await put('/put', payload))))
    assert.equal(new Set(answers).size, 200)
    assert.ok(rollup.network.mostPublishing <= 8, `${rollup.network.mostPublishing} in flight`)
    const equal = await Promise.all(
      answers.map(async (commitment, index) => {
        const back = Buffer.from(await (await get(commitment)).arrayBuffer())
        return back.equals(payloads[index] ?? new Uint8Array())
      }),
    )
    assert.ok(equal.every(Boolean))
  })

  it('readers that go away do not free their places before the work that they asked for is done', async () => {
    await restart({ ROLLUP_IN_FLIGHT: '2' })
    const blobId = rollup.network.add(randomBytes(100))
    const gate = Promise.withResolvers<void>()
    rollup.network.readGate = gate.promise
    for (let reader = 0; reader < 6; reader++) {
      const leaving = new AbortController()
      const answer = fetch(`${rollup.url}/get/${generic(blobId)}`, { signal: leaving.signal })
      if (reader < 2) await until('it is being read', () => rollup.network.reading === reader + 1)
      leaving.abort()
      await assert.rejects(answer)
    }
    const patient = get(generic(blobId))
    gate.resolve()
    assert.equal((await patient).status, 200)
    assert.equal(rollup.network.mostReading, 2)
  })

  it('strangers that read slowly do not keep the rollup of this operator from reading', async () => {
    const token = 'a secret of the rollup'.replaceAll(' ', '-')
    await restart({ ROLLUP_IN_FLIGHT: '2', ROLLUP_TOKEN: token })
    const blobId = rollup.network.add(randomBytes(100))
    const gate = Promise.withResolvers<void>()
    rollup.network.readGate = gate.promise
    const strangers = [get(generic(blobId)), get(generic(blobId)), get(generic(blobId))]
    await until('their places are taken', () => rollup.network.reading === 2)
    rollup.network.readGate = Promise.resolve()
    const own = await fetch(`${rollup.url}/get/${generic(blobId)}`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(30_000),
    })
    assert.equal(own.status, 200)
    gate.resolve()
    for (const stranger of strangers) assert.equal((await stranger).status, 200)
  })

  it('the same payload put in parallel is published once and answered alike', async () => {
    const gate = Promise.withResolvers<void>()
    rollup.network.gate = gate.promise
    const payload = randomBytes(100)
    const puts = Array.from({ length: 5 }, async () => hexOf(await put('/put', payload)))
    await until('it is being published', () => rollup.network.publishing === 1)
    gate.resolve()
    assert.equal(new Set(await Promise.all(puts)).size, 1)
    assert.equal(rollup.network.published, 1)
  })

  it('answers are immutable, after a restart too; a blob that will soon be gone is published anew', async () => {
    const payload = randomBytes(100)
    const first = await hexOf(await put('/put', payload))
    const { blobs } = rollup.network
    await restart({})
    for (const [blobId, blob] of blobs) rollup.network.blobs.set(blobId, blob)
    assert.equal(await hexOf(await put('/put', payload)), first)
    rollup.network.period = 140n
    rollup.network.published = 1
    assert.notEqual(await hexOf(await put('/put', payload)), first)
    assert.equal(await hexOf(await get(first)), hexlify(payload), 'the old commitment is answered still')
  })

  it('error: empty, over the limit, bad hex, other types, another hash', async () => {
    await restart({ ROLLUP_MAX_BYTES: '1000' })
    const payload = randomBytes(10)
    assert.deepEqual(await failure(await put('/put', new Uint8Array())), [400, 'DA_EMPTY_PAYLOAD'])
    assert.deepEqual(await failure(await put('/put', randomBytes(1_001))), [413, 'DA_PAYLOAD_TOO_LARGE'])
    assert.deepEqual(await failure(await put('/put/0xzz', payload)), [400, 'BAD_HEX'])
    assert.deepEqual(await failure(await put('/put/0x00', payload)), [400, 'BAD_REQUEST'])
    assert.deepEqual(await failure(await put(`/put/${keccak('0x01')}`, payload)), [400, 'BAD_REQUEST'])
    assert.deepEqual(await failure(await put(`/put/${generic(keccak256(payload))}`, payload)), [
      400,
      'BAD_REQUEST',
    ])
    assert.deepEqual(await failure(await get('0x0')), [400, 'BAD_HEX'])
    assert.deepEqual(await failure(await get('nothex')), [400, 'BAD_HEX'])
    assert.deepEqual(await failure(await get(concat(['0x0147', keccak256(payload)]))), [400, 'BAD_REQUEST'])
    assert.equal(rollup.network.blobs.size, 0, 'nothing was stored')
  })

  it('error: a body without length that goes over the limit is cut off, and nothing stored', async () => {
    await restart({ ROLLUP_MAX_BYTES: '100000' })
    const endless = new ReadableStream({ pull: (controller) => controller.enqueue(randomBytes(65_536)) })
    const init = { method: 'POST', body: endless, duplex: 'half', signal: AbortSignal.timeout(30_000) }
    const response = await fetch(`${rollup.url}/put`, init as RequestInit).catch((error: Error) => error)
    // Who sends without end may see the connection closed before the answer.
    if (response instanceof Response) assert.deepEqual(await failure(response), [413, 'DA_PAYLOAD_TOO_LARGE'])
    assert.equal(rollup.network.blobs.size, 0)
    assert.equal((await put('/put', randomBytes(10))).status, 200, 'it serves on')
  })

  it('error: unknown, expired and unconfirmed are 404, an invalid blob is 418', async () => {
    const { network } = rollup
    assert.deepEqual(await failure(await get(generic(keccak256('0x')))), [404, 'DA_UNKNOWN_BLOB'])
    assert.deepEqual(await failure(await get(keccak('0x01'))), [404, 'DA_UNKNOWN_BLOB'])
    const old = network.add(getBytes('0x02'), 99n)
    assert.deepEqual(await failure(await get(generic(old))), [404, 'DA_EXPIRED'])
    const bad = network.add(getBytes('0x03'))
    network.readFailures.set(bad, new ZerogError('DA_INVALID_BLOB'))
    assert.deepEqual(await failure(await get(generic(bad))), [418, 'DA_INVALID_BLOB'])
    assert.deepEqual(await failure(await get(keccak('0x03'))), [404, 'DA_INVALID_BLOB'])
    network.readFailures.set(bad, new ZerogError('DA_NOT_CONFIRMED'))
    assert.deepEqual(await failure(await get(generic(bad))), [404, 'DA_NOT_CONFIRMED'])
    network.readFailures.set(bad, new ZerogError('DA_TOO_FEW_COLUMNS'))
    assert.deepEqual(await failure(await get(generic(bad))), [503, 'DA_TOO_FEW_COLUMNS'])
  })

  it('a false claim of a hash does not hide the payload', async () => {
    const { network } = rollup
    const payload = randomBytes(64)
    const truth = network.add(payload)
    const lie = network.add(randomBytes(64))
    network.readFailures.set(lie, new ZerogError('DA_INVALID_BLOB'))
    network.claims.set(keccak256(payload), [lie, truth])
    assert.equal(await hexOf(await get(keccak(payload))), hexlify(payload))
  })

  it('what may pass is waited for', async () => {
    rollup.network.publishFailures = [new ZerogError('DA_BUSY'), new ZerogError('RPC_UNREACHABLE')]
    assert.equal((await put('/put', randomBytes(10))).status, 200)
  })

  it('error: 503 with Retry-After when it cannot publish', async () => {
    rollup.network.publishFailures = [new ZerogError('INSUFFICIENT_FUNDS')]
    const payload = randomBytes(10)
    const response = await put('/put', payload)
    assert.equal(response.headers.get('retry-after'), '5')
    assert.deepEqual(await failure(response), [503, 'INSUFFICIENT_FUNDS'])
    assert.equal((await put('/put', payload)).status, 200, 'the next try is a new one')
  })

  it('error: 503 when it takes longer than ROLLUP_TIMEOUT_SEC', async () => {
    await restart({ ROLLUP_TIMEOUT_SEC: '1' })
    rollup.network.publishFailures = Array.from({ length: 100 }, () => new ZerogError('DA_BUSY'))
    assert.deepEqual(await failure(await put('/put', randomBytes(10))), [503, 'DA_BUSY'])
  })

  it('error: 503 when the blob does not read back as it was put', async () => {
    rollup.network.add = (payload, expiresAt = 150n) => {
      rollup.network.blobs.set(keccak256('0x'), { payload: payload.map((byte) => byte ^ 1), expiresAt })
      return keccak256('0x')
    }
    assert.deepEqual(await failure(await put('/put', randomBytes(10))), [503, 'INTERNAL'])
  })

  describe('who may put', () => {
    const payload = randomBytes(10)

    it('without a token: this machine, yet no proxy and no web page', async () => {
      assert.equal((await put('/put', payload)).status, 200)
      for (const headers of [
        { 'x-forwarded-for': '127.0.0.1' },
        { forwarded: 'for=10.0.0.1' },
        { origin: 'https://evil.example' },
      ]) {
        assert.deepEqual(await failure(await put('/put', randomBytes(10), { headers })), [403, 'FORBIDDEN'])
      }
      assert.equal(rollup.network.published, 1)
    })

    it('with a token: who shows it, as Bearer or as password', async () => {
      const token = 'a-token-that-nobody-guesses'
      await restart({ ROLLUP_TOKEN: token })
      const show = (authorization?: string) =>
        put('/put', payload, authorization === undefined ? {} : { headers: { authorization } })
      const basic = Buffer.from(`rollup:${token}`).toString('base64')
      for (const header of [`Bearer ${token}`, `Basic ${basic}`]) {
        const commitment = await hexOf(await show(header))
        assert.equal((await get(commitment)).status, 200, 'anyone may read')
      }
      for (const header of [`Bearer ${token}x`, 'Basic !!', 'Digest a', undefined])
        assert.deepEqual(await failure(await show(header)), [401, 'UNAUTHORIZED'])
    })
  })

  it('malformed requests: a refusal each, and it serves on', async () => {
    const { hostname, port } = new URL(rollup.url)
    const send = (text: string) =>
      new Promise<string>((resolve) => {
        let answer = ''
        const socket = connect(Number(port), hostname, () => socket.end(text))
        socket.setEncoding('utf8')
        socket.on('data', (part: string) => {
          answer += part
        })
        socket.on('error', () => resolve(answer))
        socket.on('close', () => resolve(answer))
      })
    const host = 'host: x\r\nconnection: close\r\n'
    for (const text of [
      `POST /put HTTP/1.1\r\n${host}content-length: 10\r\n\r\nabc`,
      `POST /put HTTP/1.1\r\n${host}content-length: -1\r\n\r\n`,
      `POST /put HTTP/1.1\r\n${host}transfer-encoding: chunked\r\n\r\nZZ\r\n`,
      `GET /get/%00 HTTP/1.1\r\n${host}\r\n`,
      `GET /get/%zz HTTP/1.1\r\n${host}\r\n`,
      `GET /get/0x${'00'.repeat(20_000)} HTTP/1.1\r\n${host}\r\n`,
      `PUT /put/../../etc/passwd HTTP/1.1\r\n${host}content-length: 1\r\n\r\na`,
      'GARBAGE\r\n\r\n',
    ]) {
      const answer = await send(text)
      assert.ok(answer === '' || /^HTTP\/1\.1 4\d\d/.test(answer), `${text.slice(0, 40)}: ${answer}`)
    }
    assert.equal(rollup.network.blobs.size, 0)
    assert.equal((await put('/put', randomBytes(10))).status, 200)
  })

  it('spoiled requests: none brings it down or keeps its room', async () => {
    await restart({ ROLLUP_BUFFER_BYTES: String(MAX_PAYLOAD_BYTES), ROLLUP_IN_FLIGHT: '2' })
    const payload = Buffer.from(randomBytes(300))
    const blobId = rollup.network.add(payload)
    const host = 'host: x\r\nconnection: close\r\n'
    const body = (start: string, bytes: Buffer) =>
      Buffer.concat([Buffer.from(`${start}${host}content-length: ${bytes.length}\r\n\r\n`), bytes])
    const call = {
      jsonrpc: '2.0',
      id: 1,
      method: 'das_store',
      params: ['0x00', '0x1', `0x${'11'.repeat(65)}`],
    }
    const statuses = await sendWild(
      rollup.url,
      [
        body('POST /put HTTP/1.1\r\n', payload),
        body(`PUT /put/${keccak(payload)} HTTP/1.1\r\n`, payload),
        `POST /put HTTP/1.1\r\n${host}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
        `GET /get/${generic(blobId)} HTTP/1.1\r\n${host}\r\n`,
        `GET /get-by-hash/${'ab'.repeat(32)} HTTP/1.1\r\n${host}\r\n`,
        body('POST / HTTP/1.1\r\n', Buffer.from(JSON.stringify(call))),
      ],
      { count: 600, seed: 7 },
    )
    assert.equal(statuses.length, 600)
    assert.ok(!statuses.includes(500), 'a refusal, not a failure')
    assert.ok(statuses.filter((status) => status >= 400).length > 100)
    // All the room there is: what a spoiled request had taken is given back.
    const large = new Uint8Array(MAX_PAYLOAD_BYTES).fill(9)
    assert.equal((await put('/put', large)).status, 200)
    const reads = await Promise.all(Array.from({ length: 8 }, () => get(generic(blobId))))
    for (const read of reads) assert.equal(await hexOf(read), hexlify(payload))
  })
})

import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { getBytes, hexlify, id, keccak256, randomBytes, SigningKey, Wallet } from 'ethers'
import { anyTrustRequestHash } from '../../../agents/da/anytrust-signer.ts'
import { anyTrustMessage, verifyAnyTrustSignature } from '../../../sdk/protocol/anytrust-certificate.ts'
import { dastreeHash } from '../../../sdk/protocol/dastree.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { type Hasher, loadHasher } from '../../../sdk/protocol/hasher.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { type Rollup, startRollup } from './rollup-fixture.ts'

const POSTER = new SigningKey(id('a batch poster'))
const STRANGER = new SigningKey(id('a stranger'))
const NONE = new Uint8Array()
/** Periods of the fixture last a minute, and period 100 is now. */
const TIMEOUT_SEC = 120n * 60n

type Answer = { result?: unknown; error?: { code: number; message: string; data: { code: string } } }

describe('AnyTrust routes', () => {
  let rollup: Rollup
  let hasher: Hasher

  beforeEach(async () => {
    hasher = await loadHasher()
    rollup = await startRollup(tempDir(), {
      ANYTRUST_BATCH_POSTERS: new Wallet(POSTER).address,
      ROLLUP_MAX_BYTES: String(6 * 1024 * 1024),
    })
  })
  afterEach(() => rollup.close())

  const hex = (value: bigint) => `0x${value.toString(16)}`
  const post = (body: BodyInit) =>
    fetch(rollup.url, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
      signal: AbortSignal.timeout(60_000),
    })
  const call = async (method: string, params: unknown[]): Promise<Answer> => {
    const response = await post(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }))
    assert.equal(response.status, 200)
    return (await response.json()) as Answer
  }
  const signed = (data: Uint8Array, fields: bigint[], key = POSTER) => {
    const { r, s, yParity } = key.sign(anyTrustRequestHash(hasher, data, fields))
    return `${r}${s.slice(2)}0${yParity}`
  }
  const store = (message: Uint8Array, timeoutSec = TIMEOUT_SEC, key = POSTER) =>
    call('das_store', [hexlify(message), hex(timeoutSec), signed(message, [timeoutSec], key)])
  const failure = ({ error }: Answer) => error?.data.code

  /** What a batch poster checks before it uses an answer. */
  const checkCertificate = (result: unknown, message: Uint8Array, timeoutSec = TIMEOUT_SEC) => {
    const cert = result as Record<string, string>
    const dataHash = dastreeHash(hasher, message)
    assert.equal(cert.dataHash, hexlify(dataHash))
    assert.equal(cert.timeout, hex(timeoutSec))
    assert.deepEqual([cert.version, cert.signersMask, cert.keysetHash], ['0x1', '0x1', rollup.keysetHash])
    const signature = getBytes(cert.sig ?? '')
    const signable = anyTrustMessage({ dataHash, timeoutSec })
    assert.ok(verifyAnyTrustSignature(getBytes(rollup.publicKey), signable, signature))
    return hexlify(dataHash).slice(2)
  }
  const getByHash = (hash: string) =>
    fetch(`${rollup.url}/get-by-hash/${hash}`, { signal: AbortSignal.timeout(60_000) })

  it('das_store: a certificate that verifies; get-by-hash has the data', async () => {
    const message = randomBytes(200_000)
    const { result } = await store(message)
    const hash = checkCertificate(result, message)
    for (const text of [hash, `0x${hash}`]) {
      const response = await getByHash(text)
      assert.equal(response.status, 200)
      assert.equal(response.headers.get('cache-control'), 'public, max-age=2419200, immutable')
      const { data } = (await response.json()) as { data: string }
      assert.ok(Buffer.from(data, 'base64').equals(message))
    }
    const [blob] = rollup.network.blobs.values()
    assert.ok((blob?.expiresAt ?? 0n) >= TIMEOUT_SEC / 60n, 'it is kept until the time-out')
    checkCertificate((await store(message)).result, message)
    assert.equal(rollup.network.published, 1, 'the same message is published once')
  })

  it('a message of 5 MiB in one call', async () => {
    const message = new Uint8Array(5 * 1024 * 1024).fill(9)
    checkCertificate((await store(message)).result, message)
  })

  it('a later time-out is kept, with a new blob if the old one would be gone', async () => {
    const message = randomBytes(100)
    await store(message)
    const later = TIMEOUT_SEC + 600n
    checkCertificate((await store(message, later)).result, message, later)
    assert.equal(rollup.network.published, 2)
  })

  it('chunked store: pieces in any order, then the certificate', async () => {
    const message = randomBytes(5_000)
    const now = BigInt(Math.floor(Date.now() / 1000))
    const plan = [now, 3n, 2_000n, 5_000n, TIMEOUT_SEC]
    const start = [...plan.map(hex), signed(NONE, plan)]
    const { result } = await call('das_startChunkedStore', start)
    const messageId = BigInt((result as { MessageId: string }).MessageId)
    const piece = (index: number) => message.subarray(index * 2_000, (index + 1) * 2_000)
    const send = (index: number, data = piece(index)) =>
      call('das_sendChunk', [
        hex(messageId),
        hex(BigInt(index)),
        hexlify(data),
        signed(data, [messageId, BigInt(index)]),
      ])
    const commit = () => call('das_commitChunkedStore', [hex(messageId), signed(NONE, [messageId])])
    assert.deepEqual(await send(2), { jsonrpc: '2.0', id: 1, result: null })
    await send(0)
    assert.equal(failure(await commit()), 'BAD_REQUEST', 'a piece is missing')
    assert.equal(failure(await send(0)), 'BAD_REQUEST', 'a piece comes once')
    assert.equal(failure(await send(3, piece(0))), 'BAD_REQUEST', 'there are three pieces')
    assert.equal(failure(await send(1, message.subarray(0, 1_999))), 'BAD_REQUEST', 'a piece has its length')
    await send(1)
    checkCertificate((await commit()).result, message)
    assert.equal(failure(await commit()), 'BAD_REQUEST', 'it is handed over once')
    assert.equal(failure(await call('das_startChunkedStore', start)), 'UNAUTHORIZED', 'a start is used once')
  })

  it('error: plans that do not fit together, too old, too large or by a stranger', async () => {
    const now = BigInt(Math.floor(Date.now() / 1000))
    const start = async (plan: bigint[], key = POSTER) =>
      failure(await call('das_startChunkedStore', [...plan.map(hex), signed(NONE, plan, key)]))
    assert.equal(await start([now, 2n, 2_000n, 5_000n, TIMEOUT_SEC]), 'BAD_REQUEST')
    assert.equal(await start([now, 5_000n, 1n, 5_000n, TIMEOUT_SEC]), 'BAD_REQUEST')
    assert.equal(await start([now, 1n, 0n, 5_000n, TIMEOUT_SEC]), 'BAD_REQUEST')
    assert.equal(await start([now, 0n, 2_000n, 0n, TIMEOUT_SEC]), 'DA_EMPTY_PAYLOAD')
    assert.equal(await start([now - 120n, 1n, 5_000n, 5_000n, TIMEOUT_SEC]), 'UNAUTHORIZED')
    assert.equal(await start([now, 1n, 1n << 40n, 1n << 40n, TIMEOUT_SEC]), 'DA_PAYLOAD_TOO_LARGE')
    assert.equal(await start([now, 1n, 5_000n, 5_000n, TIMEOUT_SEC], STRANGER), 'UNAUTHORIZED')
  })

  it('error: at most eight messages wait for their pieces', async () => {
    const now = BigInt(Math.floor(Date.now() / 1000))
    const codes: (string | undefined)[] = []
    for (let index = 0n; index < 9n; index++) {
      const plan = [now, 1n, 5_000n, 5_000n - index, TIMEOUT_SEC]
      codes.push(failure(await call('das_startChunkedStore', [...plan.map(hex), signed(NONE, plan)])))
    }
    assert.deepEqual(codes, [...new Array<undefined>(8).fill(undefined), 'DA_BUSY'])
  })

  it('error: strangers, changed messages and changed time-outs are not stored', async () => {
    const message = randomBytes(100)
    assert.equal(failure(await store(message, TIMEOUT_SEC, STRANGER)), 'UNAUTHORIZED')
    const signature = signed(message, [TIMEOUT_SEC])
    for (const params of [
      [hexlify(randomBytes(100)), hex(TIMEOUT_SEC), signature],
      [hexlify(message), hex(TIMEOUT_SEC + 1n), signature],
      [hexlify(message), hex(TIMEOUT_SEC), '0x'],
      [hexlify(message), hex(TIMEOUT_SEC), `0x${'ff'.repeat(65)}`],
    ])
      assert.equal(failure(await call('das_store', params)), 'UNAUTHORIZED')
    assert.equal(rollup.network.blobs.size, 0)
  })

  it('error: nobody may store where no batch poster is configured', async () => {
    await rollup.close()
    rollup = await startRollup(tempDir())
    assert.equal(failure(await store(randomBytes(10))), 'UNAUTHORIZED')
  })

  it('error: time-outs in the past or beyond every retention, empty and oversized messages', async () => {
    const message = randomBytes(100)
    assert.equal(failure(await store(message, 99n * 60n)), 'BAD_REQUEST')
    assert.equal(failure(await store(message, 151n * 60n)), 'BAD_REQUEST')
    assert.equal(failure(await store(message, (1n << 64n) - 1n)), 'BAD_REQUEST')
    assert.equal(failure(await store(new Uint8Array())), 'DA_EMPTY_PAYLOAD')
    const response = await post(new Uint8Array(12 * 1024 * 1024))
    assert.equal(response.status, 413)
    assert.equal(rollup.network.blobs.size, 0)
  })

  it('error: no certificate without a blob', async () => {
    rollup.network.publishFailures = [new ZerogError('INSUFFICIENT_FUNDS')]
    const message = randomBytes(10)
    assert.equal(failure(await store(message)), 'INSUFFICIENT_FUNDS')
    assert.equal((await getByHash(hexlify(dastreeHash(hasher, message)))).status, 404)
  })

  it('error: malformed calls, each by its JSON-RPC code', async () => {
    const codeOf = async (body: string) => ((await (await post(body)).json()) as Answer).error?.code
    assert.equal((await post('{')).status, 400)
    assert.equal(await codeOf('[]'), -32_600)
    assert.equal(await codeOf('{"jsonrpc":"1.0","method":"das_store"}'), -32_600)
    assert.equal(await codeOf('{"jsonrpc":"2.0","method":"toString"}'), -32_601)
    const unknown = await call('das_unknown', [])
    assert.equal(unknown.error?.message, 'the method das_unknown does not exist/is not available')
    for (const params of [
      [],
      ['0x1', '0x1', '0x'],
      ['0x', '0x01', '0x'],
      ['0x', 1, '0x'],
      ['zz', '0x1', '0x'],
    ])
      assert.equal((await call('das_store', params)).error?.code, -32_602)
  })

  it('health, expiration policy, and the keyset by its hash', async () => {
    assert.deepEqual(await call('das_healthCheck', []), { jsonrpc: '2.0', id: 1, result: null })
    assert.equal((await call('das_expirationPolicy', [])).result, 'DiscardAfterDataTimeout')
    for (const path of ['/expiration-policy', '/expiration-policy/']) {
      const response = await fetch(`${rollup.url}${path}`)
      assert.deepEqual(await response.json(), { expirationPolicy: 'DiscardAfterDataTimeout' })
    }
    assert.equal((await fetch(`${rollup.url}/health`)).status, 200)
    const { data } = (await (await getByHash(rollup.keysetHash)).json()) as { data: string }
    assert.equal(hexlify(dastreeHash(hasher, Buffer.from(data, 'base64'))), rollup.keysetHash)
  })

  it('error: get-by-hash of bad and unknown hashes', async () => {
    for (const hash of ['', 'zz', '00', '00'.repeat(33), `${'00'.repeat(31)}0g`])
      assert.ok([400, 404].includes((await getByHash(hash)).status), hash)
    assert.equal((await getByHash('zz')).status, 400)
    const unknown = await getByHash(keccak256('0x').slice(2))
    assert.equal(unknown.status, 404)
    assert.equal(unknown.headers.get('cache-control'), 'public, max-age=1')
  })
})

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseEther } from 'ethers'
import OpenAI from 'openai'
import {
  ONNX_BOOL,
  ONNX_FLOAT,
  ONNX_INT64,
  type OnnxGraph,
  onnxFile,
} from '../../../scripts/bench/compute/onnx-file.ts'
import type { SessionToken } from '../../../sdk/protocol/session-token.ts'
import { InferenceServing__factory } from '../../../typechain-types/index.js'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../../support/until.ts'
import {
  type ComputeAgent,
  type ComputeWorld,
  modelDir,
  startComputeWorld,
  type WorldProvider,
} from './compute-world.ts'

const CHAT = 'zerog/chat-mini'
const DIGITS = 'zerog/digits'
type Answer = { status: number; code: string; message: string; type: string; retryAfter: string | null }

describe('a provider refuses', () => {
  let world: ComputeWorld
  let chat: WorldProvider
  let digits: WorldProvider
  let agent: ComputeAgent

  before(async () => {
    world = await startComputeWorld()
    chat = await world.addProvider(0, {
      ...{ MODEL_ID: CHAT, MODEL_DIR: modelDir('chat'), MAX_BODY_BYTES: '65536' },
      ...{ USER_REQUESTS: '2', QUEUE_REQUESTS: '3', MAX_SEQUENCES: '1' },
    })
    digits = await world.addProvider(1, { MODEL_ID: DIGITS, MODEL_DIR: modelDir('digits') })
    agent = await chat.start()
    await digits.start()
    await until('the services are listed', async () => {
      await world.anvil.mine(1)
      return (await chat.isListed()) && (await digits.isListed())
    })
    for (const user of [20, 21, 22]) await world.fund(world.account(user), chat.wallet.address)
    await world.fund(world.account(20), digits.wallet.address)
  })
  after(() => world.stop())

  const keyOf = (user = 20, change: Partial<SessionToken> = {}, provider = chat) =>
    world.keyOf(world.account(user), provider.wallet.address, change)

  async function post(
    path: string,
    body: string | object,
    {
      key,
      provider = chat,
      method = 'POST',
    }: { key?: string; provider?: WorldProvider; method?: string } = {},
  ): Promise<Answer> {
    const response = await fetch(`${provider.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key ?? (await keyOf(20, {}, provider))}`,
        'content-type': 'application/json',
      },
      ...(method === 'GET' ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    })
    const text = await response.text()
    const { error } = JSON.parse(text) as { error?: { code: string; message: string; type: string } }
    const { code = 'none', message = text, type = '' } = error ?? {}
    return { status: response.status, code, message, type, retryAfter: response.headers.get('retry-after') }
  }
  const COMPLETE = '/v1/proxy/chat/completions'
  const messages = [{ role: 'user', content: 'Hello' }]

  it('error: bodies that are no request', async () => {
    const cases: [string | object, RegExp][] = [
      ['{"messages": [', /JSON/],
      ['', /no body/],
      ['[]', /./],
      [{}, /messages/],
      [{ messages: [] }, /messages/],
      [{ messages: [{ role: 'user' }] }, /content/],
      [{ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }] }, /text/],
      [{ messages, max_tokens: -1 }, /max_tokens/],
      [{ messages, max_tokens: 1.5 }, /max_tokens/],
      [{ messages, temperature: 3 }, /temperature/],
      [{ messages, top_p: 0 }, /top_p/],
      [{ messages, n: 2 }, /n: not supported/],
      [{ messages, tools: [{ type: 'function' }] }, /tools/],
      [{ messages, stop: ['a', 'b', 'c', 'd', 'e'] }, /stop/],
    ]
    for (const [body, message] of cases) {
      const answer = await post(COMPLETE, body)
      assert.equal(answer.status, 400, JSON.stringify(body))
      assert.equal(answer.code, 'BAD_REQUEST')
      assert.equal(answer.type, 'invalid_request_error')
      assert.match(answer.message, message)
    }
  })

  it('error: what the model does not take', async () => {
    const other = await post(COMPLETE, { model: 'gpt-9', messages })
    assert.deepEqual([other.status, other.code], [404, 'COMPUTE_MODEL_UNKNOWN'])
    const long = await post(COMPLETE, { messages: [{ role: 'user', content: 'fox '.repeat(600) }] })
    assert.deepEqual([long.status, long.code], [400, 'COMPUTE_CONTEXT_TOO_LONG'])
    const huge = await post(COMPLETE, { messages: [{ role: 'user', content: 'x'.repeat(60_000) }] })
    assert.deepEqual([huge.status, huge.code], [400, 'COMPUTE_CONTEXT_TOO_LONG'])
    const role = await post(COMPLETE, { messages: [{ role: 'wizard', content: 'Hi' }] })
    assert.deepEqual([role.status, role.code], [400, 'COMPUTE_INPUT_INVALID'])
    assert.match(role.message, /wizard/)
    const body = await post(COMPLETE, `{"messages": "${'x'.repeat(70_000)}"}`)
    assert.deepEqual([body.status, body.code], [413, 'BODY_TOO_LARGE'])
    const embeddings = await post('/v1/proxy/embeddings', { input: 'a boat' })
    assert.deepEqual([embeddings.status, embeddings.code], [404, 'COMPUTE_MODEL_UNKNOWN'])
    const text = await post(COMPLETE, { messages }, { provider: digits })
    assert.deepEqual([text.status, text.code], [404, 'COMPUTE_MODEL_UNKNOWN'])
  })

  it('error: tensors of another name, shape, type or count, and numbers that are none', async () => {
    const image = { dims: [1, 1, 8, 8], data: new Array(64).fill(0) }
    const nan = Buffer.from(new Float32Array(64).fill(Number.NaN).buffer).toString('base64')
    const cases: [object, RegExp][] = [
      [{}, /pixel_values is missing/],
      [{ pixel_values: image, other: image }, /other is not an input/],
      [{ pixel_values: { ...image, dims: [1, 64] } }, /shape/],
      [{ pixel_values: { ...image, dims: [0, 1, 8, 8], data: [] } }, /no elements/],
      [{ pixel_values: { ...image, dims: [2, 1, 8, 8] } }, /64 elements/],
      [{ pixel_values: { ...image, type: 'int64' } }, /takes float32/],
      [{ pixel_values: { ...image, data: ['a', ...new Array(63).fill(0)] } }, /number belongs/],
      [{ pixel_values: { ...image, data: nan } }, /not finite/],
      [{ pixel_values: { ...image, data: 'A===' } }, /base64/],
    ]
    for (const [inputs, message] of cases) {
      const answer = await post('/v1/proxy/infer', { inputs }, { provider: digits })
      assert.deepEqual([answer.status, answer.code], [400, 'COMPUTE_INPUT_INVALID'], answer.message)
      assert.match(answer.message, message)
    }
    const strict = await post(
      '/v1/proxy/infer',
      { inputs: { pixel_values: { ...image, dims: [-1] } } },
      { provider: digits },
    )
    assert.deepEqual([strict.status, strict.code], [400, 'BAD_REQUEST'])
    const good = await post('/v1/proxy/infer', { inputs: { pixel_values: image } }, { provider: digits })
    assert.equal(good.status, 200, good.message)
  })

  it('error: keys that are malformed, foreign, expired, forged or revoked', async () => {
    const refused = async (key: string, message: RegExp) => {
      const answer = await post(COMPLETE, { messages }, { key })
      assert.deepEqual([answer.status, answer.code], [401, 'UNAUTHORIZED'], answer.message)
      assert.match(answer.message, message)
    }
    await refused('sk-123', /app-sk-/)
    await refused(await keyOf(20, { provider: digits.wallet.address }), /for provider/)
    await refused(await keyOf(20, { timestamp: 1, expiresAt: 2 }), /expired/)
    await refused(await keyOf(20, { tokenId: 255, expiresAt: 0 }), /24 hours/)
    await refused(await keyOf(20, { address: world.account(21).address }), /not signed/)
    await refused(await keyOf(20, { generation: 1 }), /revoked/)

    const key = await keyOf(21, { tokenId: 9 })
    assert.equal((await post(COMPLETE, { messages, max_tokens: 1 }, { key })).status, 200)
    const inference = world.inference.connect(world.account(21))
    await (await inference.revokeToken(chat.wallet, 9)).wait()
    await refused(key, /revoked/)
    const later = await keyOf(21, { tokenId: 10 })
    assert.equal((await post(COMPLETE, { messages, max_tokens: 1 }, { key: later })).status, 200)
    await (await inference.revokeAllTokens(chat.wallet)).wait()
    await refused(later, /all others/)
    const client = new OpenAI({ baseURL: `${chat.url}/v1/proxy`, apiKey: 'nothing', maxRetries: 0 })
    await assert.rejects(
      client.chat.completions.create({ model: CHAT, messages: [{ role: 'user', content: 'Hi' }] }),
      OpenAI.AuthenticationError,
    )
  })

  it('error: accounts that cannot pay, or have set lower prices', async () => {
    const stranger = await post(COMPLETE, { messages }, { key: await keyOf(25) })
    assert.deepEqual([stranger.status, stranger.code], [402, 'COMPUTE_BALANCE_TOO_LOW'])
    assert.equal(stranger.type, 'insufficient_quota')

    const poor = world.account(26)
    await world.fund(poor, chat.wallet.address, parseEther('0.001'))
    const inference = world.inference.connect(poor)
    await (await inference.setMaxPrice(chat.wallet, 1n, 1n)).wait()
    const dear = await post(COMPLETE, { messages }, { key: await keyOf(26) })
    assert.deepEqual([dear.status, dear.code], [402, 'COMPUTE_BALANCE_TOO_LOW'])
    assert.match(dear.message, /maximum/)
    await (await inference.setMaxPrice(chat.wallet, 10n ** 6n, 10n ** 6n)).wait()
    await (await inference.setDailyCap(chat.wallet, 1000n)).wait()
    await world.elapse(86_400n)
    const capped = await post(COMPLETE, { messages }, { key: await keyOf(26) })
    assert.deepEqual([capped.status, capped.code], [402, 'COMPUTE_BALANCE_TOO_LOW'])
    assert.match(capped.message, /insufficient balance/)
  })

  /** A stream that is open until its signal says otherwise. */
  async function open(user: number, signal: AbortSignal): Promise<Response> {
    const key = await keyOf(user)
    const wish = { temperature: 1.9, max_tokens: 400, stream: true, seed: 3 }
    return fetch(`${chat.url}${COMPLETE}`, {
      ...{ method: 'POST', signal, headers: { authorization: `Bearer ${key}` } },
      body: JSON.stringify({
        ...wish,
        messages: [{ role: 'user', content: 'Tell me a story about a fox.' }],
      }),
    })
  }

  it('error: more requests than one account or all of them may have', async () => {
    const { admission, runtime } = agent.context
    const { pid } = runtime.current().worker
    const leave = new AbortController()
    // A model that stands still keeps every request under way.
    process.kill(pid, 'SIGSTOP')
    try {
      for (const user of [20, 20, 22]) open(user, leave.signal).catch(() => undefined)
      await until('three requests are under way', () => admission.active() === 3)
      const all = await post(COMPLETE, { messages }, { key: await keyOf(22) })
      assert.deepEqual([all.status, all.code, all.retryAfter], [429, 'COMPUTE_BUSY', '1'])
      leave.abort()
      await until('they are over', () => admission.active() === 0)

      const again = new AbortController()
      for (const user of [20, 20]) open(user, again.signal).catch(() => undefined)
      await until('two requests are under way', () => admission.active() === 2)
      const own = await post(COMPLETE, { messages })
      assert.deepEqual([own.status, own.code], [429, 'COMPUTE_BUSY'])
      assert.match(own.message, /of this account/)
      again.abort()
      await until('they are over', () => admission.active() === 0)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    assert.equal((await post(COMPLETE, { messages })).status, 200)
  })

  it('behavior: who goes away pays for what was produced, and nothing when nothing was', async () => {
    const { admission, receipts, runtime } = agent.context
    const { pid } = runtime.current().worker
    const before = receipts.totalUnsettledWei()
    process.kill(pid, 'SIGSTOP')
    const early = new AbortController()
    open(20, early.signal).catch(() => undefined)
    await until('it is under way', () => admission.active() === 1)
    early.abort()
    await until('it is over', () => admission.active() === 0)
    process.kill(pid, 'SIGCONT')
    assert.equal(receipts.totalUnsettledWei(), before)

    const late = new AbortController()
    const response = await open(20, late.signal)
    const chatId = response.headers.get('zg-res-key') ?? ''
    await response.body?.getReader().read()
    late.abort()
    await until('it is over', () => admission.active() === 0)
    const receipt = receipts.find(chatId)
    assert.ok(receipt && receipt.outputUnits > 0)
    assert.equal(receipts.totalUnsettledWei() - before, receipt.feeWei)
  })

  it('error: bodies of strangers are not read', async () => {
    const { hostname, port } = new URL(chat.url)
    const refused = async (path: string, status: number) => {
      const socket = connect(Number(port), hostname)
      let answer = ''
      socket.on('error', () => undefined)
      socket.on('data', (part) => {
        answer += String(part)
      })
      // The rest of the body never comes.
      const head = `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json`
      socket.write(`${head}\r\ncontent-length: 65536\r\n\r\n{`)
      try {
        await until(`${path} is refused`, () => answer.startsWith(`HTTP/1.1 ${status}`))
      } finally {
        socket.destroy()
      }
    }
    await refused(COMPLETE, 401)
    await refused('/v1/voucher', 413)
    await refused('/nowhere', 404)
  })

  it('behavior: strangers whose bodies never come hold no places of accounts', async () => {
    const { hostname, port } = new URL(chat.url)
    let answered = 0
    const sockets = Array.from({ length: 12 }, () => {
      const socket = connect(Number(port), hostname)
      socket.on('error', () => undefined)
      socket.once('data', () => void answered++)
      socket.write('POST /v1/voucher HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{')
      return socket
    })
    try {
      await until('all but one are sent away', () => answered >= sockets.length - 1)
      const served = await post(COMPLETE, { model: CHAT, messages, max_tokens: 4 })
      assert.equal(served.status, 200, served.message)
    } finally {
      for (const socket of sockets) socket.destroy()
    }
  })

  it('error: while its signer is stopped nothing is served, because nothing could be settled', async () => {
    const core = InferenceServing__factory.connect(await world.inference.getAddress(), world.rpc)
    const owner = await core.owner()
    await world.anvil.rpc('anvil_impersonateAccount', owner)
    const send = async (name: 'revokeTEESignerAcknowledgement' | 'acknowledgeTEESignerByOwner') => {
      const data = world.inference.interface.encodeFunctionData(name as 'acknowledgeTEESignerByOwner', [
        chat.wallet.address,
      ])
      const tx = { from: owner, to: await world.inference.getAddress(), data }
      const hash = (await world.anvil.rpc('eth_sendTransaction', tx)) as string
      await world.rpc.waitForTransaction(hash)
    }
    await send('revokeTEESignerAcknowledgement')
    const stopped = await post(COMPLETE, { messages })
    assert.deepEqual([stopped.status, stopped.code], [503, 'COMPUTE_UNAVAILABLE'])
    assert.match(stopped.message, /stopped/)
    await send('acknowledgeTEESignerByOwner')
    assert.equal((await post(COMPLETE, { messages })).status, 200)
  })

  it('error: others may not see what an account owes', async () => {
    const path = (user: number) => `/v1/user/${world.account(user).address}/unsettledfee`
    const own = await post(path(20), {}, { method: 'GET' })
    assert.equal(own.status, 200)
    const other = await post(path(22), {}, { method: 'GET' })
    assert.deepEqual([other.status, other.code], [403, 'FORBIDDEN'])
    const unknown = await post('/v1/proxy/signature/chatcmpl-none', {}, { method: 'GET' })
    assert.deepEqual([unknown.status, unknown.code], [404, 'NOT_FOUND'])
  })

  it('error: a graph that the runtime cannot load, or dies of: the agent stays up and says so', async () => {
    const folder = tempDir()
    const min = -(2n ** 63n)
    writeFileSync(join(folder, 'broken.onnx'), Buffer.alloc(1000, 7))
    writeFileSync(join(folder, 'divide.onnx'), onnxFile(DIVIDE))
    writeFileSync(join(folder, 'endless.onnx'), onnxFile(ENDLESS))
    const provider = await world.addProvider(2, { MODEL_ID: DIGITS, MODEL_DIR: modelDir('digits') })
    const whole = await provider.start()
    await until('the service is listed', async () => {
      await world.anvil.mine(1)
      return provider.isListed()
    })
    await whole.stop()
    await world.fund(world.account(20), provider.wallet.address)

    const broken = await provider.startUnready({ MODEL_DIR: folder, MODEL_FILE: 'broken.onnx' })
    await until('it has tried', () => broken.context.runtime.state().problem !== undefined)
    assert.match(broken.context.runtime.state().problem ?? '', /cannot be loaded/)
    const refusal = await post('/v1/proxy/infer', { inputs: {} }, { provider })
    assert.deepEqual([refusal.status, refusal.code, refusal.retryAfter], [503, 'COMPUTE_UNAVAILABLE', '1'])
    assert.equal((await fetch(`${provider.url}/health`)).status, 200)
    await broken.stop()

    const divide = (a: bigint, ...b: bigint[]) => {
      const input = (values: bigint[]) => ({ dims: [values.length, 1], data: values.map(String) })
      return post('/v1/proxy/infer', { inputs: { a: input([a]), b: input(b) } }, { provider })
    }
    const dividing = await provider.start({ MODEL_DIR: folder, MODEL_FILE: 'divide.onnx' })
    assert.match((await divide(6n, 2n)).message, /"data":\["3"\]/)
    // The runtime would stretch the one row over the others, and one row is what is billed.
    const uneven = await divide(6n, 2n, 3n, 1n)
    assert.deepEqual([uneven.status, uneven.code], [400, 'COMPUTE_INPUT_INVALID'], uneven.message)
    assert.match(uneven.message, /b has 3 as its n, which is 1 elsewhere/)
    const byZero = await divide(6n, 0n)
    assert.deepEqual([byZero.status, byZero.code], [400, 'COMPUTE_INPUT_INVALID'])
    assert.match(byZero.message, /division by zero/)
    // This quotient is no 64-bit number: x86 stops the process that asks for it.
    if (process.arch === 'x64') {
      const death = await divide(min, -1n)
      assert.deepEqual([death.status, death.code, death.retryAfter], [503, 'COMPUTE_UNAVAILABLE', '1'])
      await until('the model is back', () => dividing.context.runtime.state().state === 'ready')
      assert.equal(dividing.context.runtime.state().restarts, 1)
      assert.match((await divide(8n, 2n)).message, /"data":\["4"\]/)
    }
    await dividing.stop()

    const silent = { MODEL_DIR: folder, MODEL_FILE: 'endless.onnx', WORKER_SILENCE_MS: '1000' }
    const endless = await provider.start(silent)
    const hung = await post('/v1/proxy/infer', { inputs: { x: { dims: [1, 1], data: [1] } } }, { provider })
    assert.deepEqual([hung.status, hung.code], [503, 'COMPUTE_UNAVAILABLE'])
    await until('the model is back', () => endless.context.runtime.state().state === 'ready')
    assert.equal(endless.context.admission.active(), 0)
    await endless.stop()
  })
})

const ROW = ['n', 1] as const
const DIVIDE: OnnxGraph = {
  name: 'divide',
  nodes: [{ op: 'Div', inputs: ['a', 'b'], outputs: ['quotient'] }],
  inputs: ['a', 'b'].map((name) => ({ name, type: ONNX_INT64, dims: ROW })),
  outputs: [{ name: 'quotient', type: ONNX_INT64, dims: ROW }],
}
const ENDLESS: OnnxGraph = {
  name: 'endless',
  nodes: [
    {
      op: 'Loop',
      inputs: ['trips', 'go', 'x'],
      outputs: ['y'],
      attributes: {
        body: {
          name: 'body',
          nodes: [
            { op: 'Identity', inputs: ['going'], outputs: ['goes_on'] },
            { op: 'Identity', inputs: ['value'], outputs: ['next'] },
          ],
          inputs: [
            { name: 'trip', type: ONNX_INT64, dims: [] },
            { name: 'going', type: ONNX_BOOL, dims: [] },
            { name: 'value', type: ONNX_FLOAT, dims: ROW },
          ],
          outputs: [
            { name: 'goes_on', type: ONNX_BOOL, dims: [] },
            { name: 'next', type: ONNX_FLOAT, dims: ROW },
          ],
        },
      },
    },
  ],
  inputs: [{ name: 'x', type: ONNX_FLOAT, dims: ROW }],
  outputs: [{ name: 'y', type: ONNX_FLOAT, dims: ROW }],
  weights: [
    { name: 'trips', dims: [], data: BigInt64Array.of(2n ** 62n) },
    { name: 'go', dims: [], data: Uint8Array.of(1) },
  ],
}

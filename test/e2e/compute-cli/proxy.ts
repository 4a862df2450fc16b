import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import OpenAI from 'openai'
import { modelDir, type WorldProvider } from '../../agents/compute/compute-world.ts'
import { at } from '../../support/content.ts'
import type { RunningProcess } from '../../support/processes.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../../support/until.ts'
import { type RunningCli, startZerog } from '../../support/zerog-cli.ts'
import { ask, asker, CHAT, chainEnv, chat, DIGITS, EMBED, folder, MINUTE_MS, world } from './world.ts'

describe('zerog compute proxy', () => {
  const STORY = {
    model: CHAT,
    messages: [{ role: 'user' as const, content: 'Tell me a story about a fox.' }],
    temperature: 0,
  }
  let proxy: RunningCli
  let url: string
  let apiKey: string
  let client: OpenAI

  before(async () => {
    await start(['--day-limit', '0.1'])
  })
  after(async () => {
    proxy?.kill('SIGTERM')
    await proxy?.done
  })

  async function start(more: readonly string[]): Promise<void> {
    const env = { ...chainEnv(), PRIVATE_KEY: asker.privateKey }
    proxy = startZerog(['compute', 'proxy', '--port', '0', '--deposit', '1', '--json', ...more], {
      cwd: folder,
      env,
    })
    let ended = false
    void proxy.done.then(() => {
      ended = true
    })
    await until('the proxy listens', () => ended || proxy.stdout().trimEnd().endsWith('}'))
    const made = JSON.parse(proxy.stdout()) as { url: string; apiKey?: string }
    url = made.url
    apiKey = made.apiKey ?? apiKey
    client = new OpenAI({ baseURL: url, apiKey, maxRetries: 0, timeout: MINUTE_MS })
  }

  async function restart(): Promise<void> {
    proxy.kill('SIGINT')
    assert.equal((await proxy.done).code, 0)
    await start([])
  }

  it('default: the unmodified openai client: models, chat plain and streaming, completions, embeddings', async () => {
    const models = await client.models.list()
    assert.deepEqual(models.data.map(({ id }) => id).sort(), [CHAT, DIGITS, EMBED])
    assert.equal((await client.models.retrieve(CHAT)).id, CHAT)

    const { data: whole, response } = await client.chat.completions.create(STORY).withResponse()
    assert.equal(response.headers.get('x-zerog-provider'), chat.wallet.address)
    assert.equal(response.headers.get('x-zerog-verified'), 'true')
    const text = at(whole.choices, 0).message.content
    assert.match(text ?? '', /fox/)
    assert.ok((whole.usage?.completion_tokens ?? 0) > 10)

    const stream = await client.chat.completions.create({
      ...{ ...STORY, stream: true as const },
      stream_options: { include_usage: true },
    })
    let streamed = ''
    let usage: unknown
    let finish: unknown
    for await (const chunk of stream) {
      streamed += chunk.choices[0]?.delta.content ?? ''
      finish = chunk.choices[0]?.finish_reason ?? finish
      usage = chunk.usage ?? usage
    }
    assert.deepEqual([streamed, finish, usage], [text, 'stop', whole.usage])

    const completion = await client.completions.create({
      ...{ model: CHAT, prompt: 'Once upon a time', max_tokens: 8, temperature: 0 },
    })
    assert.equal(completion.usage?.completion_tokens, 8)
    const { data: vectors } = await client.embeddings.create({ model: EMBED, input: ['fox', 'steel'] })
    assert.deepEqual(
      vectors.map(({ index, embedding }) => [index, embedding.length > 100]),
      [
        [0, true],
        [1, true],
      ],
    )
  })

  it('behavior: many at once each get their own answer', async () => {
    const topics = ['fox', 'owl', 'cat', 'dog', 'bear', 'hare', 'mouse', 'horse']
    const answers = await Promise.all(
      topics.map((topic) => {
        const messages = [{ role: 'user' as const, content: `Tell me a story about a ${topic}.` }]
        return client.chat.completions.create({ ...STORY, messages })
      }),
    )
    for (const [i, topic] of topics.entries())
      assert.match(at(at(answers, i).choices, 0).message.content ?? '', new RegExp(topic))
  })

  it('behavior: while it runs, other commands say where it is', async () => {
    const busy = await ask(['compute', 'chat', 'hi'])
    assert.equal(busy.errorCode(), 'DATA_DIR_IN_USE', busy.stderr)
    assert.ok(busy.stderr.includes(url))
  })

  const wrong: [name: string, attempt: (openai: OpenAI) => Promise<unknown>, status: number, code: string][] =
    [
      [
        'another key',
        () => new OpenAI({ baseURL: url, apiKey: 'sk-zerog-x', maxRetries: 0 }).models.list(),
        401,
        'UNAUTHORIZED',
      ],
      [
        'an unknown model',
        (openai) => openai.chat.completions.create({ ...STORY, model: 'none' }),
        404,
        'COMPUTE_MODEL_UNKNOWN',
      ],
      [
        'a model of another kind',
        (openai) => openai.chat.completions.create({ ...STORY, model: EMBED }),
        404,
        'COMPUTE_MODEL_UNKNOWN',
      ],
      [
        'no messages',
        (openai) => openai.chat.completions.create({ ...STORY, messages: [] }),
        400,
        'BAD_REQUEST',
      ],
      [
        'negative max_tokens',
        (openai) => openai.chat.completions.create({ ...STORY, max_tokens: -1 }),
        400,
        'BAD_REQUEST',
      ],
      [
        'more than the day has left',
        (openai) => openai.chat.completions.create({ ...STORY, max_tokens: 10 ** 14 }),
        402,
        'INFERENCE_LIMIT_REACHED',
      ],
      ['an unknown route', (openai) => openai.get('/nothing'), 404, 'NOT_FOUND'],
      ['no JSON', () => post('{'), 400, 'BAD_REQUEST'],
      ['too large a body', () => announce(9 << 20), 413, 'BODY_TOO_LARGE'],
    ]
  async function post(body: string): Promise<void> {
    const response = await fetch(`${url}/chat/completions`, {
      ...{ method: 'POST', body, signal: AbortSignal.timeout(MINUTE_MS) },
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    })
    throw failure(response.status, await response.text())
  }
  /** Says how long a body is, and is refused before it sends it. */
  async function announce(bytes: number): Promise<void> {
    const headers = { authorization: `Bearer ${apiKey}`, 'content-length': bytes }
    const sent = request(`${url}/embeddings`, { method: 'POST', headers, timeout: MINUTE_MS })
    sent.flushHeaders()
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    const body = await text(response)
    sent.destroy()
    throw failure(response.statusCode ?? 0, body)
  }
  function failure(status: number, body: string): Error {
    const { error } = JSON.parse(body) as { error: { code: string; message: string } }
    return Object.assign(new Error(error.message), { status, code: error.code })
  }
  for (const [name, attempt, status, code] of wrong) {
    it(`error: ${name}`, async () => {
      await assert.rejects(attempt(client), { status, code })
    })
  }

  describe('when a provider dies in the middle of a stream', () => {
    let dying: WorldProvider
    let child: RunningProcess

    before(async () => {
      const price = { INPUT_PRICE_WEI: '1', OUTPUT_PRICE_WEI: '1' }
      dying = await world.addProvider(9, { MODEL_ID: CHAT, MODEL_DIR: modelDir('chat'), ...price })
    })
    beforeEach(
      async () => {
        const crash = { ZEROG_ALLOW_CRASH: '1', ZEROG_CRASH_AT: 'after-receipt', DATA_DIR: tempDir() }
        child = await dying.spawn(crash)
        await until('the cheapest of all is listed', async () => {
          await world.anvil.mine(1)
          return dying.isListed()
        })
        // A new process has no bad memories of a provider that died before.
        await restart()
      },
      { timeout: 2 * MINUTE_MS },
    )
    afterEach(() => child.stop())

    it('behavior: what is determined goes on at another with the same text', async () => {
      const stream = await client.chat.completions.create({ ...STORY, stream: true as const })
      let read = ''
      for await (const chunk of stream) read += chunk.choices[0]?.delta.content ?? ''
      assert.equal((await child.exited).signal, 'SIGKILL')
      const whole = await client.chat.completions.create(STORY)
      assert.equal(read, at(whole.choices, 0).message.content, 'once, and whole')
    })

    it('error: what is not determined ends, and was not whole', async () => {
      const wish = { ...STORY, temperature: 1, stream: true as const }
      let read = ''
      let finish: unknown
      await assert.rejects(
        async () => {
          for await (const chunk of await client.chat.completions.create(wish)) {
            read += chunk.choices[0]?.delta.content ?? ''
            finish = chunk.choices[0]?.finish_reason ?? finish
          }
        },
        (error: Error) => error instanceof OpenAI.APIError,
      )
      assert.equal((await child.exited).signal, 'SIGKILL')
      assert.notEqual(read, '')
      assert.equal(finish, undefined)
    })
  })

  it('behavior: stopped and started again it has the same key; a new one ends the old', async () => {
    const old = apiKey
    await restart()
    assert.equal(apiKey, old)
    await client.models.list()
    proxy.kill('SIGTERM')
    await proxy.done
    await start(['--new-key'])
    assert.notEqual(apiKey, old)
    await client.models.list()
    const outdated = new OpenAI({ baseURL: url, apiKey: old, maxRetries: 0 })
    await assert.rejects(outdated.models.list(), { status: 401 })
  })
})

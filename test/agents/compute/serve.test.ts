import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type OpenAI from 'openai'
import { parseResponseText, responseSigner } from '../../../sdk/protocol/response-text.ts'
import { until } from '../../support/until.ts'
import {
  type ComputeAgent,
  type ComputeWorld,
  modelDir,
  startComputeWorld,
  type WorldProvider,
} from './compute-world.ts'

const CHAT = 'zerog/chat-mini'

describe('a chat provider', () => {
  let world: ComputeWorld
  let provider: WorldProvider
  let agent: ComputeAgent
  let client: OpenAI

  before(async () => {
    world = await startComputeWorld()
    provider = await world.addProvider(0, { MODEL_ID: CHAT, MODEL_DIR: modelDir('chat') })
    agent = await provider.start()
    await until('the service is listed', async () => {
      await world.anvil.mine(1)
      return provider.isListed()
    })
    await world.fund(world.account(20), provider.wallet.address)
    client = await world.client(world.account(20), provider)
  })
  after(() => world.stop())

  const say = (content: string) => [{ role: 'user' as const, content }]

  it('default: the openai client lists the model and gets an answer with its true usage', async () => {
    const models = await client.models.list()
    assert.deepEqual(
      models.data.map(({ id }) => id),
      [CHAT],
    )
    const answer = await client.chat.completions.create({
      model: CHAT,
      messages: say('Tell me a story about a fox.'),
      temperature: 0,
    })
    const [choice] = answer.choices
    assert.equal(choice?.finish_reason, 'stop')
    assert.match(choice.message.content ?? '', /fox/)
    assert.ok(answer.usage && answer.usage.completion_tokens > 20 && answer.usage.prompt_tokens > 5)
  })

  it('behavior: a stream says the same, with a usage chunk when asked', async () => {
    const wish = { model: CHAT, messages: say('Tell me a story about a fox.'), temperature: 0 }
    const whole = await client.chat.completions.create(wish)
    const stream = await client.chat.completions.create({
      ...wish,
      stream: true,
      stream_options: { include_usage: true },
    })
    let text = ''
    let usage: unknown
    let finish: unknown
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      finish = chunk.choices[0]?.finish_reason ?? finish
      usage = chunk.usage ?? usage
    }
    assert.equal(text, whole.choices[0]?.message.content)
    assert.equal(finish, 'stop')
    assert.deepEqual(usage, whole.usage)
  })

  it('behavior: a receipt binds the bytes, is signed by the service, and is there when the answer is', async () => {
    const key = await world.keyOf(world.account(20), provider.wallet.address)
    const body = JSON.stringify({ messages: say('Hello'), stream: true, temperature: 0 })
    const response = await fetch(`${provider.url}/v1/proxy/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body,
      signal: AbortSignal.timeout(30_000),
    })
    const bytes = new Uint8Array(await response.arrayBuffer())
    assert.match(new TextDecoder().decode(bytes), /data: \[DONE\]\n\n$/)
    const chatId = response.headers.get('zg-res-key') ?? ''
    const signed = (await (await fetch(`${provider.url}/v1/proxy/signature/${chatId}`)).json()) as {
      text: string
      signature: string
      receipt: { feeWei: string; inputUnits: string; outputUnits: string }
    }
    const sha256 = (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex')
    assert.deepEqual(parseResponseText(signed.text), {
      requestSha256: sha256(body),
      responseSha256: sha256(bytes),
    })
    assert.equal(responseSigner(signed.text, signed.signature), provider.wallet.address)
    const { feeWei, inputUnits, outputUnits } = signed.receipt
    assert.equal(BigInt(feeWei), BigInt(inputUnits) * 1000n + BigInt(outputUnits) * 3000n)
  })

  it('behavior: text completions, stop strings and limits', async () => {
    const wish = { model: CHAT, prompt: 'Once upon a time', temperature: 0, max_tokens: 24 }
    const free = await client.completions.create(wish)
    assert.equal(free.choices[0]?.finish_reason, 'length')
    assert.equal(free.usage?.completion_tokens, 24)
    const text = free.choices[0].text
    const stop = text.slice(20, 24)
    const cut = await client.completions.create({ ...wish, stop: [stop] })
    assert.equal(cut.choices[0]?.finish_reason, 'stop')
    assert.equal(cut.choices[0].text, text.slice(0, text.indexOf(stop)))
  })

  it('behavior: with a seed the same words come again, and other seeds give others', async () => {
    const ask = async (seed: number) => {
      const answer = await client.completions.create({
        ...{ model: CHAT, prompt: 'Once upon', temperature: 1.5, top_p: 0.95, max_tokens: 40, seed },
      })
      return answer.choices[0]?.text
    }
    const [first, again, other] = [await ask(1), await ask(1), await ask(2)]
    assert.equal(first, again)
    assert.notEqual(first, other)
  })

  it('behavior: what is written beside many others is what is written alone', async () => {
    const prompts = Array.from({ length: 24 }, (_, i) => say(`Tell me a story about a fox and ${i} apples.`))
    const wish = { model: CHAT, temperature: 0, max_tokens: 60 }
    const together = await Promise.all(
      prompts.slice(0, 12).map((messages) => client.chat.completions.create({ ...wish, messages })),
    )
    for (const [i, messages] of prompts.slice(0, 12).entries()) {
      if (i % 4 !== 0) continue
      const alone = await client.chat.completions.create({ ...wish, messages })
      assert.equal(together[i]?.choices[0]?.message.content, alone.choices[0]?.message.content)
    }
  })

  it('behavior: fees wait, are settled, and the account pays exactly the receipts', async () => {
    const user = world.account(21)
    await world.fund(user, provider.wallet.address)
    const before = await world.inference.getAccount(user, provider.wallet)
    const own = await world.client(user, provider)
    const answer = await own.chat.completions.create({ model: CHAT, messages: say('Hello'), temperature: 0 })
    const feeWei =
      BigInt(answer.usage?.prompt_tokens ?? 0) * 1000n + BigInt(answer.usage?.completion_tokens ?? 0) * 3000n
    assert.equal(agent.context.receipts.unsettledWei(user.address), feeWei)
    await agent.stop()
    agent = await provider.start({ SETTLE_INTERVAL_SEC: '1' })
    await until('it is settled', async () => {
      await world.anvil.mine(1)
      return agent.context.receipts.unsettledWei(user.address) === 0n
    })
    const settled = await world.inference.getAccount(user, provider.wallet)
    assert.equal(before.balance - settled.balance, feeWei)
    assert.equal(await world.inference.settledOf(user, provider.wallet), feeWei)
  })
})

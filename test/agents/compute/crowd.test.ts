import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { until } from '../../support/until.ts'
import {
  type ComputeAgent,
  type ComputeWorld,
  modelDir,
  startComputeWorld,
  type WorldProvider,
} from './compute-world.ts'

const CHAT = 'zerog/chat-mini'
const STREAMS = 200
const USERS = 20
const PROMPTS = ['a fox', 'a bear', 'an owl', 'a hen', 'a cat', 'a dog', 'a mouse', 'a frog']

describe('a crowd of streaming clients', () => {
  let world: ComputeWorld
  let provider: WorldProvider
  let agent: ComputeAgent

  before(async () => {
    world = await startComputeWorld()
    provider = await world.addProvider(0, {
      ...{ MODEL_ID: CHAT, MODEL_DIR: modelDir('chat'), ACCOUNT_CACHE_MS: '2000' },
    })
    agent = await provider.start()
    await until('the service is listed', async () => {
      await world.anvil.mine(1)
      return provider.isListed()
    })
    for (let user = 0; user < USERS; user++)
      await world.fund(world.account(18 + user), provider.wallet.address)
  })
  after(() => world.stop())

  async function stream(user: number, prompt: string) {
    const key = await world.keyOf(world.account(18 + user), provider.wallet.address)
    const body = JSON.stringify({
      ...{ stream: true, temperature: 0, max_tokens: 48 },
      messages: [{ role: 'user', content: `Tell me a story about ${prompt}.` }],
    })
    const response = await fetch(`${provider.url}/v1/proxy/chat/completions`, {
      ...{ method: 'POST', headers: { authorization: `Bearer ${key}` }, body },
      signal: AbortSignal.timeout(120_000),
    })
    assert.equal(response.status, 200)
    const bytes = new Uint8Array(await response.arrayBuffer())
    const raw = new TextDecoder().decode(bytes)
    assert.ok(raw.endsWith('data: [DONE]\n\n'))
    const events = raw.split('\n\n').filter((line) => line.startsWith('data: {'))
    const chunks = events.map((line) => JSON.parse(line.slice(6)) as Chunk)
    const id = response.headers.get('zg-res-key') ?? ''
    assert.ok(chunks.every((chunk) => chunk.id === id))
    const receipt = agent.context.receipts.find(id)
    assert.equal(receipt?.responseSha256, createHash('sha256').update(bytes).digest('hex'))
    assert.equal(receipt.requestSha256, createHash('sha256').update(body).digest('hex'))
    return { text: chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join(''), receipt }
  }

  it('behavior: nobody is refused, cut short or given what another asked for; receipts add up', async () => {
    const expected = new Map<string, string>()
    for (const prompt of PROMPTS) expected.set(prompt, (await stream(0, prompt)).text)
    assert.equal(new Set(expected.values()).size, PROMPTS.length)

    const before = agent.context.receipts.totalUnsettledWei()
    const answers = await Promise.all(
      Array.from({ length: STREAMS }, async (_, i) => {
        const prompt = PROMPTS[i % PROMPTS.length] ?? ''
        const answer = await stream(i % USERS, prompt)
        assert.equal(answer.text, expected.get(prompt))
        return answer
      }),
    )
    const owedWei = answers.reduce((sum, { receipt }) => sum + receipt.feeWei, 0n)
    assert.equal(agent.context.receipts.totalUnsettledWei() - before, owedWei)
    for (let user = 0; user < USERS; user++) {
      const own = answers.filter((_, i) => i % USERS === user).map(({ receipt }) => receipt.nonce)
      assert.equal(new Set(own).size, STREAMS / USERS)
    }
    assert.equal(agent.context.admission.active(), 0)
  })
})

type Chunk = { id: string; choices: { delta: { content?: string } }[] }

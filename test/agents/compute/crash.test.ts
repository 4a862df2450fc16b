import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import OpenAI from 'openai'
import { until } from '../../support/until.ts'
import { type ComputeWorld, modelDir, startComputeWorld, type WorldProvider } from './compute-world.ts'

const CHAT = 'zerog/chat-mini'
const USER = 20

describe('a provider that is killed', () => {
  let world: ComputeWorld
  let next = 0

  before(async () => {
    world = await startComputeWorld()
  })
  after(() => world.stop())

  /** A provider of its own, whose service is listed, with one account at it. */
  async function listed() {
    const provider = await world.addProvider(next++, { MODEL_ID: CHAT, MODEL_DIR: modelDir('chat') })
    const agent = await provider.start()
    await until('the service is listed', async () => {
      await world.anvil.mine(1)
      return provider.isListed()
    })
    await world.fund(world.account(USER), provider.wallet.address)
    return { provider, agent, client: await world.client(world.account(USER), provider) }
  }

  const ask = (client: OpenAI) =>
    client.chat.completions.create({
      ...{ model: CHAT, temperature: 0, messages: [{ role: 'user', content: 'Hello' }] },
    })
  const settledWei = ({ wallet }: WorldProvider) => world.inference.settledOf(world.account(USER), wallet)
  const feeOf = (usage: OpenAI.CompletionUsage | undefined) =>
    BigInt(usage?.prompt_tokens ?? 0) * 1000n + BigInt(usage?.completion_tokens ?? 0) * 3000n
  const CRASH = { ZEROG_ALLOW_CRASH: '1', CONFIRMATIONS: '0' }

  it('behavior: between receipt and last byte: the receipt stands and is settled once', async () => {
    const { provider, agent: first, client } = await listed()
    await first.stop()
    const child = await provider.spawn({ ...CRASH, ZEROG_CRASH_AT: 'after-receipt' })
    await assert.rejects(ask(client))
    assert.equal((await child.exited).signal, 'SIGKILL')
    const agent = await provider.start({ SETTLE_INTERVAL_SEC: '1' })
    const owedWei = agent.context.receipts.unsettledWei(world.account(USER).address)
    assert.ok(owedWei > 0n)
    await until('it is settled', async () => {
      await world.anvil.mine(1)
      return agent.context.receipts.totalUnsettledWei() === 0n
    })
    assert.equal(await settledWei(provider), owedWei)
  })

  for (const point of [
    'settle-written',
    'settle-sent',
    'settle-closed',
    'sender-after-write',
    'sender-after-broadcast',
  ]) {
    it(`behavior: at ${point}: every receipt is paid once`, async () => {
      const { provider, agent: first, client } = await listed()
      let feeWei = 0n
      for (let i = 0; i < 3; i++) feeWei += feeOf((await ask(client)).usage)
      await first.stop()
      const doomed = provider.launch({ ...CRASH, ZEROG_CRASH_AT: point, SETTLE_AMOUNT_WEI: '1' })
      assert.equal((await doomed.exited).signal, 'SIGKILL')
      const agent = await provider.start({ SETTLE_AMOUNT_WEI: '1' })
      await until('all is settled', async () => {
        await world.anvil.mine(1)
        return agent.context.receipts.totalUnsettledWei() === 0n
      })
      assert.equal(await settledWei(provider), feeWei)
      feeWei += feeOf((await ask(client)).usage)
      await until('the next one too', async () => {
        await world.anvil.mine(1)
        return (await settledWei(provider)) === feeWei
      })
    })
  }

  it("behavior: the model's process: streams end with an error, are billed, and the next request is served", async () => {
    const { agent, client } = await listed()
    const stream = await client.chat.completions.create({
      ...{ model: CHAT, temperature: 1.9, max_tokens: 400, seed: 3, stream: true },
      messages: [{ role: 'user', content: 'Tell me a story about a fox.' }],
    })
    let pieces = 0
    await assert.rejects(async () => {
      for await (const _ of stream) if (++pieces === 3) await agent.context.runtime.current().worker.stop()
    }, OpenAI.APIError)
    assert.ok(pieces >= 3)
    assert.ok(agent.context.receipts.totalUnsettledWei() > 0n)
    await until('the model is back', () => agent.context.runtime.state().state === 'ready')
    assert.equal((await ask(client)).choices[0]?.finish_reason, 'stop')
    assert.equal(agent.context.runtime.state().restarts, 1)
    assert.equal(agent.context.admission.active(), 0)
  })
})

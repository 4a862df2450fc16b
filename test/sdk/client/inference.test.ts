import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { parseEther, toQuantity, type Wallet } from 'ethers'
import { chromium } from 'playwright-core'
import { toJson } from '../../../deploy/write-file.ts'
import {
  createInference,
  type Inference,
  type InferenceEvent,
  type InferenceOptions,
  type StreamPiece,
} from '../../../sdk/client/inference.ts'
import { memoryStateStore, type StateStore } from '../../../sdk/client/state-store.ts'
import { chat } from '../../../sdk/examples/chat.ts'
import { errorCode } from '../../../sdk/protocol/errors.ts'
import {
  type ComputeAgent,
  type ComputeWorld,
  modelDir,
  startComputeWorld,
  type WorldProvider,
} from '../../agents/compute/compute-world.ts'
import { bundle } from '../../support/bundle.ts'
import { findChromium } from '../../support/chromium.ts'
import { type Lie, type LyingProvider, type Seen, startLyingProvider } from '../../support/lying-provider.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../../support/until.ts'
import type { ChatPage } from './chat-page.ts'

const CHAT = 'zerog/chat-mini'
const DIGITS = 'zerog/digits'
const EMBED = 'zerog/embed-mini'
const CHEAP = { inputPriceWei: 1000n, outputPriceWei: 3000n }
const HELLO = { model: CHAT, temperature: 0, max_tokens: 24, messages: [{ role: 'user', content: 'Hello' }] }
const STORY = {
  ...HELLO,
  max_tokens: 100,
  messages: [{ role: 'user', content: 'Tell me a story about a fox.' }],
}
const isSignature = ({ path }: Seen) => path.startsWith('/v1/proxy/signature/')
const isChat = ({ path }: Seen) => path === '/v1/proxy/chat/completions'

describe('createInference', () => {
  let world: ComputeWorld
  /** The cheap provider, behind a proxy; and an honest one that asks more. */
  let cheap: WorldProvider
  let dear: WorldProvider
  let cheapAgent: ComputeAgent
  let proxy: LyingProvider
  let nextUser = 20
  const open: Inference[] = []

  before(async () => {
    world = await startComputeWorld()
    proxy = await startLyingProvider()
    for (let i = 20; i < 80; i++)
      await world.anvil.rpc('anvil_setBalance', world.account(i).address, toQuantity(parseEther('100')))
    const chat = { MODEL_ID: CHAT, MODEL_DIR: modelDir('chat'), SETTLE_INTERVAL_SEC: '3600' }
    cheap = await world.addProvider(0, { ...chat, PUBLIC_URL: proxy.url })
    dear = await world.addProvider(1, { ...chat, INPUT_PRICE_WEI: '2000', OUTPUT_PRICE_WEI: '4000' })
    proxy.before(cheap.url)
    cheapAgent = await cheap.start()
    await dear.start()
    await listed(cheap, dear)
  })
  afterEach(() => {
    proxy.honest()
    for (const client of open.splice(0)) client.close()
  })
  after(async () => {
    proxy.stop()
    await world.stop()
  })

  async function listed(...providers: WorldProvider[]): Promise<void> {
    await until('the services are listed', async () => {
      await world.anvil.mine(1)
      return (await Promise.all(providers.map(({ isListed }) => isListed()))).every(Boolean)
    })
  }

  /** A client of a new user with money in its wallet only, and what happened to it. */
  function clientOf(change: Partial<InferenceOptions> = {}, user: Wallet = world.account(nextUser++)) {
    const events: InferenceEvent[] = []
    const client = createInference({
      chain: world.chain,
      signer: user,
      depositWei: parseEther('1'),
      onEvent: (event) => events.push(event),
      ...change,
    })
    open.push(client)
    return { client, user, events }
  }

  const ceilings = () =>
    proxy.seen
      .filter(({ path }) => path === '/v1/voucher')
      .map(({ body }) => JSON.parse(body) as { voucher: { user: string; ceilingWei: string } })
  const signedBy = (user: Wallet): bigint[] =>
    ceilings()
      .filter(({ voucher }) => voucher.user === user.address)
      .map(({ voucher }) => BigInt(voucher.ceilingWei))

  async function drain(stream: AsyncIterable<StreamPiece>): Promise<StreamPiece[]> {
    const pieces: StreamPiece[] = []
    for await (const piece of stream) pieces.push(piece)
    return pieces
  }
  const textOf = (pieces: readonly StreamPiece[]) => {
    const from = pieces.findLastIndex(({ type }) => type === 'restart') + 1
    return pieces.slice(from).reduce((text, piece) => (piece.type === 'text' ? text + piece.text : text), '')
  }

  it('default: opens ledger and account, signs a ceiling, and returns a verified answer of the cheapest provider', async () => {
    const { client, user, events } = clientOf()
    const offers = await client.services({ model: CHAT })
    assert.deepEqual(
      offers.map(({ provider }) => provider),
      [cheap.wallet.address, dear.wallet.address],
    )
    assert.ok(
      offers.every(({ isReady, latencyMs, stakeWei }) => isReady && latencyMs !== undefined && stakeWei > 0n),
    )
    const answer = await client.chat(HELLO)
    assert.equal(answer.verified, true)
    assert.equal(answer.provider, cheap.wallet.address)
    assert.ok(answer.text.length > 0)
    const { inputUnits, outputUnits } = answer.usage
    assert.equal(answer.feeWei, BigInt(inputUnits) * 1000n + BigInt(outputUnits) * 3000n)
    assert.equal(cheapAgent.context.receipts.unsettledWei(user.address), answer.feeWei)
    const { ledger, accounts, committedWei } = await client.balances()
    assert.equal(accounts[0]?.unsettledWei, answer.feeWei)
    assert.ok(accounts[0].ceilingWei >= answer.feeWei && committedWei === accounts[0].ceilingWei)
    assert.ok(ledger !== undefined && ledger.totalWei < parseEther('1'))
    assert.deepEqual(
      events.map(({ type }) => type),
      ['attempt', 'deposit', 'top-up', 'ceiling', 'verified'],
    )
    assert.deepEqual(signedBy(user), [accounts[0].ceilingWei])
  })

  it('behavior: a stream gives the same text, and its result is verified', async () => {
    const { client } = clientOf()
    const whole = await client.chat(STORY)
    const stream = client.streamChat(STORY)
    const pieces = await drain(stream)
    const result = await stream.result
    assert.equal(textOf(pieces), whole.text)
    assert.equal(result.text, whole.text)
    assert.ok(pieces.length > 5 && result.receipt.nonce > whole.receipt.nonce)
    const prompt = client.streamComplete({
      model: CHAT,
      prompt: 'Once upon a time',
      max_tokens: 8,
      temperature: 0,
    })
    assert.equal(textOf(await drain(prompt)), (await prompt.result).text)
  })

  it('behavior: parallel requests share one ceiling, and every one is verified', async () => {
    const { client, user } = clientOf()
    const answers = await Promise.all(Array.from({ length: 8 }, () => client.chat(HELLO)))
    const nonces = new Set(answers.map(({ receipt }) => receipt.nonce))
    assert.equal(nonces.size, 8)
    const sumWei = answers.reduce((sum, { feeWei }) => sum + feeWei, 0n)
    assert.equal((await client.balances()).accounts[0]?.unsettledWei, sumWei)
    assert.ok(signedBy(user).length <= 3, `${signedBy(user)}`)
  })

  /** What each lie does to the answers of the proxy, and the code that rejects it. */
  const lies: { name: string; code: string; lie(): (seen: Seen) => Lie }[] = [
    {
      name: 'an answer whose bytes were changed',
      code: 'INFERENCE_BYTES_DIFFER',
      lie: () => (seen) =>
        isChat(seen)
          ? { kind: 'change', change: (body) => body.replace('"role":"assistant"', '"role":"assistant" ') }
          : { kind: 'pass' },
    },
    {
      name: 'the signature of an earlier answer',
      code: 'INFERENCE_REPLAYED',
      lie: () => {
        let first: string | undefined
        return (seen) =>
          isSignature(seen)
            ? {
                kind: 'change',
                change: (body) => {
                  first ??= body
                  return first
                },
              }
            : { kind: 'pass' }
      },
    },
    {
      name: 'a receipt of another model',
      code: 'INFERENCE_MODEL_DIFFERS',
      lie: () => (seen) =>
        isSignature(seen)
          ? { kind: 'change', change: (body) => body.replace(/("modelHash":"0x)../, '$1ff') }
          : { kind: 'pass' },
    },
    {
      name: "a signature that is not the service's",
      code: 'INFERENCE_SIGNER_WRONG',
      lie: () => (seen) =>
        isSignature(seen)
          ? {
              kind: 'change',
              change: (body) => {
                const signed = JSON.parse(body) as { text: string; signature: string }
                return JSON.stringify({
                  ...signed,
                  signature: world.account(30).signMessageSync(signed.text),
                })
              },
            }
          : { kind: 'pass' },
    },
    {
      name: 'a fee above the units at the price',
      code: 'INFERENCE_FEE_WRONG',
      lie: () => (seen) =>
        isSignature(seen)
          ? { kind: 'change', change: (body) => body.replace(/("feeWei":")(\d+)/, '$19$2') }
          : { kind: 'pass' },
    },
    {
      name: 'units beyond what was said and sent',
      code: 'INFERENCE_FEE_WRONG',
      lie: () => (seen) =>
        isSignature(seen)
          ? {
              kind: 'change',
              change: (body) => {
                const { receipt, ...rest } = JSON.parse(body) as { receipt: Record<string, string> }
                const outputUnits = String(BigInt(receipt.outputUnits ?? 0) + 1n)
                const feeWei = String(BigInt(receipt.feeWei ?? 0) + 3000n)
                return JSON.stringify({ ...rest, receipt: { ...receipt, outputUnits, feeWei } })
              },
            }
          : { kind: 'pass' },
    },
  ]

  for (const { name, code, lie } of lies)
    it(`error: ${name}: rejected, no more paid, and another provider answers`, async () => {
      const { client, user } = clientOf()
      await client.chat(HELLO)
      const liar = lie()
      proxy.decide(liar)
      // The replay needs one signature to show again.
      if (code === 'INFERENCE_REPLAYED') await client.chat(HELLO)
      const signed = signedBy(user)
      const answer = await client.chat(HELLO)
      assert.equal(answer.provider, dear.wallet.address)
      assert.deepEqual(
        answer.failures.map((failure) => failure.code),
        [code],
      )
      const [liarOffer] = (await client.services({ model: CHAT })).filter(({ fault }) => fault !== undefined)
      assert.equal(liarOffer?.provider, cheap.wallet.address)
      await assert.rejects(client.chat(HELLO, { provider: cheap.wallet.address }), {
        code: 'INFERENCE_NO_PROVIDER',
      })
      assert.deepEqual(signedBy(user), signed)
      proxy.honest()
      await client.forgive(cheap.wallet.address)
      assert.equal((await client.chat(HELLO, { provider: cheap.wallet.address })).verified, true)
    })

  it('error: an answer without a signature is not returned', async () => {
    const { client } = clientOf()
    proxy.decide((seen) =>
      isSignature(seen) ? { kind: 'answer', status: 404, body: '{}' } : { kind: 'pass' },
    )
    await assert.rejects(client.chat(HELLO, { provider: cheap.wallet.address }), {
      code: 'INFERENCE_UNVERIFIED',
    })
    assert.equal((await client.chat(HELLO)).provider, dear.wallet.address)
  })

  it('behavior: a stream that is cut begins anew at the next provider, and says so', async () => {
    const { client } = clientOf()
    proxy.decide((seen) => (isChat(seen) ? { kind: 'cut', afterBytes: 1500 } : { kind: 'pass' }))
    const stream = client.streamChat(STORY)
    const pieces = await drain(stream)
    const restart = pieces.find((piece) => piece.type === 'restart')
    assert.equal(restart?.provider, cheap.wallet.address)
    assert.equal(restart.code, 'INFERENCE_CUT')
    const result = await stream.result
    assert.equal(result.provider, dear.wallet.address)
    assert.equal(textOf(pieces), result.text)
    const broken = clientOf().client.streamChat(STORY, { onBreak: 'fail', provider: cheap.wallet.address })
    await assert.rejects(drain(broken), { code: 'INFERENCE_CUT' })
    await assert.rejects(broken.result, { code: 'INFERENCE_CUT' })
  })

  it('behavior: busy, failing, silent and absent providers are passed over, and a busy one is asked again', async () => {
    const { client } = clientOf()
    await client.chat(HELLO)
    const fault = { error: { message: 'no', type: 'server_error', code: 'INTERNAL', param: null } }
    const faults: [Lie, string][] = [
      [{ kind: 'answer', status: 500, body: JSON.stringify(fault) }, 'COMPUTE_UNAVAILABLE'],
      [{ kind: 'answer', status: 503, body: 'gone' }, 'COMPUTE_UNAVAILABLE'],
      [{ kind: 'refuse' }, 'PEER_UNREACHABLE'],
      [{ kind: 'silent' }, 'TIMEOUT'],
    ]
    for (const [lie, code] of faults) {
      const own = clientOf().client
      proxy.decide((seen) => (isChat(seen) ? lie : { kind: 'pass' }))
      const answer = await own.chat(HELLO, { silenceMs: 3000 })
      assert.equal(answer.provider, dear.wallet.address, code)
      assert.deepEqual(
        answer.failures.map((failure) => failure.code),
        [code],
      )
    }
    let busy = 1
    proxy.decide((seen) =>
      isChat(seen) && busy-- > 0
        ? { kind: 'answer', status: 429, headers: { 'retry-after': '1' }, body: '{}' }
        : { kind: 'pass' },
    )
    const again = await client.chat(HELLO, { provider: cheap.wallet.address })
    assert.equal(again.failures[0]?.code, 'COMPUTE_BUSY')
  })

  it('behavior: cancelling ends the request at the provider, by signal, by the loop and by close', async () => {
    const idle = () => until('nothing runs', () => cheapAgent.context.admission.active() === 0)
    const { client } = clientOf()
    const long = { ...STORY, max_tokens: 400, temperature: 1.5, seed: 7 }
    const only = { provider: cheap.wallet.address }
    const controller = new AbortController()
    const stream = client.streamChat(long, { ...only, signal: controller.signal })
    await assert.rejects(
      async () => {
        for await (const piece of stream) if (piece.type === 'text' && piece.text !== '') controller.abort()
      },
      { code: 'ABORTED' },
    )
    await idle()
    for await (const piece of client.streamChat(long, only))
      if (piece.type === 'text' && piece.text !== '') break
    await idle()
    for await (const piece of client.streamChat(long, only)) if (piece.type === 'start') break
    await idle()
    const pending = client.chat(long, only)
    await until('it runs', () => cheapAgent.context.admission.active() > 0)
    client.close()
    await assert.rejects(pending, { code: 'ABORTED' })
    await idle()
  })

  it('error: requests that no provider would take stop at once', async () => {
    const { client } = clientOf()
    await assert.rejects(client.chat({ ...HELLO, temperature: 9 }), { code: 'BAD_REQUEST' })
    await assert.rejects(client.chat({ ...HELLO, max_tokens: 0 }), { code: 'BAD_REQUEST' })
    const long = { ...HELLO, messages: [{ role: 'user', content: 'fox '.repeat(5000) }] }
    await assert.rejects(client.chat(long), { code: 'COMPUTE_CONTEXT_TOO_LONG' })
    await assert.rejects(client.chat({ ...HELLO, model: 'nobody/has-this' }), {
      code: 'INFERENCE_NO_PROVIDER',
    })
    const otherRoot = { modelRoot: `0x${'12'.repeat(32)}` }
    await assert.rejects(client.chat(HELLO, otherRoot), { code: 'INFERENCE_NO_PROVIDER' })
    const poor = clientOf({ maxPrice: { inputPriceWei: 999n, outputPriceWei: 3000n } }).client
    await assert.rejects(poor.chat(HELLO), { code: 'INFERENCE_NO_PROVIDER' })
    const broke = clientOf({ depositWei: 0n }).client
    await assert.rejects(broke.chat(HELLO, { provider: cheap.wallet.address }), {
      code: 'INSUFFICIENT_FUNDS',
    })
  })

  it('behavior: what is signed stays within the limit, and a restart signs no higher ceiling for the same spending', async () => {
    const entries = new Map<string, string>()
    const stateStore: StateStore = {
      get: async (key) => entries.get(key),
      set: async (key, value) => void entries.set(key, value),
      delete: async (key) => void entries.delete(key),
    }
    const maxSpendWei = 700_000n
    const user = world.account(nextUser++)
    const options = { stateStore, maxSpendWei, maxPrice: CHEAP, ceilingStepWei: 1n }
    let spentWei = 0n
    const spend = async (client: Inference) => {
      spentWei += (await client.chat(HELLO)).feeWei
    }
    const first = clientOf(options, user)
    await spend(first.client)
    const before = signedBy(user)
    // The process dies in the middle of a request: the record of that moment is what the next one finds.
    let snapshot = new Map(entries)
    proxy.decide((seen) => {
      if (isChat(seen)) snapshot = new Map(entries)
      return { kind: 'pass' }
    })
    await spend(first.client)
    entries.clear()
    for (const [key, value] of snapshot) entries.set(key, value)
    const atDeath = signedBy(user)
    assert.ok(atDeath.length <= before.length + 1)
    first.client.close()

    const second = clientOf(options, user)
    await spend(second.client)
    const highest = signedBy(user).at(-1) ?? 0n
    // The second process found out what the interrupted request had cost, and signed for one more only.
    assert.ok(highest <= spentWei + 2n * (BigInt(JSON.stringify(HELLO).length + 200) * 1000n + 24n * 3000n))
    await assert.rejects(
      async () => {
        for (;;) await spend(second.client)
      },
      { code: 'INFERENCE_LIMIT_REACHED' },
    )
    assert.ok(spentWei > maxSpendWei / 2n && spentWei <= maxSpendWei, `${spentWei}`)
    const all = signedBy(user)
    assert.ok(all.every((ceilingWei) => ceilingWei <= maxSpendWei))
    assert.deepEqual(
      all,
      all.toSorted((a, b) => Number(a - b)),
    )
    assert.equal(cheapAgent.context.receipts.unsettledWei(user.address), spentWei)
    const third = clientOf(options, user)
    await assert.rejects(third.client.chat(HELLO), { code: 'INFERENCE_LIMIT_REACHED' })
    assert.ok(third.events.every((event) => event.type !== 'ceiling' || event.ceilingWei === all.at(-1)))
  })

  it('error: a provider that counts more than was verified gets no higher ceiling', async () => {
    const { client, user } = clientOf({ ceilingStepWei: 1n })
    await client.chat(HELLO)
    const signed = signedBy(user)
    const refusal = { error: { message: 'pay', type: 'insufficient_quota', code: 'COMPUTE_BALANCE_TOO_LOW' } }
    proxy.decide((seen) => {
      if (isChat(seen)) return { kind: 'answer', status: 402, body: JSON.stringify(refusal) }
      if (seen.path.endsWith('/unsettledfee'))
        return { kind: 'answer', status: 200, body: '{"unsettledFee":"900000000000"}' }
      return { kind: 'pass' }
    })
    await assert.rejects(client.chat(HELLO, { provider: cheap.wallet.address }), {
      code: 'INFERENCE_OVERBILLED',
    })
    const worstWei = BigInt(JSON.stringify(HELLO).length + 200) * 1000n + 24n * 3000n
    const lastWei = signedBy(user).at(-1) ?? 0n
    assert.ok(lastWei <= (signed.at(-1) ?? 0n) + worstWei)
  })

  it('error: a provider whose answers always break gets a few ceilings, and no more', async () => {
    const { client, user } = clientOf({ ceilingStepWei: 1n })
    proxy.decide((seen) => (isChat(seen) ? { kind: 'cut', afterBytes: 600 } : { kind: 'pass' }))
    const codes: string[] = []
    for (let tried = 0; tried < 20 && codes.at(-1) !== 'INFERENCE_UNVERIFIED'; tried++)
      await drain(client.streamChat(STORY, { provider: cheap.wallet.address })).catch((error: unknown) => {
        codes.push(errorCode(error))
      })
    assert.deepEqual([...new Set(codes)], ['INFERENCE_CUT', 'INFERENCE_UNVERIFIED'])
    assert.ok(codes.length > 5 && codes.length < 15, `${codes}`)
    const worstWei = BigInt(JSON.stringify(STORY).length + 200) * 1000n + 100n * 3000n
    assert.ok((signedBy(user).at(-1) ?? 0n) < 12n * worstWei)
    proxy.honest()
    await client.forgive(cheap.wallet.address)
    assert.equal((await client.chat(HELLO, { provider: cheap.wallet.address })).verified, true)
  })

  it('error: a provider that is met anew and says to be owed more than the account allows gets no ceiling', async () => {
    const first = clientOf()
    await first.client.chat(HELLO)
    await until('the ceiling is on chain', async () => {
      await world.anvil.mine(1)
      return (await world.inference.ceilingOf(first.user, cheap.wallet)) > 0n
    })
    const owed = { kind: 'answer', status: 200, body: `{"unsettledFee":"${parseEther('50')}"}` } as const
    proxy.decide((seen) => (seen.path.endsWith('/unsettledfee') ? owed : { kind: 'pass' }))
    const signed = signedBy(first.user)
    const { client, events } = clientOf({ depositWei: parseEther('90') }, first.user)
    await assert.rejects(client.chat(HELLO, { provider: cheap.wallet.address }), {
      code: 'INFERENCE_OVERBILLED',
    })
    assert.deepEqual(signedBy(first.user), signed)
    assert.ok(events.every(({ type }) => type === 'attempt' || type === 'failure'))
  })

  it('behavior: keys for other tools, their revocation, and the money back after the lock', async () => {
    // One that is asked for a release and does not answer: then the lock gives the money back.
    const fetchOther: typeof fetch = (input, init) =>
      String(input).endsWith('/v1/release') ? Promise.reject(new Error('away')) : fetch(input, init)
    const { client, user } = clientOf({ fetch: fetchOther })
    const { provider } = await client.chat(HELLO)
    const key = await client.createKey(provider, { tokenId: 3 })
    const ask = async () => {
      const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
      const body = JSON.stringify(HELLO)
      const response = await fetch(`${cheap.url}/v1/proxy/chat/completions`, {
        method: 'POST',
        headers,
        body,
      })
      await response.arrayBuffer()
      return response.status
    }
    assert.equal(await ask(), 200)
    await client.revokeKey(provider, 3)
    assert.equal(await ask(), 401)
    await client.revokeKey(provider)
    // The session went with all the others; a new one is made without anybody noticing.
    const before = await client.balances()
    const first = await client.withdraw()
    assert.equal(first.paidWei, before.ledger?.availableWei)
    assert.equal(first.pendingWei, before.accounts[0]?.balanceWei)
    // A request in between takes what it may need back into use, without a deposit.
    const { events, client: again } = clientOf({ depositWei: 0n, topUp: { targetWei: 1n } }, user)
    await again.chat(HELLO, { provider })
    assert.deepEqual(
      events.flatMap((event) => (event.type === 'top-up' || event.type === 'deposit' ? [event.type] : [])),
      ['top-up'],
    )
    await world.elapse(world.chain.computeTerms.graceSec + 1n)
    const second = await client.withdraw()
    assert.equal(second.paidWei + second.pendingWei, first.pendingWei)
    assert.ok(second.paidWei > second.pendingWei && second.pendingWei > 0n)
    await world.elapse(world.chain.computeTerms.graceSec + 1n)
    const third = await client.withdraw()
    assert.deepEqual([third.paidWei, third.pendingWei], [second.pendingWei, 0n])
    assert.equal((await client.balances()).ledger, undefined)
    assert.equal(user.address, await client.user())
  })

  it('behavior: what no provider is owed comes back at once', async () => {
    const { client, events } = clientOf()
    const { provider, feeWei } = await client.chat(HELLO)
    const before = await client.balances()
    const { paidWei, pendingWei } = await client.withdraw({ provider })
    assert.equal(paidWei, (before.ledger?.totalWei ?? 0n) - feeWei)
    // Unless it is settled already, the fee is all that stays.
    assert.ok(feeWei > 0n && (pendingWei === feeWei || pendingWei === 0n))
    const released = events.flatMap((event) => (event.type === 'release' ? [event.provider] : []))
    assert.deepEqual(released, [provider])
  })

  it('behavior: vectors and tensors come verified', async () => {
    const digits = await world.addProvider(2, { MODEL_ID: DIGITS, MODEL_DIR: modelDir('digits') })
    const embed = await world.addProvider(3, { MODEL_ID: EMBED, MODEL_DIR: modelDir('embed') })
    await Promise.all([digits.start(), embed.start()])
    await listed(digits, embed)
    const { client } = clientOf()
    const { vectors, usage } = await client.embed({ model: EMBED, input: ['a dog', 'a puppy', 'a treaty'] })
    const dot = (a: number, b: number) =>
      Array.from(vectors[a] ?? []).reduce<number>((sum, value, i) => sum + value * (vectors[b]?.[i] ?? 0), 0)
    assert.ok(Math.abs(dot(0, 0) - 1) < 1e-3 && dot(0, 1) > dot(0, 2))
    assert.equal(usage.outputUnits, 0)
    const [{ inputs } = { inputs: [] }] = (
      (await (await fetch(`${digits.url}/v1/models`)).json()) as {
        data: { inputs: { name: string; dims: (number | string)[] }[] }[]
      }
    ).data
    const [input] = inputs
    assert.ok(input)
    const dims = input.dims.map((size) => (typeof size === 'string' ? 2 : size))
    const data = new Float32Array(dims.reduce((a, b) => a * b, 1)).fill(0.5)
    const answer = await client.infer({
      model: DIGITS,
      inputs: { [input.name]: { type: 'float32', dims, data } },
    })
    const [output] = Object.values(answer.outputs)
    assert.equal(output?.dims[0], 2)
    assert.equal(
      output.data.length,
      output.dims.reduce((a, b) => a * b, 1),
    )
    assert.deepEqual(answer.usage, { inputUnits: 2, outputUnits: 2 })
    const wrong = { [input.name]: { type: 'float32' as const, dims: [1, 3], data: new Float32Array(3) } }
    await assert.rejects(client.infer({ model: DIGITS, inputs: wrong }), { code: 'COMPUTE_INPUT_INVALID' })
  })

  it('behavior: the example of the documentation runs as it stands', async () => {
    const shown: string[] = []
    const { text, writer, feeWei } = await chat({
      ...{ rpcUrl: world.anvil.rpcUrl, addressBook: JSON.parse(toJson(world.chain.book)) },
      ...{ privateKey: world.account(nextUser++).privateKey, model: CHAT, prompt: 'Tell me a story.' },
      ...{ limitWei: parseEther('0.1'), stateStore: memoryStateStore() },
      show: (piece) => void shown.push(piece),
    })
    assert.equal(shown.join(''), text)
    assert.ok(feeWei > 0n && writer === cheap.wallet.address)
  })

  it('behavior: the example runs in a browser, which keeps what was signed', async () => {
    const site = tempDir()
    await bundle('test/sdk/client/chat-page.ts', site)
    const server = createServer(({ url = '/' }, response) => {
      const file = join(site, url.slice(1))
      if (url !== '/' && !existsSync(file)) return response.writeHead(404).end()
      response.writeHead(200, { 'content-type': url === '/' ? 'text/html' : 'text/javascript' })
      const html = '<!doctype html><title>zerog</title><script type="module" src="/index.js"></script>'
      response.end(url === '/' ? html : readFileSync(file))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const browser = await chromium.launch({
      executablePath: await findChromium(),
      args: ['--no-sandbox', '--disable-background-networking', '--disable-dev-shm-usage', '--disable-gpu'],
    })
    try {
      const page = await browser.newPage()
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
      await page.waitForFunction('globalThis.page !== undefined')
      const task = {
        ...{ rpcUrl: world.anvil.rpcUrl, addressBook: JSON.parse(toJson(world.chain.book)), model: CHAT },
        ...{ privateKey: world.account(nextUser++).privateKey, prompt: 'Tell me a story.' },
      }
      const result: unknown = await page.evaluate(`globalThis.page.chat(${JSON.stringify(task)})`)
      const { text, shown, feeWei, records } = result as Awaited<ReturnType<ChatPage['chat']>>
      assert.equal(shown, text)
      assert.ok(BigInt(feeWei) > 0n && records === 1)
    } finally {
      await browser.close()
      server.closeAllConnections()
      server.close()
    }
  })
})

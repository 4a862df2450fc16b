import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { id, JsonRpcProvider, Network, parseEther, type Wallet } from 'ethers'
import { createGateKeeper } from '../../../agents/compute/gate-keeper.ts'
import { createLog } from '../../../agents/kernel/log.ts'
import { connectCompute } from '../../../sdk/chain/compute-chain.ts'
import { connectChain } from '../../../sdk/chain/connect.ts'
import { registerModelCall, updateModelCall } from '../../../sdk/chain/model-calls.ts'
import { type ModelGate, NO_GATE, OPEN_TERMS } from '../../../sdk/chain/models.ts'
import { createInference } from '../../../sdk/client/inference.ts'
import {
  type GateErc20Mock,
  GateErc20Mock__factory,
  type GateErc721Mock,
  GateErc721Mock__factory,
} from '../../../typechain-types/index.js'
import { startRpcProxy } from '../../support/rpc-proxy.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../../support/until.ts'
import { runZerog } from '../../support/zerog-cli.ts'
import {
  type ComputeAgent,
  type ComputeWorld,
  modelDir,
  startComputeWorld,
  type WorldProvider,
} from './compute-world.ts'

const CHAT = 'gated/chat'
const DIGITS = 'gated/digits'
const [INPUT_WEI, OUTPUT_WEI] = [1000n, 3000n]
/** A row costs more than any account of the test holds. */
const DEAR_WEI = parseEther('100')
const LONG_PERIOD = 1_000_000n
/** Two answers of twelve units, and a part of a third. */
const FREE_UNITS = 28n

type Usage = { prompt_tokens: number; completion_tokens: number }

describe('a model with a gate', () => {
  let world: ComputeWorld
  let chat: WorldProvider
  let digits: WorldProvider
  let chatAgent: ComputeAgent
  let coin: GateErc20Mock
  let pass: GateErc721Mock
  const [OWNER, HOLDER, STRANGER] = [30, 20, 21]

  const gateOf = async (change: Partial<ModelGate>, token: { getAddress(): Promise<string> }) => ({
    ...NO_GATE,
    minBalance: 1n,
    token: await token.getAddress(),
    ...change,
  })
  const termsOf = (gate: ModelGate) => ({
    ...{ ...OPEN_TERMS, manifestRoot: id('manifest'), kind: 'text-generation', licence: 'MIT', gate },
  })

  before(async () => {
    world = await startComputeWorld()
    const owner = world.account(OWNER)
    coin = await new GateErc20Mock__factory(owner).deploy()
    pass = await new GateErc721Mock__factory(owner).deploy()
    await (await coin.mint(world.account(HOLDER), 100n)).wait()
    await (await pass.mint(world.account(HOLDER), 7n)).wait()
    const coins = await gateOf(
      { kind: 'erc20', minBalance: 100n, freeUnits: FREE_UNITS, quotaPeriodBlocks: LONG_PERIOD },
      coin,
    )
    const passes = await gateOf({ kind: 'erc721', freeUnits: 10n, quotaPeriodBlocks: LONG_PERIOD }, pass)
    await world.send(owner, registerModelCall(world.chain, { modelId: CHAT, terms: termsOf(coins) }))
    await world.send(owner, registerModelCall(world.chain, { modelId: DIGITS, terms: termsOf(passes) }))

    const MODEL_OWNER = owner.address
    chat = await world.addProvider(0, { MODEL_ID: CHAT, MODEL_DIR: modelDir('chat'), MODEL_OWNER })
    digits = await world.addProvider(1, {
      ...{ MODEL_ID: DIGITS, MODEL_DIR: modelDir('digits'), MODEL_OWNER },
      ...{ INPUT_PRICE_WEI: String(DEAR_WEI), OUTPUT_PRICE_WEI: String(DEAR_WEI) },
    })
    chatAgent = await chat.start()
    await digits.start()
    await until('the services are listed', async () => {
      await world.anvil.mine(1)
      return (await chat.isListed()) && (await digits.isListed())
    })
    for (const user of [HOLDER, STRANGER]) {
      await world.fund(world.account(user), chat.wallet.address)
      await world.fund(world.account(user), digits.wallet.address)
    }
  })
  after(() => world.stop())

  async function post(
    provider: WorldProvider,
    path: string,
    { user, body, tokenId }: { user: number; body: object; tokenId?: string },
  ) {
    const response = await fetch(`${provider.url}/v1/proxy/${path}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${await world.keyOf(world.account(user), provider.wallet.address)}`,
        ...(tokenId === undefined ? {} : { 'x-gate-token-id': tokenId }),
      },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(60_000),
    })
    const text = await response.text()
    return { status: response.status, text, key: response.headers.get('zg-res-key') ?? '' }
  }
  const errorOf = ({ text }: { text: string }) =>
    (JSON.parse(text) as { error: { code: string; message: string; type: string } }).error

  const ask = (user: number, more: object = {}) =>
    post(chat, 'chat/completions', {
      user,
      body: { messages: [{ role: 'user', content: 'Hello' }], temperature: 0, max_tokens: 8, ...more },
    })
  /** The fee that the receipt of an answer states, and the units it states. */
  async function receiptOf(provider: WorldProvider, key: string) {
    const response = await fetch(`${provider.url}/v1/proxy/signature/${key}`, {
      signal: AbortSignal.timeout(30_000),
    })
    assert.equal(response.status, 200)
    const { receipt } = (await response.json()) as {
      receipt: Record<'feeWei' | 'inputUnits' | 'outputUnits', string>
    }
    const [feeWei, input, output] = [receipt.feeWei, receipt.inputUnits, receipt.outputUnits].map(BigInt)
    return { feeWei: feeWei ?? 0n, input: input ?? 0n, output: output ?? 0n }
  }
  /** What is to pay of so many units when `free` of them are free. */
  function dueWei({ input, output }: { input: bigint; output: bigint }, free: bigint): bigint {
    const freeInput = free < input ? free : input
    const freeOutput = free - freeInput < output ? free - freeInput : output
    return (input - freeInput) * INPUT_WEI + (output - freeOutput) * OUTPUT_WEI
  }
  const transfer = async (from: Wallet, to: Wallet) => (await coin.connect(from).transfer(to, 100n)).wait()
  const infer = (user: number, rows: number, tokenId?: string) =>
    post(digits, 'infer', {
      user,
      ...(tokenId === undefined ? {} : { tokenId }),
      body: { inputs: { pixel_values: { dims: [rows, 1, 8, 8], data: Array(rows * 64).fill(0.5) } } },
    })

  it('default: without the token 403 with the reason, on every route, and nothing is billed', async () => {
    const token = await coin.getAddress()
    for (const more of [{}, { stream: true }]) {
      const refused = await ask(STRANGER, more)
      assert.equal(refused.status, 403)
      const { code, type, message } = errorOf(refused)
      assert.deepEqual([code, type], ['COMPUTE_GATE_CLOSED', 'permission_error'])
      assert.match(message, new RegExp(`at least 100 of the ERC-20 token ${token}`))
      assert.match(message, /balance of this account is below/)
    }
    const completion = await post(chat, 'completions', { user: STRANGER, body: { prompt: 'Hello' } })
    assert.equal(completion.status, 403)
    const rows = await infer(STRANGER, 1)
    assert.equal(rows.status, 403)
    assert.match(errorOf(rows).message, /ERC-721/)
    assert.equal(chatAgent.context.receipts.unsettledWei(world.account(STRANGER).address), 0n)

    const models = (await (await fetch(`${chat.url}/v1/models`)).json()) as { data: { gate: object }[] }
    assert.deepEqual(models.data[0]?.gate, {
      ...{ kind: 'erc20', token, token_id: '0', min_balance: '100', free_units: String(FREE_UNITS) },
      quota_period_blocks: String(LONG_PERIOD),
    })
  })

  it('behavior: free units first, then pay; what is used outlives kill -9; coins passed on bring no new ones', async () => {
    const first = await ask(HOLDER)
    assert.equal(first.status, 200, first.text)
    const one = await receiptOf(chat, first.key)
    const usage = (JSON.parse(first.text) as { usage: Usage }).usage
    assert.deepEqual([one.input, one.output], [BigInt(usage.prompt_tokens), BigInt(usage.completion_tokens)])
    const units = one.input + one.output
    assert.ok(2n * units < FREE_UNITS && 3n * units > FREE_UNITS, `an answer takes ${units} units`)
    assert.equal(one.feeWei, 0n)

    // The second answer dies with the agent after its receipt: what it used is used.
    await chatAgent.stop()
    const doomed = await chat.spawn({ ZEROG_ALLOW_CRASH: '1', ZEROG_CRASH_AT: 'after-receipt' })
    await assert.rejects(ask(HOLDER))
    assert.equal((await doomed.exited).signal, 'SIGKILL')
    chatAgent = await chat.start()
    assert.equal(chatAgent.context.receipts.unsettledWei(world.account(HOLDER).address), 0n)

    // Two at the same time share what is left, and neither gets it again.
    const both = await Promise.all([ask(HOLDER), ask(HOLDER)])
    const fees = await Promise.all(both.map(async ({ key }) => (await receiptOf(chat, key)).feeWei))
    const sumWei = fees.reduce((sum, wei) => sum + wei, 0n)
    assert.equal(sumWei, dueWei(one, 0n) + dueWei(one, FREE_UNITS - 2n * units))
    const last = await ask(HOLDER)
    assert.equal((await receiptOf(chat, last.key)).feeWei, dueWei(one, 0n))

    // Whoever gets the coins afterwards may ask, and pays.
    await transfer(world.account(HOLDER), world.account(STRANGER))
    assert.equal((await ask(HOLDER)).status, 403)
    const bought = await ask(STRANGER)
    assert.equal(bought.status, 200, bought.text)
    assert.equal((await receiptOf(chat, bought.key)).feeWei, dueWei(one, 0n))
    await transfer(world.account(STRANGER), world.account(HOLDER))
  })

  it('behavior: the next period brings new free units, to who holds the coins when it begins', async () => {
    const owner = world.account(OWNER)
    const gate = await gateOf(
      { kind: 'erc20', minBalance: 100n, freeUnits: 1_000n, quotaPeriodBlocks: 40n },
      coin,
    )
    await world.send(owner, updateModelCall(world.chain, { modelId: CHAT, terms: termsOf(gate) }))
    await transfer(world.account(HOLDER), world.account(STRANGER))
    // Held by HOLDER when the gate was set: STRANGER pays until the period is over.
    assert.ok((await receiptOf(chat, (await ask(STRANGER)).key)).feeWei > 0n)
    await world.anvil.mine(40)
    assert.equal((await receiptOf(chat, (await ask(STRANGER)).key)).feeWei, 0n)
  })

  it('behavior: a node that has lost the past: who holds the coins passes, and has nothing free', async () => {
    const proxy = await startRpcProxy(world.anvil.rpcUrl)
    const provider = new JsonRpcProvider(proxy.rpcUrl, Network.from(31_337), {
      staticNetwork: true,
      batchMaxCount: 1,
    })
    try {
      const chain = await connectCompute(await connectChain({ provider, addressBook: world.chain.book }))
      const keeper = createGateKeeper({
        ...{ chain, modelId: CHAT, modelOwner: world.account(OWNER).address, maxFreeUnits: 500, cacheMs: 0 },
        ...{ log: createLog({ name: 'test', level: 'silent' }), signal: AbortSignal.timeout(60_000) },
      })
      const holder = world.account(STRANGER).address
      assert.equal((await keeper.pass(holder, undefined))?.freeUnits, 500)
      proxy.tamper(({ method, params }, answer) =>
        method === 'eth_call' && params[1] !== 'latest'
          ? { error: { code: -32_000, message: 'missing trie node' } }
          : answer,
      )
      assert.equal(await keeper.pass(holder, undefined), undefined)
      await assert.rejects(keeper.pass(world.account(HOLDER).address, undefined), {
        code: 'COMPUTE_GATE_CLOSED',
      })
    } finally {
      provider.destroy()
      await proxy.stop()
    }
  })

  it('behavior: ERC-721: free by token id, also for who cannot pay; another owner has the rest', async () => {
    // Ten units are five rows. Nobody could pay for one.
    const plain = await infer(HOLDER, 1)
    assert.equal(plain.status, 402)
    assert.equal((await infer(HOLDER, 1, '8')).status, 402)
    const free = await infer(HOLDER, 3, '7')
    assert.equal(free.status, 200, free.text)
    assert.equal((await receiptOf(digits, free.key)).feeWei, 0n)
    assert.equal((await infer(HOLDER, 3, '7')).status, 402)
    const [from, to] = [world.account(HOLDER), world.account(STRANGER)]
    await (await pass.connect(from).transferFrom(from, to, 7n)).wait()
    assert.equal((await infer(HOLDER, 1, '7')).status, 403)
    assert.equal((await infer(STRANGER, 3, '7')).status, 402)
    assert.equal((await infer(STRANGER, 2, '7')).status, 200)
    assert.equal((await infer(STRANGER, 1, '7')).status, 402)
    for (const tokenId of ['-1', '0x7', 'seven', '9'.repeat(78), '9'.repeat(79)]) {
      const bad = await infer(STRANGER, 1, tokenId)
      assert.deepEqual([bad.status, errorOf(bad).code], [400, 'BAD_REQUEST'])
    }
  })

  it('behavior: our client: the reason without the token, a verified answer without a fee with it', async () => {
    const owner = world.account(OWNER)
    const passes = { kind: 'erc721', freeUnits: 1_000n, quotaPeriodBlocks: LONG_PERIOD } as const
    const gate = await gateOf(passes, pass)
    await world.send(owner, updateModelCall(world.chain, { modelId: CHAT, terms: termsOf(gate) }))
    const clientOf = (user: number) => createInference({ chain: world.chain, signer: world.account(user) })
    const body = { model: CHAT, messages: [{ role: 'user', content: 'Hello' }], max_tokens: 8 }
    const [stranger, holder] = [clientOf(HOLDER), clientOf(STRANGER)]
    try {
      await assert.rejects(stranger.chat(body), (error: unknown) => {
        assert.match(String(error), /is for holders of at least 1 of the ERC-721 token/)
        return true
      })
      // The pass went to the other account before.
      const free = await holder.chat(body, { gateTokenId: 7n })
      assert.deepEqual([free.verified, free.feeWei], [true, 0n])
      const paid = await holder.chat(body)
      assert.equal(
        paid.feeWei,
        dueWei({ input: paid.receipt.inputUnits, output: paid.receipt.outputUnits }, 0n),
      )
    } finally {
      await Promise.all([stranger.close(), holder.close()])
    }
    const run = await runZerog(['compute', 'chat', 'Hello', '--model', CHAT, '--gate-token', '7', '--json'], {
      cwd: tempDir(),
      env: {
        RPC_URL: world.anvil.rpcUrl,
        ADDRESS_BOOK: world.bookFile,
        PRIVATE_KEY: world.account(STRANGER).privateKey,
      },
    })
    assert.equal(run.code, 0, run.stderr)
    assert.equal(run.json<{ feeWei: string }>().feeWei, '0')
  })

  it('behavior: owners that the provider does not name give nothing away; the gate of another does not count', async () => {
    const owner = world.account(OWNER)
    // Anybody may register a name, with a token of its own: here one that is worth a thousand units each period.
    const gate = await gateOf(
      { kind: 'erc20', minBalance: 100n, freeUnits: 1_000n, quotaPeriodBlocks: 41n },
      coin,
    )
    await world.send(owner, updateModelCall(world.chain, { modelId: CHAT, terms: termsOf(gate) }))
    await chatAgent.stop()
    const unnamed = await world.addProvider(2, { MODEL_ID: CHAT, MODEL_DIR: modelDir('chat') })
    const agent = await unnamed.start()
    assert.equal(await agent.context.gate.pass(world.account(STRANGER).address, undefined), undefined)
    await assert.rejects(agent.context.gate.pass(world.account(HOLDER).address, undefined), {
      code: 'COMPUTE_GATE_CLOSED',
    })
    chatAgent = await chat.start({ MODEL_OWNER: world.account(STRANGER).address })
    const served = await ask(HOLDER)
    assert.equal(served.status, 200, served.text)
    assert.ok((await receiptOf(chat, served.key)).feeWei > 0n)
    await chatAgent.stop()
    chatAgent = await chat.start()
  })

  it('behavior: a gate that its owner takes away is open at once', async () => {
    const owner = world.account(OWNER)
    await world.send(owner, updateModelCall(world.chain, { modelId: CHAT, terms: termsOf(NO_GATE) }))
    assert.equal((await ask(HOLDER)).status, 200)
  })
})

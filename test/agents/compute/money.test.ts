import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Wallet } from 'ethers'
import { inferenceDomain, signInferenceMessage, type Voucher } from '../../../sdk/protocol/voucher.ts'
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
const ANY_MODEL = `0x${'00'.repeat(32)}`

describe("a provider's money", () => {
  let world: ComputeWorld
  let provider: WorldProvider
  let agent: ComputeAgent

  before(async () => {
    world = await startComputeWorld()
    provider = await world.addProvider(0, {
      ...{ MODEL_ID: CHAT, MODEL_DIR: modelDir('chat'), SETTLE_AMOUNT_WEI: '1' },
    })
    agent = await provider.start()
    await mineUntil('the service is listed', provider.isListed)
  })
  after(() => world.stop())

  /** Blocks come while agents act, as on a live chain. */
  const mineUntil = (what: string, check: () => Promise<boolean> | boolean) =>
    until(what, async () => {
      if (await check()) return true
      await world.anvil.mine(1)
      return false
    })
  const ask = async (user: Wallet) => {
    const client = await world.client(user, provider)
    const { usage } = await client.chat.completions.create({
      ...{ model: CHAT, temperature: 0, messages: [{ role: 'user', content: 'Hello' }] },
    })
    return BigInt(usage?.prompt_tokens ?? 0) * 1000n + BigInt(usage?.completion_tokens ?? 0) * 3000n
  }
  const accountOf = async (user: Wallet) => {
    const account = await agent.context.accounts.read(user.address)
    assert.ok(account)
    return account
  }
  const settled = (user: Wallet) => world.inference.settledOf(user, provider.wallet)
  const owed = (user: Wallet) => agent.context.receipts.unsettledWei(user.address)
  const isPaid = async () => agent.context.receipts.totalUnsettledWei() === 0n

  async function voucherOf(user: Wallet, ceilingWei: bigint, change: Partial<Voucher> = {}) {
    const voucher: Voucher = {
      ...{ user: user.address, provider: provider.wallet.address, ceilingWei, modelRoot: ANY_MODEL },
      ...{ inputPriceWei: 1000n, outputPriceWei: 3000n },
      validUntilSec: BigInt(Math.floor(Date.now() / 1000) + 86_400 * 30),
      ...change,
    }
    const domain = inferenceDomain(31_337n, world.chain.compute.addresses.InferenceServing)
    return {
      voucher,
      signature: await signInferenceMessage(user, domain, { type: 'Voucher', message: voucher }),
    }
  }

  async function post(signed: Awaited<ReturnType<typeof voucherOf>>) {
    const body = JSON.stringify(signed, (_, value) => (typeof value === 'bigint' ? String(value) : value))
    const response = await fetch(`${provider.url}/v1/voucher`, {
      ...{ method: 'POST', body, signal: AbortSignal.timeout(10_000) },
    })
    return { status: response.status, text: await response.text() }
  }

  it('behavior: open mode: fees are held, demanded receipts are shown, and the fee is released', async () => {
    const user = world.account(20)
    await world.fund(user, provider.wallet.address)
    const feeWei = await ask(user)
    await mineUntil('it is settled', isPaid)
    assert.equal(await settled(user), feeWei)
    const heldId = await world.inference.heldCount()
    assert.equal((await world.inference.heldOf(heldId)).amountWei, feeWei)
    await (await world.inference.connect(user).demandReceipts(heldId)).wait()
    await mineUntil('the receipts are shown', async () => (await world.inference.heldOf(heldId)).state === 3n)
    assert.ok((await world.inference.earningsOf(provider.wallet)) >= feeWei)

    const nextWei = await ask(user)
    await mineUntil('the next is settled', async () => (await settled(user)) === feeWei + nextWei)
    const nextId = await world.inference.heldCount()
    await world.elapse(61n)
    await mineUntil('it is released', async () => (await world.inference.heldOf(nextId)).state === 3n)
  })

  it('behavior: voucher mode: the ceiling is posted, bounds what is served, and a higher one goes on', async () => {
    const user = world.account(21)
    await world.fund(user, provider.wallet.address)
    const oneWei = await ask(user)
    await mineUntil('it is settled', isPaid)
    // The default number of tokens is what an answer may cost at most.
    const worstWei = 300n * 3000n
    assert.equal((await post(await voucherOf(user, oneWei + worstWei))).status, 200)
    await mineUntil('the ceiling is posted', async () => {
      return (await world.inference.ceilingOf(user, provider.wallet)) === oneWei + worstWei
    })
    let paidWei = oneWei + (await ask(user))
    await mineUntil('it is paid', async () => (await settled(user)) === paidWei)
    await assert.rejects(
      async () => {
        for (;;) paidWei += await ask(user)
      },
      { status: 402, code: 'COMPUTE_BALANCE_TOO_LOW' },
    )
    assert.equal((await post(await voucherOf(user, 10n * worstWei))).status, 200)
    paidWei += await ask(user)
    await mineUntil('all is paid', async () => (await settled(user)) === paidWei)
    assert.ok((await world.inference.ceilingOf(user, provider.wallet)) >= paidWei)
  })

  it('error: a first voucher below what open mode owes: its fees would be lost', async () => {
    const user = world.account(23)
    await world.fund(user, provider.wallet.address)
    const { admission } = agent.context
    const caller = { user: user.address, account: await accountOf(user) }
    const service = await agent.context.accounts.service()
    const ticket = admission.enter(caller, { worstWei: 5000n, service, manifestRoot: undefined })
    const low = await post(await voucherOf(user, 4999n))
    assert.equal(low.status, 402)
    assert.match(low.text, /"neededWei"|below the 5000 wei/)
    assert.equal((await post(await voucherOf(user, 5000n))).status, 200)
    ticket.release()
  })

  it('error: vouchers that end too soon to be posted, or later than numbers go', async () => {
    const user = world.account(21)
    const soon = BigInt(Math.floor(Date.now() / 1000) + 120)
    const short = await post(await voucherOf(user, 10n ** 18n, { validUntilSec: soon }))
    assert.match(short.text, /must be valid for more than/)
    const long = await post(await voucherOf(user, 10n ** 18n, { validUntilSec: 2n ** 53n + 2n }))
    assert.equal(long.status, 400)
    assert.equal(
      (await post(await voucherOf(user, 10n ** 18n, { validUntilSec: 2n ** 256n - 1n }))).status,
      400,
    )
  })

  it('error: vouchers of others, for others, expired or too cheap', async () => {
    const user = world.account(21)
    const good = await voucherOf(user, 10n ** 18n)
    const forged = await post({ ...good, voucher: { ...good.voucher, ceilingWei: 2n * 10n ** 18n } })
    assert.equal(forged.status, 401)
    assert.match(forged.text, /SIGNATURE_INVALID/)
    const foreign = await post(await voucherOf(user, 10n ** 18n, { provider: world.account(30).address }))
    assert.equal(foreign.status, 400)
    const expired = await post(await voucherOf(user, 10n ** 18n, { validUntilSec: 1n }))
    assert.match(expired.text, /expired/)
    const cheap = await post(await voucherOf(user, 10n ** 18n, { outputPriceWei: 1n }))
    assert.match(cheap.text, /PRICE_TOO_LOW/)
    const model = await post(await voucherOf(user, 10n ** 18n, { modelRoot: `0x${'11'.repeat(32)}` }))
    assert.match(model.text, /COMPUTE_MODEL_UNKNOWN/)
  })

  it('behavior: a dearer price counts after its notice only, and receipts name the epoch they were made in', async () => {
    const user = world.account(22)
    await world.fund(user, provider.wallet.address)
    const inference = world.inference.connect(user)
    await (await inference.setMaxPrice(provider.wallet, 10n ** 9n, 10n ** 9n)).wait()
    await agent.stop()
    agent = await provider.start({ INPUT_PRICE_WEI: '5000' })
    await mineUntil('it is announced', async () => {
      return (await world.inference.pendingServiceOf(provider.wallet)).fromSec > 0n
    })
    const before = await settled(user)
    const oldWei = await ask(user)
    await mineUntil('the old price is paid', async () => (await settled(user)) === before + oldWei)
    await world.elapse(61n)
    await mineUntil('the new price counts', async () => {
      agent.context.accounts.forgetService()
      return (await agent.context.accounts.service()).inputPriceWei === 5000n
    })
    const client = await world.client(user, provider)
    const { usage } = await client.chat.completions.create({
      ...{ model: CHAT, temperature: 0, messages: [{ role: 'user', content: 'Hello' }] },
    })
    const newWei = BigInt(usage?.prompt_tokens ?? 0) * 5000n + BigInt(usage?.completion_tokens ?? 0) * 3000n
    await mineUntil('the new price is paid', async () => (await settled(user)) === before + oldWei + newWei)
    const heldId = await world.inference.heldCount()
    await (await inference.demandReceipts(heldId)).wait()
    await mineUntil('the receipts hold', async () => (await world.inference.heldOf(heldId)).state === 3n)
  })

  it('behavior: a data folder restored from a copy bills nothing twice, and its receipts stand', async () => {
    const user = world.account(24)
    await world.fund(user, provider.wallet.address)
    await agent.stop()
    agent = await provider.start({ SETTLE_AMOUNT_WEI: String(10n ** 30n) })
    await ask(user)
    const firstWei = owed(user)
    await agent.stop()
    const copy = join(tempDir(), 'copy')
    cpSync(provider.dataDir, copy, { recursive: true })
    agent = await provider.start()
    await mineUntil('the receipt is settled', async () => (await settled(user)) === firstWei)
    await agent.stop()
    rmSync(provider.dataDir, { recursive: true })
    cpSync(copy, provider.dataDir, { recursive: true })
    agent = await provider.start({ SETTLE_AMOUNT_WEI: String(10n ** 30n) })
    assert.equal(owed(user), firstWei)
    await ask(user)
    const secondWei = owed(user) - firstWei
    await agent.stop()
    agent = await provider.start()
    await mineUntil('the rest is settled', isPaid)
    assert.equal(await settled(user), firstWei + secondWei)
    const heldId = await world.inference.heldCount()
    await (await world.inference.connect(user).demandReceipts(heldId)).wait()
    await mineUntil('the receipts hold', async () => (await world.inference.heldOf(heldId)).state === 3n)
  })

  it('behavior: receipts that an outage kept beyond the grace are given up when they could cost the stake', async () => {
    const user = world.account(25)
    await world.fund(user, provider.wallet.address)
    await agent.stop()
    agent = await provider.start({ SETTLE_AMOUNT_WEI: String(10n ** 30n) })
    await ask(user)
    await agent.stop()
    await (await world.inference.connect(user).setMaxPrice(provider.wallet, 1n, 1n)).wait()
    await world.elapse(world.chain.computeTerms.graceSec + 1n)
    const heldId = await world.inference.heldCount()
    agent = await provider.start()
    await mineUntil('nothing is claimed any more', isPaid)
    assert.equal(await settled(user), 0n)
    assert.equal(await world.inference.heldCount(), heldId)
  })
})

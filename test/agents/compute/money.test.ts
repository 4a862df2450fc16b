import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseEther, type Wallet } from 'ethers'
import { endReleases } from '../../../agents/compute/duties/end-releases.ts'
import { raiseCeiling } from '../../../agents/compute/duties/raise-ceiling.ts'
import { openHeldBook } from '../../../agents/compute/held-book.ts'
import { openStore } from '../../../agents/kernel/store.ts'
import { releaseRefundCall } from '../../../sdk/chain/compute-user.ts'
import { readLedger } from '../../../sdk/chain/ledger.ts'
import {
  inferenceDomain,
  type Release,
  signInferenceMessage,
  type Voucher,
} from '../../../sdk/protocol/voucher.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../../support/until.ts'
import {
  type ComputeAgent,
  type ComputeWorld,
  modelDir,
  SERVICE_NAME,
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

  it('behavior: vouchers of users who ask nothing cost no look at the chain', async () => {
    const user = world.account(21)
    const { context } = agent
    const { inference } = world.chain.compute
    let reads = 0
    const counted = new Proxy(inference, {
      get(target, name) {
        if (name === 'getAccount') reads++
        return Reflect.get(target, name)
      },
    })
    const chain = { ...context.chain, compute: { ...context.chain.compute, inference: counted } }
    const duty = raiseCeiling(context.config)
    const due = () => duty.due({ ...context, chain, head: agent.head() })
    context.vouchers.keep(await voucherOf(user, 10n ** 18n))
    assert.deepEqual(await due(), [])
    const first = reads
    assert.ok(first > 0)
    assert.deepEqual(await due(), [])
    assert.equal(reads, first, 'what is known of it is known')
    const account = await accountOf(user)
    const service = await context.accounts.service()
    const ticket = context.admission.enter(
      { user: user.address, account },
      { worstWei: 1n, service, manifestRoot: undefined },
    )
    assert.deepEqual(await due(), [])
    assert.ok(reads > first)
    ticket.release()
    const [kept] = context.vouchers.all()
    assert.ok(kept)
    context.vouchers.drop(user.address, 10n ** 18n)

    const gone = world.account(39).address
    context.vouchers.keep({ ...kept, voucher: { ...kept.voucher, user: gone } })
    await due()
    assert.ok(context.vouchers.find(gone), 'its account may be newer than the block')
    for (let looks = 1; looks < 32; looks++) await due()
    assert.equal(context.vouchers.find(gone), undefined, 'its account was closed')
    context.vouchers.keep({ ...kept, voucher: { ...kept.voucher, validUntilSec: 1n } })
    assert.deepEqual([await due(), context.vouchers.all()], [[], []], 'one that has expired is forgotten')
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

  it('behavior: what is not owed is released at once, and pays for nothing else until it is taken or over', async () => {
    const user = world.account(26)
    const fundedWei = parseEther('0.5')
    await agent.stop()
    agent = await provider.start({ SETTLE_AMOUNT_WEI: String(10n ** 30n) })
    await world.fund(user, provider.wallet.address, fundedWei)
    const feeWei = await ask(user)
    assert.equal(owed(user), feeWei)
    const authorization = `Bearer ${await world.keyOf(user, provider.wallet.address)}`
    const wish = async (headers: Record<string, string> = { authorization }) => {
      const options = { method: 'POST', headers, signal: AbortSignal.timeout(10_000) }
      const response = await fetch(`${provider.url}/v1/release`, options)
      return { status: response.status, text: await response.text() }
    }
    assert.equal((await wish({})).status, 401, 'strangers get none')
    const first = await wish()
    assert.equal(first.status, 200, first.text)
    const { release, signature } = JSON.parse(first.text) as {
      release: Record<keyof Release, string>
      signature: string
    }
    assert.equal(BigInt(release.amountWei), fundedWei - feeWei)
    await assert.rejects(ask(user), { status: 402, code: 'COMPUTE_BALANCE_TOO_LOW' })
    assert.equal((await wish()).text, first.text, 'the same again')

    await agent.stop()
    agent = await provider.start()
    await assert.rejects(ask(user), { status: 402, code: 'COMPUTE_BALANCE_TOO_LOW' })

    const signed = {
      user: user.address,
      amountWei: BigInt(release.amountWei),
      nonce: BigInt(release.nonce),
      validUntilSec: BigInt(release.validUntilSec),
    }
    const { availableWei = 0n } = (await readLedger(world.chain, user.address)) ?? {}
    await world.send(
      user,
      releaseRefundCall(world.chain, { provider: provider.wallet.address, release: signed, signature }),
    )
    assert.equal((await readLedger(world.chain, user.address))?.availableWei, availableWei + signed.amountWei)
    await mineUntil('what is owed is paid in full', async () => (await settled(user)) === feeWei)
    await mineUntil('the release is over', () => agent.context.releases.heldWei(user.address) === 0n)
    assert.equal((await wish()).status, 402, 'nothing is left')
    const duty = endReleases()
    const releases = { ...agent.context.releases, all: () => [signed] }
    const number = await world.rpc.getBlockNumber()
    const due = (block: number) =>
      duty.due({ ...agent.context, releases, head: { ...agent.head(), number: block } })
    assert.deepEqual([await due(number - 1), await due(number - 1)], [[], []], 'requests may be on their way')
    assert.deepEqual(await due(number), [signed])

    await world.fund(user, provider.wallet.address, fundedWei)
    assert.equal((await wish()).status, 200)
    await assert.rejects(ask(user), { status: 402, code: 'COMPUTE_BALANCE_TOO_LOW' })
    // What was asked back may leave by itself, and is not released beside that.
    const other = world.account(30)
    await world.fund(other, provider.wallet.address, fundedWei)
    const ledger = world.chain.compute.ledger.connect(other)
    await (await ledger.retrieveFund([provider.wallet], SERVICE_NAME)).wait()
    const otherKey = { authorization: `Bearer ${await world.keyOf(other, provider.wallet.address)}` }
    assert.equal((await wish(otherKey)).status, 402)
    await (await ledger.transferFund(provider.wallet, SERVICE_NAME, 7n)).wait()
    assert.match((await wish(otherKey)).text, /"amountWei":"7"/)

    await world.elapse(400n)
    await mineUntil('one that nobody used is over', () => agent.context.releases.heldWei(user.address) === 0n)
    assert.ok((await ask(user)) > 0n)
  })

  it('behavior: fees that were demanded and not shown do not hold up the release of others', () => {
    const { interface: abi } = world.chain.compute.inference
    const store = openStore(join(tempDir(), 'agent.sqlite'))
    const book = openHeldBook(store)
    const follower = book.follower(world.chain.book, provider.wallet.address)
    const address = world.chain.compute.addresses.InferenceServing.toLowerCase()
    const pair = [world.account(20).address, provider.wallet.address]
    const logOf = (name: 'FeeHeld' | 'ReceiptsDemanded', heldId: bigint, logIndex: number) => ({
      ...abi.encodeEventLog(name, [heldId, ...pair, 1n]),
      ...{ address, blockNumber: 1, blockHash: '0x', transactionHash: '0x', transactionIndex: 0, logIndex },
    })
    const ids = [1n, 2n, 3n]
    const logs = ids.flatMap((heldId, i) => [
      logOf('FeeHeld', heldId, 2 * i),
      ...(heldId < 3n ? [logOf('ReceiptsDemanded', heldId, 2 * i + 1)] : []),
    ])
    store.transaction((tx) => follower.onLogs(logs, tx, { fromBlock: 1, toBlock: 1 }))
    assert.deepEqual(
      book.open(2).map(({ heldId }) => heldId),
      [3n],
    )
    assert.deepEqual(
      book.demanded().map(({ heldId }) => heldId),
      [1n, 2n],
    )
    store.close()
  })

  it('behavior: a dearer price counts after its notice only, and receipts name the epoch they were made in', async () => {
    const user = world.account(22)
    await world.fund(user, provider.wallet.address)
    const inference = world.inference.connect(user)
    await (await inference.setMaxPrice(provider.wallet, 10n ** 9n, 10n ** 9n)).wait()
    const holder = world.account(28)
    await world.fund(holder, provider.wallet.address)
    assert.equal((await post(await voucherOf(holder, 1000n))).status, 200)
    await mineUntil('the first ceiling is posted', async () => {
      return (await world.inference.ceilingOf(holder, provider.wallet)) === 1000n
    })
    await agent.stop()
    agent = await provider.start({ INPUT_PRICE_WEI: '5000' })
    await mineUntil('it is announced', async () => {
      return (await world.inference.pendingServiceOf(provider.wallet)).fromSec > 0n
    })
    // An unposted voucher at the old prices: none could post it after the change.
    const keepWei = 10n ** 15n
    assert.equal((await post(await voucherOf(holder, keepWei))).status, 200)
    agent.context.accounts.forgetService()
    await assert.rejects(ask(holder), { status: 429, code: 'COMPUTE_BUSY' })
    // Few blocks, each at least a second of the notice.
    let minedMs = Number.NEGATIVE_INFINITY
    await until('it is posted', async () => {
      if ((await world.inference.ceilingOf(holder, provider.wallet)) === keepWei) return true
      if (performance.now() - minedMs < 1000) return false
      await world.anvil.mine(1)
      minedMs = performance.now()
      return false
    })
    const before = await settled(user)
    const oldWei = await ask(user)
    await mineUntil('the old price is paid', async () => (await settled(user)) === before + oldWei)
    const stream = await (await world.client(holder, provider)).chat.completions.create({
      ...{ model: CHAT, temperature: 0, stream: true, stream_options: { include_usage: true } },
      ...{
        max_completion_tokens: 300,
        messages: [{ role: 'user', content: 'Tell me a story about a fox.' }],
      },
    })
    await world.elapse(61n)
    await mineUntil('the new price counts', async () => {
      agent.context.accounts.forgetService()
      return (await agent.context.accounts.service()).inputPriceWei === 5000n
    })
    let crossingWei = 0n
    for await (const { usage: used } of stream)
      if (used) crossingWei = BigInt(used.prompt_tokens) * 1000n + BigInt(used.completion_tokens) * 3000n
    await mineUntil('what ran over the change is paid at the old price', async () => {
      return crossingWei > 0n && (await settled(holder)) === crossingWei
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

  it('behavior: a voucher that prices have risen above holds no fees up', async () => {
    const user = world.account(27)
    await world.fund(user, provider.wallet.address)
    assert.equal((await post(await voucherOf(user, 5000n, { inputPriceWei: 5000n }))).status, 200)
    await mineUntil('the ceiling is posted', async () => {
      return (await world.inference.ceilingOf(user, provider.wallet)) === 5000n
    })
    const { receipts, vouchers, accounts, self: signer } = agent.context
    vouchers.keep(await voucherOf(user, 10n ** 18n))
    const sha256 = 'ab'.repeat(32)
    await receipts.add(
      {
        ...{
          chatId: 'raced',
          user: user.address,
          model: CHAT,
          requestSha256: sha256,
          responseSha256: sha256,
        },
        ...{ inputUnits: 9, outputUnits: 0, feeWei: 9000n, signature: '0x', signer },
        priceEpoch: (await accounts.service()).priceEpoch,
      },
      0n,
    )
    await mineUntil('as much is paid as the ceiling allows', async () => (await settled(user)) === 5000n)
    await mineUntil('the rest is given up', () => owed(user) === 0n)
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

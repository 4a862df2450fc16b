import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseEther, toQuantity, Wallet } from 'ethers'
import { listServiceCall, removeServiceCall } from '../../../sdk/chain/compute-calls.ts'
import { modelDir } from '../../agents/compute/compute-world.ts'
import { at } from '../../support/content.ts'
import { runZerog } from '../../support/zerog-cli.ts'
import { CHAT, chainEnv, chat, DIGITS, digits, EMBED, folder, user, world, zerog, zerogOk } from './world.ts'

describe('zerog compute services, fund, withdraw', () => {
  type Services = { services: { model: string; provider: string; serviceType: string }[] }
  type Funded = { depositWei: string; spendableWei: string; availableWei: string; sent: unknown[] }
  type Withdrawn = {
    paidWei: string
    availableWei: string
    released: { provider: string; amountWei: string }[]
    lockedWei: string
    locked: { provider: string; untilSec: string }[]
    transactions: string[]
  }
  const provider = () => chat.wallet.address

  it('services: all of them, or those of a model or kind', async () => {
    const all = await zerogOk<Services>(['compute', 'services'])
    assert.deepEqual(all.services.map(({ model }) => model).sort(), [CHAT, DIGITS, EMBED])
    const wish = ['compute', 'services', '--model', DIGITS, '--kind', 'tensor']
    const { services } = await zerogOk<Services>(wish)
    assert.deepEqual(
      services.map((service) => service.provider),
      [digits.wallet.address],
    )
    const words = await runZerog(['compute', 'services'], { cwd: folder, env: chainEnv() })
    assert.match(words.stdout, new RegExp(`${CHAT} +chatbot +1000 +3000 +${provider()}`))
  })

  it('fund: deposits what the ledger lacks, and no more', async () => {
    const poor = await zerog(['compute', 'fund', provider(), '0.0001'])
    assert.deepEqual([poor.code, poor.errorCode()], [64, 'BAD_REQUEST'], poor.stderr)
    const first = await zerogOk<Funded>(['compute', 'fund', provider(), '0.5'])
    assert.equal(first.depositWei, String(parseEther('0.5')))
    assert.deepEqual([first.spendableWei, first.availableWei], [String(parseEther('0.5')), '0'])
    assert.equal(first.sent.length, 2)
    const second = await zerogOk<Funded>(['compute', 'fund', digits.wallet.address, '0.001'])
    assert.equal(second.spendableWei, String(parseEther('0.001')))
    const shown = await zerogOk<{ ledger: { totalWei: string }; accounts: unknown[] }>(['compute', 'fund'])
    assert.deepEqual([shown.ledger.totalWei, shown.accounts.length], [String(parseEther('0.501')), 2])
  })

  it('withdraw: what the provider is not owed is paid at once', async () => {
    const amountWei = String(parseEther('0.001'))
    const paid = await zerogOk<Withdrawn>(['compute', 'withdraw', '--provider', digits.wallet.address])
    assert.deepEqual([paid.paidWei, paid.lockedWei], [amountWei, '0'])
    assert.deepEqual(
      [paid.released[0]?.provider, paid.released[0]?.amountWei],
      [digits.wallet.address, amountWei],
    )
  })

  it('withdraw: from one that has gone: says what is locked and until when, then pays all of it', async () => {
    await world.anvil.rpc('anvil_setBalance', world.account(21).address, toQuantity(parseEther('1000')))
    const gone = await world.addProvider(11, {})
    const texts = {
      serviceType: 'tensor',
      url: gone.url,
      model: 'zerog/gone',
      verifiability: '',
      additionalInfo: '',
    }
    const wish = { ...texts, inputPriceWei: 1n, outputPriceWei: 1n, signer: gone.wallet.address }
    await world.send(gone.wallet, listServiceCall(world.chain, wish))
    const amountWei = parseEther('0.001')
    await zerogOk<Funded>(['compute', 'fund', gone.wallet.address, '0.001'])
    await world.send(gone.wallet, removeServiceCall(world.chain))

    const withdraw = ['compute', 'withdraw', '--provider', gone.wallet.address]
    const balance = () => world.rpc.getBalance(user.address)
    const first = await zerogOk<Withdrawn>(withdraw)
    assert.deepEqual([first.paidWei, first.lockedWei, first.released], ['0', String(amountWei), []])
    const lock = at(first.locked, 0)
    assert.equal(lock.provider, gone.wallet.address)
    const now = (await world.rpc.getBlock('latest'))?.timestamp ?? 0
    assert.ok(Number(lock.untilSec) > now)
    const again = await zerogOk<Withdrawn>(withdraw)
    assert.deepEqual(again.transactions, [], 'what is locked is not asked again')

    await world.elapse(BigInt(lock.untilSec) - BigInt(now) + 1n)
    const before = await balance()
    const last = await zerogOk<Withdrawn>(withdraw)
    assert.deepEqual([last.paidWei, last.lockedWei], [String(amountWei), '0'])
    assert.ok((await balance()) > before)
  })

  const refusals: [name: string, args: () => string[], code: string, exit: number][] = [
    ['fund: who lists nothing', () => ['fund', Wallet.createRandom().address, '1'], 'NOT_FOUND', 66],
    ['withdraw: too much', () => ['withdraw', '--amount', '1000'], 'BAD_REQUEST', 64],
    ['doctor: no such model', () => ['doctor', '--model', 'nowhere'], 'FILE_MISSING', 66],
  ]
  describe('refused', { concurrency: 2 }, () => {
    for (const [name, args, code, exit] of refusals) {
      it(`error: ${name}`, async () => {
        const run = await zerog(['compute', ...args()])
        assert.deepEqual([run.errorCode(), run.code], [code, exit], run.stderr)
      })
    }
  })

  it('error: without a key', async () => {
    const keyless = await zerog(['compute', 'fund', provider(), '1'], { PRIVATE_KEY: '' })
    assert.deepEqual([keyless.errorCode(), keyless.code], ['CONFIG_INVALID', 78], keyless.stderr)
  })

  it('doctor: finds and measures what the machine has', async () => {
    const found = await zerogOk<{ providers: { name: string; runMs?: number }[]; chosen: string }>([
      'compute',
      'doctor',
      '--model',
      modelDir('digits'),
    ])
    assert.ok(found.chosen)
    const cpu = found.providers.find(({ name }) => name === 'cpu')
    assert.ok((cpu?.runMs ?? 0) > 0)
  })
})

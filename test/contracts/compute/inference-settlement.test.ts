import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hexlify, id, toQuantity, Wallet } from 'ethers'
import { inferenceDomain, signInferenceMessage } from '../../../sdk/protocol/voucher.ts'
import {
  IInferenceServing__factory,
  InferenceServing__factory,
  OwnerWallet__factory,
} from '../../../typechain-types/index.js'
import { compareGas, type GasFigure } from '../../support/gas-snapshot.ts'
import {
  CHAIN_ID,
  createInference,
  DAY_SEC,
  PARAMS,
  SERVICE_NAME,
  signedSettlement,
} from '../../support/inference-fixture.ts'
import { revertsWith } from '../../support/reverts.ts'
import { ETHER, eventOf, eventsOf } from '../staking/fixture.ts'

const chain = await createInference()
const { serving, ledger, address } = chain
const seller = await chain.newSeller(1)
const [SUCCESS, PARTIAL, PROVIDER_MISMATCH, NO_TEE_SIGNER, INVALID_NONCE, INVALID_SIGNATURE] = [
  0n,
  1n,
  2n,
  3n,
  4n,
  5n,
]
const gas: Record<string, GasFigure> = {}

type Item = Awaited<ReturnType<typeof chain.settlement>>
const statusesOf = async (items: Item[], from = seller.serving) => {
  const statuses = [...(await from.settleFeesWithTEE.staticCall(items))]
  const preview = await from.previewSettlementResults(items)
  assert.deepEqual(
    [...preview.failureReasons],
    statuses.filter((status) => status > PARTIAL),
    'the preview tells what would fail',
  )
  assert.equal(preview.partialUsers.length, statuses.filter((status) => status === PARTIAL).length)
  return statuses
}
const balanceOf = async (user: string) => (await serving.getAccount(user, seller.address)).balance
const ceilingFor = async (user: Parameters<typeof chain.voucher>[0], ceilingWei: bigint) => {
  const { message, signature } = await chain.voucher(user, { provider: seller.address, ceilingWei })
  return seller.serving.raiseCeiling(message, signature)
}

describe('settleFeesWithTEE', () => {
  it('default: every status once, and no bad item spoils another', async () => {
    const [rich, poor, unsure] = [
      await chain.newBuyer(2, seller.address),
      await chain.newBuyer(3, seller.address, ETHER / 10n),
      await chain.newBuyer(4, seller.address, ETHER / 10n),
    ]
    await ledger.connect(unsure).retrieveFund([seller.address], SERVICE_NAME)
    await chain.later(PARAMS.lockSec)
    await ledger.connect(unsure).retrieveFund([seller.address], SERVICE_NAME)
    await serving.connect(unsure).acknowledgeTEESigner(seller.address, false)
    const good = await chain.settlement(seller, { user: rich.address, totalFee: 100n, nonce: 5n })
    const items = [
      good,
      await chain.settlement(seller, { user: poor.address, totalFee: ETHER, nonce: 1n }),
      await chain.settlement(seller, { user: rich.address, totalFee: 1n, nonce: 9n, provider: rich.address }),
      await chain.settlement(seller, { user: unsure.address, totalFee: 1n, nonce: 1n }),
      await chain.settlement(seller, { user: chain.signer(9).address, totalFee: 1n, nonce: 1n }),
      await chain.settlement(seller, { user: rich.address, totalFee: 1n, nonce: 0n }),
      { ...(await chain.settlement(seller, { user: rich.address, totalFee: 1n, nonce: 6n })), totalFee: 2n },
    ]
    const expected = [
      SUCCESS,
      PARTIAL,
      PROVIDER_MISMATCH,
      NO_TEE_SIGNER,
      NO_TEE_SIGNER,
      INVALID_NONCE,
      INVALID_SIGNATURE,
    ]
    assert.deepEqual(await statusesOf(items), expected)
    const sent = seller.serving.settleFeesWithTEE(items)
    const results = await eventsOf(sent, serving, 'TEESettlementResult')
    assert.deepEqual(
      results.map(({ status, unsettledAmount }) => [status, unsettledAmount]),
      [
        [PARTIAL, (9n * ETHER) / 10n],
        [PROVIDER_MISMATCH, 1n],
        [NO_TEE_SIGNER, 1n],
        [NO_TEE_SIGNER, 1n],
        [INVALID_NONCE, 1n],
        [INVALID_SIGNATURE, 2n],
      ],
    )
    assert.equal(await balanceOf(rich.address), ETHER - 100n)
    assert.equal(await balanceOf(poor.address), 0n)
    assert.deepEqual(await statusesOf([good]), [INVALID_NONCE], 'the same claim a second time')
    assert.equal((await serving.getAccount(rich, seller.address)).nonce, 5n)
  })

  it('error: nothing, too many, another caller', async () => {
    await revertsWith(seller.serving.settleFeesWithTEE([]), serving, 'NoSettlementsProvided')
    const item = await chain.settlement(seller, { user: chain.signer(2).address, totalFee: 1n, nonce: 7n })
    const many = Array.from({ length: 51 }, () => item)
    await revertsWith(seller.serving.settleFeesWithTEE(many), serving, 'TooManySettlements', [51n, 50n])
    const stranger = serving.connect(chain.signer(2))
    assert.deepEqual([...(await stranger.settleFeesWithTEE.staticCall([item]))], [PROVIDER_MISMATCH])
  })

  it('error: signatures of other chains, contracts, keys and lengths; a nonce beyond 64 bits', async () => {
    const user = chain.signer(2).address
    const item = { user, totalFee: 1n, nonce: 8n }
    const foreign = await signedSettlement(inferenceDomain(1n, address), seller, item)
    const elsewhere = await signedSettlement(inferenceDomain(CHAIN_ID, user), seller, item)
    const other = await chain.settlement({ address: seller.address, tee: new Wallet(id('x')) }, item)
    const cut = { ...(await chain.settlement(seller, item)), signature: '0x1234' }
    assert.deepEqual(
      await statusesOf([foreign, elsewhere, other, cut]),
      Array.from({ length: 4 }, () => INVALID_SIGNATURE),
    )
    const far = await chain.settlement(seller, { ...item, nonce: 2n ** 64n })
    assert.deepEqual(await statusesOf([far]), [INVALID_NONCE])
    assert.deepEqual(await statusesOf([await chain.settlement(seller, item)]), [SUCCESS])
  })

  it('error: a service off the list, revoked, or without its stake', async () => {
    const item = await chain.settlement(seller, { user: chain.signer(2).address, totalFee: 1n, nonce: 8n })
    await serving.revokeTEESignerAcknowledgement(seller.address)
    assert.deepEqual(await statusesOf([item]), [NO_TEE_SIGNER])
    await serving.acknowledgeTEESignerByOwner(seller.address)
    await seller.serving.removeService()
    assert.deepEqual(await statusesOf([item]), [NO_TEE_SIGNER])
    await seller.announce()
    await chain.staking.connect(seller.operator).requestDeallocation(address, 1n)
    assert.deepEqual(await statusesOf([item]), [NO_TEE_SIGNER])
    await chain.staking.connect(seller.operator).cancelDeallocation(address)
    assert.deepEqual(await statusesOf([item]), [SUCCESS])
  })

  it('behavior: 50 users in one settlement, in both modes', async () => {
    const users = Array.from({ length: 50 }, (_, i) => new Wallet(id(`user ${i}`), chain.ethers.provider))
    const vouchers = []
    for (const user of users) {
      await chain.rpc.request({
        method: 'hardhat_setBalance',
        params: [user.address, toQuantity(2n * ETHER)],
      })
      await ledger.connect(user).addLedger('', { value: ETHER })
      await ledger.connect(user).transferFund(seller.address, SERVICE_NAME, ETHER / 2n)
      vouchers.push(await chain.voucher(user, { provider: seller.address, ceilingWei: 10_000n }))
    }
    const settleAll = async (nonce: bigint) => {
      const items = await Promise.all(
        users.map((user) => chain.settlement(seller, { user: user.address, totalFee: 100n, nonce })),
      )
      const sent = await seller.serving.settleFeesWithTEE(items)
      const receipt = await sent.wait()
      assert.equal((await eventsOf(Promise.resolve(sent), serving, 'TEESettlementResult')).length, 0)
      return receipt?.gasUsed ?? 0n
    }
    gas['settle 50 users, open mode, first'] = { gas: await settleAll(1n) }
    gas['settle 50 users, open mode, later'] = { gas: await settleAll(2n) }
    for (const { message, signature } of vouchers) await seller.serving.raiseCeiling(message, signature)
    gas['settle 50 users, voucher mode, first'] = { gas: await settleAll(3n) }
    const earned = await serving.earningsOf(seller.address)
    gas['settle 50 users, voucher mode, later'] = { gas: await settleAll(4n), limit: 5_000_000n }
    assert.equal((await serving.earningsOf(seller.address)) - earned, 5_000n)
    for (const user of users) assert.equal(await balanceOf(user.address), ETHER / 2n - 400n)
  })
})

describe('raiseCeiling', () => {
  it('3: settled never passes the ceiling, and is the provider’s at once', async () => {
    const user = await chain.newBuyer(5, seller.address)
    await chain.later(1n)
    const { message, signature } = await chain.voucher(user, { provider: seller.address, ceilingWei: 100n })
    const raised = await seller.serving.raiseCeiling(message, signature)
    gas['raise a ceiling, first'] = { gas: (await raised.wait())?.gasUsed ?? 0n }
    const before = await serving.earningsOf(seller.address)
    const settle = async (totalFee: bigint, nonce: bigint) => {
      const item = await chain.settlement(seller, { user: user.address, totalFee, nonce })
      const [status] = await statusesOf([item])
      await seller.serving.settleFeesWithTEE([item])
      return status
    }
    assert.equal(await settle(60n, 1n), SUCCESS)
    assert.equal(await settle(60n, 2n), PARTIAL)
    assert.equal(await settle(1n, 3n), PARTIAL)
    assert.equal((await serving.earningsOf(seller.address)) - before, 100n)
    assert.equal(await serving.settledOf(user, seller.address), 100n)
    assert.equal(await serving.ceilingOf(user, seller.address), 100n)
    const total = (await ledger.getLedger(user)).totalBalance
    await ceilingFor(user, 150n)
    assert.equal(await settle(60n, 4n), PARTIAL)
    assert.equal((await ledger.getLedger(user)).totalBalance, total - 50n)
  })

  it('error: lower, expired, of another chain or contract, changed, dearer than the voucher, not the provider’s', async () => {
    const user = chain.signer(5)
    const voucher = (changed: Partial<Parameters<typeof chain.voucher>[1]>) =>
      chain.voucher(user, { provider: seller.address, ceilingWei: 500n, ...changed })
    const fails = async ({ message, signature }: Awaited<ReturnType<typeof voucher>>, name: string) =>
      revertsWith(seller.serving.raiseCeiling(message, signature), serving, name)
    await fails(await voucher({ ceilingWei: 150n }), 'CeilingNotRaised')
    await fails(await voucher({ ceilingWei: 149n }), 'CeilingNotRaised')
    await fails(await voucher({ validUntilSec: 1n }), 'SignatureExpired')
    await fails(await voucher({ inputPriceWei: 1n }), 'PriceAboveVoucher')
    await fails(await voucher({ outputPriceWei: 2n }), 'PriceAboveVoucher')
    const { message } = await voucher({})
    for (const domain of [inferenceDomain(1n, address), inferenceDomain(CHAIN_ID, seller.address)]) {
      const signature = await signInferenceMessage(user, domain, { type: 'Voucher', message })
      await fails({ message, signature }, 'SignatureInvalid')
    }
    const good = await voucher({})
    await fails({ ...good, message: { ...message, ceilingWei: 501n } }, 'SignatureInvalid')
    await fails({ ...good, message: { ...message, modelRoot: id('other') } }, 'SignatureInvalid')
    // Only the provider may post: else a user could dodge what he owes in open mode with a tiny ceiling.
    const posted = serving.connect(user).raiseCeiling(message, good.signature)
    await revertsWith(posted, serving, 'NotVoucherProvider', [user.address, seller.address])
    const stranger = await chain.voucher(chain.signer(17), { provider: seller.address, ceilingWei: 1n })
    await fails(stranger, 'AccountNotExists')
  })

  it('error: a voucher for one deployment does not serve another', async () => {
    const twin = await new InferenceServing__factory(chain.owner).deploy(
      chain.owner,
      ledger,
      chain.staking,
      chain.catalog,
      PARAMS,
    )
    const other = IInferenceServing__factory.connect(await twin.getAddress(), seller.operator)
    const user = chain.signer(5)
    const { message, signature } = await chain.voucher(user, { provider: seller.address, ceilingWei: 900n })
    await revertsWith(other.raiseCeiling(message, signature), serving, 'AccountNotExists')
    const { eip712Domain } = twin
    assert.notEqual((await eip712Domain()).verifyingContract, address)
  })

  it('behavior: a contract wallet signs by ERC-1271', async () => {
    const key = chain.signer(6)
    const wallet = await new OwnerWallet__factory(key).deploy(key.address)
    const user = await wallet.getAddress()
    const ask = (data: string, value = 0n) => wallet.execute(ledger, value, data, { value })
    await ask(ledger.interface.encodeFunctionData('addLedger', ['']), ETHER)
    await ask(ledger.interface.encodeFunctionData('transferFund', [seller.address, SERVICE_NAME, ETHER / 2n]))
    const { message, signature } = await chain.voucher(key, {
      user,
      provider: seller.address,
      ceilingWei: 70n,
    })
    await seller.serving.raiseCeiling(message, signature)
    assert.equal(await serving.ceilingOf(user, seller.address), 70n)
    const forged = await chain.voucher(chain.signer(7), { user, provider: seller.address, ceilingWei: 80n })
    const raised = seller.serving.raiseCeiling(forged.message, forged.signature)
    await revertsWith(raised, serving, 'SignatureInvalid', [user])
  })
})

describe('raiseCeiling of an account with delegated code (EIP-7702)', () => {
  it("behavior: the account's own key still signs, whatever its code says: a promise cannot be taken back", async () => {
    const user = await chain.newBuyer(12, seller.address)
    const { message, signature } = await chain.voucher(user, { provider: seller.address, ceilingWei: 70n })
    const code = `0xef0100${address.slice(2)}`
    await chain.rpc.request({ method: 'hardhat_setCode', params: [user.address, code] })
    await seller.serving.raiseCeiling(message, signature)
    assert.equal(await serving.ceilingOf(user, seller.address), 70n)
    const forged = await chain.voucher(chain.signer(7), {
      ...{ user: user.address, provider: seller.address, ceilingWei: 80n },
    })
    const raised = seller.serving.raiseCeiling(forged.message, forged.signature)
    await revertsWith(raised, serving, 'SignatureInvalid', [user.address])
    await chain.rpc.request({ method: 'hardhat_setCode', params: [user.address, '0x'] })
  })
})

describe('open mode', () => {
  it('4: a UTC day never takes more than the cap; a fall of the cap counts from the next day after the grace', async () => {
    const user = await chain.newBuyer(8, seller.address, 10n * ETHER)
    await chain.nextDay()
    const mine = serving.connect(user)
    const capDays = async () => {
      await chain.later(PARAMS.lockSec)
      await chain.nextDay()
    }
    let nonce = 0n
    const settle = async (totalFee: bigint) => {
      const item = await chain.settlement(seller, { user: user.address, totalFee, nonce: ++nonce })
      const before = await balanceOf(user.address)
      await seller.serving.settleFeesWithTEE([item])
      return before - (await balanceOf(user.address))
    }
    assert.equal(await settle((3n * ETHER) / 4n), (3n * ETHER) / 4n)
    assert.equal(await settle((3n * ETHER) / 4n), ETHER / 4n)
    assert.equal(await settle(1n), 0n)
    await mine.setDailyCap(seller.address, 2n * ETHER)
    assert.equal(await settle(3n * ETHER), ETHER)
    await mine.setDailyCap(seller.address, ETHER / 2n)
    assert.deepEqual([...(await serving.dailyCapOf(user, seller.address))], [2n * ETHER, 2n * ETHER])
    await capDays()
    assert.deepEqual([...(await serving.dailyCapOf(user, seller.address))], [ETHER / 2n, 0n])
    assert.equal(await settle(ETHER), ETHER / 2n)
    await mine.setDailyCap(seller.address, 0n)
    await capDays()
    assert.equal(await settle(1n), 0n)
    assert.equal(await serving.settledOf(user, seller.address), (5n * ETHER) / 2n)
  })

  it('behavior: what was served before a fall of the cap is paid within the grace, also on the next day', async () => {
    const user = await chain.newBuyer(11, seller.address)
    await chain.nextDay()
    await chain.later(DAY_SEC - 60n)
    await serving.connect(user).setDailyCap(seller.address, 0n)
    await chain.nextDay()
    const late = await chain.settlement(seller, { user: user.address, totalFee: 40n, nonce: 1n })
    assert.deepEqual(await statusesOf([late]), [SUCCESS])
  })

  it('behavior: what is held counts towards the ceiling that follows', async () => {
    const user = await chain.newBuyer(10, seller.address)
    const open = await chain.settlement(seller, { user: user.address, totalFee: 40n, nonce: 1n })
    await seller.serving.settleFeesWithTEE([open])
    await ceilingFor(user, 50n)
    const item = await chain.settlement(seller, { user: user.address, totalFee: 40n, nonce: 2n })
    await seller.serving.settleFeesWithTEE([item])
    assert.equal(await serving.settledOf(user, seller.address), 50n)
    assert.equal(await balanceOf(user.address), ETHER - 50n)
  })
})

describe('withdrawEarnings', () => {
  it('default: pays all to the address named', async () => {
    const amountWei = await serving.earningsOf(seller.address)
    assert.ok(amountWei > 0n)
    const to = Wallet.createRandom().address
    const event = await eventOf(seller.serving.withdrawEarnings(to), serving, 'EarningsWithdrawn')
    assert.equal(event.amountWei, amountWei)
    assert.equal(await chain.balanceOf(to), amountWei)
    await revertsWith(seller.serving.withdrawEarnings(to), serving, 'NothingToWithdraw')
    const nobody = seller.serving.withdrawEarnings(hexlify(new Uint8Array(20)))
    await revertsWith(nobody, serving, 'InvalidAddress')
    const sent = chain.signer(3).sendTransaction({ to: address, value: 1n })
    await revertsWith(sent, serving, 'DirectDepositsDisabled')
  })
})

describe('gas', () => {
  it('behavior: as committed', () => compareGas('compute-settlement', gas))
})

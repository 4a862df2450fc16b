import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inferenceDomain, signInferenceMessage } from '../../../sdk/protocol/voucher.ts'
import { CHAIN_ID, createInference, PARAMS, SERVICE_NAME } from '../../support/inference-fixture.ts'
import { revertsWith } from '../../support/reverts.ts'
import { ETHER } from '../staking/fixture.ts'

const chain = await createInference()
const { serving, ledger } = chain
const seller = await chain.newSeller(1)
const accountOf = (user: string) => serving.getAccount(user, seller.address)
const settle = async (user: string, totalFee: bigint, nonce: bigint) =>
  seller.serving.settleFeesWithTEE([await chain.settlement(seller, { user, totalFee, nonce })])

describe('refunds', () => {
  it('2: the sixth joins the fifth, whose lock begins anew; the older keep theirs', async () => {
    const user = chain.signer(2)
    const mine = ledger.connect(user)
    const amounts = async () => (await accountOf(user.address)).refunds.map(({ amount }) => amount)
    await mine.depositFund({ value: ETHER })
    await mine.transferFund(seller.address, SERVICE_NAME, ETHER / 2n)
    const allWei = ETHER / 2n
    // Half of what was asked back last is taken into use again, and asked back once more.
    await mine.retrieveFund([seller.address], SERVICE_NAME)
    for (let i = 1n; i <= 5n; i++) {
      await chain.later(2_000n)
      await mine.transferFund(seller.address, SERVICE_NAME, allWei / 2n ** i)
      await mine.retrieveFund([seller.address], SERVICE_NAME)
    }
    const halves = [2n, 4n, 8n, 16n].map((part) => allWei / part)
    assert.deepEqual(await amounts(), [...halves, allWei / 16n])
    const before = (await accountOf(user.address)).refunds.map(({ createdAt }) => createdAt)
    assert.ok((before.at(-1) ?? 0n) >= (before.at(-2) ?? 0n) + 4_000n, 'the newest began anew')
    assert.equal((await accountOf(user.address)).pendingRefund, allWei)

    // A fee takes from the newest, and passes over to the one before.
    await settle(user.address, allWei / 16n + 1n, 1n)
    assert.deepEqual(await amounts(), [...halves.slice(0, 3), allWei / 16n - 1n])
    // The oldest is free first.
    await chain.later(PARAMS.lockSec + (before[0] ?? 0n) - (await chain.latest()))
    await mine.retrieveFund([seller.address], SERVICE_NAME)
    assert.equal((await accountOf(user.address)).refunds.length, 3)
    assert.equal((await ledger.getLedger(user)).availableBalance, ETHER / 2n + allWei / 2n)
  })

  it('behavior: seven requests make at most five entries and free all after the lock', async () => {
    const user = chain.signer(3)
    const mine = ledger.connect(user)
    await mine.depositFund({ value: ETHER })
    await mine.transferFund(seller.address, SERVICE_NAME, ETHER / 2n)
    // Ever smaller parts are asked back: a charge in between leaves room for a new request.
    const provider = seller.address
    for (let nonce = 1n; nonce <= 7n; nonce++) {
      await mine.retrieveFund([provider], SERVICE_NAME)
      const release = { user: user.address, amountWei: 1n, nonce, validUntilSec: 4_000_000_000n }
      const { message, signature } = await chain.release(seller.operator, release)
      await serving.connect(user).releaseRefund(provider, message, signature)
      await chain.later(1n)
    }
    assert.ok((await accountOf(user.address)).refunds.length <= 5)
    await chain.later(PARAMS.lockSec)
    await mine.retrieveFund([provider], SERVICE_NAME)
    assert.equal((await accountOf(user.address)).balance, 0n)
    assert.equal((await ledger.getLedger(user)).availableBalance, ETHER)
  })

  it('behavior: what is asked back stays chargeable, the newest first', async () => {
    const user = chain.signer(4)
    const mine = ledger.connect(user)
    await mine.depositFund({ value: ETHER })
    await mine.transferFund(seller.address, SERVICE_NAME, ETHER / 10n)
    await mine.retrieveFund([seller.address], SERVICE_NAME)
    await settle(user.address, ETHER / 20n, 1n)
    const { balance, pendingRefund, refunds } = await accountOf(user.address)
    assert.deepEqual([balance, pendingRefund], [ETHER / 20n, ETHER / 20n])
    assert.deepEqual(
      refunds.map(({ amount }) => amount),
      [ETHER / 20n],
    )
  })
})

describe('releaseRefund', () => {
  it('default: the provider lets money go at once, once', async () => {
    const user = await chain.newBuyer(5, seller.address)
    const mine = serving.connect(user)
    await ledger.connect(user).retrieveFund([seller.address], SERVICE_NAME)
    const release = { user: user.address, amountWei: ETHER / 4n, nonce: 3n, validUntilSec: 4_000_000_000n }
    const { message, signature } = await chain.release(seller.operator, release)
    await mine.releaseRefund(seller.address, message, signature)
    const account = await accountOf(user.address)
    assert.deepEqual([account.balance, account.pendingRefund], [(3n * ETHER) / 4n, (3n * ETHER) / 4n])
    const { availableBalance, totalBalance } = await ledger.getLedger(user)
    assert.deepEqual([availableBalance, totalBalance], [(5n * ETHER) / 4n, 2n * ETHER])
    const again = mine.releaseRefund(seller.address, message, signature)
    await revertsWith(again, serving, 'NonceUsed', [3n, 3n])

    const more = await chain.release(seller.operator, { ...release, amountWei: 9n * ETHER, nonce: 4n })
    await mine.releaseRefund(seller.address, more.message, more.signature)
    assert.equal((await accountOf(user.address)).balance, 0n)
    assert.equal((await ledger.getLedger(user)).availableBalance, 2n * ETHER)
    assert.equal(await serving.releaseNonceOf(user, seller.address), 4n)
  })

  it('error: another user, another signer, another chain, expired', async () => {
    const user = await chain.newBuyer(6, seller.address)
    const mine = serving.connect(user)
    const release = { user: user.address, amountWei: 1n, nonce: 1n, validUntilSec: 4_000_000_000n }
    const good = await chain.release(seller.operator, release)
    const stolen = serving
      .connect(chain.signer(5))
      .releaseRefund(seller.address, good.message, good.signature)
    await revertsWith(stolen, serving, 'NotReleaseUser')
    const self = await chain.release(user, release)
    const forged = mine.releaseRefund(seller.address, self.message, self.signature)
    await revertsWith(forged, serving, 'SignatureInvalid', [seller.address])
    const late = await chain.release(seller.operator, { ...release, validUntilSec: 1n })
    await revertsWith(
      mine.releaseRefund(seller.address, late.message, late.signature),
      serving,
      'SignatureExpired',
    )
    const domain = inferenceDomain(CHAIN_ID + 1n, chain.address)
    const signature = await signInferenceMessage(seller.operator, domain, {
      type: 'Release',
      message: release,
    })
    await revertsWith(mine.releaseRefund(seller.address, release, signature), serving, 'SignatureInvalid')
  })
})

describe('a re-made account', () => {
  it('5: replays nothing: nonces, generation, revocations, ceiling and settled outlive it', async () => {
    const user = chain.signer(7)
    const mine = ledger.connect(user)
    const keys = serving.connect(user)
    const open = async () => {
      await mine.depositFund({ value: ETHER })
      await mine.transferFund(seller.address, SERVICE_NAME, ETHER / 2n)
    }
    await open()
    const voucher = await chain.voucher(user, { provider: seller.address, ceilingWei: 100n })
    await seller.serving.raiseCeiling(voucher.message, voucher.signature)
    const item = await chain.settlement(seller, { user: user.address, totalFee: 60n, nonce: 9n })
    await seller.serving.settleFeesWithTEE([item])
    await keys.revokeAllTokens(seller.address)
    await keys.revokeTokens(seller.address, [0, 254])
    const release = { user: user.address, amountWei: ETHER, nonce: 2n, validUntilSec: 4_000_000_000n }
    const released = await chain.release(seller.operator, release)
    await keys.releaseRefund(seller.address, released.message, released.signature)
    await mine.refund((await ledger.getLedger(user)).availableBalance)
    await revertsWith(accountOf(user.address), serving, 'AccountNotExists', [user.address, seller.address])
    assert.equal(await serving.isTokenRevoked(user, seller.address, 254), true)

    await open()
    const account = await accountOf(user.address)
    assert.deepEqual([account.nonce, account.generation, account.balance], [9n, 1n, ETHER / 2n])
    assert.equal(account.revokedBitmap, 1n | (1n << 254n))
    assert.deepEqual([...(await seller.serving.settleFeesWithTEE.staticCall([item]))], [4n])
    const raised = seller.serving.raiseCeiling(voucher.message, voucher.signature)
    await revertsWith(raised, serving, 'CeilingNotRaised')
    const again = keys.releaseRefund(seller.address, released.message, released.signature)
    await revertsWith(again, serving, 'NonceUsed')
    await settle(user.address, 60n, 10n)
    assert.equal(await serving.settledOf(user, seller.address), 100n, 'the old ceiling still binds')
  })
})

describe('API keys and acknowledgement', () => {
  it('default: one key, several, all', async () => {
    const user = chain.signer(8)
    const mine = serving.connect(user)
    await mine.revokeToken(seller.address, 3)
    assert.equal(await serving.isTokenRevoked(user, seller.address, 3), true)
    assert.equal(await serving.isTokenRevoked(user, seller.address, 4), false)
    await revertsWith(mine.revokeToken(seller.address, 255), serving, 'TokenIdReserved', [255n])
    await mine.revokeAllTokens(seller.address)
    assert.equal(await serving.isTokenRevoked(user, seller.address, 3), false)
  })

  it('error: taking an acknowledgement back with money in the account', async () => {
    const user = await chain.newBuyer(9, seller.address)
    const mine = serving.connect(user)
    const taken = mine.acknowledgeTEESigner(seller.address, false)
    await revertsWith(taken, serving, 'CannotRevokeWithNonZeroBalance')
    await mine.acknowledgeTEESigner(seller.address, true)
    const unknown = serving.connect(chain.signer(18)).acknowledgeTEESigner(seller.address, true)
    await revertsWith(unknown, serving, 'AccountNotExists')
  })
})

describe('accounts', () => {
  it('default: pages by all, provider and user; batches of the caller', async () => {
    const total = (await serving.getAllAccounts(0, 50)).total
    assert.equal((await serving.getAccountsByProvider(seller.address, 0, 50)).total, total)
    const user = chain.signer(9).address
    const { accounts } = await serving.getAccountsByUser(user, 0, 50)
    assert.deepEqual(
      accounts.map((account) => [account.user, account.provider]),
      [[user, seller.address]],
    )
    assert.equal((await serving.getAllAccounts(1, 2)).accounts.length, 2)
    await revertsWith(serving.getAllAccounts(0, 51), serving, 'LimitTooLarge', [51n, 50n])
    const batch = await seller.serving.getBatchAccountsByUsers([user, chain.signer(19).address])
    assert.deepEqual([batch[0]?.user, batch[0]?.balance, batch[1]?.balance], [user, ETHER, 0n])
    const many = Array.from({ length: 501 }, () => user)
    await revertsWith(seller.serving.getBatchAccountsByUsers(many), serving, 'BatchSizeTooLarge')
  })

  it('error: whoever is not the ledger, one’s own provider, a lock out of range', async () => {
    const stranger = serving.connect(chain.signer(9))
    const calls = [
      stranger.addAccount(chain.signer(9), seller.address, ''),
      stranger.depositFund(chain.signer(9), seller.address, 0n),
      stranger.requestRefundAll(chain.signer(9), seller.address),
      stranger.processRefund(chain.signer(9), seller.address),
      stranger.deleteAccount(chain.signer(9), seller.address),
    ]
    for (const call of calls) await revertsWith(call, serving, 'CallerNotLedger')
    await ledger.connect(seller.operator).depositFund({ value: ETHER })
    const own = ledger.connect(seller.operator).transferFund(seller.address, SERVICE_NAME, ETHER)
    await revertsWith(own, serving, 'ProviderCannotBeUser')
    await revertsWith(serving.updateLockTime(59n), serving, 'LockTimeOutOfRange')
    await revertsWith(serving.updateLockTime(604_801n), serving, 'LockTimeOutOfRange')
    await serving.updateLockTime(PARAMS.lockSec)
    assert.equal(await serving.lockTime(), PARAMS.lockSec)
    await revertsWith(serving.initialize(1n, chain.owner, chain.owner), serving, 'AlreadyInitialized')
    assert.equal(await serving.initialized(), true)
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ZeroAddress } from 'ethers'
import { ReentrantReceiverMock__factory } from '../../../typechain-types/index.js'
import {
  createInference,
  MIN_ACCOUNT_WEI,
  MIN_TRANSFER_WEI,
  PARAMS,
  SERVICE_NAME,
} from '../../support/inference-fixture.ts'
import { revertsWith } from '../../support/reverts.ts'
import { ETHER, eventOf } from '../staking/fixture.ts'

const chain = await createInference()
const { ledger, serving, address } = chain
const seller = await chain.newSeller(1)
const money = async (user: string) => {
  const { availableBalance, totalBalance } = await ledger.getLedger(user)
  return [availableBalance, totalBalance]
}

describe('addLedger, depositFund', () => {
  it('default: opens a ledger once, with the minimum at least', async () => {
    const user = chain.signer(2)
    const low = { value: MIN_ACCOUNT_WEI - 1n }
    await revertsWith(ledger.connect(user).addLedger('', low), ledger, 'MinimumDepositRequired')
    await revertsWith(ledger.connect(user).depositFund(low), ledger, 'MinimumDepositRequired')
    await revertsWith(ledger.connect(user).depositFund(), ledger, 'ZeroAmountNotAllowed')
    await revertsWith(ledger.getLedger(user), ledger, 'LedgerNotExists', [user.address])
    await ledger.connect(user).addLedger('about me', { value: MIN_ACCOUNT_WEI })
    await revertsWith(ledger.connect(user).addLedger('', { value: ETHER }), ledger, 'LedgerExists')
    assert.deepEqual(await money(user.address), [MIN_ACCOUNT_WEI, MIN_ACCOUNT_WEI])
    await ledger.connect(user).depositFund({ value: 1n })
    await ledger.depositFundFor(user, { value: 2n })
    assert.deepEqual(await money(user.address), [MIN_ACCOUNT_WEI + 3n, MIN_ACCOUNT_WEI + 3n])
    assert.equal((await ledger.getLedger(user)).additionalInfo, 'about me')
  })

  it('behavior: opens the ledger of somebody else', async () => {
    const user = chain.signer(3)
    await ledger.depositFundFor(user, { value: MIN_ACCOUNT_WEI })
    assert.deepEqual(await money(user.address), [MIN_ACCOUNT_WEI, MIN_ACCOUNT_WEI])
    await revertsWith(ledger.depositFundFor(ZeroAddress, { value: ETHER }), ledger, 'ZeroAddressNotAllowed')
  })

  it('error: money without a call, a text too long', async () => {
    const sent = chain.signer(2).sendTransaction({ to: ledger, value: 1n })
    await revertsWith(sent, ledger, 'DirectDepositsDisabled')
    const user = ledger.connect(chain.signer(2))
    await revertsWith(user.updateAdditionalInfo('x'.repeat(4097)), ledger, 'AdditionalInfoTooLong', [
      4097n,
      4096n,
    ])
    await user.updateAdditionalInfo('x'.repeat(4096))
  })
})

describe('transferFund, retrieveFund, refund', () => {
  it('default: money goes to a provider, comes back around the lock, and leaves', async () => {
    const user = chain.signer(4)
    const mine = ledger.connect(user)
    await mine.addLedger('', { value: ETHER })
    const low = mine.transferFund(seller.address, SERVICE_NAME, MIN_TRANSFER_WEI - 1n)
    await revertsWith(low, ledger, 'MinimumDepositRequired')
    await revertsWith(mine.transferFund(seller.address, 'fine-tuning-v1.0', 1n), ledger, 'InvalidServiceType')
    const high = mine.transferFund(seller.address, SERVICE_NAME, ETHER + 1n)
    await revertsWith(high, ledger, 'InsufficientAvailableBalance', [ETHER, ETHER + 1n])
    await mine.transferFund(seller.address, SERVICE_NAME, ETHER / 2n)
    await revertsWith(mine.transferFund(seller.address, SERVICE_NAME, 0n), ledger, 'ZeroAmountNotAllowed')
    await mine.transferFund(seller.address, SERVICE_NAME, 1n)
    assert.deepEqual(await money(user.address), [ETHER / 2n - 1n, ETHER])
    assert.deepEqual([...(await ledger.getLedgerProviders(user, SERVICE_NAME))], [seller.address])
    assert.equal((await serving.getAccount(user, seller.address)).balance, ETHER / 2n + 1n)

    await mine.retrieveFund([seller.address], SERVICE_NAME)
    assert.equal(await serving.getPendingRefund(user, seller.address), ETHER / 2n + 1n)
    await chain.later(PARAMS.lockSec - 1_000n)
    await mine.retrieveFund([seller.address], SERVICE_NAME)
    assert.deepEqual(await money(user.address), [ETHER / 2n - 1n, ETHER])
    await chain.later(2_000n)
    await mine.retrieveFund([seller.address], SERVICE_NAME)
    assert.deepEqual(await money(user.address), [ETHER, ETHER])

    await revertsWith(mine.refund(0n), ledger, 'ZeroAmountNotAllowed')
    await revertsWith(mine.refund(ETHER + 1n), ledger, 'InsufficientAvailableBalance')
    await revertsWith(mine.refund(ETHER - MIN_ACCOUNT_WEI + 1n), ledger, 'MinimumDepositRequired')
    await revertsWith(mine.deleteLedger(), ledger, 'MustWithdrawAllFundsFirst', [ETHER])
    await mine.refund(ETHER)
    await revertsWith(ledger.getLedger(user), ledger, 'LedgerNotExists')
    assert.equal(await serving.accountExists(user, seller.address), false)
  })

  it('behavior: money asked back is taken into use first', async () => {
    const user = await chain.newBuyer(5, seller.address, ETHER)
    const mine = ledger.connect(user)
    await mine.retrieveFund([seller.address], SERVICE_NAME)
    await mine.transferFund(seller.address, SERVICE_NAME, ETHER / 4n)
    assert.deepEqual(await money(user.address), [ETHER, 2n * ETHER])
    assert.equal(await serving.getPendingRefund(user, seller.address), (3n * ETHER) / 4n)
    await mine.transferFund(seller.address, SERVICE_NAME, ETHER)
    assert.deepEqual(await money(user.address), [(3n * ETHER) / 4n, 2n * ETHER])
    assert.equal(await serving.getPendingRefund(user, seller.address), 0n)
  })

  it('error: more providers than a batch takes, an account that is not there', async () => {
    const mine = ledger.connect(chain.signer(5))
    const many = Array.from({ length: 21 }, () => seller.address)
    await revertsWith(mine.retrieveFund(many, SERVICE_NAME), ledger, 'TooManyProviders', [21n, 20n])
    const stranger = chain.signer(18).address
    await revertsWith(mine.retrieveFund([stranger], SERVICE_NAME), serving, 'AccountNotExists')
    await revertsWith(mine.transferFund(stranger, SERVICE_NAME, ETHER / 2n), serving, 'ServiceNotExist')
  })

  it('error: a receiver that comes back for the same ledger', async () => {
    const receiver = await new ReentrantReceiverMock__factory(chain.owner).deploy(ledger)
    await receiver.call(ledger.interface.encodeFunctionData('addLedger', ['']), { value: ETHER })
    await receiver.arm(ledger.interface.encodeFunctionData('refund', [ETHER / 4n]), false)
    await receiver.call(ledger.interface.encodeFunctionData('refund', [ETHER / 4n]))
    const [attacked, succeeded, answer] = await receiver.outcome()
    assert.deepEqual([attacked, succeeded], [true, false])
    assert.equal(ledger.interface.parseError(answer)?.name, 'LedgerLocked')
    assert.deepEqual(await money(await receiver.getAddress()), [(3n * ETHER) / 4n, (3n * ETHER) / 4n])
    await receiver.arm('0x', true)
    const refused = receiver.call(ledger.interface.encodeFunctionData('refund', [ETHER / 4n]))
    await revertsWith(refused, ledger, 'TransferFailed')
  })
})

describe('registerService', () => {
  it('default: the name that public clients ask for', async () => {
    const info = await ledger.getServiceInfo(address)
    assert.equal(info.fullName, SERVICE_NAME)
    assert.deepEqual([info.serviceType, info.version, info.isRecommended], ['inference', 'v1.0', false])
    assert.equal(await ledger.getServiceAddressByName(SERVICE_NAME), address)
    assert.equal((await ledger.getAllActiveServices()).length, 1)
    await revertsWith(ledger.getRecommendedService('inference'), ledger, 'NoRecommendedService')
    await ledger.setRecommendedService('inference', 'v1.0')
    assert.deepEqual([...(await ledger.getRecommendedService('inference'))], ['v1.0', address])
    assert.equal(await ledger.isRecommendedVersion('inference', 'v1.0'), true)
    const versions = await ledger.getAllVersions('inference')
    assert.deepEqual([[...versions[0]], [...versions[1]], [...versions[2]]], [['v1.0'], [address], [true]])
  })

  it('error: what is no service, a second time, and strangers', async () => {
    const { owner } = chain
    const register = (type: string, version: string, service: string) =>
      ledger.connect(owner).registerService(type, version, service, '')
    await revertsWith(register('', 'v1', address), ledger, 'ServiceTypeRequired')
    await revertsWith(register('x', '', address), ledger, 'VersionRequired')
    await revertsWith(register('x', 'v1', owner.address), ledger, 'InvalidServiceAddress')
    await revertsWith(register('x', 'v1', address), ledger, 'ServiceAlreadyRegistered')
    await revertsWith(register('x', 'v1', chain.stakingAddress), ledger, 'ServiceMustImplementIServing')
    await revertsWith(register('inference', 'v1.0', chain.stakingAddress), ledger, 'ServiceNameExists')
    const stranger = ledger.connect(chain.signer(6))
    await revertsWith(stranger.registerService('x', 'v1', address, ''), ledger, 'OwnableUnauthorizedAccount')
    await revertsWith(stranger.spendFund(chain.signer(5), 1n), ledger, 'CallerNotRegisteredService')
    await revertsWith(stranger.returnFund(chain.signer(5)), ledger, 'CallerNotRegisteredService')
    await revertsWith(ledger.initialize(owner), ledger, 'AlreadyInitialized')
    await revertsWith(ledger.renounceOwnership(), ledger, 'OwnershipNotRenounceable')
  })
})

describe('invariants', () => {
  it('1 and 2: what the contracts owe is what they have', async () => {
    const { ledgers, total } = await ledger.getAllLedgers(0, 100)
    assert.equal(BigInt(ledgers.length), total)
    const available = ledgers.reduce((sum, one) => sum + one.availableBalance, 0n)
    const owned = ledgers.reduce((sum, one) => sum + one.totalBalance, 0n)
    assert.equal(await ledger.accountedWei(), available)
    assert.equal(await chain.balanceOf(await ledger.getAddress()), available)
    assert.equal(await serving.accountedWei(), owned - available)
    assert.equal(await chain.balanceOf(address), owned - available)
    assert.equal((await ledger.getAllLedgers(1, 1)).ledgers.length, 1)
    assert.equal((await ledger.getAllLedgers(99, 1)).ledgers.length, 0)
  })

  it('behavior: two steps to a new owner', async () => {
    const heir = chain.signer(7)
    await ledger.transferOwnership(heir)
    const event = await eventOf(ledger.connect(heir).acceptOwnership(), ledger, 'OwnershipTransferred')
    assert.equal(event.newOwner, heir.address)
    assert.equal(await ledger.owner(), heir.address)
  })
})

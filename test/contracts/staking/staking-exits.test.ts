import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { revertsWith } from '../../support/reverts.ts'
import {
  createFixture,
  DELEGATED,
  ETHER,
  EXIT_DELAY_BLOCKS,
  eventOf,
  eventsOf,
  type Fixture,
  SELF,
} from './fixture.ts'

const FAULT = `0x${'0f'.repeat(32)}`

describe('Staking exits', () => {
  let fixture: Fixture
  let staking: Fixture['staking']
  beforeEach(async () => {
    fixture = await createFixture()
    staking = fixture.staking
  })

  /** An operator whose delegated pool holds 100 ether, by Alice (40) and Bob (60). */
  const newDelegatedPool = async () => {
    const operator = await fixture.newOperator(1)
    const [alice, bob] = [fixture.signer(2), fixture.signer(3)]
    await staking.connect(alice).delegate(operator, { value: 40n * ETHER })
    await staking.connect(bob).delegate(operator, { value: 60n * ETHER })
    const sharesOf = (owner: string) => staking.sharesOf(operator, DELEGATED, owner)
    return { operator, mine: staking.connect(operator), alice, bob, sharesOf }
  }

  const requestAll = async (operator: string, pool: number, owner: ReturnType<Fixture['signer']>) => {
    const shares = await staking.sharesOf(operator, pool, owner)
    await staking.connect(owner).requestExit(operator, pool, shares)
    return staking.exitCount()
  }

  const releasedWei = async (exitId: bigint) => {
    const event = await eventOf(staking.release(exitId), staking, 'ExitReleased')
    return BigInt(String(event.amountWei))
  }

  it('after the delay the worth of the shares becomes claimable, and is paid out once', async () => {
    const { operator, alice, sharesOf } = await newDelegatedPool()
    const shares = await sharesOf(alice.address)
    const sent = staking.connect(alice).requestExit(operator, DELEGATED, shares)
    const { exitId, releasableAtBlock } = await eventOf(sent, staking, 'ExitRequested')
    assert.equal(exitId, 1n)
    const readyAt = (await fixture.head()) + EXIT_DELAY_BLOCKS
    assert.equal(releasableAtBlock, readyAt)
    assert.equal(await sharesOf(alice.address), 0n)
    const exit = await staking.exitOf(1n)
    assert.deepEqual([exit.owner, exit.operator, exit.shares], [alice.address, operator.address, shares])

    await fixture.mine(readyAt - 2n - (await fixture.head()))
    await revertsWith(staking.release(1n), staking, 'TooEarly', [readyAt - 1n, readyAt])
    await fixture.mine(1n)
    assert.equal(await releasedWei(1n), 40n * ETHER)
    await revertsWith(staking.release(1n), staking, 'ExitUnknown', [1n])
    assert.equal(await staking.claimable(alice), 40n * ETHER)
    await fixture.assertConserved()

    const heir = fixture.signer(15).address
    const beforeWei = await fixture.balanceOf(heir)
    await staking.connect(alice).withdraw(heir)
    assert.equal((await fixture.balanceOf(heir)) - beforeWei, 40n * ETHER)
    await revertsWith(staking.connect(alice).withdraw(heir), staking, 'NothingToWithdraw', [alice.address])
    assert.equal(await staking.accountedWei(), 60n * ETHER)
    await fixture.assertConserved()
  })

  it('leaves at the price of the release: rewards and slashes meanwhile are shared', async () => {
    const { operator, mine, alice } = await newDelegatedPool()
    const service = await fixture.newService(DELEGATED)
    await mine.allocate(service, 50n * ETHER)
    const exitId = await requestAll(operator.address, DELEGATED, alice)
    await staking.addReward(operator, DELEGATED, { value: 20n * ETHER })
    await fixture.mine(EXIT_DELAY_BLOCKS)
    await service.slash(operator, 30n * ETHER, FAULT, [], [])
    const amountWei = await releasedWei(exitId)
    const exactWei = 36n * ETHER // 40 % of 100 + 20 - 30
    assert.ok(amountWei <= exactWei && amountWei >= exactWei - 10n, `${amountWei}`)
    await fixture.assertConserved()
  })

  it('a fault before the release is borne by exiting shares as by the others', async () => {
    const { operator, mine, alice, bob, sharesOf } = await newDelegatedPool()
    const service = await fixture.newService(DELEGATED)
    await mine.allocate(service, 100n * ETHER)
    const exitId = await requestAll(operator.address, DELEGATED, alice)
    await service.slash(operator, 50n * ETHER, FAULT, [], [])
    await fixture.mine(EXIT_DELAY_BLOCKS)
    const amountWei = await releasedWei(exitId)
    assert.ok(amountWei <= 20n * ETHER && amountWei >= 20n * ETHER - 10n, `${amountWei}`)
    const bobWei = await staking.worth(operator, DELEGATED, await sharesOf(bob.address))
    assert.ok(bobWei <= 30n * ETHER && bobWei >= 30n * ETHER - 10n, `${bobWei}`)
  })

  it('stake asked back no longer backs delegated services, pro rata, free stake first', async () => {
    const { operator, mine, alice, sharesOf } = await newDelegatedPool()
    const [first, second] = [await fixture.newService(DELEGATED), await fixture.newService(DELEGATED)]
    await mine.allocate(first, 60n * ETHER)
    await mine.allocate(second, 20n * ETHER)
    const quarter = (await sharesOf(alice.address)) / 2n
    await staking.connect(alice).requestExit(operator, DELEGATED, quarter)
    assert.equal(await staking.backing(operator, first), 60n * ETHER)
    await staking.connect(alice).requestExit(operator, DELEGATED, quarter)
    assert.equal(await staking.backing(operator, first), 45n * ETHER)
    assert.equal(await staking.backing(operator, second), 15n * ETHER)
    assert.equal(await staking.totalBacking(first), 45n * ETHER)

    await fixture.mine(EXIT_DELAY_BLOCKS)
    assert.deepEqual(await eventsOf(staking.release(1n), staking, 'AllocationReleased'), [])
    const taken = await eventsOf(staking.release(2n), staking, 'AllocationReleased')
    assert.deepEqual(
      taken.map(({ amountWei, allocatedWei }) => [amountWei, allocatedWei]),
      [
        [15n * ETHER, 45n * ETHER],
        [5n * ETHER, 15n * ETHER],
      ],
    )
    assert.deepEqual(await fixture.stakeAt(operator.address, first), [
      60n * ETHER,
      60n * ETHER,
      0n,
      45n * ETHER,
    ])
  })

  it('what an exit has asked back cannot be allocated anew in the meantime', async () => {
    const { operator, mine, alice } = await newDelegatedPool()
    const [first, second] = [await fixture.newService(DELEGATED), await fixture.newService(DELEGATED)]
    await mine.allocate(first, 60n * ETHER)
    const exitId = await requestAll(operator.address, DELEGATED, alice)
    await revertsWith(mine.allocate(second, 1n), staking, 'InsufficientFree', [1n, 0n])
    await fixture.mine(EXIT_DELAY_BLOCKS)
    await staking.release(exitId)
    assert.equal(await staking.backing(operator, first), 60n * ETHER)
  })

  it('a cancelled exit gives shares and backing back', async () => {
    const { operator, mine, alice, sharesOf } = await newDelegatedPool()
    const service = await fixture.newService(DELEGATED)
    await mine.allocate(service, 100n * ETHER)
    const shares = await sharesOf(alice.address)
    const exitId = await requestAll(operator.address, DELEGATED, alice)
    assert.equal(await staking.backing(operator, service), 60n * ETHER)
    await revertsWith(staking.cancelExit(exitId), staking, 'NotExitOwner', [exitId, fixture.owner.address])
    await staking.connect(alice).cancelExit(exitId)
    assert.equal(await sharesOf(alice.address), shares)
    assert.equal(await staking.backing(operator, service), 100n * ETHER)
    await revertsWith(staking.connect(alice).cancelExit(exitId), staking, 'ExitUnknown', [exitId])
    await fixture.mine(EXIT_DELAY_BLOCKS)
    await revertsWith(staking.release(exitId), staking, 'ExitUnknown', [exitId])
  })

  it('error: more shares than held, none, or those of another', async () => {
    const { operator, alice, bob, sharesOf } = await newDelegatedPool()
    const shares = await sharesOf(alice.address)
    const theirs = staking.connect(alice)
    const tooMany = theirs.requestExit(operator, DELEGATED, shares + 1n)
    await revertsWith(tooMany, staking, 'InsufficientShares', [shares + 1n, shares])
    await revertsWith(theirs.requestExit(operator, DELEGATED, 0n), staking, 'ZeroAmount')
    await revertsWith(theirs.requestExit(operator, SELF, 1n), staking, 'InsufficientShares', [1n, 0n])
    await revertsWith(theirs.requestExit(bob, DELEGATED, 1n), staking, 'InsufficientShares', [1n, 0n])
  })

  it('a self exit leaves services with a minimum alone and waits for them', async () => {
    const operator = await fixture.newOperator(1)
    const mine = staking.connect(operator)
    await mine.stake({ value: 10n * ETHER })
    const [busy, idle] = [await fixture.newService(SELF), await fixture.newService(SELF)]
    await mine.allocate(busy, 6n * ETHER)
    await mine.allocate(idle, 3n * ETHER)
    await busy.setMin(operator, 1n)
    const exitId = await requestAll(operator.address, SELF, operator)
    await fixture.mine(EXIT_DELAY_BLOCKS)
    await revertsWith(staking.release(exitId), staking, 'StakeLocked', [10n * ETHER, 4n * ETHER])
    await busy.setMin(operator, 0n)
    await busy.setAnswer(1)
    await revertsWith(staking.release(exitId), staking, 'StakeLocked', [10n * ETHER, 4n * ETHER])
    await busy.setAnswer(0)
    assert.equal(await releasedWei(exitId), 10n * ETHER)
    assert.equal((await staking.poolOf(operator, SELF)).tokensWei, 0n)
    assert.deepEqual([...(await staking.allocationOf(operator, busy))], [0n, 0n])
    await fixture.assertConserved()
  })

  it('a release takes the pending part of an allocation first', async () => {
    const { operator, mine, alice } = await newDelegatedPool()
    const service = await fixture.newService(DELEGATED)
    await mine.allocate(service, 100n * ETHER)
    await mine.requestDeallocation(service, 30n * ETHER)
    const exitId = await requestAll(operator.address, DELEGATED, alice)
    assert.equal(await staking.backing(operator, service), 30n * ETHER)
    await fixture.mine(EXIT_DELAY_BLOCKS)
    await staking.release(exitId)
    assert.deepEqual(await fixture.stakeAt(operator.address, service), [
      60n * ETHER,
      60n * ETHER,
      0n,
      60n * ETHER,
    ])
    assert.equal(await staking.completableAt(operator, service), 0n)
  })

  it('a reentrant receiver is paid once', async () => {
    const operator = await fixture.newOperator(1)
    const receiver = await fixture.newReceiver()
    const address = await receiver.getAddress()
    const encode = staking.interface.encodeFunctionData.bind(staking.interface)
    await staking.connect(fixture.signer(2)).delegate(operator, { value: 5n * ETHER })
    await receiver.call(encode('delegate', [operator.address]), { value: ETHER })
    const shares = await staking.sharesOf(operator, DELEGATED, receiver)
    await receiver.call(encode('requestExit', [operator.address, DELEGATED, shares]))
    await fixture.mine(EXIT_DELAY_BLOCKS)
    await staking.release(1n)

    await receiver.arm(encode('withdraw', [address]), true)
    const refused = receiver.call(encode('withdraw', [address]))
    await revertsWith(refused, staking, 'TransferFailed', [address, ETHER])
    assert.equal(await staking.claimable(receiver), ETHER)

    await receiver.arm(encode('withdraw', [address]), false)
    await receiver.call(encode('withdraw', [address]))
    const [attacked, succeeded, answer] = await receiver.outcome()
    assert.deepEqual([attacked, succeeded], [true, false])
    assert.equal(staking.interface.parseError(answer)?.name, 'NothingToWithdraw')
    assert.equal(await fixture.balanceOf(address), ETHER)
    await fixture.assertConserved(address)
  })

  it('a receiver that asks for its other exit while being paid keeps the accounts right', async () => {
    const operator = await fixture.newOperator(1)
    const receiver = await fixture.newReceiver()
    const address = await receiver.getAddress()
    const encode = staking.interface.encodeFunctionData.bind(staking.interface)
    await receiver.call(encode('delegate', [operator.address]), { value: ETHER })
    const shares = await staking.sharesOf(operator, DELEGATED, receiver)
    await receiver.call(encode('requestExit', [operator.address, DELEGATED, shares / 2n]))
    await fixture.mine(EXIT_DELAY_BLOCKS)
    await staking.release(1n)
    await receiver.arm(encode('requestExit', [operator.address, DELEGATED, shares - shares / 2n]), false)
    await receiver.call(encode('withdraw', [address]))
    assert.deepEqual([...(await receiver.outcome())].slice(0, 2), [true, true])
    await fixture.assertConserved(address)
    await revertsWith(staking.release(2n), staking, 'TooEarly')
  })

  it('error: withdrawing to the zero address', async () => {
    const { alice } = await newDelegatedPool()
    await revertsWith(staking.connect(alice).withdraw(`0x${'00'.repeat(20)}`), staking, 'ZeroAddress')
  })
})

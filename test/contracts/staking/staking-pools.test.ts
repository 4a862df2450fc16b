import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { isWiped, toSharesDown, toWeiDown, VIRTUAL_SHARES } from '../../../sdk/protocol/shares.ts'
import { Staking__factory } from '../../../typechain-types/index.js'
import { revertsWith } from '../../support/reverts.ts'
import { createFixture, DELEGATED, ETHER, eventOf, type Fixture, SELF, ZERO_ADDRESS } from './fixture.ts'

describe('Staking pools', () => {
  let fixture: Fixture
  let staking: Fixture['staking']
  beforeEach(async () => {
    fixture = await createFixture()
    staking = fixture.staking
  })

  const sharesOf = (operator: string, pool: number, owner: string) => staking.sharesOf(operator, pool, owner)
  const worthOf = async (operator: string, owner: string) =>
    staking.worth(operator, DELEGATED, await sharesOf(operator, DELEGATED, owner))

  it('stake goes to the own self pool and delegation to the delegated pool', async () => {
    const operator = await fixture.newOperator(1)
    const delegator = fixture.signer(2)
    const deposited = await eventOf(
      staking.connect(operator).stake({ value: 3n * ETHER }),
      staking,
      'Deposited',
    )
    assert.deepEqual(deposited, {
      operator: operator.address,
      pool: BigInt(SELF),
      owner: operator.address,
      amountWei: 3n * ETHER,
      shares: 3n * ETHER * VIRTUAL_SHARES,
    })
    await staking.connect(delegator).delegate(operator, { value: 2n * ETHER })
    const self = await staking.poolOf(operator, SELF)
    const delegated = await staking.poolOf(operator, DELEGATED)
    assert.deepEqual([self.tokensWei, delegated.tokensWei], [3n * ETHER, 2n * ETHER])
    assert.equal(await sharesOf(operator.address, SELF, operator.address), self.shares)
    assert.equal(await sharesOf(operator.address, DELEGATED, delegator.address), delegated.shares)
    assert.equal(await staking.accountedWei(), 5n * ETHER)
    await fixture.assertConserved()
  })

  it('error: an account that is no operator, or no value', async () => {
    const stranger = fixture.signer(5)
    const operator = await fixture.newOperator(1)
    await revertsWith(staking.connect(stranger).stake({ value: 1n }), staking, 'NotOperator', [
      stranger.address,
    ])
    await revertsWith(staking.delegate(stranger, { value: 1n }), staking, 'NotOperator', [stranger.address])
    await revertsWith(staking.connect(operator).stake(), staking, 'ZeroAmount')
    await revertsWith(staking.delegate(operator), staking, 'ZeroAmount')
  })

  it('coins sent without a call are refused, and coins forced in change no price', async () => {
    const operator = await fixture.newOperator(1)
    await staking.delegate(operator, { value: ETHER })
    await assert.rejects(fixture.owner.sendTransaction({ to: fixture.stakingAddress, value: 1n }))
    const before = await worthOf(operator.address, fixture.owner.address)
    await fixture.provider.request({
      method: 'hardhat_setBalance',
      params: [fixture.stakingAddress, `0x${(1_000n * ETHER).toString(16)}`],
    })
    assert.equal(await worthOf(operator.address, fixture.owner.address), before)
    assert.equal(await staking.accountedWei(), ETHER)
  })

  it('the first depositor gains nothing by inflating the price', async () => {
    const operator = await fixture.newOperator(1)
    const [attacker, victim] = [fixture.signer(2), fixture.signer(3)]
    await staking.connect(attacker).delegate(operator, { value: 1n })
    await staking.connect(attacker).addReward(operator, DELEGATED, { value: 100n * ETHER })
    await staking.connect(victim).delegate(operator, { value: ETHER })
    const attackerWorthWei = await worthOf(operator.address, attacker.address)
    const victimWorthWei = await worthOf(operator.address, victim.address)
    assert.ok(attackerWorthWei < 51n * ETHER, `attacker has ${attackerWorthWei}`)
    assert.ok(victimWorthWei > (ETHER * 999n) / 1_000n, `victim has ${victimWorthWei}`)
  })

  it('error: an amount that buys no share', async () => {
    const operator = await fixture.newOperator(1)
    await staking.delegate(operator, { value: 1n })
    await staking.addReward(operator, DELEGATED, { value: 10n * ETHER })
    await revertsWith(staking.delegate(operator, { value: 1n }), staking, 'ZeroShares', [1n])
  })

  it('deposits follow the share arithmetic of the SDK and never lower the price', async () => {
    const operator = await fixture.newOperator(1)
    let pool = { tokensWei: 0n, shares: 0n }
    for (const amountWei of [7n, ETHER, 3n, 123_456_789n, 5n * ETHER + 1n]) {
      const shares = toSharesDown(pool, amountWei)
      const event = await eventOf(staking.delegate(operator, { value: amountWei }), staking, 'Deposited')
      assert.equal(event.shares, shares)
      const after = { tokensWei: pool.tokensWei + amountWei, shares: pool.shares + shares }
      assert.ok(
        (after.tokensWei + 1n) * (pool.shares + VIRTUAL_SHARES) >=
          (pool.tokensWei + 1n) * (after.shares + VIRTUAL_SHARES),
      )
      assert.ok(toWeiDown(after, shares) <= amountWei)
      pool = after
      await staking.addReward(operator, DELEGATED, { value: 999n })
      pool = { ...pool, tokensWei: pool.tokensWei + 999n }
    }
    const { tokensWei, shares } = await staking.poolOf(operator, DELEGATED)
    assert.deepEqual({ tokensWei, shares }, pool)
    assert.equal(isWiped(pool), false)
  })

  it('a reward raises every share alike, after commission; the self pool pays none', async () => {
    const operator = await fixture.newOperator(1)
    const [alice, bob] = [fixture.signer(2), fixture.signer(3)]
    await staking.connect(operator).setCommission(500n)
    await staking.connect(operator).stake({ value: ETHER })
    await staking.connect(alice).delegate(operator, { value: ETHER })
    await staking.connect(bob).delegate(operator, { value: 3n * ETHER })
    const added = await eventOf(
      staking.addReward(operator, DELEGATED, { value: ETHER }),
      staking,
      'RewardAdded',
    )
    assert.deepEqual(added, {
      operator: operator.address,
      pool: BigInt(DELEGATED),
      amountWei: ETHER,
      commissionWei: ETHER / 20n,
    })
    assert.equal(await staking.claimable(operator), ETHER / 20n)
    const restWei = ETHER - ETHER / 20n
    for (const [owner, stakedWei] of [
      [alice, ETHER],
      [bob, 3n * ETHER],
    ] as const) {
      const expectedWei = stakedWei + (restWei * stakedWei) / (4n * ETHER)
      const gotWei = await worthOf(operator.address, owner.address)
      assert.ok(gotWei <= expectedWei && gotWei >= expectedWei - 2n, `${gotWei} of ${expectedWei}`)
    }
    await staking.addReward(operator, SELF, { value: ETHER })
    assert.equal((await staking.poolOf(operator, SELF)).tokensWei, 2n * ETHER)
    assert.equal(await staking.claimable(operator), ETHER / 20n)
    await fixture.assertConserved()
  })

  it('error: a reward for a pool without shares, or of nothing', async () => {
    const operator = await fixture.newOperator(1)
    await revertsWith(staking.addReward(operator, SELF, { value: 1n }), staking, 'PoolEmpty', [
      operator.address,
      BigInt(SELF),
    ])
    await staking.connect(operator).stake({ value: 1n })
    await revertsWith(staking.addReward(operator, SELF), staking, 'ZeroAmount')
  })

  it('the commission moves at most one step per epoch, measured from where the epoch began', async () => {
    const operator = await fixture.newOperator(1)
    const mine = staking.connect(operator)
    await fixture.mineToNextEpoch()
    await mine.setCommission(300n)
    await revertsWith(mine.setCommission(501n), staking, 'CommissionStepTooLarge', [0n, 501n, 500n])
    await mine.setCommission(500n)
    assert.equal(await staking.commissionOf(operator), 500n)
    await fixture.mineToNextEpoch()
    await revertsWith(mine.setCommission(1_001n), staking, 'CommissionStepTooLarge', [500n, 1_001n, 500n])
    await mine.setCommission(1_000n)
    await mine.setCommission(0n)
    await revertsWith(mine.setCommission(10_001n), staking, 'CommissionTooHigh', [10_001n])
    await revertsWith(staking.connect(fixture.signer(7)).setCommission(1n), staking, 'NotOperator')
  })

  it('only the owner sets the treasury, and ownership moves in two steps', async () => {
    const [mallory, heir] = [fixture.signer(4), fixture.signer(5)]
    const theirs = staking.connect(mallory)
    await revertsWith(theirs.setTreasury(mallory), staking, 'OwnableUnauthorizedAccount', [mallory.address])
    await staking.setTreasury(heir)
    assert.equal(await staking.treasury(), heir.address)
    await staking.transferOwnership(heir)
    assert.equal(await staking.owner(), fixture.owner.address)
    await staking.connect(heir).acceptOwnership()
    assert.equal(await staking.owner(), heir.address)
  })

  it('error: ownership is given up, by the owner or anybody', async () => {
    const owner = await staking.owner()
    for (const caller of [staking, staking.connect(fixture.signer(5))]) {
      await revertsWith(caller.renounceOwnership(), staking, 'OwnershipNotRenounceable')
    }
    assert.equal(await staking.owner(), owner)
  })

  it('error: parameters without a delay, or a commission step above the whole', async () => {
    const factory = new Staking__factory(fixture.owner)
    for (const [exitDelayEpochs, maxCommissionStepBps] of [
      [0n, 500n],
      [2n, 10_001n],
    ] as const) {
      const params = { exitDelayEpochs, maxCommissionStepBps, treasury: ZERO_ADDRESS }
      await revertsWith(
        factory.deploy(fixture.owner, fixture.registry, fixture.beacon, params),
        staking,
        'InvalidParams',
      )
    }
  })
})

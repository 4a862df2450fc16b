import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { id } from 'ethers'
import { revertsWith } from '../../support/reverts.ts'
import {
  BURN_ADDRESS,
  createFixture,
  DELEGATED,
  ETHER,
  EXIT_DELAY_BLOCKS,
  eventOf,
  eventsOf,
  type Fixture,
  SELF,
  ZERO_ADDRESS,
} from './fixture.ts'

describe('Staking slashing', () => {
  let fixture: Fixture
  let staking: Fixture['staking']
  beforeEach(async () => {
    fixture = await createFixture()
    staking = fixture.staking
  })

  /** An operator with 100 ether in `pool`, 60 of them at the service. */
  const newSlashable = async (pool = SELF) => {
    const operator = await fixture.newOperator(1)
    const mine = staking.connect(operator)
    if (pool === SELF) await mine.stake({ value: 100n * ETHER })
    else await staking.delegate(operator, { value: 100n * ETHER })
    const service = await fixture.newService(pool)
    await mine.allocate(service, 60n * ETHER)
    return { operator, mine, service }
  }

  it('takes exactly what it says from that pool alone; the rest after the reporter burns', async () => {
    const { operator, service } = await newSlashable()
    await staking.delegate(operator, { value: 5n * ETHER })
    const reporter = fixture.signer(8)
    const sent = service.slash(operator, 10n * ETHER + 1n, id('fault'), [reporter], [2_500n])
    const event = await eventOf(sent, staking, 'Slashed')
    assert.deepEqual(event, {
      operator: operator.address,
      service: await service.getAddress(),
      faultId: id('fault'),
      requestedWei: 10n * ETHER + 1n,
      slashedWei: 10n * ETHER + 1n,
      allocatedWei: 50n * ETHER - 1n,
    })
    assert.equal((await staking.poolOf(operator, SELF)).tokensWei, 90n * ETHER - 1n)
    assert.equal((await staking.poolOf(operator, DELEGATED)).tokensWei, 5n * ETHER)
    assert.equal(await staking.backing(operator, service), 50n * ETHER - 1n)
    assert.equal(await staking.totalBacking(service), 50n * ETHER - 1n)
    const reporterWei = (10n * ETHER + 1n) / 4n
    assert.equal(await staking.claimable(reporter), reporterWei)
    assert.equal(await staking.burnableWei(), 10n * ETHER + 1n - reporterWei)
    await fixture.assertConserved()
  })

  it('anyone sends what is to burn to 0x…dEaD, once', async () => {
    const { operator, service } = await newSlashable()
    await service.slash(operator, 7n, id('fault'), [], [])
    const beforeWei = await fixture.balanceOf(BURN_ADDRESS)
    await staking.connect(fixture.signer(9)).burn()
    assert.equal((await fixture.balanceOf(BURN_ADDRESS)) - beforeWei, 7n)
    assert.equal(await staking.burnableWei(), 0n)
    assert.deepEqual(await eventsOf(staking.burn(), staking, 'Burned'), [])
    await fixture.assertConserved()
  })

  it('with a treasury the rest is its claimable', async () => {
    const { operator, service } = await newSlashable()
    const treasury = fixture.signer(10)
    await staking.setTreasury(treasury)
    await service.slash(operator, 101n, id('fault'), [fixture.signer(8), fixture.signer(9)], [3_000n, 2_000n])
    assert.equal(await staking.claimable(fixture.signer(8)), 30n)
    assert.equal(await staking.claimable(fixture.signer(9)), 20n)
    assert.equal(await staking.claimable(treasury), 51n)
    assert.equal(await staking.burnableWei(), 0n)
    await fixture.assertConserved()
  })

  it('takes at most the allocation and leaves no debt', async () => {
    const { operator, mine, service } = await newSlashable()
    const slash = () => service.slash(operator, 1_000n * ETHER, id('fault'), [], [])
    assert.equal((await eventOf(slash(), staking, 'Slashed')).slashedWei, 60n * ETHER)
    assert.equal((await staking.poolOf(operator, SELF)).tokensWei, 40n * ETHER)
    const again = await eventOf(service.slash(operator, ETHER, id('next'), [], []), staking, 'Slashed')
    assert.equal(again.slashedWei, 0n)
    await mine.allocate(service, 40n * ETHER)
    assert.equal(await staking.backing(operator, service), 40n * ETHER)
  })

  it('error: the same fault again, while another service may use the same id', async () => {
    const { operator, mine, service } = await newSlashable()
    const other = await fixture.newService(SELF)
    await mine.allocate(other, 10n)
    await service.slash(operator, 5n, id('fault'), [], [])
    const address = await service.getAddress()
    assert.equal(await staking.isPunished(address, id('fault')), true)
    const again = service.slash(operator, 5n, id('fault'), [], [])
    await revertsWith(again, staking, 'FaultAlreadyPunished', [address, id('fault')])
    assert.equal(
      (await eventOf(other.slash(operator, 5n, id('fault'), [], []), staking, 'Slashed')).slashedWei,
      5n,
    )
  })

  it('error: an account that is no service', async () => {
    const { operator } = await newSlashable()
    const stranger = fixture.signer(6)
    const slash = staking.connect(stranger).slash(operator, 1n, id('fault'), [], [])
    await revertsWith(slash, staking, 'ServiceUnknown', [stranger.address])
  })

  it('error: more than half to beneficiaries, more than four of them, or one that is nobody', async () => {
    const { operator, service } = await newSlashable()
    const to = [8, 9, 10, 11, 12].map((index) => fixture.signer(index).address)
    const slash = (beneficiaries: string[], bps: bigint[]) =>
      service.slash(operator, 100n, id('fault'), beneficiaries, bps)
    await revertsWith(slash(to.slice(0, 2), [2_501n, 2_500n]), staking, 'HalfRule', [5_001n, 5_000n])
    const wrapping = [1n, 2n ** 256n - 1n]
    await revertsWith(slash(to.slice(0, 2), wrapping), staking, 'HalfRule', [2n ** 256n - 1n, 5_000n])
    await revertsWith(slash(to, [1n, 1n, 1n, 1n, 1n]), staking, 'TooManyBeneficiaries', [5n, 4n])
    await revertsWith(slash(to.slice(0, 2), [1n]), staking, 'LengthMismatch', [2n, 1n])
    await revertsWith(slash([ZERO_ADDRESS], [1n]), staking, 'ZeroAddress')
    await slash(to.slice(0, 4), [1_250n, 1_250n, 1_250n, 1_250n])
    await fixture.assertConserved()
  })

  it('whoever slashes himself through a colluding reporter loses half at least', async () => {
    const { operator, service } = await newSlashable()
    const beforeWei = await staking.accountedWei()
    await service.slash(operator, 60n * ETHER, id('fault'), [operator], [5_000n])
    assert.equal(await staking.claimable(operator), 30n * ETHER)
    await staking.burn()
    assert.equal(beforeWei - (await staking.accountedWei()), 30n * ETHER)
  })

  it('reaches stake whose de-allocation is pending, pending part first', async () => {
    const { operator, mine, service } = await newSlashable()
    await mine.requestDeallocation(service, 50n * ETHER)
    await fixture.mine(EXIT_DELAY_BLOCKS)
    await service.slash(operator, 55n * ETHER, id('fault'), [], [])
    assert.deepEqual(await fixture.stakeAt(operator.address, service), [
      45n * ETHER,
      5n * ETHER,
      0n,
      5n * ETHER,
    ])
    await revertsWith(staking.completeDeallocation(operator, service), staking, 'NothingPending')
  })

  it('a fault id is not used up by a slash that reverts', async () => {
    const { operator, service } = await newSlashable()
    await revertsWith(service.slash(operator, 1n, id('fault'), [operator], [5_001n]), staking, 'HalfRule')
    assert.equal(await staking.isPunished(service, id('fault')), false)
    await service.slash(operator, 1n, id('fault'), [operator], [5_000n])
  })

  describe('a wiped pool', () => {
    /** All 100 ether of the delegated pool slashed, with an exit of one half waiting. */
    const newWiped = async (leftWei: bigint) => {
      const { operator, mine, service } = await newSlashable(DELEGATED)
      await mine.allocate(service, 40n * ETHER)
      const shares = await staking.sharesOf(operator, DELEGATED, fixture.owner)
      await staking.requestExit(operator, DELEGATED, shares / 2n)
      const sent = service.slash(operator, 100n * ETHER - leftWei, id('fault'), [], [])
      const wiped = await eventsOf(sent, staking, 'PoolWiped')
      return { operator, mine, service, wiped, shares }
    }

    it('voids its shares and starts anew', async () => {
      const { operator, mine, service, wiped } = await newWiped(0n)
      assert.equal(wiped[0]?.generation, 1n)
      const delegator = fixture.signer(4)
      await staking.connect(delegator).delegate(operator, { value: 3n * ETHER })
      assert.equal(await staking.sharesOf(operator, DELEGATED, fixture.owner), 0n)
      const shares = await staking.sharesOf(operator, DELEGATED, delegator)
      assert.equal(await staking.worth(operator, DELEGATED, shares), 3n * ETHER)
      await mine.allocate(service, 3n * ETHER)
      assert.equal(await staking.backing(operator, service), 3n * ETHER)
      await fixture.assertConserved()
    })

    it('gives its waiting exits nothing, and neither do they come back', async () => {
      const { operator } = await newWiped(0n)
      await staking.connect(fixture.signer(4)).delegate(operator, { value: 3n * ETHER })
      await fixture.mine(EXIT_DELAY_BLOCKS)
      const snapshot = await fixture.provider.request({ method: 'evm_snapshot' })
      assert.equal((await eventOf(staking.release(1n), staking, 'ExitReleased')).amountWei, 0n)
      assert.equal(await staking.claimable(fixture.owner), 0n)
      await fixture.provider.request({ method: 'evm_revert', params: [snapshot] })
      await staking.cancelExit(1n)
      assert.equal(await staking.sharesOf(operator, DELEGATED, fixture.owner), 0n)
      assert.equal((await staking.poolOf(operator, DELEGATED)).tokensWei, 3n * ETHER)
      await fixture.assertConserved()
    })

    it('counts as wiped with dust left, and as alive with more', async () => {
      const dust = await newWiped(100n * 1_000_000n)
      assert.equal(dust.wiped.length, 1)
      const { tokensWei, shares } = await staking.poolOf(dust.operator, DELEGATED)
      assert.deepEqual([tokensWei, shares], [100_000_000n, 0n])
      const delegator = fixture.signer(4)
      await staking.connect(delegator).delegate(dust.operator, { value: ETHER })
      const held = await staking.sharesOf(dust.operator, DELEGATED, delegator)
      const worthWei = await staking.worth(dust.operator, DELEGATED, held)
      assert.ok(worthWei >= ETHER - 10n ** 6n && worthWei <= ETHER, `${worthWei}`)
      await fixture.assertConserved()

      fixture = await createFixture()
      staking = fixture.staking
      const alive = await newWiped(100n * 1_000_000n + 1n)
      assert.deepEqual(alive.wiped, [])
    })

    it('survives slash upon slash without overflow', async () => {
      const { operator, mine, service } = await newWiped(0n)
      for (let round = 0; round < 12; round++) {
        await staking.delegate(operator, { value: ETHER })
        await mine.allocate(service, await staking.freeOf(operator, DELEGATED))
        const [allocatedWei] = await staking.allocationOf(operator, service)
        await service.slash(operator, allocatedWei - 10n ** 6n - 1n, id(`fault ${round}`), [], [])
      }
      await staking.delegate(operator, { value: ETHER })
      await fixture.assertConserved()
    })
  })
})

import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { id } from 'ethers'
import { revertsWith } from '../../support/reverts.ts'
import { createFixture, DELEGATED, ETHER, EXIT_DELAY_BLOCKS, eventOf, type Fixture, SELF } from './fixture.ts'

const ANSWERS = { word: 0, revert: 1, burnGas: 2, nothing: 3, twoWords: 4, hugeData: 5 }

describe('Staking allocations', () => {
  let fixture: Fixture
  let staking: Fixture['staking']
  beforeEach(async () => {
    fixture = await createFixture()
    staking = fixture.staking
  })

  /** An operator with 10 ether in its self pool. */
  const newStakedOperator = async () => {
    const operator = await fixture.newOperator(1)
    await staking.connect(operator).stake({ value: 10n * ETHER })
    return { operator, mine: staking.connect(operator) }
  }

  describe('registerService', () => {
    it('lists a service on one pool', async () => {
      const service = await fixture.newService(SELF, 7n)
      const address = await service.getAddress()
      assert.deepEqual([...(await staking.servicesOf(SELF))], [address])
      assert.deepEqual([...(await staking.servicesOf(DELEGATED))], [])
      const { registered, pool, kind, faultWindowBlocks } = await staking.serviceOf(service)
      assert.deepEqual([registered, pool, kind, faultWindowBlocks], [true, BigInt(SELF), id('kind'), 7n])
    })

    it('error: not the owner, no contract, twice, or the ninth on a pool', async () => {
      const service = await fixture.newService(SELF)
      const stranger = fixture.signer(3)
      const theirs = staking.connect(stranger)
      await revertsWith(
        theirs.registerService(service, SELF, id('x'), 1n),
        staking,
        'OwnableUnauthorizedAccount',
      )
      await revertsWith(staking.registerService(stranger, SELF, id('x'), 1n), staking, 'NotAContract')
      await revertsWith(
        staking.registerService(service, DELEGATED, id('x'), 1n),
        staking,
        'ServiceAlreadyRegistered',
      )
      for (let i = 0; i < 7; i++) await fixture.newService(SELF)
      await revertsWith(fixture.newService(SELF), staking, 'TooManyServices', [BigInt(SELF), 8n])
      await fixture.newService(DELEGATED)
    })

    it('error: on the self pool a contract that cannot say its minimum, which would lock stake for ever', async () => {
      const { beacon } = fixture
      const mute = staking.registerService(beacon, SELF, id('x'), 1n)
      await revertsWith(mute, staking, 'MinAllocationUnreadable', [await beacon.getAddress()])
      await staking.registerService(beacon, DELEGATED, id('x'), 1n)
    })

    it('error: on the delegated pool a fault window beyond the exit delay', async () => {
      const tooLong = EXIT_DELAY_BLOCKS + 1n
      await revertsWith(fixture.newService(DELEGATED, tooLong), staking, 'FaultWindowTooLong', [
        tooLong,
        EXIT_DELAY_BLOCKS,
      ])
      await fixture.newService(DELEGATED, EXIT_DELAY_BLOCKS)
      await fixture.newService(SELF, tooLong)
    })
  })

  describe('allocate', () => {
    it('puts free stake behind a service, and no wei twice', async () => {
      const { operator, mine } = await newStakedOperator()
      const [first, second] = [await fixture.newService(SELF), await fixture.newService(SELF)]
      const event = await eventOf(mine.allocate(first, 6n * ETHER), staking, 'Allocated')
      assert.deepEqual([event.amountWei, event.allocatedWei], [6n * ETHER, 6n * ETHER])
      await revertsWith(mine.allocate(second, 5n * ETHER), staking, 'InsufficientFree', [
        5n * ETHER,
        4n * ETHER,
      ])
      await mine.allocate(second, 4n * ETHER)
      assert.equal(await staking.freeOf(operator, SELF), 0n)
      assert.deepEqual(await fixture.stakeAt(operator.address, first), [
        10n * ETHER,
        10n * ETHER,
        0n,
        6n * ETHER,
      ])
      assert.equal(await staking.totalBacking(second), 4n * ETHER)
    })

    it('a service takes from its own pool only', async () => {
      const { operator, mine } = await newStakedOperator()
      const service = await fixture.newService(DELEGATED)
      await revertsWith(mine.allocate(service, 1n), staking, 'InsufficientFree', [1n, 0n])
      await staking.delegate(operator, { value: 5n })
      await mine.allocate(service, 5n)
    })

    it('error: unknown service, nothing, or stake that an exit has asked back', async () => {
      const { operator, mine } = await newStakedOperator()
      const service = await fixture.newService(SELF)
      await revertsWith(mine.allocate(operator, 1n), staking, 'ServiceUnknown', [operator.address])
      await revertsWith(mine.allocate(service, 0n), staking, 'ZeroAmount')
      const shares = await staking.sharesOf(operator, SELF, operator)
      await mine.requestExit(operator, SELF, shares / 2n)
      await revertsWith(mine.allocate(service, 5n * ETHER + 1n), staking, 'InsufficientFree')
      await mine.allocate(service, 5n * ETHER - 1n)
    })
  })

  describe('de-allocation', () => {
    it('lowers backing at once, stays allocated for the delay, then is free', async () => {
      const { operator, mine } = await newStakedOperator()
      const service = await fixture.newService(SELF)
      await mine.allocate(service, 10n * ETHER)
      const event = await eventOf(
        mine.requestDeallocation(service, 4n * ETHER),
        staking,
        'DeallocationRequested',
      )
      const readyAt = (await fixture.head()) + EXIT_DELAY_BLOCKS
      assert.deepEqual([event.pendingWei, event.completableAtBlock], [4n * ETHER, readyAt])
      assert.equal(await staking.completableAt(operator, service), readyAt)
      const whilePending = [10n * ETHER, 10n * ETHER, 4n * ETHER, 6n * ETHER]
      assert.deepEqual(await fixture.stakeAt(operator.address, service), whilePending)

      await fixture.mine(readyAt - 2n - (await fixture.head()))
      const early = staking.completeDeallocation(operator, service)
      await revertsWith(early, staking, 'TooEarly', [readyAt - 1n, readyAt])
      await fixture.mine(1n)
      await staking.completeDeallocation(operator, service)
      assert.deepEqual(await fixture.stakeAt(operator.address, service), [
        10n * ETHER,
        6n * ETHER,
        0n,
        6n * ETHER,
      ])
      assert.equal(await staking.freeOf(operator, SELF), 4n * ETHER)
    })

    it('a further request restarts the delay for all of it, and it can be cancelled', async () => {
      const { operator, mine } = await newStakedOperator()
      const service = await fixture.newService(SELF)
      await mine.allocate(service, 10n)
      await mine.requestDeallocation(service, 4n)
      await fixture.mine(EXIT_DELAY_BLOCKS - 2n)
      await mine.requestDeallocation(service, 1n)
      await fixture.mine(2n)
      await revertsWith(mine.completeDeallocation(operator, service), staking, 'TooEarly')
      await mine.cancelDeallocation(service)
      assert.equal(await staking.backing(operator, service), 10n)
      await revertsWith(mine.cancelDeallocation(service), staking, 'NothingPending')
      await revertsWith(mine.completeDeallocation(operator, service), staking, 'NothingPending')
      await revertsWith(mine.requestDeallocation(service, 11n), staking, 'InsufficientAllocation', [11n, 10n])
    })

    it('on the self pool it waits for the minimum of the service', async () => {
      const { operator, mine } = await newStakedOperator()
      const service = await fixture.newService(SELF)
      await mine.allocate(service, 100n)
      await service.setMin(operator, 61n)
      await mine.requestDeallocation(service, 40n)
      await fixture.mine(EXIT_DELAY_BLOCKS)
      const complete = () => staking.completeDeallocation(operator, service)
      await revertsWith(complete(), staking, 'AllocationLocked', [61n, 60n])
      await service.setMin(operator, 60n)
      await complete()
      assert.equal(await staking.backing(operator, service), 60n)
    })

    it('error: a minimum that cannot be read fails closed, at bounded cost', async () => {
      const { operator, mine } = await newStakedOperator()
      const service = await fixture.newService(SELF)
      const address = await service.getAddress()
      await mine.allocate(service, 100n)
      await mine.requestDeallocation(service, 100n)
      await fixture.mine(EXIT_DELAY_BLOCKS)
      for (const answer of [
        ANSWERS.revert,
        ANSWERS.burnGas,
        ANSWERS.nothing,
        ANSWERS.twoWords,
        ANSWERS.hugeData,
      ]) {
        await service.setAnswer(answer)
        const call = staking.completeDeallocation.staticCall(operator, service, { gasLimit: 600_000n })
        await revertsWith(call, staking, 'MinAllocationUnreadable', [address])
      }
      await service.setAnswer(ANSWERS.word)
      await staking.completeDeallocation(operator, service)
    })

    it('on the delegated pool no service can hold it back', async () => {
      const operator = await fixture.newOperator(1)
      const service = await fixture.newService(DELEGATED)
      await staking.delegate(operator, { value: 100n })
      await staking.connect(operator).allocate(service, 100n)
      await service.setMin(operator, 100n)
      await service.setAnswer(ANSWERS.revert)
      await staking.connect(operator).requestDeallocation(service, 100n)
      await fixture.mine(EXIT_DELAY_BLOCKS)
      await staking.completeDeallocation(operator, service)
      assert.equal(await staking.freeOf(operator, DELEGATED), 100n)
    })
  })

  describe('snapshots', () => {
    it('hold the backing at the start of an epoch, per operator and in total', async () => {
      const { operator, mine } = await newStakedOperator()
      const other = await fixture.newOperator(2)
      const service = await fixture.newService(SELF)
      await staking.connect(other).stake({ value: 7n })
      await fixture.mineToNextEpoch()
      await mine.allocate(service, 100n)
      const epoch = await fixture.beacon.currentEpoch()
      await staking.connect(other).allocate(service, 7n)
      await mine.allocate(service, 1n)
      await fixture.mineToNextEpoch()
      await mine.requestDeallocation(service, 50n)
      await fixture.mineToNextEpoch()
      await fixture.mine(1n)

      const read = async (offset: bigint) => [
        await staking.allocationAt(operator, service, epoch + offset),
        await staking.allocationAt(other, service, epoch + offset),
        await staking.totalAllocationAt(service, epoch + offset),
      ]
      assert.deepEqual(await read(0n), [0n, 0n, 0n])
      assert.deepEqual(await read(1n), [101n, 7n, 108n])
      assert.deepEqual(await read(2n), [51n, 7n, 58n])
      await revertsWith(read(3n), staking, 'EpochNotStarted', [epoch + 3n, epoch + 2n])
    })

    it('before the start of the clock they count for epoch 0', async () => {
      fixture = await createFixture({ startBlock: 30n })
      staking = fixture.staking
      const { operator, mine } = await newStakedOperator()
      const service = await fixture.newService(SELF)
      await mine.allocate(service, 100n)
      await fixture.mine(30n - (await fixture.head()))
      await mine.allocate(service, 1n)
      assert.equal(await staking.allocationAt(operator, service, 0n), 100n)
      assert.equal(await staking.totalAllocationAt(service, 0n), 100n)
    })
  })
})

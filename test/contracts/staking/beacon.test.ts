import '@nomicfoundation/hardhat-ethers'
import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { AbiCoder, keccak256 } from 'ethers'
import { type Beacon, Beacon__factory } from '../../../typechain-types/index.js'
import { revertsWith } from '../../support/reverts.ts'
import { createFixture, eventOf, eventsOf, type Fixture } from './fixture.ts'
import { headerRlp } from './header-rlp.ts'

const PERIOD_BLOCKS = 10n

describe('Beacon', () => {
  let fixture: Fixture
  before(async () => {
    fixture = await createFixture()
  })

  const newBeacon = (startBlock: bigint, useBlockHash = false) =>
    new Beacon__factory(fixture.owner).deploy(startBlock, PERIOD_BLOCKS, 2n, useBlockHash)

  const blockAt = async (number: bigint): Promise<Record<string, unknown>> => {
    const block: unknown = await fixture.provider.request({
      method: 'eth_getBlockByNumber',
      params: [`0x${number.toString(16)}`, false],
    })
    assert.ok(typeof block === 'object' && block !== null)
    return { ...block }
  }

  /** A beacon whose period 1 began `age` blocks before the next transaction. */
  const beaconWithBoundary = async (age: bigint, useBlockHash = false) => {
    const start = (await fixture.head()) + 1n
    const beacon = await newBeacon(start, useBlockHash)
    const boundary = await beacon.periodStart(1n)
    await fixture.mine(boundary + age - 1n - (await fixture.head()))
    return { beacon, boundary }
  }

  const assertUnpinned = async (beacon: Beacon, period: bigint) => {
    assert.equal(BigInt(await beacon.seedOf(period)), 0n)
    assert.equal(await beacon.pinnedAt(period), 0n)
  }

  it('counts periods and epochs from the start block, 0 before it', async () => {
    const start = (await fixture.head()) + 5n
    const beacon = await newBeacon(start)
    assert.deepEqual([await beacon.currentPeriod(), await beacon.currentEpoch()], [0n, 0n])
    assert.equal(await beacon.periodStart(3n), start + 30n)
    await fixture.mine(start + 9n - (await fixture.head()))
    assert.equal(await beacon.currentPeriod(), 0n)
    await fixture.mine(1n)
    assert.equal(await beacon.currentPeriod(), 1n)
    await fixture.mine(10n)
    assert.deepEqual([await beacon.currentPeriod(), await beacon.currentEpoch()], [2n, 1n])
    assert.deepEqual(
      [
        await beacon.startBlock(),
        await beacon.periodBlocks(),
        await beacon.epochPeriods(),
        await beacon.usesBlockHash(),
      ],
      [start, 10n, 2n, false],
    )
  })

  it('error: a period or an epoch without length', async () => {
    const factory = new Beacon__factory(fixture.owner)
    await revertsWith(factory.deploy(0n, 0n, 2n, false), fixture.beacon, 'ZeroLength')
    await revertsWith(factory.deploy(0n, 10n, 0n, false), fixture.beacon, 'ZeroLength')
  })

  it('pins prevRandao of the boundary block, whoever sends the header', async () => {
    const { beacon, boundary } = await beaconWithBoundary(7n)
    const block = await blockAt(boundary)
    const pinner = fixture.signer(4)
    const event = await eventOf(beacon.connect(pinner).pin(1n, headerRlp(block)), beacon, 'SeedPinned')
    assert.deepEqual(event, {
      period: 1n,
      seed: block.mixHash,
      pinner: pinner.address,
      boundaryBlock: boundary,
    })
    assert.equal(await beacon.seedOf(1n), block.mixHash)
    assert.equal(await beacon.pinnedBy(1n), pinner.address)
    assert.equal(await beacon.pinnedAt(1n), await fixture.head())
  })

  it('a second pin changes nothing, emits nothing and returns the stored seed', async () => {
    const { beacon, boundary } = await beaconWithBoundary(2n)
    const rlp = headerRlp(await blockAt(boundary))
    await beacon.pin(1n, rlp)
    const seed = await beacon.seedOf(1n)
    const pinnedAt = await beacon.pinnedAt(1n)
    assert.equal(await beacon.pin.staticCall(1n, '0x'), seed)
    assert.deepEqual(await eventsOf(beacon.connect(fixture.signer(5)).pin(1n, rlp), beacon, 'SeedPinned'), [])
    assert.equal(await beacon.pinnedAt(1n), pinnedAt)
  })

  it('error: a period whose boundary block is the present one or later', async () => {
    const { beacon, boundary } = await beaconWithBoundary(0n)
    await revertsWith(beacon.pin(1n, '0x'), beacon, 'PeriodNotStarted', [1n, boundary, boundary])
    const huge = 2n ** 256n - 1n
    await revertsWith(beacon.pin(huge, '0x'), beacon, 'PeriodNotStarted', [huge, boundary, huge])
    await assertUnpinned(beacon, 1n)
  })

  it('error: the header of another block', async () => {
    const { beacon, boundary } = await beaconWithBoundary(4n)
    const wrong = headerRlp(await blockAt(boundary + 1n))
    const expected = (await blockAt(boundary)).hash
    await revertsWith(beacon.pin(1n, wrong), beacon, 'HeaderMismatch', [expected, keccak256(wrong)])
    await assertUnpinned(beacon, 1n)
  })

  it('error: a header with another prevRandao, and none at all', async () => {
    const { beacon, boundary } = await beaconWithBoundary(4n)
    const forged = headerRlp({ ...(await blockAt(boundary)), mixHash: `0x${'11'.repeat(32)}` })
    await revertsWith(beacon.pin(1n, forged), beacon, 'HeaderMismatch')
    await revertsWith(beacon.pin(1n, '0x'), beacon, 'HeaderMismatch')
    await assertUnpinned(beacon, 1n)
  })

  it('error: prevRandao zero', async () => {
    const { beacon, boundary } = await beaconWithBoundary(0n)
    await fixture.provider.request({ method: 'hardhat_setPrevRandao', params: [`0x${'00'.repeat(32)}`] })
    await fixture.mine(2n)
    const block = await blockAt(boundary)
    assert.equal(BigInt(String(block.mixHash)), 0n)
    await revertsWith(beacon.pin(1n, headerRlp(block)), beacon, 'SeedZero', [1n])
  })

  it('reaches exactly 256 blocks back where the history contract does not answer', async () => {
    const { beacon, boundary } = await beaconWithBoundary(256n)
    const rlp = headerRlp(await blockAt(boundary))
    assert.equal(
      await beacon.pin.staticCall(1n, rlp, { blockTag: 'pending' }),
      (await blockAt(boundary)).mixHash,
    )
    await fixture.mine(1n)
    await revertsWith(beacon.pin(1n, rlp), beacon, 'BoundaryUnreachable', [1n, boundary])
    await assertUnpinned(beacon, 1n)
  })

  it('with block hashes the seed is the hash of (block hash, period) and needs no header', async () => {
    const { beacon, boundary } = await beaconWithBoundary(3n, true)
    await beacon.pin(1n, '0x')
    const { hash } = await blockAt(boundary)
    assert.equal(
      await beacon.seedOf(1n),
      keccak256(AbiCoder.defaultAbiCoder().encode(['bytes32', 'uint256'], [hash, 1n])),
    )
    assert.equal(await beacon.usesBlockHash(), true)
  })
})

import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { id } from 'ethers'
import { revertsWith } from '../../support/reverts.ts'
import { createFixture, eventOf, type Fixture } from './fixture.ts'

const STORAGE = id('storage')
const BLS = id('bls')

describe('OperatorRegistry', () => {
  let fixture: Fixture
  let registry: Fixture['registry']
  before(async () => {
    fixture = await createFixture()
    registry = fixture.registry
  })

  it('registers the sender, once', async () => {
    const [alice, bob] = [fixture.signer(1), fixture.signer(2)]
    assert.equal(await registry.isOperator(alice.address), false)
    const event = await eventOf(registry.connect(alice).register('ipfs://a'), registry, 'OperatorRegistered')
    assert.deepEqual(event, { operator: alice.address, index: 0n, metadataUri: 'ipfs://a' })
    await registry.connect(bob).register('')
    assert.equal(await registry.isOperator(alice.address), true)
    assert.equal(await registry.metadataOf(alice.address), 'ipfs://a')
    await revertsWith(registry.connect(alice).register('x'), registry, 'AlreadyOperator', [alice.address])
  })

  it('lists operators by page, in order', async () => {
    const [alice, bob] = [fixture.signer(1).address, fixture.signer(2).address]
    assert.equal(await registry.operatorCount(), 2n)
    assert.equal(await registry.operatorAt(1n), bob)
    assert.deepEqual([...(await registry.operators(0n, 100n))], [alice, bob])
    assert.deepEqual([...(await registry.operators(1n, 1n))], [bob])
    assert.deepEqual([...(await registry.operators(2n, 5n))], [])
    assert.deepEqual([...(await registry.operators(2n ** 256n - 1n, 2n ** 256n - 1n))], [])
    await revertsWith(registry.operatorAt(2n), registry, 'IndexTooLarge', [2n, 2n])
  })

  it('keeps metadata and one endpoint per service; empty removes it', async () => {
    const alice = fixture.signer(1)
    const mine = registry.connect(alice)
    assert.deepEqual(await eventOf(mine.setMetadata('ipfs://b'), registry, 'MetadataSet'), {
      operator: alice.address,
      metadataUri: 'ipfs://b',
    })
    assert.deepEqual(await eventOf(mine.setEndpoint(STORAGE, 'https://a.example'), registry, 'EndpointSet'), {
      operator: alice.address,
      service: STORAGE,
      url: 'https://a.example',
    })
    assert.equal(await registry.endpointOf(alice.address, STORAGE), 'https://a.example')
    assert.equal(await registry.endpointOf(alice.address, BLS), '')
    await mine.setEndpoint(STORAGE, '')
    assert.equal(await registry.endpointOf(alice.address, STORAGE), '')
    assert.equal(await registry.metadataOf(alice.address), 'ipfs://b')
  })

  it('a key counts from the next epoch on, and older keys stay readable', async () => {
    const alice = fixture.signer(1)
    const mine = registry.connect(alice)
    await fixture.mineToNextEpoch()
    const first = await eventOf(mine.setKey(BLS, '0x01'), registry, 'KeySet')
    const epoch = await fixture.beacon.currentEpoch()
    assert.deepEqual(first, { operator: alice.address, kind: BLS, key: '0x01', effectiveEpoch: epoch + 1n })
    assert.equal(await registry.keyAt(alice.address, BLS, epoch), '0x')
    await mine.setKey(BLS, '0x02')
    assert.equal(await registry.keyAt(alice.address, BLS, epoch + 1n), '0x02')

    await fixture.mineToNextEpoch()
    await mine.setKey(BLS, '0x03')
    await fixture.mineToNextEpoch()
    await mine.setKey(BLS, '0x')
    const keys = [0n, 1n, 2n, 3n, 1_000n, 2n ** 200n].map((ahead) =>
      registry.keyAt(alice.address, BLS, epoch + ahead),
    )
    assert.deepEqual(await Promise.all(keys), ['0x', '0x02', '0x03', '0x', '0x', '0x'])
  })

  it('before the start of the clock a key counts from epoch 0', async () => {
    const early = await createFixture({ startBlock: 1_000n })
    const alice = await early.newOperator(1)
    await early.registry.connect(alice).setKey(BLS, '0x07')
    assert.equal(await early.registry.keyAt(alice.address, BLS, 0n), '0x07')
  })

  it('error: not an operator', async () => {
    const mallory = fixture.signer(9)
    const theirs = registry.connect(mallory)
    for (const call of [
      theirs.setMetadata('x'),
      theirs.setEndpoint(STORAGE, 'x'),
      theirs.setKey(BLS, '0x01'),
    ])
      await revertsWith(call, registry, 'NotOperator', [mallory.address])
  })

  it('error: too long', async () => {
    const mine = registry.connect(fixture.signer(1))
    const fresh = registry.connect(fixture.signer(3))
    await revertsWith(fresh.register('x'.repeat(513)), registry, 'TooLong', [513n, 512n])
    await revertsWith(mine.setMetadata('x'.repeat(513)), registry, 'TooLong', [513n, 512n])
    await revertsWith(mine.setEndpoint(STORAGE, 'x'.repeat(257)), registry, 'TooLong', [257n, 256n])
    await revertsWith(mine.setKey(BLS, `0x${'ab'.repeat(513)}`), registry, 'TooLong', [513n, 512n])
    await mine.setKey(BLS, `0x${'ab'.repeat(512)}`)
    await mine.setEndpoint(STORAGE, 'x'.repeat(256))
  })
})

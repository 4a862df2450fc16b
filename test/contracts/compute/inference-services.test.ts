import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { id, Wallet, ZeroAddress } from 'ethers'
import { createInference, PARAMS, TERMS } from '../../support/inference-fixture.ts'
import { revertsWith } from '../../support/reverts.ts'
import { ETHER } from '../staking/fixture.ts'

const chain = await createInference()
const { serving, staking, address } = chain
const pricesAt = async (provider: string, epoch: bigint) => {
  const { inputPriceWei, outputPriceWei } = await serving.priceAt(provider, epoch)
  return [inputPriceWei, outputPriceWei]
}

describe('addOrUpdateService', () => {
  it('default: the first listing counts at once', async () => {
    const seller = await chain.newSeller(1)
    const service = await serving.getService(seller.address)
    assert.deepEqual(
      [service.provider, service.model, service.url, service.inputPrice, service.outputPrice],
      [seller.address, TERMS.model, TERMS.url, 2n, 3n],
    )
    assert.deepEqual([service.teeSignerAddress, service.teeSignerAcknowledged], [seller.tee.address, true])
    assert.equal(await serving.priceEpochOf(seller.address), 0n)
    assert.equal((await serving.pendingServiceOf(seller.address)).fromSec, 0n)
    const { services, total } = await serving.getAllServices(0, 50)
    assert.deepEqual([services.map(({ provider }) => provider), total], [[seller.address], 1n])
    await revertsWith(serving.getAllServices(0, 51), serving, 'LimitTooLarge', [51n, 50n])
    assert.equal((await serving.getAllServices(5, 50)).services.length, 0)
  })

  it('behavior: a fall and a new URL count at once, a rise after the notice', async () => {
    const seller = await chain.newSeller(2)
    await seller.announce({ inputPrice: 1n, url: 'https://other.example' })
    let service = await serving.getService(seller.address)
    assert.deepEqual([service.inputPrice, service.outputPrice], [1n, 3n])
    assert.equal(service.url, 'https://other.example')
    assert.equal(await serving.priceEpochOf(seller.address), 1n)

    // One price falls, the other rises: the fall now, the rise later.
    await seller.announce({ inputPrice: 0n, outputPrice: 9n })
    service = await serving.getService(seller.address)
    assert.deepEqual([service.inputPrice, service.outputPrice], [0n, 3n])
    const pending = await serving.pendingServiceOf(seller.address)
    assert.deepEqual([pending.service.inputPrice, pending.service.outputPrice], [0n, 9n])
    assert.equal(pending.fromSec, (await chain.latest()) + PARAMS.noticeSec)
    assert.equal(await serving.priceEpochOf(seller.address), 2n)
    assert.deepEqual(await pricesAt(seller.address, 3n), [0n, 9n])

    await chain.later(PARAMS.noticeSec - 1_000n)
    assert.equal((await serving.getService(seller.address)).outputPrice, 3n)
    await chain.later(1_000n)
    assert.equal((await serving.getService(seller.address)).outputPrice, 9n)
    assert.equal(await serving.priceEpochOf(seller.address), 3n)
    assert.deepEqual(await pricesAt(seller.address, 0n), [2n, 3n])
    await revertsWith(serving.priceAt(seller.address, 4n), serving, 'PriceEpochUnknown')
  })

  it('behavior: another model or signer counts after the notice, also by removing and adding', async () => {
    const seller = await chain.newSeller(3)
    const other = new Wallet(id('other'))
    await seller.serving.removeService()
    await revertsWith(serving.getService(seller.address), serving, 'ServiceNotExist', [seller.address])
    assert.equal(await serving.serviceExists(seller.address), false)
    await seller.announce({ model: 'other', teeSignerAddress: other.address, outputPrice: 100n })
    let service = await serving.getService(seller.address)
    assert.deepEqual([service.model, service.outputPrice], [TERMS.model, 3n])
    assert.equal(service.teeSignerAddress, seller.tee.address)
    const { service: next } = await serving.pendingServiceOf(seller.address)
    assert.deepEqual([next.model, next.teeSignerAddress, next.outputPrice], ['other', other.address, 100n])

    // Off and on again does not shorten the notice.
    await chain.later(PARAMS.noticeSec - 2_000n)
    await seller.serving.removeService()
    await seller.announce({ model: 'other', teeSignerAddress: other.address, outputPrice: 100n })
    await chain.later(PARAMS.noticeSec - 1_000n)
    assert.equal((await serving.getService(seller.address)).model, TERMS.model)
    await chain.later(1_000n)
    service = await serving.getService(seller.address)
    assert.deepEqual([service.model, service.teeSignerAddress], ['other', other.address])
    assert.equal(service.outputPrice, 100n)
  })

  it('behavior: a scheduled change is dropped by announcing what counts now', async () => {
    const seller = await chain.newSeller(4)
    await seller.announce({ outputPrice: 50n })
    await seller.announce()
    assert.equal((await serving.pendingServiceOf(seller.address)).fromSec, 0n)
    await chain.later(2n * PARAMS.noticeSec)
    assert.equal((await serving.getService(seller.address)).outputPrice, 3n)
    assert.equal(await serving.priceEpochOf(seller.address), 0n)

    // One that has begun stays begun.
    await seller.announce({ outputPrice: 50n })
    await chain.later(PARAMS.noticeSec)
    await seller.announce({ outputPrice: 40n })
    assert.equal((await serving.getService(seller.address)).outputPrice, 40n)
    assert.equal(await serving.priceEpochOf(seller.address), 2n)
  })

  it('behavior: every service type, verifiability and info text waits for the notice too', async () => {
    const seller = await chain.newSeller(5)
    for (const changed of [{ serviceType: 'x' }, { verifiability: 'TeeML' }, { additionalInfo: '{"a":1}' }]) {
      await seller.announce(changed)
      assert.ok((await serving.pendingServiceOf(seller.address)).fromSec > 0n)
      const service = await serving.getService(seller.address)
      assert.deepEqual(
        [service.serviceType, service.verifiability, service.additionalInfo],
        [TERMS.serviceType, TERMS.verifiability, TERMS.additionalInfo],
      )
    }
  })

  it('error: no stake, value, no signer, texts and prices out of range', async () => {
    const seller = await chain.newSeller(6)
    const poor = await chain.newOperator(7)
    const terms = { ...TERMS, teeSignerAddress: seller.tee.address }
    const unstaked = serving.connect(poor).addOrUpdateService(terms)
    await revertsWith(unstaked, serving, 'InsufficientStake', [0n, PARAMS.minProviderStakeWei])
    const paid = seller.serving.addOrUpdateService(terms, { value: 1n })
    await revertsWith(paid, serving, 'CannotAddStakeWhenUpdating')
    await revertsWith(seller.announce({ teeSignerAddress: ZeroAddress }), serving, 'InvalidAddress')
    await revertsWith(seller.announce({ url: 'x'.repeat(513) }), serving, 'TextTooLong', [513n, 512n])
    const info = seller.announce({ additionalInfo: 'x'.repeat(4097) })
    await revertsWith(info, serving, 'AdditionalInfoTooLong')
    await revertsWith(seller.announce({ inputPrice: 2n ** 96n }), serving, 'PriceTooHigh')
    await revertsWith(serving.connect(poor).removeService(), serving, 'ServiceNotExist')
    await revertsWith(serving.priceEpochOf(poor), serving, 'ServiceNotExist')
  })
})

describe('stake behind a service', () => {
  it('7: a listed service cannot take its stake away', async () => {
    const seller = await chain.newSeller(8)
    const mine = staking.connect(seller.operator)
    assert.equal(await chain.core.minAllocation(seller.address), PARAMS.minProviderStakeWei)
    await mine.requestDeallocation(address, ETHER)
    // Asked back, it no longer counts, so the service settles nothing more.
    assert.equal((await serving.getService(seller.address)).teeSignerAcknowledged, false)
    await chain.mine(50n)
    await revertsWith(staking.completeDeallocation(seller.address, address), staking, 'AllocationLocked')
    await seller.serving.removeService()
    assert.equal(await chain.core.minAllocation(seller.address), 0n)
    await staking.completeDeallocation(seller.address, address)
  })
})

describe('acknowledgement', () => {
  it('default: no hand approval is needed; the owner may revoke and take it back', async () => {
    const seller = await chain.newSeller(9)
    const isAcknowledged = async () => (await serving.getService(seller.address)).teeSignerAcknowledged
    assert.equal(await isAcknowledged(), true)
    await serving.revokeTEESignerAcknowledgement(seller.address)
    assert.equal(await isAcknowledged(), false)
    await seller.announce({ url: 'https://again.example' })
    assert.equal(await isAcknowledged(), false)
    await serving.acknowledgeTEESignerByOwner(seller.address)
    assert.equal(await isAcknowledged(), true)
    const stranger = seller.serving.revokeTEESignerAcknowledgement(seller.address)
    await revertsWith(stranger, chain.core, 'OwnableUnauthorizedAccount')
    const unknown = serving.acknowledgeTEESignerByOwner(chain.signer(15))
    await revertsWith(unknown, serving, 'ServiceNotExist')
  })
})

describe('InferenceCatalog, called by itself', () => {
  it('behavior: it works on its own, empty storage', async () => {
    assert.equal((await chain.catalog.getAllServices(0, 50)).total, 0n)
    const terms = { ...TERMS, teeSignerAddress: id('x').slice(0, 42) }
    const listed = chain.catalog.connect(chain.signer(1)).addOrUpdateService(terms)
    await revertsWith(listed, chain.catalog, 'InsufficientStake')
  })

  it('error: parameters of one code that are not those of the other', async () => {
    const { InferenceServing__factory: Serving } = await import('../../../typechain-types/index.js')
    const other = { ...PARAMS, noticeSec: 1n }
    const made = new Serving(chain.owner).deploy(chain.owner, chain.ledger, staking, chain.catalog, other)
    await revertsWith(made, chain.core, 'InvalidParams')
  })
})

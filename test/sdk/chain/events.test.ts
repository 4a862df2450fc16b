import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { type AddressBook, parseAddressBook } from '../../../sdk/chain/address-book.ts'
import { decodeStorageEvent, eventFilter, eventTopic, STORAGE_EVENTS } from '../../../sdk/chain/events.ts'
import { randomBytes } from '../../support/content.ts'
import { shardFile } from '../../support/sharded-file.ts'
import { OLD_SUBMIT, sealFile, submissionData } from '../../support/storage-deal.ts'
import { deployStorage, type StorageSystem } from '../../support/storage-fixture.ts'

describe('decodeStorageEvent', () => {
  let system: StorageSystem
  let book: AddressBook
  before(async () => {
    system = await deployStorage()
    book = bookOf(system)
  })

  it('gives plain data with the names of the ABI, lists and tuples included', async () => {
    const file = shardFile(randomBytes(5_000, 1))
    const { flow, market, uploader } = system
    const valueWei = BigInt(file.layout.paddedSectors) * (await market.pricePerSector())
    const sent = await flow.connect(uploader)[OLD_SUBMIT](submissionData(file), { value: valueWei })
    const logs = (await sent.wait())?.logs ?? []
    const submit = logs.map((log) => decodeStorageEvent(book, log)).find((event) => event?.name === 'Submit')
    assert(submit?.name === 'Submit')
    assert.deepEqual(submit.args.submission, {
      length: 5_000n,
      tags: '0x',
      nodes: file.submission.nodes.map(({ root, height }) => ({ root, height: BigInt(height) })),
    })
    assert.equal(submit.args.sender, uploader.address)
    assert.equal(submit.args.length, BigInt(file.layout.paddedSectors))
    assert.deepEqual(structuredClone(submit.args), submit.args)
  })

  it('decodes the certificate of a seal', async () => {
    const deal = await sealFile(system, shardFile(randomBytes(700, 2)))
    const filter = { address: market(system), topics: [eventTopic('Sealed')] }
    const [log] = await system.chain.ethers.provider.getLogs({ ...filter, fromBlock: 0 })
    const sealed = log && decodeStorageEvent(book, log)
    assert(sealed?.name === 'Sealed')
    assert.equal(sealed.args.custodyRoot, deal.custodyRoot)
    assert.deepEqual(sealed.args.shardRoots, deal.file.shardRoots)
    assert.equal(sealed.args.providers.length, sealed.args.shardBitmaps.length)
  })

  it('is undefined for logs of other contracts, other events and malformed data', () => {
    const topics = [eventTopic('Ended'), `0x${'0'.repeat(64)}`, `0x${'0'.repeat(64)}`]
    assert.equal(decodeStorageEvent(book, { address: `0x${'9'.repeat(40)}`, topics, data: '0x' }), undefined)
    assert.equal(decodeStorageEvent(book, { address: market(system), topics, data: '0x01' }), undefined)
    const unknown = [`0x${'1'.repeat(64)}`]
    assert.equal(
      decodeStorageEvent(book, { address: market(system), topics: unknown, data: '0x' }),
      undefined,
    )
    assert.equal(decodeStorageEvent(book, { address: market(system), topics: [], data: '0x' }), undefined)
  })
})

describe('eventFilter', () => {
  it('asks only the contracts that emit the events', async () => {
    const book = bookOf(await deployStorage({ providers: 0 }))
    const { address, topics } = eventFilter(book, ['Submit', 'Sealed'])
    assert.deepEqual(
      new Set(address),
      new Set([book.contracts.Flow.address, book.contracts.StorageMarket.address]),
    )
    assert.deepEqual(topics, [[eventTopic('Submit'), eventTopic('Sealed')]])
  })

  it('has a topic for every event, the public one of 0G for Submit', () => {
    const topics = Object.values(STORAGE_EVENTS).flat().map(eventTopic)
    assert.equal(new Set(topics).size, topics.length)
    assert.equal(eventTopic('Submit'), '0x167ce04d2aa1981994d3a31695da0d785373335b1078cec239a1a3a2c7675555')
  })
})

function market(system: StorageSystem): string {
  return system.market.target.toString()
}

function bookOf(system: StorageSystem): AddressBook {
  const entry = (contract: { target: unknown }) => ({ address: String(contract.target), block: 0 })
  return parseAddressBook({
    schema: 1,
    chainId: '31337',
    network: 'test',
    deployedAtBlock: 0,
    contracts: {
      Beacon: entry(system.beacon),
      OperatorRegistry: entry(system.registry),
      Staking: entry(system.staking),
      StorageStreams: entry(system.streams),
      StorageProver: entry(system.prover),
      StorageMarket: entry(system.market),
      Flow: entry(system.flow),
    },
  })
}

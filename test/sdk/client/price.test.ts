import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { parseAddressBook } from '../../../sdk/chain/address-book.ts'
import { type Chain, connectChain } from '../../../sdk/chain/connect.ts'
import { readPrice } from '../../../sdk/chain/storage.ts'
import { quoteFile, quoteUpload } from '../../../sdk/client/price.ts'
import { sampleBytes, shardFile } from '../../support/sharded-file.ts'
import { submitFile } from '../../support/storage-deal.ts'
import { deployStorage, type StorageSystem } from '../../support/storage-fixture.ts'

describe('quoteFile', () => {
  let system: StorageSystem
  let chain: Chain
  before(async () => {
    system = await deployStorage()
    const { beacon, registry, staking, streams, prover, market, flow } = system
    const entry = ({ target }: { target: unknown }) => ({ address: String(target), block: 0 })
    const contracts = {
      Beacon: entry(beacon),
      OperatorRegistry: entry(registry),
      Staking: entry(staking),
      StorageStreams: entry(streams),
      StorageProver: entry(prover),
      StorageMarket: entry(market),
      Flow: entry(flow),
    }
    const addressBook = parseAddressBook({
      schema: 1,
      chainId: 31_337,
      network: 'test',
      deployedAtBlock: 0,
      contracts,
    })
    chain = await connectChain({ provider: system.ethers.provider, addressBook })
  })

  it('is the fee that the flow takes, with the price and expiry that the market then names', async () => {
    const { perSectorWei, perSectorPeriodWei } = await readPrice(chain)
    for (const byteLength of [1, 257, 5_000, 70_000]) {
      const file = shardFile(sampleBytes(byteLength, byteLength))
      const atBlock = (await system.head()) + 1n
      const quote = quoteFile(chain.terms, { byteLength, perSectorPeriodWei, atBlock })
      assert.equal(quote.feeWei, BigInt(file.layout.paddedSectors) * perSectorWei)
      assert.equal(quote.topUpWei, 0n)
      const txSeq = await submitFile(system, file, { valueWei: quote.feeWei })
      assert.equal(await system.market.expiresAt(txSeq), quote.expiresAt)
      const { sectorPriceWei, shardRateWei } = await system.market.sealTerms(txSeq)
      assert.deepEqual([quote.sectorPriceWei, quote.shardRateWei], [sectorPriceWei, shardRateWei])
    }
  })

  it("is the market's own quote for another parity and term", async () => {
    for (const [parityShards, termPeriods] of [
      [4, 5n],
      [8, 7200n],
      [16, 100n],
      [64, 100_000n],
    ] as const) {
      const quote = await quoteUpload(chain, { byteLength: 5_000, parityShards, termPeriods })
      const neededWei = await system.market.quote(quote.layout.paddedSectors, parityShards, termPeriods)
      const paidWei = quote.feeWei + quote.topUpWei
      assert(paidWei >= neededWei)
      if (quote.topUpWei > 0n) assert.equal(paidWei, neededWei)
      assert.equal(quote.totalWei, paidWei + system.params.parityBondWei)
    }
  })

  it('error: parity or term out of range, no bytes', async () => {
    const base = { byteLength: 1, perSectorPeriodWei: 1n, atBlock: 0n }
    for (const wish of [
      { parityShards: 3 },
      { parityShards: 65 },
      { parityShards: 4.5 },
      { termPeriods: 4n },
    ])
      assert.throws(() => quoteFile(chain.terms, { ...base, ...wish }), { code: 'BAD_REQUEST' })
    assert.throws(() => quoteFile(chain.terms, { ...base, byteLength: 0 }), { code: 'EMPTY_FILE' })
  })
})

import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { fileLayout } from '../../../sdk/protocol/layout.ts'
import { sampleBytes, shardFile } from '../../support/sharded-file.ts'
import { custodyOf, locateDraw, sealFile } from '../../support/storage-deal.ts'
import { deployStorage, enterPeriod, type StorageSystem } from '../../support/storage-fixture.ts'

/** File lengths of every kind: one sector, fewer than 16 shards, shards of one sector, of many, one node and several. */
const LENGTHS = [1, 256, 257, 9 * 256, 4095, 17 * 256, 40_000, 262_145, 600_000]
const PARITIES = [4, 8, 64]

let system: StorageSystem
before(async () => {
  system = await deployStorage({ providers: 12 })
})

describe('deals of every shape', () => {
  for (const byteLength of LENGTHS) {
    for (const parityShards of PARITIES) {
      const { dataShards, shardSectors } = fileLayout(byteLength)
      it(`behavior: ${byteLength} B in ${dataShards} + ${parityShards} shards of ${shardSectors} sectors is sealed and audited`, () =>
        system.rolledBack(async () => {
          const { prover, streams, stranger, params } = system
          const file = shardFile(sampleBytes(byteLength), parityShards)
          const deal = await sealFile(system, file)
          await enterPeriod(system, deal.startPeriod)
          await prover.openRound(deal.startPeriod, '0x')
          const { draws, live } = await prover.round(deal.startPeriod)
          assert.equal(draws, params.targetDraws)
          assert.equal(live, BigInt(file.shardRoots.length * shardSectors))
          for (let draw = 0n; draw < 8n; draw++) {
            const place = await locateDraw(system, [deal], { period: deal.startPeriod, draw })
            assert.ok(place)
            const shard = file.shards[place.shardIndex]
            assert.ok(shard)
            await prover
              .connect(stranger)
              .answer(
                deal.startPeriod,
                draw,
                place.entryIndex,
                shard.sector(place.sector),
                shard.path(place.sector),
                custodyOf(deal, place.shardIndex),
              )
          }
          const spentWei = deal.sectorPriceWei * live * (deal.endPeriod - deal.startPeriod)
          assert.equal((await streams.streamingWei()) + (await streams.potWei()), spentWei)
        }))
    }
  }
})

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { readDealState } from '../../../sdk/chain/storage.ts'
import { fromHex } from '../../../sdk/protocol/hex.ts'
import { at } from '../../support/content.ts'
import { type StorageAgent, type StorageWorld, startWorld } from './storage-world.ts'
import { makeDeal, prepareRandom, shardUrl } from './upload-deal.ts'

describe('a deal over the HTTP API', () => {
  let world: StorageWorld
  let agents: StorageAgent[]

  before(async () => {
    world = await startWorld()
    agents = await Promise.all(world.providers.map((provider) => provider.start()))
  })
  after(() => world.stop())

  it('default: shards go in, signatures come out, the chain seals, everyone reads', async () => {
    const prepared = prepareRandom(1_000_000, 3)
    const { txSeq, keepers } = await makeDeal(world, prepared)
    assert.equal(await readDealState(world.chain, txSeq), 'sealed')
    await world.settle(agents)
    for (const [index, shard] of prepared.shards.entries()) {
      const response = await fetch(shardUrl(at(keepers, index), txSeq, index))
      assert.equal(response.status, 200)
      assert.equal(response.headers.get('shard-root'), at(prepared.roots, index))
      assert.ok(Buffer.from(await response.arrayBuffer()).equals(shard))
    }
    assert.equal(fromHex(at(prepared.roots, 0)).length, 32)
  })
})

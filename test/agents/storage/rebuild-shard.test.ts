import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { rebuildChunk, rebuildShard } from '../../../agents/storage/rebuild-shard.ts'
import { isZerogError } from '../../../sdk/protocol/errors.ts'
import { at, randomBytes } from '../../support/content.ts'
import { type StorageAgent, type StorageWorld, startWorld } from './storage-world.ts'
import { makeDeal, type Prepared, prepareRandom } from './upload-deal.ts'

describe('rebuildShard', () => {
  let world: StorageWorld
  let agents: StorageAgent[]
  let prepared: Prepared
  let txSeq: bigint
  let keepers: Awaited<ReturnType<typeof makeDeal>>['keepers']
  const servers: Server[] = []

  before(async () => {
    world = await startWorld()
    agents = await Promise.all(world.providers.map((provider) => provider.start()))
    prepared = prepareRandom(12_000_000, 61)
    ;({ txSeq, keepers } = await makeDeal(world, prepared))
    await world.settle(agents)
    await world.manualBlocks()
  })
  after(async () => {
    for (const server of servers) {
      server.closeAllConnections()
      server.close()
    }
    await world.stop()
  })

  const parts = () => at(agents, 0).context
  function deal() {
    const found = parts().index.deal(txSeq)
    assert.ok(found)
    return { ...found, custodies: parts().index.custodiesAt(txSeq, found.startPeriod) }
  }

  async function rebuilt(index: number): Promise<Buffer> {
    const pieces: Uint8Array[] = []
    const signal = AbortSignal.timeout(60_000)
    for await (const piece of rebuildShard(parts(), deal(), { index, signal })) pieces.push(piece)
    return Buffer.concat(pieces)
  }

  /** Takes the place of provider `index`: whatever is asked, the answer has the right shape and wrong bytes. */
  async function impersonate(index: number): Promise<() => number> {
    let requests = 0
    await world.stopAgent(agents[index])
    const server = createServer((request, response) => {
      requests++
      const height = Number(new URL(request.url ?? '', 'http://x').searchParams.get('height'))
      const path = Buffer.alloc((Math.log2(at(prepared.shards, 0).length / 256) - height) * 32)
      response.setHeader('shard-path', path.toString('base64'))
      response.end(randomBytes(2 ** height * 256, requests))
    })
    servers.push(server)
    const { port } = new URL(world.provider(index).url)
    await new Promise<void>((resolve) => server.listen(Number(port), '127.0.0.1', resolve))
    return () => requests
  }

  it('default: data and parity shards come back from the others', async () => {
    for (const index of [0, 7, prepared.shards.length - 1]) {
      assert.ok((await rebuilt(index)).equals(at(prepared.shards, index)))
    }
  })

  it('behavior: a peer that sends wrong bytes and one that is gone are made up for', async () => {
    const asked = await impersonate(1)
    await world.stopAgent(agents[2])
    const index = keepers.indexOf(world.provider(0))
    assert.ok((await rebuilt(index)).equals(at(prepared.shards, index)))
    assert.ok(asked() > 0)
  })

  it('error: with fewer than d shards left it is SHARDS_MISSING, never wrong bytes', async () => {
    await world.stopAgent(agents[3])
    await world.stopAgent(agents[4])
    const signal = AbortSignal.timeout(60_000)
    await assert.rejects(
      rebuildChunk(parts(), deal(), { index: 0, height: 4, chunk: 0, signal }),
      (error) => {
        assert.ok(isZerogError(error))
        assert.equal(error.code, 'SHARDS_MISSING')
        assert.ok(Object.values(error.meta.failed as object).includes('PEER_MISBEHAVED'))
        return true
      },
    )
  })

  it('behavior: the repair waits until the others are back, then the shard is whole', async () => {
    const index = keepers.indexOf(world.provider(0))
    const file = join(world.provider(0).dataDir, 'shards', String(txSeq), `${index}.shard`)
    rmSync(file)
    assert.equal(await parts().shards.verify({ txSeq, index }, AbortSignal.timeout(10_000)), false)
    for (const each of [2, 3, 4]) agents[each] = await world.provider(each).start()
    await world.advance(
      'the shard is whole',
      () => parts().shards.info({ txSeq, index })?.state === 'complete',
      {
        blocks: 120,
      },
    )
    assert.ok(readFileSync(file).equals(at(prepared.shards, index)))
  })
})

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { publishPayload } from '../../../agents/da/publish.ts'
import { readPayload } from '../../../agents/da/read-payload.ts'
import { readBlobRecord, readIsFinal } from '../../../sdk/chain/da.ts'
import { at, randomBytes } from '../../support/content.ts'
import { type DaAgent, type DaWorld, startDaWorld } from './da-world.ts'

describe('a network of DA agents', () => {
  let world: DaWorld
  let agents: DaAgent[]

  before(async () => {
    world = await startDaWorld()
    agents = await Promise.all(world.nodes.map((node) => node.start()))
    await world.formCommittee(agents)
  })
  after(() => world.stop())

  it('default: a payload is published, attested by all and FINAL; every node reads it', async () => {
    const { context } = at(agents, 0)
    const payload = randomBytes(200_000, 1)
    const { blobId } = await publishPayload(context, payload, {
      retentionPeriods: 5n,
      until: 'final',
      signal: AbortSignal.timeout(60_000),
    })
    assert.equal(await readIsFinal(world.chain, blobId), true)
    await world.settle(agents)
    const back = await readPayload(at(agents, 3).context, blobId, AbortSignal.timeout(60_000))
    assert.ok(Buffer.from(payload).equals(back))
    const record = await readBlobRecord(world.chain, blobId)
    assert.equal(record?.status, 'final')
  })
})

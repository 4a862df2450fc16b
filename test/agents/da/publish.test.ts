import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { publishPayload } from '../../../agents/da/publish.ts'
import { readPayload } from '../../../agents/da/read-payload.ts'
import { restoredColumn } from '../../../agents/da/restore-columns.ts'
import { readBlobRecord, readDaMoney, readIsFinal } from '../../../sdk/chain/da.ts'
import { blobIdOf } from '../../../sdk/protocol/blob-header.ts'
import { DATA_COLUMNS } from '../../../sdk/protocol/cell-layout.ts'
import { columnFileBytes, encodeColumn } from '../../../sdk/protocol/column.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { at, randomBytes } from '../../support/content.ts'
import { until } from '../../support/until.ts'
import { type DaAgent, type DaWorld, startDaWorld, type WorldNode } from './da-world.ts'

const NODES = 6
const ALL_COLUMNS = 2n ** 128n - 1n
/** No repair by itself: the tests take columns away and count what is left. */
const STILL = { REPAIR_RETRY_BLOCKS: '100000' }

/** Answers in a stopped node's place: every column has the right form and other bytes. */
async function startLiar({ url }: WorldNode, genuine: (column: number) => Uint8Array) {
  let asked = 0
  const server = createServer((request, response) => {
    asked++
    const [, column = '0'] = /columns\/(\d+)$/.exec(request.url ?? '') ?? []
    const file = Buffer.from(genuine(Number(column)))
    file.set([at([...file], -1) ^ 1], file.length - 1)
    response.end(file)
  })
  await new Promise<void>((resolve) => server.listen(Number(new URL(url).port), '127.0.0.1', resolve))
  return {
    asked: () => asked,
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

describe('a network of DA agents', () => {
  let world: DaWorld
  let agents: DaAgent[]
  const options = (goal: 'soft' | 'final') => ({
    retentionPeriods: 5n,
    until: goal,
    signal: AbortSignal.timeout(120_000),
  })

  before(async () => {
    world = await startDaWorld({ nodes: NODES })
    agents = await Promise.all(world.nodes.map((node) => node.start(STILL)))
    await world.formCommittee(agents)
  })
  after(() => world.stop())

  it('default: a payload is published, attested by all and FINAL; every node reads it', async () => {
    const payload = randomBytes(200_000, 1)
    const { blobId } = await publishPayload(at(agents, 0).context, payload, options('final'))
    assert.equal(await readIsFinal(world.chain, blobId), true)
    await world.settle(agents)
    const back = await readPayload(at(agents, 3).context, blobId, AbortSignal.timeout(60_000))
    assert.ok(Buffer.from(payload).equals(back))
    assert.equal((await readBlobRecord(world.chain, blobId))?.status, 'final')
    // What is done leaves no signatures behind: a disperser would gather megabytes of them a day.
    const { journal } = at(agents, 0).context
    await until('the blob is done', () => journal.get(blobId)?.state === 'done')
    assert.equal(journal.collected(blobId).size, 0)
  })

  it('behavior: a read takes the data columns when they are there, and asks who is silent no more', async () => {
    const payload = randomBytes(3000, 9)
    const { context } = at(agents, 0)
    const { blobId, header } = await publishPayload(context, payload, options('final'))
    await until('all have signed', async () => {
      return (await readBlobRecord(world.chain, blobId))?.columns === ALL_COLUMNS
    })
    await world.settle(agents)
    const signal = AbortSignal.timeout(60_000)
    const kzg = { ...context.kzg, recover: () => Promise.reject(new Error('there was no need to recover')) }
    assert.ok(Buffer.from(payload).equals(await readPayload({ ...context, kzg }, blobId, signal)))

    // What a node keeps it serves while its RPC is silent.
    const served = await fetch(`${world.node(0).url}/da/blobs/${blobId}/commitments`)
    assert.equal(served.status, 200)
    const { provider } = context
    const getBlockNumber = provider.getBlockNumber.bind(provider)
    provider.getBlockNumber = () => new Promise(() => undefined)
    try {
      const init = { signal: AbortSignal.timeout(20_000) }
      const again = await fetch(`${world.node(0).url}/da/blobs/${blobId}/commitments`, init)
      assert.deepEqual(await again.arrayBuffer(), await served.arrayBuffer())
    } finally {
      provider.getBlockNumber = getBlockNumber
    }

    const { members } = await context.committees.at(header.epoch)
    const mute = members.find(({ operator }) => operator !== context.self)?.operator
    let asked = 0
    const column: typeof context.peers.column = async (request) => {
      if (request.operator !== mute) return context.peers.column(request)
      asked++
      throw new ZerogError('TIMEOUT')
    }
    const peers = { ...context.peers, column }
    assert.ok(Buffer.from(payload).equals(await readPayload({ ...context, peers }, blobId, signal)))
    // So many are asked at the same time.
    assert.ok(asked <= 8, `asked ${asked} times`)
  })

  it('behavior: a lost column is there for an audit though the disk has no room for it', async () => {
    const { context } = at(agents, 0)
    const blob = context.index.live(0n, 0).at(-1)
    assert.ok(blob)
    const { column: lost } = at(context.columns.records(blob.blobId), 0)
    const genuine = await context.columns.read(blob.blobId, lost)
    const columns: typeof context.columns = {
      ...context.columns,
      read: async (blobId, column) => (column === lost ? undefined : context.columns.read(blobId, column)),
      put: () => Promise.reject(new ZerogError('DISK_FULL')),
    }
    const restored = await restoredColumn({ ...context, columns }, blob, lost)
    assert.ok(genuine)
    assert.deepEqual(encodeColumn(restored), encodeColumn(genuine))
  })

  it('error: a blob whose payload is gone from the outbox is given up before it is paid', async () => {
    const { guard, index, journal, self } = at(agents, 0).context
    const like = index.live(0n, 0).find(({ header }) => header.disperser === self)
    assert.ok(like)
    const header = guard.bind((nonce) => ({ ...like.header, nonce }))
    const blobId = blobIdOf(header)
    const createdBlock = await world.head()
    journal.insert({ header, pays: true, publisher: self, createdBlock, permission: undefined })
    await world.advance('it is given up', () => journal.get(blobId)?.state === 'failed')
    assert.equal(journal.get(blobId)?.code, 'STORE_CORRUPT')
    assert.equal(await readBlobRecord(world.chain, blobId), undefined)
  })

  it('behavior: with a sixth of the columns away a blob is SOFT; it becomes FINAL when they are back', async () => {
    // 128 columns over six equal stakes: some hold 21, some 22; without one of the latter 106 are left, and FINAL takes 107.
    const committee = await at(agents, 0).context.committees.active()
    const larger = committee?.members.find(({ columns }) => columns.length === 22)?.operator
    const away = agents.findIndex(({ context }) => context.self === larger)
    assert.ok(away >= 0)
    await world.stopAgent(agents[away])
    const publisher = at(agents, (away + 1) % NODES).context
    const { blobId } = await publishPayload(publisher, randomBytes(3000, 2), options('soft'))
    assert.equal((await readBlobRecord(world.chain, blobId))?.status, 'soft')
    assert.equal(await readIsFinal(world.chain, blobId), false)
    agents[away] = await world.node(away).start(STILL)
    await until('the blob is FINAL', () => readIsFinal(world.chain, blobId), 60_000)
  })

  it('behavior: from 64 columns the exact payload, past nodes that lie; from 63 a clear error', async () => {
    const payload = randomBytes(200_000, 3)
    const reader = at(agents, 0).context
    const { blobId, header } = await publishPayload(reader, payload, options('final'))
    await until('all have signed', async () => {
      return (await readBlobRecord(world.chain, blobId))?.columns === ALL_COLUMNS
    })
    await world.settle(agents)
    const { holders } = await reader.committees.at(header.epoch)
    const kept = holders.flatMap(({ operator }, column) => {
      const index = agents.findIndex(({ context }) => context.self === operator)
      return index < 4 ? [{ column, node: world.node(index) }] : []
    })
    const lose = ({ column, node }: (typeof kept)[number]) =>
      rmSync(join(node.dataDir, 'columns', blobId.slice(2), `${column}.column`))
    for (const entry of kept.slice(DATA_COLUMNS)) lose(entry)
    for (const agent of agents.slice(4)) await world.stopAgent(agent)
    const file = new Uint8Array(columnFileBytes(header.blobCount))
    const genuine = (column: number) => {
      file.set(Buffer.from('ZGC1'))
      file.set([column, header.blobCount >> 8, header.blobCount & 0xff], 4)
      return file
    }
    const liars = await Promise.all(world.nodes.slice(4).map((node) => startLiar(node, genuine)))
    try {
      const signal = AbortSignal.timeout(120_000)
      const back = await readPayload(reader, blobId, signal)
      assert.ok(Buffer.from(payload).equals(back))
      assert.ok(liars.some((liar) => liar.asked() > 0))
      lose(at(kept, 0))
      await assert.rejects(readPayload(reader, blobId, signal), {
        code: 'DA_TOO_FEW_COLUMNS',
        meta: { blobId, found: DATA_COLUMNS - 1, needed: DATA_COLUMNS },
      })
    } finally {
      for (const liar of liars) await liar.stop()
    }
    agents.splice(4)
  })

  it('error: without a quorum in time the blob is not confirmed, and its fee returns less a share', async () => {
    for (const agent of agents.splice(2)) await world.stopAgent(agent)
    const { context } = at(agents, 0)
    const publishing = publishPayload(context, randomBytes(500, 4), options('soft'))
    const outcome = publishing.then(
      () => undefined,
      (error: { code: string }) => error.code,
    )
    const { availability } = world.chain.da
    const submitted = await until('it is paid', async () => {
      const [open] = context.journal.open()
      return open && (await readBlobRecord(world.chain, open.blobId)) && open
    })
    const { confirmBy = 0n } = (await readBlobRecord(world.chain, submitted.blobId)) ?? {}
    const { creditWei: before } = await readDaMoney(world.chain, context.self)
    await world.mineTo(confirmBy)
    assert.equal(await outcome, 'DA_NOT_CONFIRMED')
    await world.advance(
      'the fee is back',
      async () => (await availability.blobOf(submitted.blobId)).status === 4n,
    )
    const { creditWei } = await readDaMoney(world.chain, context.self)
    const { feeWei } = await availability.blobOf(submitted.blobId)
    assert.ok(creditWei > before && creditWei - before < feeWei)
  })
})

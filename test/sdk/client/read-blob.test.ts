import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { nodeTransport } from '../../../sdk/client/http-node.ts'
import { loadNodeKzg } from '../../../sdk/client/kzg-node.ts'
import { readBlob } from '../../../sdk/client/read-blob.ts'
import { PAYLOAD_BYTES_PER_BLOB } from '../../../sdk/protocol/blob.ts'
import { DATA_COLUMNS } from '../../../sdk/protocol/cell-layout.ts'
import { columnsOf, encodeColumn } from '../../../sdk/protocol/column.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import type { KzgEngine } from '../../../sdk/protocol/kzg-engine.ts'
import { at, randomBytes } from '../../support/content.ts'
import { type DaNetwork, encode, type Published, startDaNetwork } from './da-network.ts'

describe('readBlob', () => {
  let network: DaNetwork
  let kzg: KzgEngine
  let published: Published
  const payload = randomBytes(2 * PAYLOAD_BYTES_PER_BLOB + 1234, 5)

  before(async () => {
    kzg = await loadNodeKzg()
    network = await startDaNetwork()
    published = await network.publish(payload)
  })
  after(() => network.stop())
  afterEach(() => {
    for (const node of network.nodes) {
      node.fault = () => undefined
      node.asked.length = 0
    }
  })

  const read = (options: Partial<readBlob.Options> = {}) =>
    readBlob({ chain: network.chain, blobId: published.blobId, kzg, transport: nodeTransport, ...options })

  /** Nodes answer only for these columns. */
  function serveOnly(columns: ReadonlySet<number>): void {
    for (const node of network.nodes)
      node.fault = (path) => {
        const column = /columns\/(\d+)$/.exec(path)?.[1]
        return column !== undefined && !columns.has(Number(column)) ? { status: 500 } : undefined
      }
  }
  const firstColumns = (count: number, from = 0) =>
    new Set(Array.from({ length: count }, (_, i) => (from + i * 5) % 128))

  it('reads the data columns and nothing else when all nodes answer', async () => {
    const steps: string[] = []
    const result = await read({ onProgress: ({ step, done }) => steps.push(`${step} ${done}`) })
    assert.deepEqual(result.payload, payload)
    assert.deepEqual(
      result.columns,
      Array.from({ length: DATA_COLUMNS }, (_, k) => k),
    )
    assert.equal(result.isRebuilt, false)
    assert.deepEqual(result.faults, [])
    assert.deepEqual(result.header, published.header)
    assert(steps.includes('columns 64') && steps.includes('decoding 3'))
  })

  it('behavior: any 64 columns give the same payload', async () => {
    serveOnly(firstColumns(64, 3))
    const result = await read()
    assert.deepEqual(result.payload, payload)
    assert.equal(result.isRebuilt, true)
    assert.deepEqual(new Set(result.columns), firstColumns(64, 3))
  })

  it('error: 63 columns are too few, and it says how many there are', async () => {
    serveOnly(firstColumns(63))
    await assert.rejects(read(), ({ code, meta }: { code: string; meta: Record<string, unknown> }) => {
      assert.equal(code, 'DA_TOO_FEW_COLUMNS')
      assert.equal(meta.have, 63)
      assert.equal(meta.need, 64)
      return true
    })
  })

  it('behavior: half of the nodes dead or without an answer', async () => {
    const [dead, silent] = [network.nodes.slice(0, 2), network.nodes.slice(2, 4)]
    for (const node of dead) node.fault = () => ({ status: 503 })
    for (const node of silent) node.fault = () => 'hang'
    const result = await read({ columnTimeoutMs: 3_000 })
    assert.deepEqual(result.payload, payload)
    const blamed = new Set(result.faults.map(({ operator }) => operator))
    for (const { wallet } of dead) assert(blamed.has(wallet.address))
  })

  const poisons: Record<string, (file: Uint8Array) => Uint8Array | string> = {
    'a flipped bit in a cell': (file) => flipped(file, file.length - 1),
    'a flipped bit in a proof': (file) => flipped(file, 7 + 7 * 32),
    'a flipped bit in a sibling': (file) => flipped(file, 8),
    'the number of another column': (file) => flipped(file, 4),
    'another count of blobs': (file) => flipped(file, 6),
    'a truncated file': (file) => file.subarray(0, file.length - 1),
    'bytes behind the file': (file) => Buffer.concat([file, Buffer.alloc(1)]),
    nothing: () => new Uint8Array(),
    text: () => 'I have no such thing',
  }
  for (const [name, poison] of Object.entries(poisons)) {
    it(`behavior: a node that sends ${name} is refused, reported and routed around`, async () => {
      const node = at(network.nodes, 3)
      node.fault = (path) => {
        const column = /columns\/(\d+)$/.exec(path)?.[1]
        if (column === undefined || !node.columns.has(Number(column))) return undefined
        const file = encodeColumn(at(published.encoded.columns, Number(column)))
        return { status: 200, body: poison(file) }
      }
      const result = await read()
      assert.deepEqual(result.payload, payload)
      const fault = result.faults.find(({ operator }) => operator === node.wallet.address)
      assert.equal(fault?.code, name === 'bytes behind the file' ? 'PEER_MISBEHAVED' : 'DA_CELL_INVALID')
      // Found out once, it is not asked for all of its columns.
      assert(node.asked.length < 16, `${node.asked.length} requests`)
    })
  }

  it('behavior: wrong commitments are refused, those of another node are taken', async () => {
    for (const node of network.nodes.slice(0, 7))
      node.fault = (path) =>
        path.endsWith('/commitments') ? { status: 200, body: new Uint8Array(3 * 48).fill(0xc0) } : undefined
    assert.deepEqual((await read()).payload, payload)
    at(network.nodes, 7).fault = (path) => (path.endsWith('/commitments') ? { status: 500 } : undefined)
    await assert.rejects(read(), { code: 'DA_TOO_FEW_COLUMNS' })
  })

  it('error: no such blob, no such id', async () => {
    await assert.rejects(read({ blobId: `0x${'11'.repeat(32)}` }), { code: 'DA_UNKNOWN_BLOB' })
    await assert.rejects(read({ blobId: '0x11' }), { code: 'BAD_HEX' })
  })

  it('error: stops when aborted', async () => {
    for (const node of network.nodes) node.fault = () => 'hang'
    const abort = new AbortController()
    const reading = read({ signal: abort.signal })
    setImmediate(() => abort.abort())
    await assert.rejects(reading, { code: 'ABORTED' })
  })

  it('behavior: a padding that is not zero is invalid for everybody, with the same reason', async () => {
    const blob = await encode(randomBytes(1000, 9))
    const header = await network.sign(blob, { payloadBytes: 999 })
    await network.submit(header)
    network.disperse(header)
    await network.confirm(header)
    const reasons: unknown[] = []
    for (const columns of [firstColumns(64), firstColumns(64, 1), firstColumns(128)]) {
      serveOnly(columns)
      await assert.rejects(
        read({ blobId: header.blobId }),
        ({ code, meta }: { code: string; meta: Record<string, unknown> }) => {
          reasons.push(meta.reason)
          return code === 'DA_INVALID_BLOB'
        },
      )
    }
    assert.deepEqual(reasons, ['length', 'length', 'length'])
  })

  it('behavior: a blob whose cells do not fit their commitments is invalid', async () => {
    // The disperser commits to one blob and publishes the cells of another.
    const [a, b] = await Promise.all([encode(randomBytes(500, 1)), encode(randomBytes(500, 2))])
    const mixed = await network.sign({ ...a, columns: b.columns, cellsRoot: b.cellsRoot })
    await network.submit(mixed)
    network.disperse(mixed)
    await network.confirm(mixed)
    await assert.rejects(
      read({ blobId: mixed.blobId }),
      ({ code, meta }: { code: string; meta: Record<string, unknown> }) =>
        code === 'DA_INVALID_BLOB' && meta.reason === 'cell',
    )
  })

  it('behavior: some wrong cells cost only their columns', async () => {
    const hasher = await loadHasher()
    const good = await encode(randomBytes(500, 3))
    const cells = Array.from({ length: 128 }, (_, k) => {
      const { cell, proof } = at(at(good.columns, k).cells, 0)
      return k % 3 === 0 ? { cell: flipped(cell, 31), proof } : { cell, proof }
    })
    const spoiled = columnsOf(hasher, [
      { cells: cells.map(({ cell }) => cell), proofs: cells.map(({ proof }) => proof) },
    ])
    const header = await network.sign({ ...good, ...spoiled })
    await network.submit(header)
    network.disperse(header)
    await network.confirm(header)
    const result = await read({ blobId: header.blobId })
    assert.deepEqual(result.payload, good.payload)
    assert(result.columns.every((column) => column % 3 !== 0))
    // Whoever serves what the header commits to has done nothing wrong.
    assert.deepEqual(result.faults, [])
  })

  it('behavior: columns of a past epoch are read from who holds them now', async () => {
    const { holders } = await network.moveOn()
    const moved = holders.filter(({ operator }, k) => operator !== at(network.committee.holders, k).operator)
    assert(moved.length > 64, 'the shuffle has moved most columns')
    assert.deepEqual((await read()).payload, payload)
  })

  it('error: an expired blob is gone, whatever nodes still have', async () => {
    const { chain, anvil, rpc } = network
    const { expiresAt } = published.header
    const { startBlock, periodBlocks } = chain.terms
    const mineTo = async (period: bigint) => {
      const target = Number(startBlock + period * periodBlocks)
      for (let head = await rpc.getBlockNumber(); head < target; head += 100)
        await anvil.mine(Math.min(100, target - head))
    }
    await mineTo(expiresAt)
    assert.deepEqual((await read()).payload, payload)
    serveOnly(new Set())
    await assert.rejects(read(), { code: 'DA_EXPIRED' })
    await mineTo(expiresAt + chain.daTerms.disputePeriods)
    serveOnly(firstColumns(128))
    await assert.rejects(read(), { code: 'DA_EXPIRED' })
  })
})

/** A copy with one bit changed. */
function flipped(bytes: Uint8Array, offset: number): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy[offset] = (copy[offset] ?? 0) ^ 1
  return copy
}

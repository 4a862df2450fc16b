import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { readBlobRecord, readConfirmation } from '../../../sdk/chain/da.ts'
import { nodeTransport } from '../../../sdk/client/http-node.ts'
import { createLightClient } from '../../../sdk/client/light-client.ts'
import { verifyQuorum } from '../../../sdk/client/quorum-proof.ts'
import { verifyFinal } from '../../../sdk/client/verify-final.ts'
import { encodeColumn } from '../../../sdk/protocol/column.ts'
import { columnCount } from '../../../sdk/protocol/quorum.ts'
import { at, randomBytes } from '../../support/content.ts'
import { type DaNetwork, encode, type Published, startDaNetwork } from './da-network.ts'

describe('light clients and FINAL', () => {
  let network: DaNetwork
  let published: Published
  before(async () => {
    network = await startDaNetwork()
    published = await network.publish(randomBytes(200_000, 5))
  })
  after(() => network.stop())
  afterEach(() => {
    for (const node of network.nodes) {
      node.fault = () => undefined
      node.asked.length = 0
    }
  })

  const client = (options: Partial<createLightClient.Options> = {}) =>
    createLightClient({ chain: network.chain, transport: nodeTransport, ...options })
  const columnPath = /columns\/(\d+)$/

  /** A blob on chain with every column at its holder, and no confirmation. */
  async function submitted(seed: number): Promise<Published> {
    const blob = await network.sign(await encode(randomBytes(300, seed)))
    await network.submit(blob)
    network.disperse(blob)
    return blob
  }

  describe('createLightClient', () => {
    it('finds a blob available with 16 samples and the exact confidence', async () => {
      const verdict = await client().sample(published.blobId)
      assert(verdict.verdict === 'AVAILABLE')
      assert.equal(verdict.quorum, 'final')
      assert.equal(verdict.samples.length, 16)
      assert.equal(new Set(verdict.samples.map(({ column }) => column)).size, 16)
      assert(Math.abs(verdict.foolChance - 3.925e-6) < 1e-9, `${verdict.foolChance}`)
      assert.equal(verdict.confidence, 1 - verdict.foolChance)
      assert.deepEqual(verdict.header, published.header)
      assert.deepEqual(verdict.faults, [])
    })

    it('behavior: samples other columns each time', async () => {
      const columns = new Set<number>()
      for (let round = 0; round < 4; round++) {
        const verdict = await client().sample(published.blobId)
        assert(verdict.verdict === 'AVAILABLE')
        for (const { column } of verdict.samples) columns.add(column)
      }
      // Four independent draws of 16 have 51 different ones on average; 25 or fewer are beyond any luck.
      assert(columns.size > 25, `${columns.size} columns`)
    })

    it('behavior: makes up for a dead node by more samples', async () => {
      at(network.nodes, 2).fault = () => ({ status: 503 })
      const verdict = await client().sample(published.blobId)
      assert(verdict.verdict === 'AVAILABLE')
      const missed = verdict.samples.filter(({ isServed }) => !isServed)
      assert(missed.length === 0 || verdict.samples.length > 16)
      assert(missed.every(({ column }) => at(network.nodes, 2).columns.has(column)))
      assert(verdict.foolChance < 1e-4)
    })

    it('behavior: unavailable when half of the columns are withheld', async () => {
      for (const node of network.nodes)
        node.fault = (path) => (Number(columnPath.exec(path)?.[1]) % 2 === 1 ? { status: 404 } : undefined)
      const verdict = await client().sample(published.blobId)
      assert.equal(verdict.verdict, 'UNAVAILABLE')
    })

    it('behavior: unavailable when every node tampers with its cells', async () => {
      for (const node of network.nodes)
        node.fault = (path) => {
          const column = columnPath.exec(path)?.[1]
          if (column === undefined) return undefined
          const body = encodeColumn(at(published.encoded.columns, Number(column)))
          body[300] = (body[300] ?? 0) ^ 1
          return { status: 200, body }
        }
      const verdict = await client().sample(published.blobId)
      assert(verdict.verdict === 'UNAVAILABLE')
      assert(verdict.samples.every((sample) => !sample.isServed && sample.code === 'DA_CELL_INVALID'))
      assert.equal(verdict.faults.length, network.nodes.length)
    })

    it('behavior: unavailable when nobody has even the commitments', async () => {
      for (const node of network.nodes) node.fault = () => ({ status: 500 })
      assert.equal((await client().sample(published.blobId)).verdict, 'UNAVAILABLE')
    })

    it('behavior: invalid when a published cell does not fit its commitment', async () => {
      const [a, b] = await Promise.all([encode(randomBytes(500, 1)), encode(randomBytes(500, 2))])
      const mixed = await network.sign({ ...a, columns: b.columns, cellsRoot: b.cellsRoot })
      await network.submit(mixed)
      network.disperse(mixed)
      await network.confirm(mixed)
      const verdict = await client().sample(mixed.blobId)
      assert(verdict.verdict === 'INVALID')
      assert.equal(verdict.reason, 'cell')
    })

    it('behavior: samples only attested columns, more of them when fewer are attested', async () => {
      const blob = await submitted(21)
      const signing = network.nodes.slice(0, 6)
      await network.confirm(blob, signing)
      const attested = new Set(signing.flatMap(({ columns }) => [...columns]))
      const verdict = await client().sample(blob.blobId)
      assert(verdict.verdict === 'AVAILABLE')
      assert.equal(verdict.quorum, 'soft')
      assert(verdict.samples.length > 16)
      assert(verdict.samples.every(({ column }) => attested.has(column)))
    })

    it('error: not confirmed, unknown, or a senseless number of samples', async () => {
      const blob = await submitted(22)
      await assert.rejects(client().sample(blob.blobId), { code: 'DA_NOT_CONFIRMED' })
      await assert.rejects(client().sample(`0x${'11'.repeat(32)}`), { code: 'DA_UNKNOWN_BLOB' })
      for (const samples of [0, 129, 1.5]) assert.throws(() => client({ samples }), { code: 'BAD_REQUEST' })
    })
  })

  describe('verifyQuorum', () => {
    async function proof(blobId: string) {
      const record = await readBlobRecord(network.chain, blobId)
      assert(record !== undefined)
      const confirmation = await readConfirmation(network.chain, { blobId, record })
      assert(confirmation !== undefined)
      return { blobId, committee: network.committee, confirmation }
    }

    it('counts the columns of those who signed', async () => {
      const { level, columns } = verifyQuorum(network.chain, await proof(published.blobId))
      assert.equal(level, 'final')
      assert.equal(columnCount(columns), 128)
    })

    it('error: other signers, another signature, another blob, another epoch, fewer columns', async () => {
      const good = await proof(published.blobId)
      const { confirmation, committee } = good
      const verify = (change: Partial<typeof good>) => verifyQuorum(network.chain, { ...good, ...change })
      const fewer = confirmation.signers & (confirmation.signers - 1n)
      for (const signers of [fewer, 0n, confirmation.signers | (1n << 100n)])
        assert.throws(() => verify({ confirmation: { ...confirmation, signers } }), {
          code: 'SIGNATURE_INVALID',
        })
      for (const signature of ['0x', `0x${'00'.repeat(256)}`, `${confirmation.signature.slice(0, -2)}ff`])
        assert.throws(() => verify({ confirmation: { ...confirmation, signature } }), {
          code: 'SIGNATURE_INVALID',
        })
      assert.throws(() => verify({ blobId: `0x${'22'.repeat(32)}` }), { code: 'SIGNATURE_INVALID' })
      assert.throws(() => verify({ committee: { ...committee, epoch: committee.epoch + 1n } }), {
        code: 'SIGNATURE_INVALID',
      })
      const members = committee.members.map((member) => ({ ...member, columns: member.columns.slice(0, 5) }))
      assert.throws(() => verify({ committee: { ...committee, members } }), { code: 'DA_NOT_CONFIRMED' })
      assert.throws(() => verifyQuorum(network.chain, { ...good, confirmation: undefined }), {
        code: 'DA_NOT_CONFIRMED',
      })
    })
  })

  describe('verifyFinal', () => {
    it('gives the header and who attested it', async () => {
      const final = await verifyFinal({
        chain: network.chain,
        blobId: published.blobId.toUpperCase().replace('X', 'x'),
      })
      assert.deepEqual(final.header, published.header)
      assert.equal(final.blobId, published.blobId)
      assert.equal(columnCount(final.columns), 128)
      assert.equal(final.convictedAtBlock, undefined)
    })

    it('behavior: counts the blocks on top', async () => {
      const { chain, rpc, anvil } = network
      const { finalAtBlock } = await verifyFinal({ chain, blobId: published.blobId })
      const confirmations = (await rpc.getBlockNumber()) - Number(finalAtBlock) + 1
      const options = { chain, blobId: published.blobId, confirmations }
      await assert.rejects(verifyFinal(options), { code: 'DA_NOT_CONFIRMED', retryable: true })
      await anvil.mine(1)
      assert.equal((await verifyFinal(options)).finalAtBlock, finalAtBlock)
    })

    it('error: unknown, submitted or only SOFT', async () => {
      const { chain, nodes } = network
      await assert.rejects(verifyFinal({ chain, blobId: `0x${'11'.repeat(32)}` }), {
        code: 'DA_UNKNOWN_BLOB',
      })
      await assert.rejects(verifyFinal({ chain, blobId: 'x' }), { code: 'BAD_HEX' })
      const blob = await submitted(23)
      await assert.rejects(verifyFinal({ chain, blobId: blob.blobId }), { code: 'DA_NOT_CONFIRMED' })
      await network.confirm(blob, nodes.slice(0, 6))
      await assert.rejects(verifyFinal({ chain, blobId: blob.blobId }), { code: 'DA_NOT_CONFIRMED' })
      await network.confirm(blob, nodes)
      await verifyFinal({ chain, blobId: blob.blobId })
    })
  })
})

import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Wallet } from 'ethers'
import { encodeOffer } from '../../../agents/da/blob-offer.ts'
import { isSignedBy } from '../../../agents/da/bls-points.ts'
import { readBlobRecord } from '../../../sdk/chain/da.ts'
import { columnFileBytes } from '../../../sdk/protocol/column.ts'
import { attestationDigest, daDomain } from '../../../sdk/protocol/da-typed-data.ts'
import { fromHex } from '../../../sdk/protocol/hex.ts'
import { at, randomBytes } from '../../support/content.ts'
import { sendWild } from '../../support/wild-requests.ts'
import { type DaAgent, type DaWorld, startDaWorld, type WorldNode } from './da-world.ts'
import { type Crafted, confirm, craft, offerTo, pay, putRaw, seatsOf } from './rogue-disperser.ts'

const QUICK = { DA_PAYMENT_WAIT_MS: '300', PEER_TIMEOUT_MS: '5000' }

describe('attest', () => {
  let world: DaWorld
  let agents: DaAgent[]
  let disperser: WorldNode
  let node: WorldNode
  let nonce = 1n
  const payload = randomBytes(130_000, 5)

  before(async () => {
    // The last operator disperses by hand; the others attest.
    world = await startDaWorld({ nodes: 5 })
    disperser = world.node(4)
    node = world.node(0)
    agents = await Promise.all(world.nodes.slice(0, 4).map((each) => each.start(QUICK)))
    await world.formCommittee(agents)
  })
  after(() => world.stop())

  const make = (options: Omit<Parameters<typeof craft>[2], 'nonce' | 'payload'> & { nonce?: bigint } = {}) =>
    craft(world, disperser, { nonce: nonce++, payload, ...options })

  /** Nothing of a refused blob stays: no record, no file, no promise. */
  function assertNothingStored({ blobId, header }: Crafted): void {
    const { context } = at(agents, 0)
    assert.equal(context.columns.blob(blobId), undefined)
    assert.deepEqual(context.columns.records(blobId), [])
    assert.equal(context.guard.attested(header), undefined)
    assert.equal(existsSync(join(node.dataDir, 'columns', blobId.slice(2))), false)
  }

  async function refused(
    crafted: Crafted,
    expected: { status: number; code: string },
    answer = offerTo(node, crafted),
  ): Promise<void> {
    const { status, code, signature } = await answer
    assert.deepEqual({ status, code, signature }, { ...expected, signature: undefined })
    assertNothingStored(crafted)
  }

  it('default: a paid blob is verified, kept and signed; asked again, the signature is the same', async () => {
    const crafted = await make()
    await pay(world, disperser, crafted)
    const first = await offerTo(node, crafted)
    assert.equal(first.status, 200, first.code)
    const { header, blobId, committee } = crafted
    const digest = fromHex(
      attestationDigest(daDomain(header.chainId, header.da), { blobId, epoch: header.epoch }),
    )
    const member = committee.members.find(({ operator }) => operator === node.wallet.address)
    assert.ok(member)
    assert.ok(isSignedBy(member.publicKey, { digest, signature: fromHex(first.signature ?? '') }))
    const again = await offerTo(node, crafted)
    assert.equal(again.signature, first.signature)
    const files = readdirSync(join(node.dataDir, 'columns', blobId.slice(2)))
    assert.deepEqual(files.sort(), member.columns.map((column) => `${column}.column`).sort())
  })

  it('error: a header of another chain, contract, version or length', async () => {
    const da = disperser.wallet.address
    await refused(await make({ change: (header) => ({ ...header, chainId: 1n }) }), {
      status: 400,
      code: 'DA_WRONG_CHAIN',
    })
    await refused(await make({ change: (header) => ({ ...header, da }) }), {
      status: 400,
      code: 'DA_WRONG_CHAIN',
    })
    await refused(await make({ change: (header) => ({ ...header, version: 2 }) }), {
      status: 422,
      code: 'DA_INVALID_BLOB',
    })
    await refused(await make({ change: (header) => ({ ...header, blobCount: 1 }) }), {
      status: 422,
      code: 'DA_INVALID_BLOB',
    })
  })

  it('error: a header that its disperser did not sign', async () => {
    const crafted = await make()
    const forged = { ...crafted, signature: await node.wallet.signMessage('x') }
    await refused(forged, { status: 401, code: 'SIGNATURE_INVALID' })
  })

  it('error: a header that nobody paid for', async () => {
    await refused(await make(), { status: 402, code: 'DA_UNPAID' })
  })

  it('error: an epoch that is over, or not formed', async () => {
    const { epoch } = (await make()).header
    await refused(await make({ change: (header) => ({ ...header, epoch: epoch + 1n }) }), {
      status: 409,
      code: 'DA_WRONG_EPOCH',
    })
    const stale = await make()
    const paid = await make()
    await pay(world, disperser, paid)
    const { epochPeriods } = world.chain.terms
    await world.enterPeriod((epoch + 1n) * epochPeriods, 1n)
    await world.advance('the next committee stands', async () => {
      return (await world.chain.da.committee.activeEpoch()) > epoch
    })
    await refused(stale, { status: 409, code: 'DA_WRONG_EPOCH' })
    // Paid in its epoch and still open: its members are the ones who may sign it.
    const late = await offerTo(node, paid)
    assert.equal(late.status, 200, late.code)
    const zombie = await make()
    await pay(world, disperser, zombie)
    const { confirmBy = 0n } = (await readBlobRecord(world.chain, zombie.blobId)) ?? {}
    await world.enterPeriod((epoch + 2n) * epochPeriods, 1n)
    await world.advance('the one after stands', async () => {
      return (await world.chain.da.committee.activeEpoch()) > epoch + 1n
    })
    await world.mineTo(confirmBy)
    await refused(zombie, { status: 409, code: 'DA_WRONG_EPOCH' })
  })

  it('error: truncated, too long, other columns, other bytes, not a header', async () => {
    const crafted = await make()
    await pay(world, disperser, crafted)
    const whole = encodeOffer(crafted, { ...crafted.offer, columns: seatsOf(crafted, node) })
    const { blobId } = crafted
    const bad = { status: 400, code: 'BAD_REQUEST' }
    await refused(crafted, bad, putRaw(node, blobId, whole.subarray(0, whole.length - 1)))
    await refused(crafted, bad, putRaw(node, blobId, Buffer.concat([whole, Buffer.from([0])])))
    await refused(crafted, bad, putRaw(node, blobId, Buffer.from('{}\n')))
    await refused(crafted, bad, putRaw(node, blobId, Buffer.alloc(9000, 0x61)))
    await refused(crafted, bad, putRaw(node, `0x${'00'.repeat(32)}`, whole))
    await refused(crafted, bad, offerTo(node, crafted, seatsOf(crafted, world.node(1))))
    const flipped = Uint8Array.from(whole)
    const last = flipped.length - 1
    flipped[last] = at([...whole], last) ^ 1
    await refused(crafted, { status: 422, code: 'DA_CELL_INVALID' }, putRaw(node, blobId, flipped))
    const seats = seatsOf(crafted, node).length
    const commitmentAt = whole.length - seats * columnFileBytes(crafted.header.blobCount) - 1
    const spoilt = Uint8Array.from(whole)
    spoilt[commitmentAt] = at([...whole], commitmentAt) ^ 1
    await refused(crafted, { status: 422, code: 'PROOF_INVALID' }, putRaw(node, blobId, spoilt))
    const bytes = await putRaw(node, '0x12', whole)
    assert.deepEqual([bytes.status, bytes.code], [400, 'BAD_HEX'])
    assert.equal((await offerTo(node, crafted)).status, 200)
  })

  it('error: a second header for one nonce is refused and its disperser convicted', async () => {
    const first = await make()
    await pay(world, disperser, first)
    // This node has seen neither of them by itself; the first is on chain.
    const second = await make({
      nonce: first.header.nonce,
      change: (header) => ({ ...header, payloadHash: first.header.cellsRoot }),
    })
    await world.settle(agents)
    await refused(second, { status: 409, code: 'DA_EQUIVOCATION' })
    const { availability } = world.chain.da
    await world.advance('the disperser is convicted', () =>
      availability.isConvicted(disperser.wallet.address),
    )
    const { staking } = world.chain.contracts
    assert.equal(
      await staking.backing(disperser.wallet.address, world.chain.da.addresses.DataAvailability),
      0n,
    )
  })

  it('behavior: strangers with slow or unpaid headers keep no disperser out', async () => {
    const honest = world.node(2)
    const crafted = await craft(world, honest, { nonce: 1n, payload })
    await pay(world, honest, crafted)
    const { host, port } = new URL(node.url)
    const slow = Array.from({ length: 12 }, () => {
      const socket = connect(Number(port), '127.0.0.1')
      socket.on('error', () => undefined)
      const path = `/da/blobs/0x${'ab'.repeat(32)}/columns`
      socket.write(`PUT ${path} HTTP/1.1\r\nhost: ${host}\r\ncontent-length: 1000\r\n\r\n{`)
      return socket
    })
    const stranger = { ...disperser, wallet: new Wallet(`0x${'5a'.repeat(32)}`, world.rpc) }
    const forged = await craft(world, stranger as WorldNode, { nonce: 1n, payload })
    const unpaid = Array.from({ length: 12 }, () => offerTo(node, forged, seatsOf(crafted, node)))
    const answer = await offerTo(node, crafted)
    assert.equal(answer.status, 200, answer.code)
    for (const { status, code } of await Promise.all(unpaid))
      assert.deepEqual([status, code], [402, 'DA_UNPAID'])
    const { context } = at(agents, 0)
    const { id } = context.store.get<{ id: number }>(
      'SELECT count(*) AS id FROM da_seen_header WHERE disperser = ?',
      stranger.wallet.address.toLowerCase(),
    ) ?? { id: -1 }
    assert.equal(id, 0, 'headers that cost nothing are not remembered')
    for (const socket of slow) socket.destroy()
  })

  it('behavior: whoever has a paid header and is slow to send its columns keeps no other disperser out', async () => {
    const dawdler = world.node(1)
    const slow = await craft(world, dawdler, { nonce: 7n, payload })
    await pay(world, dawdler, slow)
    const { pathname, hostname, port } = new URL(`${node.url}/da/blobs/${slow.blobId}/columns`)
    const start = encodeOffer(slow, { ...slow.offer, columns: [] })
    const sockets = Array.from({ length: 8 }, () => {
      const socket = connect(Number(port), hostname)
      socket.on('error', () => undefined)
      socket.write(`PUT ${pathname} HTTP/1.1\r\nhost: ${hostname}\r\ncontent-length: 9999999\r\n\r\n`)
      socket.write(start)
      return socket
    })
    const honest = world.node(2)
    const crafted = await craft(world, honest, { nonce: 7n, payload })
    await pay(world, honest, crafted)
    const answer = await offerTo(node, crafted)
    assert.equal(answer.status, 200, answer.code)
    for (const socket of sockets) socket.destroy()
  })

  it('error: a body that drips in is given up', async () => {
    const honest = world.node(2)
    const crafted = await craft(world, honest, { nonce: 2n, payload })
    await pay(world, honest, crafted)
    const whole = encodeOffer(crafted, { ...crafted.offer, columns: seatsOf(crafted, node) })
    let at = 0
    const dripping = new ReadableStream<Uint8Array>({
      async pull(controller) {
        // Every piece comes well within a time-out of its own: only the whole body's ends it.
        await delay(50)
        const next = at === 0 ? 2000 : at + 1
        controller.enqueue(Uint8Array.from(whole.subarray(at, next)))
        at = next
      },
    })
    const { status, code } = await putRaw(node, crafted.blobId, dripping)
    assert.deepEqual([status, code], [504, 'TIMEOUT'])
  })

  it('behavior: spoiled requests bring no node down, and nothing of them is stored', async () => {
    const honest = world.node(2)
    const crafted = await craft(world, honest, { nonce: 9n, payload: randomBytes(900, 6) })
    await pay(world, honest, crafted)
    const before = at(agents, 0).context.columns.counts()
    const offer = encodeOffer(crafted, { ...crafted.offer, columns: seatsOf(crafted, node) })
    const path = `/da/blobs/${crafted.blobId}`
    const host = 'host: x\r\nconnection: close\r\n'
    const start = `PUT ${path}/columns HTTP/1.1\r\n${host}content-length: ${offer.length}\r\n\r\n`
    const statuses = await sendWild(
      node.url,
      [
        // Cut short, so that no spoiled one is whole by chance.
        Buffer.concat([Buffer.from(start), offer.subarray(0, -1)]),
        `POST /da/blobs?retentionPeriods=6 HTTP/1.1\r\n${host}authorization: ZeroGDa ${honest.wallet.address} 9999999999 0x${'11'.repeat(65)}\r\ncontent-length: 3\r\n\r\nabc`,
        `GET ${path} HTTP/1.1\r\n${host}\r\n`,
        `GET ${path}/columns/3 HTTP/1.1\r\n${host}\r\n`,
        `GET ${path}/payload HTTP/1.1\r\n${host}\r\n`,
      ],
      { count: 200, seed: 3 },
    )
    assert.equal(statuses.length, 200)
    assert.deepEqual(at(agents, 0).context.columns.counts(), before)
    const answer = await offerTo(node, crafted)
    assert.equal(answer.status, 200, answer.code)
  })

  it('behavior: what an honest node signed confirms on chain', async () => {
    const honest = world.node(3)
    const crafted = await craft(world, honest, { nonce: 1n, payload })
    await pay(world, honest, crafted)
    const signatures = new Map<WorldNode, string>()
    for (const each of world.nodes.slice(0, 4)) {
      const { signature, code } = await offerTo(each, crafted)
      assert.ok(signature, code)
      signatures.set(each, signature)
    }
    await confirm(world, honest, crafted, signatures)
    assert.equal((await readBlobRecord(world.chain, crafted.blobId))?.status, 'final')
  })
})

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { HDNodeWallet, type Wallet } from 'ethers'
import { readIsFinal } from '../../../sdk/chain/da.ts'
import { submitBlobCall } from '../../../sdk/chain/da-calls.ts'
import { parseSignedHeader } from '../../../sdk/protocol/blob-header.ts'
import { decodeColumn, verifyColumn } from '../../../sdk/protocol/column.ts'
import { daDomain, formatPublish, signPublish } from '../../../sdk/protocol/da-typed-data.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { toHex } from '../../../sdk/protocol/hex.ts'
import { at, randomBytes } from '../../support/content.ts'
import { until } from '../../support/until.ts'
import { type DaAgent, type DaWorld, startDaWorld, type WorldNode } from './da-world.ts'

const hasher = await loadHasher()
const RETENTION = 6n
const LIMITS = {
  DA_MAX_PAYLOAD_BYTES: '400000',
  DA_BLOBS_IN_FLIGHT: '2',
  DA_UNPAID_PER_PUBLISHER: '1',
  DA_UNPAID_BLOCKS: '6',
}

type Answer = { blobId: string; feeWei: string; mustPay: string; header: unknown; signature: string }
type Failure = { error: { code: string; meta?: Record<string, unknown> } }

describe('POST /da/blobs', () => {
  let world: DaWorld
  let agents: DaAgent[]
  let disperser: WorldNode
  let publisher: Wallet

  before(async () => {
    world = await startDaWorld({ nodes: 4 })
    disperser = world.node(0)
    publisher = world.account(5)
    agents = await Promise.all(world.nodes.map((node) => node.start(LIMITS)))
    await world.formCommittee(agents)
  })
  after(() => world.stop())

  async function permit(
    wallet: Pick<Wallet, 'address' | 'signTypedData'>,
    payload: Uint8Array,
    change: { retentionPeriods?: bigint; until?: bigint; disperser?: string } = {},
  ): Promise<string> {
    const { chain } = world
    const until = change.until ?? BigInt(Math.floor(Date.now() / 1000) + 600)
    const message = {
      disperser: change.disperser ?? disperser.wallet.address,
      payloadHash: toHex(hasher.keccak256(payload)),
      payloadBytes: payload.length,
      retentionPeriods: change.retentionPeriods ?? RETENTION,
      until,
    }
    const domain = daDomain(chain.chainId, chain.da.addresses.DataAvailability)
    const signer = wallet as Wallet
    const signature = await signPublish(signer, domain, message)
    return formatPublish({ address: wallet.address, until, signature })
  }

  const post = (
    payload: Uint8Array,
    authorization: string | undefined,
    periods: bigint | string = RETENTION,
  ) =>
    fetch(`${disperser.url}/da/blobs?retentionPeriods=${periods}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/octet-stream',
        ...(authorization === undefined ? {} : { authorization }),
      },
      body: Buffer.from(payload),
      signal: AbortSignal.timeout(60_000),
    })

  async function refused(response: Response, status: number, code: string): Promise<void> {
    const body = (await response.json()) as Failure
    assert.deepEqual([response.status, body.error.code], [status, code])
  }

  /** Nothing of a refused payload stays on disk. */
  function assertNothingStored(): void {
    const { context } = at(agents, 0)
    assert.deepEqual(context.journal.open(), [])
    assert.deepEqual(readdirSync(join(disperser.dataDir, 'outbox')), [])
  }

  it('default: a stranger pays for its blob; it becomes FINAL, and every part of it verifies', async () => {
    const payload = randomBytes(150_000, 1)
    const response = await post(payload, await permit(publisher, payload))
    assert.equal(response.status, 202)
    const answer = (await response.json()) as Answer
    assert.equal(answer.mustPay, 'publisher')
    const signed = parseSignedHeader(answer)
    await world.send(publisher, submitBlobCall(world.chain, signed, BigInt(answer.feeWei)))
    await world.advance('the blob is FINAL', () => readIsFinal(world.chain, answer.blobId))
    await world.settle(agents)
    const base = `${world.node(1).url}/da/blobs/${answer.blobId}`
    const view = (await (await fetch(base)).json()) as {
      status: string
      heldColumns: number[]
      signature: string
    }
    assert.equal(view.status, 'final')
    assert.equal(view.signature, signed.signature)
    for (const column of view.heldColumns.slice(0, 3)) {
      const file = await (await fetch(`${base}/columns/${column}`)).bytes()
      assert.ok(verifyColumn(hasher, decodeColumn(file), signed.header))
    }
    const back = await (await fetch(`${base}/payload`)).bytes()
    assert.ok(Buffer.from(payload).equals(back))
    await until(
      'the dispersal is over',
      () => at(agents, 0).context.journal.get(answer.blobId)?.state === 'done',
    )
    assertNothingStored()
  })

  it('default: the operator publishes at its own cost', async () => {
    const payload = randomBytes(1000, 2)
    const response = await post(payload, await permit(disperser.wallet, payload))
    const answer = (await response.json()) as Answer
    assert.equal(answer.mustPay, 'disperser')
    await world.advance('the blob is FINAL', () => readIsFinal(world.chain, answer.blobId))
    await until('the dispersal is over', () => at(agents, 0).context.journal.open().length === 0)
  })

  it('behavior: a permission shown again, by whomever, is answered alike and nothing is paid twice', async () => {
    const payload = randomBytes(500, 30)
    const permission = await permit(disperser.wallet, payload)
    const accepted = () =>
      until('it is accepted', async () => {
        const response = await post(payload, permission)
        return response.status === 202 ? ((await response.json()) as Answer) : undefined
      })
    const [first, second] = await Promise.all([accepted(), accepted()])
    assert.deepEqual([second.blobId, second.signature], [first.blobId, first.signature])
    await world.advance('the blob is FINAL', () => readIsFinal(world.chain, first.blobId))
    const total = await world.chain.da.availability.blobTotal()
    const later = await accepted()
    assert.equal(later.blobId, first.blobId)
    assert.equal(await world.chain.da.availability.blobTotal(), total)
    await until('room is given back', () => at(agents, 0).context.journal.open().length === 0)
  })

  it('error: empty, too large, no retention or too long', async () => {
    const payload = randomBytes(100, 3)
    const header = await permit(publisher, payload)
    await refused(await post(new Uint8Array(), header), 400, 'DA_EMPTY_PAYLOAD')
    await refused(await post(randomBytes(400_001, 3), header), 413, 'DA_PAYLOAD_TOO_LARGE')
    await refused(await post(payload, header, '0'), 400, 'BAD_REQUEST')
    await refused(await post(payload, header, 'soon'), 400, 'BAD_REQUEST')
    const long = await permit(publisher, payload, { retentionPeriods: 100_000n })
    await refused(await post(payload, long, 100_000n), 400, 'BAD_REQUEST')
    assertNothingStored()
  })

  it('error: no permission, another payload, disperser, retention or time', async () => {
    const payload = randomBytes(100, 4)
    const nowSec = BigInt(Math.floor(Date.now() / 1000))
    await refused(await post(payload, undefined), 401, 'UNAUTHORIZED')
    await refused(await post(payload, 'Bearer x'), 401, 'UNAUTHORIZED')
    await refused(await post(payload, await permit(publisher, randomBytes(100, 5))), 401, 'UNAUTHORIZED')
    const elsewhere = await permit(publisher, payload, { disperser: publisher.address })
    await refused(await post(payload, elsewhere), 401, 'UNAUTHORIZED')
    const shorter = await permit(publisher, payload, { retentionPeriods: RETENTION - 1n })
    await refused(await post(payload, shorter), 401, 'UNAUTHORIZED')
    for (const moment of [nowSec - 10n, nowSec + 7200n])
      await refused(
        await post(payload, await permit(publisher, payload, { until: moment })),
        401,
        'UNAUTHORIZED',
      )
    assertNothingStored()
  })

  it('error: an account without means; one that has not paid for its last blob', async () => {
    const payload = randomBytes(100, 6)
    const poor = HDNodeWallet.createRandom()
    const header = await permit(poor as unknown as Wallet, payload)
    await refused(await post(payload, header), 402, 'INSUFFICIENT_FUNDS')
    await world.anvil.rpc('anvil_setBalance', poor.address, '0x1')
    await refused(await post(payload, header), 402, 'INSUFFICIENT_FUNDS')
    const first = await post(payload, await permit(publisher, payload))
    assert.equal(first.status, 202)
    const second = randomBytes(100, 7)
    await refused(await post(second, await permit(publisher, second)), 402, 'DA_UNPAID')
    await world.mineTo(BigInt(await world.head()) + 8n)
    await world.advance(
      'the unpaid blob is given up',
      () => at(agents, 0).context.journal.open().length === 0,
    )
    const { blobId } = (await first.json()) as Answer
    assert.equal(at(agents, 0).context.journal.get(blobId)?.code, 'DA_UNPAID')
    await until('its payload is deleted', () => readdirSync(join(disperser.dataDir, 'outbox')).length === 0)
    assertNothingStored()
  })

  it('error: more blobs than are taken at once: 503 with Retry-After; later it works', async () => {
    const payloads = Array.from({ length: 6 }, (_, i) => randomBytes(200_000, 10 + i))
    const headers = await Promise.all(payloads.map((payload) => permit(disperser.wallet, payload)))
    const answers = await Promise.all(payloads.map((payload, i) => post(payload, headers[i])))
    const busy = answers.filter(({ status }) => status === 503)
    const taken = answers.filter(({ status }) => status === 202)
    assert.ok(busy.length > 0 && taken.length > 0, answers.map(({ status }) => status).join())
    assert.ok(busy.every((answer) => Number(answer.headers.get('retry-after')) > 0))
    for (const answer of busy) assert.equal(((await answer.json()) as Failure).error.code, 'DA_BUSY')
    for (const answer of taken) {
      const { blobId } = (await answer.json()) as Answer
      await world.advance('the blob is FINAL', () => readIsFinal(world.chain, blobId))
    }
    await until('room is given back', () => at(agents, 0).context.journal.open().length === 0)
    const again = randomBytes(1000, 20)
    const answer = await post(again, await permit(disperser.wallet, again))
    assert.equal(answer.status, 202)
    const { blobId } = (await answer.json()) as Answer
    await world.advance('the blob is FINAL', () => readIsFinal(world.chain, blobId))
  })

  it('behavior: senders that are slow with their payload keep nobody out', async () => {
    const { hostname, port } = new URL(disperser.url)
    const promised = randomBytes(1000, 30)
    const authorization = await permit(publisher, promised)
    const sockets = Array.from({ length: 10 }, () => {
      const socket = connect(Number(port), hostname)
      socket.on('error', () => undefined)
      socket.write(
        `POST /da/blobs HTTP/1.1\r\nhost: ${hostname}\r\nauthorization: ${authorization}\r\ncontent-length: 1000\r\n\r\n`,
      )
      return socket
    })
    const payload = randomBytes(1000, 31)
    const blobId = await until('a payload that is sent whole is taken', async () => {
      const answer = await post(payload, await permit(disperser.wallet, payload))
      return answer.status === 202 ? ((await answer.json()) as Answer).blobId : undefined
    })
    await world.advance('the blob is FINAL', () => readIsFinal(world.chain, blobId))
    for (const socket of sockets) socket.destroy()
  })

  it('error: unknown blobs, bad ids and columns', async () => {
    const unknown = `${disperser.url}/da/blobs/0x${'ab'.repeat(32)}`
    for (const path of ['', '/commitments', '/columns/3', '/payload'])
      await refused(await fetch(`${unknown}${path}`), 404, 'DA_UNKNOWN_BLOB')
    await refused(await fetch(`${disperser.url}/da/blobs/0xab`), 400, 'BAD_HEX')
    await refused(await fetch(`${unknown}/columns/128`), 400, 'BAD_REQUEST')
    await refused(await fetch(`${unknown}/columns/x`), 400, 'BAD_REQUEST')
  })
})

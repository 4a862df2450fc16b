import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { refundBlobCall } from '../../../sdk/chain/da-calls.ts'
import { daPlace } from '../../../sdk/chain/da-chain.ts'
import { signerSender, type TxSender } from '../../../sdk/chain/send.ts'
import { awaitBlob } from '../../../sdk/client/await-blob.ts'
import { nodeTransport } from '../../../sdk/client/http-node.ts'
import { loadNodeKzg } from '../../../sdk/client/kzg-node.ts'
import { type PublishProgress, publishBlob } from '../../../sdk/client/publish-blob.ts'
import { memoryStateStore, type StateStore } from '../../../sdk/client/state-store.ts'
import { MAX_PAYLOAD_BYTES } from '../../../sdk/protocol/blob.ts'
import { type BlobHeader, headerToJson } from '../../../sdk/protocol/blob-header.ts'
import { daDomain, parsePublish, verifyPublish } from '../../../sdk/protocol/da-typed-data.ts'
import { isZerogError } from '../../../sdk/protocol/errors.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { toHex } from '../../../sdk/protocol/hex.ts'
import { at, randomBytes } from '../../support/content.ts'
import { type DaNetwork, encode, type Published, startDaNetwork } from './da-network.ts'

const hasher = await loadHasher()

describe('publishBlob', () => {
  let network: DaNetwork
  let retentionPeriods: bigint
  let seed = 0

  before(async () => {
    network = await startDaNetwork()
    retentionPeriods = network.chain.daTerms.minRetentionPeriods
  })
  after(() => network.stop())
  afterEach(() => {
    for (const node of network.nodes) node.post = async () => ({ status: 404, json: {} })
  })

  const total = () => network.chain.da.availability.blobTotal()
  const publish = (options: Partial<publishBlob.Options> = {}) =>
    publishBlob({
      chain: network.chain,
      payload: randomBytes(400, ++seed),
      retentionPeriods,
      disperser: network.disperser.address,
      transport: nodeTransport,
      ...options,
    })

  /** Lets node 0 work as a disperser; what it signs is open to a test's own version. Tells what it has signed. */
  function disperse({
    mustPay = 'publisher',
    changes = {},
    onSigned = async () => undefined,
  }: {
    mustPay?: 'publisher' | 'disperser'
    changes?: Partial<BlobHeader>
    onSigned?: (published: Published) => Promise<unknown>
  } = {}): Published[] {
    const signed: Published[] = []
    at(network.nodes, 0).post = async (path, body, authorization) => {
      const payload = Uint8Array.from(body)
      const permission = parsePublish(authorization)
      assert.equal(path, `/da/blobs?retentionPeriods=${retentionPeriods}`)
      const { chainId, da } = daPlace(network.chain)
      const message = {
        disperser: network.disperser.address,
        payloadHash: toHex(hasher.keccak256(payload)),
        payloadBytes: payload.length,
        retentionPeriods,
        until: permission.until,
      }
      verifyPublish(daDomain(chainId, da), message, permission)
      const published = await network.sign(await encode(payload), changes)
      signed.push(published)
      await onSigned(published)
      const { blobId, header, signature } = published
      return { status: 202, json: { blobId, header: headerToJson(header), signature, feeWei: '1', mustPay } }
    }
    return signed
  }

  /** Confirms a blob as soon as it is on chain. */
  function confirmLater(published: Published, signing = network.nodes): void {
    awaitBlob({ chain: network.chain, blobId: published.blobId, until: 'submitted' })
      .then(() => network.confirm(published, signing))
      // The test sees for itself that nothing was confirmed.
      .catch(() => undefined)
  }

  /** A sender that fails before or after it has sent. */
  async function failing(when: 'before' | 'after'): Promise<TxSender> {
    const sender = await signerSender(network.chain, network.account(3))
    return {
      ...sender,
      async submit(request) {
        if (when === 'after') await sender.submit(request)
        throw new Error('the process dies here')
      },
    }
  }

  it('has a payload encoded, pays for it, and waits until it is FINAL', async () => {
    disperse({ onSigned: async (published) => confirmLater(published) })
    const steps: PublishProgress[] = []
    const payload = randomBytes(1_000, 100)
    const result = await publish({ payload, onProgress: (step) => steps.push(step) })
    assert.equal(result.record.status, 'final')
    assert.equal(result.record.payer, network.account(3).address)
    assert.equal(result.header.payloadHash, toHex(hasher.keccak256(payload)))
    assert.equal(result.feeWei, result.record.feeWei)
    assert(result.gasUsed > 0n)
    assert.equal(result.resumed, false)
    assert.deepEqual([...new Set(steps.map(({ stage }) => stage))], ['disperse', 'pay', 'confirm'])
    const last = steps.at(-1)
    assert(last?.stage === 'confirm' && last.signedColumns === 128)
  })

  it('behavior: stops at SOFT when that is enough', async () => {
    disperse({ onSigned: async (published) => confirmLater(published, network.nodes.slice(0, 6)) })
    assert.equal((await publish({ until: 'soft' })).record.status, 'soft')
  })

  it('behavior: pays nothing when the disperser does', async () => {
    disperse({ mustPay: 'disperser', onSigned: (published) => network.submit(published) })
    const result = await publish({ until: 'submitted' })
    assert.equal(result.feeWei, 0n)
    assert.equal(result.gasUsed, 0n)
  })

  it('behavior: goes on to the next disperser when one is busy or dead', async () => {
    disperse()
    for (const [i, node] of network.nodes.entries())
      if (i > 0 && i < 7) node.post = async () => ({ status: 503, json: { error: { code: 'DA_BUSY' } } })
    const result = await publishBlob({
      chain: network.chain,
      payload: randomBytes(50, 77),
      retentionPeriods,
      until: 'submitted',
      transport: nodeTransport,
    })
    assert.equal(result.header.disperser, network.disperser.address)
  })

  it('error: no disperser takes it, with what each said', async () => {
    for (const node of network.nodes)
      node.post = async () => ({ status: 503, json: { error: { code: 'DA_BUSY' } } })
    const everybody = { chain: network.chain, payload: randomBytes(50, 78), retentionPeriods }
    await assert.rejects(publishBlob(everybody), (error) => {
      assert(isZerogError(error))
      assert.equal(error.code, 'DA_BUSY')
      assert.equal(Object.keys(error.meta.failures ?? {}).length, 8)
      return error.retryable
    })
    at(network.nodes, 2).post = async () => ({ status: 500, json: {} })
    await assert.rejects(publishBlob(everybody), { code: 'PEER_UNREACHABLE' })
  })

  const wrong: Record<string, Partial<BlobHeader>> = {
    payloadHash: { payloadHash: `0x${'12'.repeat(32)}` },
    payloadBytes: { payloadBytes: 401 },
    blobCount: { blobCount: 2 },
    disperser: { disperser: '0x1111111111111111111111111111111111111111' },
    'expiry, too early': { expiresAt: 1n },
    'expiry, much too late': { expiresAt: 10_000n },
    chain: { chainId: 1n },
    contract: { da: '0x1111111111111111111111111111111111111111' },
  }
  for (const [name, changes] of Object.entries(wrong)) {
    it(`error: a header is not paid: wrong ${name}`, async () => {
      const signed = disperse({ changes })
      const before = await total()
      await assert.rejects(publish(), (error) => {
        assert(isZerogError(error))
        return ['PEER_MISBEHAVED', 'DA_WRONG_CHAIN', 'SIGNATURE_INVALID'].includes(error.code)
      })
      assert.equal(signed.length, 1)
      assert.equal(await total(), before)
    })
  }

  it('error: with an engine, a header over other cells is not paid', async () => {
    const kzg = await loadNodeKzg()
    const before = await total()
    for (const changes of [
      { cellsRoot: `0x${'34'.repeat(32)}` },
      { commitmentsRoot: `0x${'34'.repeat(32)}` },
    ]) {
      disperse({ changes })
      await assert.rejects(publish({ kzg }), (error) => {
        assert(isZerogError(error))
        assert.deepEqual(error.meta.fields, Object.keys(changes))
        return error.code === 'PEER_MISBEHAVED'
      })
    }
    assert.equal(await total(), before)
    disperse()
    await publish({ kzg, until: 'submitted' })
  })

  for (const when of ['before', 'after'] as const) {
    it(`behavior: dies ${when} the payment is sent, goes on with the same header, pays once`, async () => {
      const signed = disperse()
      const stateStore = memoryStateStore()
      const payload = randomBytes(90, when === 'before' ? 1 : 2)
      const before = await total()
      await assert.rejects(publish({ payload, stateStore, sender: await failing(when) }))
      const result = await publish({ payload, stateStore, until: 'submitted' })
      assert.equal(result.resumed, true)
      assert.equal(signed.length, 1)
      assert.equal(result.blobId, at(signed, 0).blobId)
      assert.equal(await total(), before + 1n)
      assert.equal(result.feeWei > 0n, when === 'before')
      // It is done: the same payload again is another blob.
      const again = await publish({ payload, stateStore, until: 'submitted' })
      assert.notEqual(again.blobId, result.blobId)
    })
  }

  it('behavior: starts over when the header of an earlier attempt can no longer be paid', async () => {
    const stateStore = memoryStateStore()
    const payload = randomBytes(90, 3)
    disperse({ changes: { epoch: network.committee.epoch - 1n } })
    await assert.rejects(publish({ payload, stateStore, sender: await failing('before') }))
    const signed = disperse()
    const result = await publish({ payload, stateStore, until: 'submitted' })
    assert.equal(result.blobId, at(signed, 0).blobId)
  })

  it('behavior: a header that missed its epoch is replaced once, and nothing was paid for it', async () => {
    const changes: { epoch?: bigint } = { epoch: network.committee.epoch - 1n }
    const signed = disperse({ changes, onSigned: async () => delete changes.epoch })
    const blobs = await total()
    const result = await publish({ until: 'submitted' })
    assert.equal(signed.length, 2)
    assert.equal(result.blobId, at(signed, 1).blobId)
    assert.equal(result.resumed, false)
    assert.equal(await total(), blobs + 1n)
    const late = disperse({ changes: { epoch: network.committee.epoch - 1n } })
    await assert.rejects(publish({ until: 'submitted' }), { code: 'TX_REVERTED' })
    assert.equal(late.length, 2)
  })

  it('error: the record of an earlier attempt is damaged', async () => {
    const damaged: StateStore = { ...memoryStateStore(), get: async () => '{"header":{}}' }
    await assert.rejects(publish({ stateStore: damaged }), { code: 'STORE_CORRUPT' })
  })

  it('error: not confirmed in time, then refunded', async () => {
    const signed = disperse()
    const { anvil, chain, send } = network
    const stateStore = memoryStateStore()
    const payload = randomBytes(90, 4)
    const publishing = publish({
      payload,
      stateStore,
      onProgress: (step) => {
        if (step.stage === 'confirm' && step.status === 'submitted') void mineOut()
      },
    })
    let isMined = false
    async function mineOut() {
      if (isMined) return
      isMined = true
      await anvil.mine(Number(chain.daTerms.confirmBlocks))
    }
    await assert.rejects(publishing, (error) => {
      assert(isZerogError(error))
      assert.equal(error.meta.signedColumns, 0)
      return error.code === 'DA_NOT_CONFIRMED' && !error.retryable
    })
    const { blobId } = at(signed, 0)
    await send(network.account(1), refundBlobCall(chain, blobId))
    await assert.rejects(awaitBlob({ chain, blobId }), { code: 'DA_REFUNDED' })
  })

  it('error: nothing to publish, too much of it, nobody to sign', async () => {
    await assert.rejects(publish({ payload: new Uint8Array() }), { code: 'DA_EMPTY_PAYLOAD' })
    await assert.rejects(publish({ payload: new Uint8Array(MAX_PAYLOAD_BYTES + 1) }), {
      code: 'DA_PAYLOAD_TOO_LARGE',
    })
    const { signer: _, ...chain } = network.chain
    await assert.rejects(publish({ chain }), { code: 'CONFIG_INVALID' })
  })
})

describe('awaitBlob', () => {
  it('error: a header that nobody submits, or an abort', async () => {
    const network = await startDaNetwork({ members: 1 })
    try {
      const { chain } = network
      const blobId = `0x${'56'.repeat(32)}`
      await assert.rejects(awaitBlob({ chain, blobId, submitTimeoutMs: 0 }), { code: 'DA_UNKNOWN_BLOB' })
      await assert.rejects(awaitBlob({ chain, blobId, signal: AbortSignal.abort() }), { code: 'ABORTED' })
    } finally {
      await network.stop()
    }
  })
})

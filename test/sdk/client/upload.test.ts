import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, afterEach, before, describe, it } from 'node:test'
import { JsonRpcProvider, makeError, Wallet } from 'ethers'
import { connectChain } from '../../../sdk/chain/connect.ts'
import { type SendRequest, signerSender, type TxSender } from '../../../sdk/chain/send.ts'
import {
  readDeal,
  readDealState,
  readSubmissionCount,
  readSubmissionTerms,
} from '../../../sdk/chain/storage.ts'
import { setSealerCall } from '../../../sdk/chain/storage-calls.ts'
import { downloadFile } from '../../../sdk/client/download.ts'
import { memorySink } from '../../../sdk/client/file-sink.ts'
import { bytesSource, type FileSource } from '../../../sdk/client/file-source.ts'
import { findSealedFile } from '../../../sdk/client/find-deal.ts'
import { nodeTransport } from '../../../sdk/client/http-node.ts'
import { memoryStateStore } from '../../../sdk/client/state-store.ts'
import { folderStateStore } from '../../../sdk/client/state-store-node.ts'
import { resumeUpload, type UploadProgress, uploadFile } from '../../../sdk/client/upload.ts'
import { isZerogError, ZerogError } from '../../../sdk/protocol/errors.ts'
import { at, randomBytes } from '../../support/content.ts'
import { startRpcProxy } from '../../support/rpc-proxy.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { type FaultyProxy, startFaultyProxy } from './faulty-proxy.ts'
import { type StorageNetwork, startStorageNetwork } from './storage-network.ts'

const PROXIED = 0

describe('uploadFile', () => {
  let network: StorageNetwork
  let proxy: FaultyProxy
  let seed = 0
  before(async () => {
    network = await startStorageNetwork()
    proxy = await startFaultyProxy(at(network.providers, PROXIED).agent?.url ?? '')
    await network.setEndpoint(PROXIED, proxy.url)
  })
  afterEach(() => proxy.decide(() => ({ kind: 'pass' })))
  after(async () => {
    proxy.stop()
    await network.stop()
  })

  const fresh = (byteLength: number) => randomBytes(byteLength, ++seed)
  const count = () => readSubmissionCount(network.chain)
  async function bringBack(root: string): Promise<Uint8Array> {
    const sink = memorySink()
    await downloadFile({ chain: network.chain, root, sink })
    return sink.bytes()
  }
  /** Uploads until the proxied provider is among the custodians that are tried first. */
  async function uploadThrough(options: Partial<uploadFile.Options> = {}): Promise<{
    bytes: Uint8Array
    result: Awaited<ReturnType<typeof uploadFile>>
    replaced: UploadProgress[]
  }> {
    const proxied = at(network.providers, PROXIED).address
    for (;;) {
      const bytes = fresh(16_384)
      const replaced: UploadProgress[] = []
      const onProgress = (progress: UploadProgress) => {
        if (progress.stage === 'replaced') replaced.push(progress)
      }
      const result = await uploadFile({
        chain: network.chain,
        source: bytesSource(bytes),
        onProgress,
        ...options,
      })
      const wasTried = replaced.length > 0 || result.custodians.some(({ provider }) => provider === proxied)
      if (wasTried) return { bytes, result, replaced }
    }
  }

  for (const byteLength of [1, 256, 257, 4_097, 262_145, 3_000_000]) {
    it(`stores ${byteLength} bytes, which come back`, async () => {
      const bytes = fresh(byteLength)
      const result = await uploadFile({ chain: network.chain, source: bytesSource(bytes) })
      assert.deepEqual(await bringBack(result.root), bytes)
      assert.equal(result.resumed, false)
      assert.equal(await readDealState(network.chain, result.txSeq), 'sealed')
      const deal = await readDeal(network.chain, result.txSeq)
      assert.equal(deal?.custodyRoot, result.custodyRoot)
      assert.equal(deal?.endPeriod, result.expiresAt)
      const limit = Number(deal?.parityShards) / Number(network.chain.terms.faultTolerance)
      for (const { shards } of result.custodians) assert(shards.length <= limit)
      const all = result.custodians.flatMap(({ shards }) => shards).toSorted((a, b) => a - b)
      assert.deepEqual(all, [...all.keys()])
      assert.equal(all.length, Number(deal?.dataShards) + Number(deal?.parityShards))
    })
  }

  it('buys another parity and term', async () => {
    const bytes = fresh(30_000)
    const wish = { parityShards: 12, termPeriods: 7_200n }
    const result = await uploadFile({ chain: network.chain, source: bytesSource(bytes), ...wish })
    assert(result.gas.configure > 0n)
    const terms = await readSubmissionTerms(network.chain, result.txSeq)
    assert.equal(terms.parityShards, 12)
    assert.equal(terms.termPeriods, 7_200n)
    assert.deepEqual(await bringBack(result.root), bytes)
  })

  it('tells its progress stage by stage', async () => {
    const seen: UploadProgress[] = []
    const bytes = fresh(300_000)
    await uploadFile({
      chain: network.chain,
      source: bytesSource(bytes),
      onProgress: (one) => seen.push(one),
    })
    const stages = [...new Set(seen.map(({ stage }) => stage))]
    assert.deepEqual(stages, ['prepare', 'pay', 'send', 'sign', 'seal'])
    const sent = seen.filter((one) => one.stage === 'send').at(-1)
    assert(sent?.stage === 'send' && sent.doneBytes === sent.totalBytes)
  })

  it('pays once when repeated after an abort while shards are sent, and goes on where it was', async () => {
    const bytes = fresh(2_000_000)
    const before = await count()
    const stop = new AbortController()
    const onProgress = (progress: UploadProgress) => {
      if (progress.stage === 'send' && progress.doneBytes > 0.5 * progress.totalBytes) stop.abort()
    }
    const source = bytesSource(bytes)
    await assert.rejects(
      uploadFile({ chain: network.chain, source, onProgress, signal: stop.signal }),
      (error) => isZerogError(error) && error.code === 'ABORTED' && error.meta.txSeq === `${before}`,
    )
    const result = await uploadFile({ chain: network.chain, source })
    assert.equal(result.resumed, true)
    assert.equal(result.txSeq, before)
    assert.equal(await count(), before + 1n)
    const stored = 2_000_000 * 1.5
    assert(result.sentBytes < stored * 0.7, `${result.sentBytes} bytes were sent again`)
    assert.deepEqual(await bringBack(result.root), bytes)
  })

  it('goes on with a submission that the caller names, and only with its own file', async () => {
    const bytes = fresh(10_000)
    const stop = new AbortController()
    const onProgress = ({ stage }: UploadProgress) => stage === 'send' && stop.abort()
    const source = bytesSource(bytes)
    const txSeq = await count()
    await assert.rejects(uploadFile({ chain: network.chain, source, onProgress, signal: stop.signal }))
    const { chain } = network
    const other = bytesSource(fresh(10_000))
    await assert.rejects(resumeUpload({ chain, source: other, txSeq }), { code: 'ROOT_MISMATCH' })
    const stranger = network.account(4)
    await assert.rejects(resumeUpload({ chain, source, txSeq, signer: stranger }), { code: 'FORBIDDEN' })
    await assert.rejects(resumeUpload({ chain, source, txSeq: 9_999n }), { code: 'UNKNOWN_SUBMISSION' })
    assert.equal((await resumeUpload({ chain, source, txSeq })).txSeq, txSeq)
  })

  it('never pays twice, wherever the process dies around the payment', async () => {
    const folder = tempDir()
    for (const diesAt of ['before-send', 'after-send'] as const) {
      const bytes = fresh(5_000)
      const source = bytesSource(bytes)
      const before = await count()
      const real = await signerSender(network.chain, network.account(3))
      const dying: TxSender = {
        ...real,
        async submit(request: SendRequest) {
          if (diesAt === 'after-send') await real.submit(request)
          throw new ZerogError('INTERNAL', 'died')
        },
      }
      const stateStore = folderStateStore(folder)
      await assert.rejects(uploadFile({ chain: network.chain, source, sender: dying, stateStore }), {
        message: 'died',
      })
      const result = await uploadFile({ chain: network.chain, source, stateStore: folderStateStore(folder) })
      assert.equal(await count(), before + 1n)
      assert.equal(result.resumed, diesAt === 'after-send')
      assert.deepEqual(readdirSync(folder), [], 'the record is gone once the deal is sealed')
    }
  })

  it('never pays twice where the node that is asked for logs lags behind the one that counts', async (t) => {
    const proxy = await startRpcProxy(network.anvil.rpcUrl)
    t.after(proxy.stop)
    const before = await count()
    const stateStore = memoryStateStore()
    const source = bytesSource(fresh(5_000))
    const real = await signerSender(network.chain, network.account(3))
    const dying: TxSender = {
      ...real,
      async submit(request: SendRequest) {
        await real.submit(request)
        throw new ZerogError('INTERNAL', 'died')
      },
    }
    await assert.rejects(uploadFile({ chain: network.chain, source, sender: dying, stateStore }), {
      message: 'died',
    })
    let hidden = 0
    proxy.tamper(({ method }, answer) => {
      if (method !== 'eth_getLogs' || hidden >= 3) return answer
      hidden++
      return { result: [] }
    })
    const options = { staticNetwork: true, cacheTimeout: -1, batchMaxCount: 1 }
    const provider = new JsonRpcProvider(proxy.rpcUrl, 31_337, options)
    t.after(() => provider.destroy())
    const chain = await connectChain({ provider, addressBook: network.chain.book })
    await uploadFile({ chain, source, stateStore, signer: network.account(3) })
    assert.equal(hidden, 3)
    assert.equal(await count(), before + 1n)
  })

  it('replaces a payment that still waits in the pool instead of paying beside it', async () => {
    const { anvil, chain } = network
    const stateStore = memoryStateStore()
    const source = bytesSource(fresh(5_000))
    const before = await count()
    const stop = new AbortController()
    await anvil.rpc('evm_setAutomine', false)
    try {
      const first = uploadFile({ chain, source, stateStore, signal: stop.signal })
      const waiting = async () => (await anvil.rpc('txpool_status')) as { pending: string }
      while (Number((await waiting()).pending) === 0) await new Promise((next) => setTimeout(next, 20))
      stop.abort()
      await assert.rejects(first, { code: 'ABORTED' })
      const second = uploadFile({ chain, source, stateStore })
      second.catch(() => undefined)
      await anvil.rpc('evm_setAutomine', true)
      await anvil.mine(1)
      const { txSeq } = await second
      assert.equal(txSeq, before)
      assert.equal(await count(), before + 1n)
    } finally {
      await anvil.rpc('evm_setAutomine', true)
    }
  })

  it('returns a deal that is sealed already', async () => {
    const source = bytesSource(fresh(5_000))
    const first = await uploadFile({ chain: network.chain, source })
    const second = await uploadFile({ chain: network.chain, source })
    assert.equal(second.txSeq, first.txSeq)
    assert.equal(second.resumed, true)
    assert.deepEqual(second.custodians, first.custodians)
  })

  it('replaces a provider that refuses shards, also with a word that would end the upload if it were ours', async () => {
    for (const code of ['DISK_FULL', 'ABORTED', 'DEADLINE_PASSED']) {
      const refusal = JSON.stringify({ error: { code, message: 'no' } })
      proxy.decide(({ method, path }) =>
        method === 'PUT' && path.includes('/shards/')
          ? { kind: 'answer', status: 507, body: refusal }
          : { kind: 'pass' },
      )
      const { bytes, result, replaced } = await uploadThrough()
      const { address } = at(network.providers, PROXIED)
      assert.deepEqual(replaced, [{ stage: 'replaced', provider: address, code }])
      assert(result.custodians.every(({ provider }) => provider !== address))
      assert.deepEqual(await bringBack(result.root), bytes)
    }
  })

  it('replaces a provider that takes shards and shows them to no other custodian, and none of those that say so', async () => {
    const refusal = JSON.stringify({ error: { code: 'FORBIDDEN', message: 'no' } })
    proxy.decide(({ method, path }) =>
      method === 'GET' && path.includes('/chunks/')
        ? { kind: 'answer', status: 403, body: refusal }
        : { kind: 'pass' },
    )
    const { result, replaced } = await uploadThrough()
    const { address } = at(network.providers, PROXIED)
    assert.deepEqual(replaced, [{ stage: 'replaced', provider: address, code: 'PEER_UNREACHABLE' }])
    assert(result.custodians.every(({ provider }) => provider !== address))
  })

  it('replaces a provider that keeps silent, and one that dies on the way', async () => {
    for (const [kind, code] of [
      ['silent', 'TIMEOUT'],
      ['cut', 'PEER_UNREACHABLE'],
    ] as const) {
      proxy.decide(({ method }) => ({ kind: method === 'PUT' ? kind : 'pass' }))
      const { bytes, result, replaced } = await uploadThrough({ chunkTimeoutMs: 2_000 })
      assert.deepEqual(
        replaced.map((one) => one.stage === 'replaced' && one.code),
        [code],
      )
      assert.deepEqual(await bringBack(result.root), bytes)
    }
  })

  it('replaces a provider that does not sign, or signs something else', async () => {
    const refusal = JSON.stringify({ error: { code: 'STAKE_TOO_LOW', message: 'no stake' } })
    const offers: ((body: Buffer) => Buffer)[] = [
      (body) => Buffer.from(JSON.stringify({ ...JSON.parse(body.toString()), shardBitmap: '1' })),
      (body) =>
        Buffer.from(JSON.stringify({ ...JSON.parse(body.toString()), ratePerPeriod: `1${'0'.repeat(30)}` })),
      (body) =>
        Buffer.from(JSON.stringify({ ...JSON.parse(body.toString()), signature: `0x${'11'.repeat(65)}` })),
      () => Buffer.from('nonsense'),
    ]
    const faults = [
      { kind: 'answer', status: 409, body: refusal } as const,
      ...offers.map((change) => ({ kind: 'change', change }) as const),
    ]
    const codes: string[] = []
    for (const fault of faults) {
      proxy.decide(({ path }) => (path.endsWith('/sign') ? fault : { kind: 'pass' }))
      const { result, replaced } = await uploadThrough()
      assert.equal(replaced.length, 1)
      for (const one of replaced) if (one.stage === 'replaced') codes.push(one.code)
      const { address } = at(network.providers, PROXIED)
      assert(result.custodians.every(({ provider }) => provider !== address))
    }
    assert.deepEqual(codes, [
      'STAKE_TOO_LOW',
      'PEER_MISBEHAVED',
      'PRICE_TOO_LOW',
      'SIGNATURE_INVALID',
      'PEER_MISBEHAVED',
    ])
  })

  it('signs once for an upload, whatever carries its requests', async () => {
    const real = await signerSender(network.chain, network.account(3))
    for (const transport of [nodeTransport, undefined]) {
      const texts: string[] = []
      const sender: TxSender = {
        ...real,
        signMessage(text) {
          texts.push(text)
          return network.account(3).signMessage(text)
        },
      }
      const source = bytesSource(fresh(600_000))
      const carried = transport === undefined ? {} : { transport }
      const { txSeq } = await uploadFile({ chain: network.chain, source, sender, ...carried })
      assert.equal(texts.length, 1)
      assert.match(at(texts, 0), new RegExp(`^zerog write 31337 ${txSeq} \\d{10}$`))
    }
  })

  it('lets an account that cannot sign text have its sealer sign, once it is named on chain', async () => {
    const owner = network.account(5)
    const sealer = new Wallet(Wallet.createRandom().privateKey)
    const { chain } = network
    const sender: TxSender = {
      ...(await signerSender(chain, owner)),
      signMessage: (text) => sealer.signMessage(text),
    }
    const bytes = fresh(9_000)
    const source = bytesSource(bytes)
    const txSeq = await count()
    await assert.rejects(uploadFile({ chain, source, sender }), (error) => {
      assert(isZerogError(error))
      assert.equal(error.code, 'FORBIDDEN')
      assert.equal(error.meta.txSeq, `${txSeq}`)
      return true
    })
    await network.send(owner, setSealerCall(chain, sealer.address))
    const result = await uploadFile({ chain, source, sender })
    assert.equal(result.txSeq, txSeq)
    assert.equal((await findSealedFile(chain, { root: result.root })).owner, owner.address)
    assert.deepEqual(await bringBack(result.root), bytes)
  })

  it('error: a user who does not sign; no provider is blamed, and the payment is found again', async () => {
    const real = await signerSender(network.chain, network.account(3))
    const sender: TxSender = {
      ...real,
      signMessage: async () => {
        throw makeError('user rejected action', 'ACTION_REJECTED', {
          action: 'signMessage',
          reason: 'rejected',
        })
      },
    }
    const source = bytesSource(fresh(3_000))
    const txSeq = await count()
    const onProgress = ({ stage }: UploadProgress) => assert.notEqual(stage, 'replaced')
    await assert.rejects(uploadFile({ chain: network.chain, source, sender, onProgress }), (error) => {
      assert(isZerogError(error))
      assert.equal(error.code, 'FORBIDDEN')
      assert.equal(error.meta.txSeq, `${txSeq}`)
      return true
    })
    assert.equal((await uploadFile({ chain: network.chain, source })).txSeq, txSeq)
  })

  it('error: a sender that cannot sign text, before anything is paid', async () => {
    const before = await count()
    const { signMessage: _, ...mute } = await signerSender(network.chain, network.account(3))
    await assert.rejects(
      uploadFile({ chain: network.chain, source: bytesSource(fresh(1_000)), sender: mute }),
      (error) => isZerogError(error) && error.code === 'CONFIG_INVALID' && /signMessage/.test(error.message),
    )
    assert.equal(await count(), before)
  })

  it('error: too little money, before anything is paid', async () => {
    const before = await count()
    const poor = Wallet.createRandom().connect(network.rpc)
    const chain = await network.chainOf(new Wallet(poor.privateKey, network.rpc))
    await assert.rejects(uploadFile({ chain, source: bytesSource(fresh(1_000)) }), {
      code: 'INSUFFICIENT_FUNDS',
    })
    assert.equal(await count(), before)
  })

  it('error: a file that changes between hashing and sending', async () => {
    const bytes = fresh(50_000)
    let isPrepared = false
    const source: FileSource = {
      ...bytesSource(bytes),
      async assertUnchanged() {
        if (isPrepared) throw new ZerogError('FILE_CHANGED')
        isPrepared = true
        bytes[0] = (bytes[0] ?? 0) ^ 1
      },
    }
    await assert.rejects(uploadFile({ chain: network.chain, source }), { code: 'FILE_CHANGED' })
  })

  it('error: an empty file, no signer', async () => {
    const { chain } = network
    await assert.rejects(uploadFile({ chain, source: bytesSource(new Uint8Array()) }), { code: 'EMPTY_FILE' })
    const { signer: _, ...reader } = chain
    await assert.rejects(uploadFile({ chain: reader, source: bytesSource(fresh(10)) }), {
      code: 'CONFIG_INVALID',
    })
  })

  it('error: too few providers, with the reason of each; the payment is found again later', async () => {
    const source = bytesSource(fresh(9_000))
    const gone = network.providers.slice(2)
    for (const provider of gone) await provider.stop()
    const before = await count()
    await assert.rejects(uploadFile({ chain: network.chain, source }), (error) => {
      assert(isZerogError(error))
      assert.equal(error.code, 'CUSTODIANS_MISSING')
      assert.equal(error.retryable, true)
      const reasons = error.meta.reasons as Record<string, string>
      for (const { address } of gone) assert.equal(reasons[address], 'PEER_UNREACHABLE')
      return true
    })
    for (const provider of gone) await provider.start()
    const result = await uploadFile({ chain: network.chain, source })
    assert.equal(result.txSeq, before)
    const file = await findSealedFile(network.chain, { root: result.root })
    assert.equal(file.owner, network.account(3).address)
    assert.equal(file.root, result.root)
  })
})

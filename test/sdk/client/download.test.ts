import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { readStorageProvider } from '../../../sdk/chain/operators.ts'
import { downloadFile } from '../../../sdk/client/download.ts'
import { memorySink } from '../../../sdk/client/file-sink.ts'
import { bytesSource } from '../../../sdk/client/file-source.ts'
import { findSealedFile } from '../../../sdk/client/find-deal.ts'
import { listFiles } from '../../../sdk/client/list.ts'
import { downloadPath } from '../../../sdk/client/paths-node.ts'
import { fileStatus } from '../../../sdk/client/status.ts'
import { type UploadResult, uploadFile } from '../../../sdk/client/upload.ts'
import { isZerogError } from '../../../sdk/protocol/errors.ts'
import { at, randomBytes } from '../../support/content.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { type FaultyProxy, startFaultyProxy } from './faulty-proxy.ts'
import { type StorageNetwork, startStorageNetwork } from './storage-network.ts'

/** Sixteen data shards, four to each of six providers, and a last shard with padding. */
const BYTE_LENGTH = 8_200_000
const SHARD_BYTES = 2 ** 19

describe('downloadFile', () => {
  let network: StorageNetwork
  let proxies: FaultyProxy[]
  let bytes: Uint8Array
  let file: UploadResult
  /** Proxies before the custodians of the file, in the order of its result. */
  let holders: FaultyProxy[]
  before(async () => {
    network = await startStorageNetwork({ providers: 6 })
    proxies = []
    for (const [index, { agent }] of network.providers.entries()) {
      const proxy = await startFaultyProxy(agent?.url ?? '')
      proxies.push(proxy)
      await network.setEndpoint(index, proxy.url)
    }
    bytes = randomBytes(BYTE_LENGTH, 1)
    file = await uploadFile({ chain: network.chain, source: bytesSource(bytes) })
    const endpoints = await Promise.all(
      file.custodians.map(
        async ({ provider }) => (await readStorageProvider(network.chain, provider)).endpoint,
      ),
    )
    holders = endpoints.map((endpoint) =>
      at(
        proxies.filter(({ url }) => url === endpoint),
        0,
      ),
    )
  })
  afterEach(() => {
    for (const proxy of proxies) proxy.decide(() => ({ kind: 'pass' }))
  })
  after(async () => {
    for (const proxy of proxies) proxy.stop()
    await network.stop()
  })

  async function download(options: Partial<downloadFile.Options> = {}) {
    const sink = memorySink()
    const { chain } = network
    const result = await downloadFile({ chain, root: file.root, chunkTimeoutMs: 2_000, ...options, sink })
    return { result, bytes: sink.bytes() }
  }
  /** Custodians in the order of how many data shards they keep, most first. */
  const byDataShards = () =>
    file.custodians
      .map(({ shards }, i) => ({ i, data: shards.filter((shard) => shard < 16).length }))
      .toSorted((a, b) => b.data - a.data)
      .map(({ i }) => i)
  const lose = (...custodians: number[]) => {
    for (const i of custodians) at(holders, i).decide(() => ({ kind: 'cut' }))
  }

  it('brings a file back by root and by txSeq, straight from its data shards', async () => {
    for (const ref of [
      { root: file.root },
      { txSeq: file.txSeq },
      { root: file.root.toUpperCase().replace('X', 'x') },
    ]) {
      const sink = memorySink()
      const result = await downloadFile({ chain: network.chain, ...ref, sink })
      assert.deepEqual(sink.bytes(), bytes)
      assert.deepEqual(result.rebuiltShards, [])
      assert.equal(result.txSeq, file.txSeq)
    }
  })

  it('survives the loss of any f providers', async () => {
    const [first = 0, second = 1] = byDataShards()
    lose(first, second)
    const { result, bytes: got } = await download()
    assert.deepEqual(got, bytes)
    assert(result.rebuiltShards.length > 0)
  })

  it('gets along with exactly m shards missing, and no more', async () => {
    const [first = 0, second = 1, third = 2] = byDataShards()
    const shardsOf = (i: number) => at(file.custodians, i).shards
    // Two custodians keep all that may be missing; of a third, everything but one shard counts.
    const gone = shardsOf(first).length + shardsOf(second).length
    assert.equal(gone, 8)
    lose(first, second)
    assert.deepEqual((await download()).bytes, bytes)
    const extra = at(shardsOf(third), 0)
    at(holders, third).decide(({ path }) => ({
      kind: path.includes(`/shards/${file.txSeq}/${extra}/`) ? 'cut' : 'pass',
    }))
    const sink = memorySink()
    await assert.rejects(
      downloadFile({ chain: network.chain, root: file.root, sink, chunkTimeoutMs: 2_000 }),
      (error) => {
        assert(isZerogError(error))
        assert.equal(error.code, 'SHARDS_MISSING')
        assert.equal(error.retryable, true)
        assert.equal(error.meta.needed, 16)
        return true
      },
    )
    assert.equal(sink.bytes().length, 0)
  })

  it('goes on without a provider that vanishes between two columns', async () => {
    const big = randomBytes(17_000_000, 3)
    const { chain } = network
    const { root } = await uploadFile({ chain, source: bytesSource(big) })
    const sink = memorySink()
    let isLost = false
    const result = await downloadFile({
      chain,
      root,
      sink,
      onProgress() {
        if (!isLost) lose(...byDataShards().slice(0, 2))
        isLost = true
      },
    })
    assert.deepEqual(sink.bytes(), big)
    assert.equal(result.byteLength, big.length)
  })

  it('reads ranges: inside a chunk, over shard boundaries, at both ends', async () => {
    for (const [start, end] of [
      [0, 1],
      [5, 300],
      [SHARD_BYTES - 1, SHARD_BYTES + 1],
      [SHARD_BYTES * 2 - 70_000, SHARD_BYTES * 4 + 3],
      [BYTE_LENGTH - 1, BYTE_LENGTH],
      [BYTE_LENGTH - 300_000, BYTE_LENGTH],
      [0, BYTE_LENGTH],
    ] as const) {
      const { bytes: got, result } = await download({ range: { start, end } })
      assert.deepEqual(got, bytes.subarray(start, end), `${start}..${end}`)
      assert.equal(result.byteLength, end - start)
    }
  })

  it('asks only for what a range covers', async () => {
    const asked: string[] = []
    for (const proxy of proxies)
      proxy.decide(({ path }) => {
        if (path.includes('/chunks/')) asked.push(path)
        return { kind: 'pass' }
      })
    await download({ range: { start: 1_000, end: 2_000 } })
    assert.equal(asked.length, 1)
  })

  it('rebuilds a range whose shard has no holder, and checks it with the whole shard', async () => {
    const holder = file.custodians.findIndex(({ shards }) => shards.includes(1))
    lose(holder)
    const { bytes: got, result } = await download({
      range: { start: SHARD_BYTES + 10, end: SHARD_BYTES + 20 },
    })
    assert.deepEqual(got, bytes.subarray(SHARD_BYTES + 10, SHARD_BYTES + 20))
    assert.deepEqual(result.rebuiltShards, [1])
  })

  it('never takes poisoned chunks: other ways are used', async () => {
    const [first = 0] = byDataShards()
    let poisoned = 0
    at(holders, first).decide(({ path }) => {
      if (!path.includes('/chunks/')) return { kind: 'pass' }
      poisoned++
      return {
        kind: 'change',
        change(body) {
          body[7] = (body[7] ?? 0) ^ 1
          return body
        },
      }
    })
    assert.deepEqual((await download()).bytes, bytes)
    assert(poisoned > 0)
  })

  it('error: poisoned everywhere, nothing is delivered', async () => {
    for (const proxy of proxies)
      proxy.decide(({ path }) =>
        path.includes('/chunks/') ? { kind: 'change', change: (body) => body.fill(0) } : { kind: 'pass' },
      )
    const path = join(tempDir(), 'out')
    await assert.rejects(downloadPath({ chain: network.chain, root: file.root, path }), {
      code: 'SHARDS_MISSING',
    })
    assert(!existsSync(path))
  })

  it('does not wait for a holder that keeps silent', async () => {
    const [first = 0] = byDataShards()
    at(holders, first).decide(({ path }) => ({ kind: path.includes('/chunks/') ? 'silent' : 'pass' }))
    const { bytes: got, result } = await download({ chunkTimeoutMs: 600_000 })
    assert.deepEqual(got, bytes)
    assert(result.rebuiltShards.length > 0)
  })

  it('writes a file in one step and reports progress', async () => {
    const folder = tempDir()
    const path = join(folder, 'out')
    let doneBytes = 0
    await downloadPath({
      chain: network.chain,
      root: file.root,
      path,
      onProgress: (progress) => {
        doneBytes = progress.doneBytes
        assert(!existsSync(path))
      },
    })
    assert.equal(doneBytes, BYTE_LENGTH)
    assert.deepEqual(new Uint8Array(readFileSync(path)), bytes)
    assert.deepEqual(readdirSync(folder), ['out'])
  })

  it('error: an abort leaves nothing behind', async () => {
    const folder = tempDir()
    const stop = new AbortController()
    const downloading = downloadPath({
      chain: network.chain,
      root: file.root,
      path: join(folder, 'out'),
      onProgress: () => stop.abort(),
      signal: stop.signal,
    })
    await assert.rejects(downloading, { code: 'ABORTED' })
    assert.deepEqual(readdirSync(folder), [])
  })

  it('error: an unknown root, an unknown deal, a root that is no hex, a range outside', async () => {
    await assert.rejects(download({ root: `0x${'12'.repeat(32)}` }), { code: 'UNKNOWN_ROOT' })
    await assert.rejects(findSealedFile(network.chain, { txSeq: 999n }), { code: 'UNKNOWN_DEAL' })
    for (const root of ['', '0x12', 'zz', `0x${'1'.repeat(65)}`])
      await assert.rejects(download({ root }), { code: 'BAD_HEX' })
    for (const range of [
      { start: -1, end: 5 },
      { start: 5, end: 5 },
      { start: 0, end: BYTE_LENGTH + 1 },
      { start: 0.5, end: 2 },
      { start: 0, end: Number.NaN },
    ])
      await assert.rejects(download({ range }), { code: 'RANGE_INVALID' })
  })

  it('error: a submission that is not sealed', async () => {
    const stop = new AbortController()
    const source = bytesSource(randomBytes(3_000, 77))
    let root = ''
    const uploading = uploadFile({
      chain: network.chain,
      source,
      signal: stop.signal,
      onProgress: ({ stage }) => stage === 'send' && stop.abort(),
    })
    await assert.rejects(uploading, (error) => {
      assert(isZerogError(error))
      root = String(error.meta.txSeq)
      return error.code === 'ABORTED'
    })
    const txSeq = BigInt(root)
    await assert.rejects(findSealedFile(network.chain, { txSeq }), { code: 'NOT_SEALED' })
    const status = await fileStatus(network.chain, { txSeq })
    await assert.rejects(download({ root: status.root }), { code: 'NOT_SEALED' })
    const byRoot = await fileStatus(network.chain, { root: status.root })
    assert.equal(byRoot.state, 'submitted')
    assert.equal(byRoot.isReadable, false)
    assert(byRoot.escrowWei > 0n && byRoot.sealDeadlineBlock > 0n)
  })

  describe('fileStatus', () => {
    it('shows the deal and every shard with its holder', async () => {
      const status = await fileStatus(network.chain, { root: file.root })
      assert.equal(status.state, 'sealed')
      assert.equal(status.byteLength, BYTE_LENGTH)
      assert.equal(status.owner, network.account(3).address)
      assert.equal(status.shards.length, status.dataShards + status.parityShards)
      assert.equal(status.degraded, 0)
      assert.equal(status.isReadable, true)
      assert.equal(status.expiresAt, file.expiresAt)
    })

    it('counts what no holder shows, and says when it is too much', async () => {
      const [first = 0, second = 1, third = 2] = byDataShards()
      lose(first)
      const degraded = await fileStatus(network.chain, { txSeq: file.txSeq })
      assert.equal(degraded.degraded, at(file.custodians, first).shards.length)
      assert.equal(degraded.isReadable, true)
      const missing = degraded.shards.filter(({ isPresent }) => !isPresent)
      assert(missing.every(({ code }) => code === 'PEER_UNREACHABLE'))
      lose(first, second, third)
      assert.equal((await fileStatus(network.chain, { txSeq: file.txSeq })).isReadable, false)
    })
  })

  describe('listFiles', () => {
    it("has an account's files, newest first, and nobody else's", async () => {
      const { chain } = network
      const owner = network.account(3).address
      const second = await uploadFile({ chain, source: bytesSource(randomBytes(500, 2)) })
      const files = await listFiles(chain, { owner })
      assert.deepEqual(files.map(({ txSeq }) => txSeq).slice(0, 1), [second.txSeq])
      const listed = files.find(({ txSeq }) => txSeq === file.txSeq)
      assert.equal(listed?.root, file.root)
      assert.equal(listed?.state, 'sealed')
      assert.equal(listed?.endPeriod, file.expiresAt)
      assert.equal((await listFiles(chain, { owner, limit: 1 })).length, 1)
      assert.deepEqual(await listFiles(chain, { owner: network.account(4).address }), [])
    })
  })
})

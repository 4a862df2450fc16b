import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { computeEnv, withModel } from '../../../agents/compute/config.ts'
import { openModelFolder } from '../../../agents/compute/model-store.ts'
import { loadConfig } from '../../../agents/kernel/config.ts'
import { createLog } from '../../../agents/kernel/log.ts'
import { bytesSource } from '../../../sdk/client/file-source.ts'
import { pullModelFolder } from '../../../sdk/client/model-folder-node.ts'
import { publishModelFolder } from '../../../sdk/client/publish-model-node.ts'
import { folderStateStore } from '../../../sdk/client/state-store-node.ts'
import { uploadFile } from '../../../sdk/client/upload.ts'
import { formatManifest, type ManifestFile } from '../../../sdk/protocol/model-manifest.ts'
import { type StorageNetwork, startStorageNetwork } from '../../sdk/client/storage-network.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { modelDir } from './compute-world.ts'

const FILES = ['config.json', 'onnx/model_quantized.onnx']
const log = createLog({ name: 'test', level: 'silent' })

describe('openModelFolder', () => {
  let network: StorageNetwork
  let files: ManifestFile[]

  before(async () => {
    network = await startStorageNetwork()
    files = []
    for (const path of FILES) {
      const bytes = readFileSync(join(modelDir('digits'), path))
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      files.push({ path, root: await store(bytes), bytes: bytes.length, sha256 })
    }
  })
  after(() => network.stop())

  const store = async (bytes: Uint8Array) =>
    (await uploadFile({ chain: network.chain, source: bytesSource(bytes) })).root
  const storeManifest = (list: ManifestFile[]) => store(new TextEncoder().encode(formatManifest(list)))

  function open(root: string, dataDir = tempDir()) {
    const env = loadConfig(computeEnv, {
      ...{ MODEL_ID: 'digits', MODEL_ROOT: root, DATA_DIR: dataDir, ADDRESS_BOOK: network.bookFile },
    })
    return openModelFolder({
      config: withModel(env),
      chain: network.chain,
      log,
      signal: AbortSignal.timeout(60_000),
    })
  }

  it('default: a model comes out of storage as it went in; what changed on disk is fetched again', async () => {
    const root = await storeManifest(files)
    const dataDir = tempDir()
    const folder = await open(root, dataDir)
    assert.equal(folder.manifestRoot, root)
    assert.deepEqual([...folder.files].sort(), FILES)
    for (const path of FILES)
      assert.deepEqual(readFileSync(join(folder.path, path)), readFileSync(join(modelDir('digits'), path)))

    const target = join(folder.path, 'config.json')
    const whole = readFileSync(target)
    writeFileSync(target, Buffer.alloc(whole.length, 1))
    assert.deepEqual(await open(root, dataDir), folder)
    assert.deepEqual(readFileSync(target), whole)
  })

  it('behavior: shards that rot at one provider are made up for; at all, nothing wrong comes out', async () => {
    const bytes = readFileSync(join(modelDir('digits'), 'onnx/model.onnx'))
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const { root, txSeq } = await uploadFile({ chain: network.chain, source: bytesSource(bytes) })
    const list = [{ path: 'onnx/model.onnx', root, bytes: bytes.length, sha256 }]
    const manifestRoot = await storeManifest(list)
    const folders = network.providers
      .map(({ dataDir }) => join(dataDir, 'shards', String(txSeq)))
      .filter((folder) => existsSync(folder))
    assert.ok(folders.length > 1)
    const rot = (folder: string) => {
      for (const name of readdirSync(folder).filter((one) => one.endsWith('.shard'))) {
        const path = join(folder, name)
        writeFileSync(path, Buffer.alloc(readFileSync(path).length, 0xa5))
      }
    }
    rot(folders[0] ?? '')
    const folder = await open(manifestRoot)
    assert.deepEqual(readFileSync(folder.onnxFile), bytes)
    for (const other of folders.slice(1)) rot(other)
    await assert.rejects(open(manifestRoot), { code: 'SHARDS_MISSING' })
  })

  describe('publishModelFolder and pullModelFolder', () => {
    const signal = AbortSignal.timeout(5 * 60_000)
    const signer = () => network.account(3)
    const stateStore = folderStateStore(tempDir())
    type Change = Partial<Parameters<typeof publishModelFolder>[0]>
    const publish = (folder: string, change: Change = {}) =>
      publishModelFolder({ chain: network.chain, signer: signer(), folder, stateStore, signal, ...change })
    const pull = (root: string, folder: string, overwrite = false) =>
      pullModelFolder({ chain: network.chain, root, folder, overwrite, signal })
    const submissions = () => network.chain.contracts.flow.numSubmissions()

    /** A folder with these files, by name. */
    function folderOf(contents: Record<string, Uint8Array>): string {
      const folder = tempDir()
      for (const [name, content] of Object.entries(contents)) {
        mkdirSync(dirname(join(folder, name)), { recursive: true })
        writeFileSync(join(folder, name), content)
      }
      return folder
    }

    it('default: what goes in comes out; the same bytes are stored once, links are followed, hidden files left out', async () => {
      const twice = randomBytes(3_000)
      const folder = folderOf({
        ...{
          'a.bin': twice,
          'deep/down/b.bin': twice,
          '.git/config': randomBytes(10),
          '.env': randomBytes(10),
        },
        'blobs.txt': Buffer.from('x'),
      })
      symlinkSync(join(folder, 'blobs.txt'), join(folder, 'link.txt'))
      const before = await submissions()
      const stages: string[] = []
      const published = await publish(folder, {
        onProgress: (event) => {
          if (event.stage !== 'upload') stages.push(`${event.stage} ${event.path}`)
        },
      })
      assert.deepEqual(
        published.files.map(({ path, bytes, isNew }) => [path, bytes, isNew]),
        [
          ['a.bin', 3_000, true],
          ['blobs.txt', 1, true],
          ['deep/down/b.bin', 3_000, false],
          ['link.txt', 1, false],
        ],
      )
      const names = ['a.bin', 'blobs.txt', 'deep/down/b.bin', 'link.txt', 'manifest']
      assert.deepEqual(
        stages,
        names.flatMap((name) => [`file ${name}`, `stored ${name}`]),
      )
      assert.equal((await submissions()) - before, 3n)
      assert.ok(published.feeWei > 0n)
      assert.deepEqual([published.bytes, published.manifestRoot], [6_002, published.manifest.root])

      const target = tempDir()
      const pulled = await pull(published.manifestRoot, target)
      assert.ok(pulled.every(({ isFetched }) => isFetched))
      assert.deepEqual(readFileSync(join(target, 'deep/down/b.bin')), twice)
      assert.equal(readFileSync(join(target, 'link.txt'), 'utf8'), 'x')
      assert.ok((await pull(published.manifestRoot, target)).every(({ isFetched }) => !isFetched))

      // Again: nothing is paid. A longer term than is left of the old one: all is stored anew.
      const again = await publish(folder)
      assert.deepEqual([again.manifestRoot, again.feeWei], [published.manifestRoot, 0n])
      assert.equal((await submissions()) - before, 3n)
      // A submission of one's own is used as it is while it could be sealed.
      await network.anvil.mine(Number(network.chain.terms.sealDeadlineBlocks) + 1)
      const termPeriods = network.chain.terms.defaultTermPeriods * 3n
      const longer = await publish(folder, { termPeriods })
      assert.deepEqual([longer.manifestRoot, longer.manifest.isNew], [published.manifestRoot, true])
      assert.ok(longer.manifest.expiresAt > published.manifest.expiresAt)
    })

    it('behavior: aborted between two files, it goes on with the second', async () => {
      const folder = folderOf({ 'a.bin': randomBytes(100), 'b.bin': randomBytes(100) })
      const before = await submissions()
      const stop = new AbortController()
      const aborted = publish(folder, {
        signal: stop.signal,
        onProgress: ({ stage }) => {
          if (stage === 'stored') stop.abort()
        },
      })
      await assert.rejects(aborted)
      const published = await publish(folder)
      assert.deepEqual(
        published.files.map(({ isNew }) => isNew),
        [false, true],
      )
      assert.equal((await submissions()) - before, 3n)
    })

    it('error: folders that no manifest can list cost nothing', async () => {
      const before = await submissions()
      const empty = folderOf({ 'a.bin': randomBytes(10), 'b.bin': new Uint8Array() })
      const cases = [tempDir(), join(tempDir(), 'nowhere'), folderOf({ 'ä.bin': randomBytes(10) }), empty]
      const twins = folderOf({ 'a.bin': randomBytes(10), 'A.bin': randomBytes(10) })
      for (const folder of [...cases, twins])
        await assert.rejects(publish(folder), { code: 'COMPUTE_MODEL_INVALID' })
      assert.equal(await submissions(), before)
    })

    it('error: another file is in the way, or the manifest lies: nothing wrong is left behind', async () => {
      const { manifestRoot, files: stored } = await publish(
        folderOf({ 'a.bin': randomBytes(50), 'z.bin': randomBytes(50) }),
      )
      const target = folderOf({ 'z.bin': Buffer.from('mine') })
      await assert.rejects(pull(manifestRoot, target), { code: 'FILE_EXISTS' })
      assert.deepEqual(readdirSync(target), ['z.bin'])
      await pull(manifestRoot, target, true)
      assert.equal(readFileSync(join(target, 'z.bin')).length, 50)

      const [first] = stored
      assert.ok(first)
      const { path, root, bytes } = first
      const lied = await storeManifest([{ path, root, bytes, sha256: '00'.repeat(32) }])
      const other = tempDir()
      await assert.rejects(pull(lied, other), { code: 'COMPUTE_MODEL_INVALID' })
      assert.deepEqual(readdirSync(other), [])
    })
  })

  it('error: a configuration that names no model, no source, or two', () => {
    const env = loadConfig(computeEnv, {})
    const MODEL_ROOT = `0x${'12'.repeat(32)}`
    for (const change of [
      {},
      { MODEL_ID: 'a' },
      { MODEL_ROOT },
      { MODEL_ID: 'a', MODEL_ROOT, MODEL_DIR: '.' },
    ])
      assert.throws(() => withModel({ ...env, ...change }), { code: 'CONFIG_INVALID' })
    assert.equal(withModel({ ...env, MODEL_ID: 'a', MODEL_DIR: '.' }).MODEL_ID, 'a')
  })

  it('error: a manifest that names other bytes than its roots, or has no graph', async () => {
    const [config, graph] = files
    assert.ok(config && graph)
    const lied = await storeManifest([{ ...config, sha256: '00'.repeat(32) }, graph])
    await assert.rejects(open(lied), { code: 'COMPUTE_MODEL_INVALID', message: /config.json is not what/ })
    const short = await storeManifest([{ ...graph, bytes: 10 }])
    await assert.rejects(open(short), { code: 'COMPUTE_MODEL_INVALID' })
    const empty = await storeManifest([config])
    await assert.rejects(open(empty), { code: 'COMPUTE_MODEL_INVALID', message: /no onnx/ })
    await assert.rejects(open(config.root), { code: 'COMPUTE_MODEL_INVALID' })
    await assert.rejects(open(`0x${'12'.repeat(32)}`), { code: 'UNKNOWN_ROOT' })
  })
})

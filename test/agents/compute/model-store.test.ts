import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { computeEnv, withModel } from '../../../agents/compute/config.ts'
import { openModelFolder } from '../../../agents/compute/model-store.ts'
import { loadConfig } from '../../../agents/kernel/config.ts'
import { createLog } from '../../../agents/kernel/log.ts'
import { bytesSource } from '../../../sdk/client/file-source.ts'
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

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access, mkdir, readdir, stat } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Chain } from '../../sdk/chain/connect.ts'
import { downloadFile } from '../../sdk/client/download.ts'
import type { FileSink } from '../../sdk/client/file-sink.ts'
import { memorySink } from '../../sdk/client/file-sink.ts'
import { createPathSink } from '../../sdk/client/file-sink-node.ts'
import { nodeTransport } from '../../sdk/client/http-node.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { MAX_MANIFEST_BYTES, type ManifestFile, parseManifest } from '../../sdk/protocol/model-manifest.ts'
import type { Log } from '../kernel/log.ts'
import type { ComputeConfig } from './config.ts'

/** A model's folder on disk, verified as far as its source allows. */
export type ModelFolder = {
  readonly path: string
  /** Paths of its files, parts separated by `/`. */
  readonly files: ReadonlySet<string>
  readonly onnxFile: string
  /** Root of the manifest in storage; undefined for a plain folder. */
  readonly manifestRoot: string | undefined
}

/** Where a graph is looked for, the more exact first. */
const GRAPHS = ['onnx/model.onnx', 'onnx/model_quantized.onnx'] as const

export declare namespace openModelFolder {
  type Options = {
    config: Pick<ComputeConfig, 'DATA_DIR' | 'MODEL_ROOT' | 'MODEL_DIR' | 'MODEL_FILE'>
    chain: Chain
    signal: AbortSignal
    log?: Log
  }
}

/**
 * The folder of the configured model. From storage, files that are missing or changed are downloaded; every file has the
 * length and the hash of the manifest.
 *
 * Errors: COMPUTE_MODEL_INVALID, those of `downloadFile`, ABORTED.
 */
export async function openModelFolder(options: openModelFolder.Options): Promise<ModelFolder> {
  const { config } = options
  if (config.MODEL_ROOT !== undefined) return pullModel(options, config.MODEL_ROOT)
  const path = config.MODEL_DIR ?? ''
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch((cause) => {
    throw new ZerogError('COMPUTE_MODEL_INVALID', `MODEL_DIR ${path} cannot be read`, { cause })
  })
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(path, join(entry.parentPath, entry.name)).split(sep).join('/'))
  return folderOf({ path, files, graph: config.MODEL_FILE, manifestRoot: undefined })
}

async function pullModel(
  { config, chain, log, signal }: openModelFolder.Options,
  manifestRoot: string,
): Promise<ModelFolder> {
  const path = join(config.DATA_DIR, 'models', manifestRoot.slice(2))
  const files = await readManifest({ chain, root: manifestRoot, signal })
  for (const file of files) {
    const target = join(path, ...file.path.split('/'))
    if (await isSame(target, file)) continue
    await mkdir(dirname(target), { recursive: true, mode: 0o700 })
    const { seconds } = await downloadFile({
      ...{ chain, signal, transport: nodeTransport },
      root: file.root,
      sink: limited(await createPathSink(target, { overwrite: true }), file.bytes),
    })
    if (!(await isSame(target, file)))
      throw new ZerogError('COMPUTE_MODEL_INVALID', `${file.path} is not what its manifest says`, {
        meta: { root: file.root },
      })
    log?.info({ path: file.path, bytes: file.bytes, seconds }, 'model file fetched')
  }
  return folderOf({ path, files: files.map((file) => file.path), graph: config.MODEL_FILE, manifestRoot })
}

/** The files that a manifest in storage lists. Errors: COMPUTE_MODEL_INVALID, those of `downloadFile`. */
export async function readManifest({
  chain,
  root,
  signal,
}: {
  chain: Chain
  root: string
  signal: AbortSignal
}): Promise<ManifestFile[]> {
  const sink = memorySink()
  const target = limited(sink, MAX_MANIFEST_BYTES)
  await downloadFile({ chain, signal, transport: nodeTransport, root, sink: target })
  return parseManifest(new TextDecoder().decode(sink.bytes()))
}

function folderOf(options: {
  path: string
  files: readonly string[]
  graph: string | undefined
  manifestRoot: string | undefined
}): ModelFolder {
  const { path, manifestRoot } = options
  const files = new Set(options.files)
  const graph = options.graph ?? GRAPHS.find((name) => files.has(name)) ?? GRAPHS[0]
  if (!files.has(graph)) throw new ZerogError('COMPUTE_MODEL_INVALID', `the model has no ${graph}`)
  return { path, files, onnxFile: join(path, ...graph.split('/')), manifestRoot }
}

async function isSame(path: string, { bytes, sha256 }: ManifestFile): Promise<boolean> {
  const found = await access(path).then(
    () => stat(path),
    () => undefined,
  )
  if (found?.size !== bytes) return false
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex') === sha256
}

/** What is longer than it says must not fill the memory or the disk. */
function limited(sink: FileSink, mostBytes: number): FileSink {
  return {
    ...sink,
    write: async (offset, bytes) => {
      if (offset + bytes.length > mostBytes)
        throw new ZerogError('COMPUTE_MODEL_INVALID', `a file of the model is over ${mostBytes} bytes`)
      await sink.write(offset, bytes)
    },
  }
}

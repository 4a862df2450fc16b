import { join } from 'node:path'
import type { Chain } from '../../sdk/chain/connect.ts'
import { listModelFolder, pullModelFolder } from '../../sdk/client/model-folder-node.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
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
  const files = (await listModelFolder(path)).map((file) => file.path)
  return folderOf({ path, files, graph: config.MODEL_FILE, manifestRoot: undefined })
}

async function pullModel(
  { config, chain, log, signal }: openModelFolder.Options,
  manifestRoot: string,
): Promise<ModelFolder> {
  const path = join(config.DATA_DIR, 'models', manifestRoot.slice(2))
  const files = await pullModelFolder({
    ...{ chain, root: manifestRoot, folder: path, overwrite: true, signal },
    onFile: ({ path: file, bytes, isFetched, seconds }) => {
      if (isFetched) log?.info({ path: file, bytes, seconds }, 'model file fetched')
    },
  })
  return folderOf({ path, files: files.map((file) => file.path), graph: config.MODEL_FILE, manifestRoot })
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

import { mkdirSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { connectCompute } from '../../sdk/chain/compute-chain.ts'
import { type ModelRecord, readModel } from '../../sdk/chain/models.ts'
import { readManifest } from '../../sdk/client/model-folder-node.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { computeEnv } from '../compute/config.ts'
import { openModelFolder } from '../compute/model-store.ts'
import { parseAddress, parseAmount } from './amount.ts'
import { ask } from './ask.ts'
import { formatBytes, formatWei } from './format.ts'
import type { Output } from './output.ts'
import type { Session } from './session.ts'

/** What an operator who serves a model chooses. */
export type ComputeChoice = {
  model?: string
  modelRoot?: string
  modelDir?: string
  modelOwner?: string
  inputPrice?: bigint
  outputPrice?: bigint
  executionProvider?: string
}

const { MODEL_ID, MODEL_ROOT, EXECUTION_PROVIDER } = computeEnv.shape

export function addComputeOptions(command: Command): Command {
  return command
    .option(
      '--model <id>',
      'id of the model as clients ask for it; asked for if missing',
      parsed('--model', MODEL_ID),
    )
    .option(
      '--model-root <root>',
      "root in storage of the model's manifest; the registry's by default",
      parsed('--model-root', MODEL_ROOT),
    )
    .option('--model-dir <folder>', 'folder with the model instead, for one that is not in storage')
    .option(
      '--model-owner <address>',
      'who made the model, if its name is registered: its gate is kept; whose root is served by default',
      parseAddress,
    )
    .option('--input-price <amount>', 'price of an input unit (token or row), such as 1000wei', parseAmount)
    .option('--output-price <amount>', 'price of an output unit', parseAmount)
    .option(
      '--execution-provider <name>',
      'auto, cuda, webgpu or cpu (default: auto)',
      parsed('--execution-provider', EXECUTION_PROVIDER),
    )
}

/** An option that is a variable as well, held against the schema of that one. Errors: BAD_REQUEST. */
function parsed(name: string, schema: { safeParse: (text: string) => Parsed }): (text: string) => string {
  return (text) => {
    const result = schema.safeParse(text)
    if (result.success && result.data !== undefined) return result.data
    const expected = result.error?.issues[0]?.message ?? 'something else'
    throw new ZerogError('BAD_REQUEST', `${name} must be ${expected}, not "${text}"`)
  }
}

type Parsed = {
  success: boolean
  data?: string | undefined
  error?: { issues: { message: string }[] } | undefined
}

/**
 * The variables of a model and its prices. The model must be there: its manifest in storage, or its graph in the folder. What the
 * registry says of its name is kept: its root where no other is given, and its floor.
 *
 * Errors: BAD_REQUEST, PRICE_TOO_LOW, COMPUTE_MODEL_INVALID, those of a download.
 */
export async function computeSettings(
  session: Session,
  output: Output,
  options: ComputeChoice & { dataDir: string },
): Promise<Record<string, string>> {
  const { chain, config, signal } = session
  const id =
    options.model ??
    config.MODEL_ID ??
    parsed('--model', MODEL_ID)(await ask('Id of the model, as clients ask for it: ', { flag: '--model' }))
  const registered = await readModel(await connectCompute(chain, { signal }), id, { signal })
  const source = await chooseSource(session, options, registered)
  if (registered !== undefined && source.root !== registered.terms.manifestRoot)
    output.note(`registry    ${id} is registered with another manifest: ${registered.terms.manifestRoot}`)
  // The owner whose root is served is the one whose gate counts.
  const rootOwner = registered?.terms.manifestRoot === source.root ? registered?.owner : undefined
  const owner = options.modelOwner ?? config.MODEL_OWNER ?? rootOwner
  if (registered !== undefined && registered.owner.toLowerCase() !== owner?.toLowerCase())
    output.note(
      `registry    ${id} belongs to ${registered.owner}: if that is who made it, give --model-owner`,
    )
  await checkModel(session, output, { ...source, dataDir: options.dataDir })
  const { inputFloorWei = 0n, outputFloorWei = 0n } = registered?.terms ?? {}
  const inputPriceWei = priceOf('input', options.inputPrice, config.INPUT_PRICE_WEI, inputFloorWei)
  const outputPriceWei = priceOf('output', options.outputPrice, config.OUTPUT_PRICE_WEI, outputFloorWei)
  output.note(`price       ${formatWei(inputPriceWei)} in, ${formatWei(outputPriceWei)} out, a unit`)
  return {
    MODEL_ID: id,
    // An empty variable counts as not set: one source stays where both were named.
    ...(source.root === undefined
      ? { MODEL_DIR: source.dir, ...(config.MODEL_ROOT === undefined ? {} : { MODEL_ROOT: '' }) }
      : { MODEL_ROOT: source.root, ...(config.MODEL_DIR === undefined ? {} : { MODEL_DIR: '' }) }),
    ...(owner === undefined ? {} : { MODEL_OWNER: owner }),
    INPUT_PRICE_WEI: String(inputPriceWei),
    OUTPUT_PRICE_WEI: String(outputPriceWei),
    EXECUTION_PROVIDER: options.executionProvider ?? config.EXECUTION_PROVIDER,
  }
}

type Source = { root: string; dir?: undefined } | { root?: undefined; dir: string }

/** The price that was given, which must reach the floor; else the configured one, or the floor above it. */
function priceOf(unit: string, given: bigint | undefined, configuredWei: bigint, floorWei: bigint): bigint {
  const priceWei = given ?? configuredWei
  if (priceWei >= floorWei) return priceWei
  if (given === undefined) return floorWei
  throw new ZerogError(
    'PRICE_TOO_LOW',
    `the owner of the model wants ${floorWei} wei an ${unit} unit at least: give --${unit}-price`,
  )
}

async function chooseSource(
  { config }: Session,
  { modelRoot, modelDir }: ComputeChoice,
  registered: ModelRecord | undefined,
): Promise<Source> {
  if (modelRoot !== undefined && modelDir !== undefined)
    throw new ZerogError('BAD_REQUEST', 'give --model-root or --model-dir, one of the two')
  if (modelRoot !== undefined) return { root: modelRoot }
  if (modelDir !== undefined) return { dir: resolve(modelDir) }
  if (config.MODEL_ROOT !== undefined) return { root: config.MODEL_ROOT }
  if (config.MODEL_DIR !== undefined) return { dir: resolve(config.MODEL_DIR) }
  if (registered !== undefined) return { root: registered.terms.manifestRoot }
  const answer = await ask("Root in storage of the model's manifest, or its folder: ", {
    flag: '--model-root',
  })
  return answer.startsWith('0x')
    ? { root: parsed('--model-root', MODEL_ROOT)(answer) }
    : { dir: resolve(answer) }
}

/** A model that is not there, or has no room, is found before money is spent. */
async function checkModel(
  { chain, config, signal }: Session,
  output: Output,
  { root, dir, dataDir }: Source & { dataDir: string },
): Promise<void> {
  if (root === undefined) {
    const choice = { DATA_DIR: dataDir, MODEL_ROOT: undefined, MODEL_DIR: dir, MODEL_FILE: config.MODEL_FILE }
    const { onnxFile } = await openModelFolder({ config: choice, chain, signal })
    output.note(`model       ${onnxFile}`)
    return
  }
  const files = await readManifest({ chain, root, signal })
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  output.note(`model       ${files.length} files, ${formatBytes(bytes)}, in storage`)
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const { bavail, bsize } = await statfs(dataDir)
  if (bavail * bsize < bytes)
    throw new ZerogError('DISK_FULL', `the model needs ${formatBytes(bytes)} in ${dataDir}`)
}

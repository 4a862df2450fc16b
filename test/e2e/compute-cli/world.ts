import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { parseEther, type Wallet } from 'ethers'
import { depositFundCall, transferFundCall } from '../../../sdk/chain/ledger.ts'
import { bytesSource } from '../../../sdk/client/file-source.ts'
import { uploadFile } from '../../../sdk/client/upload.ts'
import { formatManifest } from '../../../sdk/protocol/model-manifest.ts'
import {
  type ComputeWorld,
  modelDir,
  startComputeWorld,
  type WorldProvider,
} from '../../agents/compute/compute-world.ts'
import { type StorageNetwork, startStorageNetwork } from '../../sdk/client/storage-network.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../../support/until.ts'
import { type CliRun, runZerog } from '../../support/zerog-cli.ts'

export const MINUTE_MS = 60_000
export const BLOCK_MS = 750
/** Providers of a file at the default parity: no fewer can hold it. */
const STORAGE_NODES = 6
export const CHAT = 'zerog/chat-mini'
export const DIGITS = 'zerog/digits'
export const EMBED = 'zerog/embed-mini'

let network: StorageNetwork
export let world: ComputeWorld
/** Manifest of the digits model in the storage of this world. */
export let digitsRoot: string
export let chat: WorldProvider
export let digits: WorldProvider
let embed: WorldProvider
export let folder: string
export let user: Wallet
/** Has an account at the chat provider, and nothing else in compute. */
export let asker: Wallet

before(
  async () => {
    folder = tempDir()
    network = await startStorageNetwork({ providers: STORAGE_NODES })
    world = await startComputeWorld(network)
    user = world.account(2)
    asker = world.account(5)
    digitsRoot = await storeModel('digits', ['config.json', 'onnx/model.onnx'])
    chat = await world.addProvider(6, { MODEL_ID: CHAT, MODEL_DIR: modelDir('chat') })
    digits = await world.addProvider(7, { MODEL_ID: DIGITS, MODEL_ROOT: digitsRoot })
    embed = await world.addProvider(8, { MODEL_ID: EMBED, MODEL_DIR: modelDir('embed') })
    const all = [chat, digits, embed]
    await Promise.all(all.map((provider) => provider.start()))
    await until('all services are listed', async () => {
      await world.anvil.mine(1)
      return (await Promise.all(all.map((provider) => provider.isListed()))).every(Boolean)
    })
    const amountWei = parseEther('0.5')
    await world.send(asker, depositFundCall(world.chain, amountWei))
    await world.send(asker, transferFundCall(world.chain, { provider: chat.wallet.address, amountWei }))
  },
  { timeout: 4 * MINUTE_MS },
)
after(() => world?.stop(), { timeout: MINUTE_MS })

/** Stores some files of a model and their manifest, whose root it gives. */
async function storeModel(name: string, paths: readonly string[]): Promise<string> {
  const store = async (bytes: Uint8Array) =>
    (await uploadFile({ chain: network.chain, source: bytesSource(bytes) })).root
  const files = []
  for (const path of paths) {
    const bytes = readFileSync(join(modelDir(name), path))
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    files.push({ path, root: await store(bytes), bytes: bytes.length, sha256 })
  }
  return store(new TextEncoder().encode(formatManifest(files)))
}

export const chainEnv = () => ({ RPC_URL: world.anvil.rpcUrl, ADDRESS_BOOK: world.bookFile })

/** Runs `zerog … --json` as the funded user in the test's folder. */
export function zerog(args: readonly string[], change: Record<string, string> = {}): Promise<CliRun> {
  const env = { ...chainEnv(), PRIVATE_KEY: user.privateKey, ...change }
  return runZerog([...args, '--json'], { cwd: folder, env })
}

export async function zerogOk<T>(args: readonly string[], change: Record<string, string> = {}): Promise<T> {
  const run = await zerog(args, change)
  assert.equal(run.code, 0, run.stderr)
  return run.json<T>()
}

export function readDigits(): { images: number[][]; labels: number[] } {
  return JSON.parse(readFileSync(join(modelDir('digits'), 'heldout.json'), 'utf8'))
}

export type Answer = {
  verified: boolean
  provider: string
  feeWei: string
  usage: { inputUnits: number; outputUnits: number }
  failures: { provider: string; code: string }[]
}

export const ask = (args: readonly string[]) => zerog(args, { PRIVATE_KEY: asker.privateKey })
export const askOk = <T>(args: readonly string[]) => zerogOk<T>(args, { PRIVATE_KEY: asker.privateKey })

export const feeOf = ({ usage }: Answer) => String(usage.inputUnits * 1000 + usage.outputUnits * 3000)

import { join } from 'node:path'
import type { Wallet } from 'ethers'
import { CHECKOUT } from '../../agents/cli/checkout.ts'
import { formatBytes, formatWei } from '../../agents/cli/format.ts'
import { devAccount, MODEL_OWNER_ACCOUNT } from '../../deploy/dev-account.ts'
import type { ComputeChain } from '../../sdk/chain/compute-chain.ts'
import { registerModelCall, updateModelCall } from '../../sdk/chain/model-calls.ts'
import { OPEN_TERMS, readModel } from '../../sdk/chain/models.ts'
import { sendCall, signerSender } from '../../sdk/chain/send.ts'
import { type PublishedModel, publishModel } from './publish-model.ts'
import type { Devnet } from './start-devnet.ts'

/** Models that ship with the project and that a devnet serves: what clients ask for, and the folder. */
export const SHIPPED_MODELS = {
  chat: { id: 'zerog/chat-mini', kind: 'text-generation', folder: join(CHECKOUT, 'models', 'chat') },
  digits: { id: 'zerog/digits', kind: 'tensors', folder: join(CHECKOUT, 'models', 'digits') },
} as const

export type ModelName = keyof typeof SHIPPED_MODELS

const LICENCE = 'MIT'
/** Far below what the agents of a devnet ask. */
const FLOOR_WEI = 1_000_000_000n

/** What so many compute agents serve: one chat, one digits, then more chat, so that a chat client can go elsewhere. */
export function modelNames(count: number): ModelName[] {
  return Array.from({ length: count }, (_, index) => (index === 1 ? 'digits' : 'chat'))
}

type Options = { names: readonly ModelName[]; report: (line: string) => void; signal: AbortSignal }

/** Stores and registers these models, each once, and starts an agent for each name, which pulls its model from there. */
export async function serveModels(
  devnet: Devnet,
  { names, report, signal }: Options,
): Promise<Map<ModelName, PublishedModel>> {
  const published = new Map<ModelName, PublishedModel>()
  for (const name of new Set(names)) {
    const owner = devAccount(MODEL_OWNER_ACCOUNT, devnet.provider)
    const { id, kind, folder } = SHIPPED_MODELS[name]
    const model = await publishModel({ chain: devnet.chain, owner, signal, id, folder })
    published.set(name, model)
    await registerModel(devnet.chain, { owner, kind, model, signal })
    report(
      `model      ${model.id}: ${model.files} files, ${formatBytes(model.bytes)} stored for ${formatWei(model.feeWei)}, registered with manifest ${model.manifestRoot}`,
    )
  }
  const models = names.flatMap((name) => published.get(name) ?? [])
  if (models.length > 0) await devnet.startCompute(models)
  for (const { name, address } of devnet.computeAgents)
    report(`compute    ${name} has pulled its model and listed its service, ${address}`)
  return published
}

/** Gives a model its name in the registry, or the name its new root. */
async function registerModel(
  chain: ComputeChain,
  { owner, kind, model, signal }: { owner: Wallet; kind: string; model: PublishedModel; signal: AbortSignal },
): Promise<void> {
  const { id: modelId, manifestRoot } = model
  const earlier = await readModel(chain, modelId, { signal })
  if (earlier?.terms.manifestRoot === manifestRoot) return
  const floors = { inputFloorWei: FLOOR_WEI, outputFloorWei: FLOOR_WEI }
  const named = { modelId, terms: { ...OPEN_TERMS, ...floors, manifestRoot, kind, licence: LICENCE } }
  const call = earlier === undefined ? registerModelCall(chain, named) : updateModelCall(chain, named)
  await sendCall(await signerSender(chain, owner), { ...call, label: 'model', signal })
}

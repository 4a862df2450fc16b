import { join } from 'node:path'
import { CHECKOUT } from '../../agents/cli/checkout.ts'
import { formatBytes, formatWei } from '../../agents/cli/format.ts'
import { devAccount, MODEL_OWNER_ACCOUNT } from '../../deploy/dev-account.ts'
import { type PublishedModel, publishModel } from './publish-model.ts'
import type { Devnet } from './start-devnet.ts'

/** Models that ship with the project and that a devnet serves: what clients ask for, and the folder. */
export const SHIPPED_MODELS = {
  chat: { id: 'zerog/chat-mini', folder: join(CHECKOUT, 'models', 'chat') },
  digits: { id: 'zerog/digits', folder: join(CHECKOUT, 'models', 'digits') },
} as const

export type ModelName = keyof typeof SHIPPED_MODELS

/** What so many compute agents serve: one chat, one digits, then more chat, so that a chat client can go elsewhere. */
export function modelNames(count: number): ModelName[] {
  return Array.from({ length: count }, (_, index) => (index === 1 ? 'digits' : 'chat'))
}

type Options = { names: readonly ModelName[]; report: (line: string) => void; signal: AbortSignal }

/** Stores these models, each once, and starts an agent for each name, which pulls its model from there. */
export async function serveModels(
  devnet: Devnet,
  { names, report, signal }: Options,
): Promise<Map<ModelName, PublishedModel>> {
  const published = new Map<ModelName, PublishedModel>()
  for (const name of new Set(names)) {
    const owner = devAccount(MODEL_OWNER_ACCOUNT, devnet.provider)
    const model = await publishModel({ chain: devnet.chain, owner, signal, ...SHIPPED_MODELS[name] })
    published.set(name, model)
    report(
      `model      ${model.id}: ${model.files} files, ${formatBytes(model.bytes)} stored for ${formatWei(model.feeWei)}, manifest ${model.manifestRoot}`,
    )
  }
  const models = names.flatMap((name) => published.get(name) ?? [])
  if (models.length > 0) await devnet.startCompute(models)
  for (const { name, address } of devnet.computeAgents)
    report(`compute    ${name} has pulled its model and listed its service, ${address}`)
  return published
}

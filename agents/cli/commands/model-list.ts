import { Command } from 'commander'
import type { ComputeChain } from '../../../sdk/chain/compute-chain.ts'
import { type ModelRecord, readModelPage } from '../../../sdk/chain/models.ts'
import { parseAddress, parseCount } from '../amount.ts'
import { type ComputeSession, withComputeSession } from '../compute-session.ts'
import { formatTable } from '../format.ts'
import { formatGate } from '../model-gate-option.ts'
import type { Output } from '../output.ts'
import { requireWallet } from '../session.ts'

type ListOptions = { owner?: string; mine?: boolean; kind?: string; limit: number }

/** `zerog model list`: what the registry knows. */
export function modelListCommand(): Command {
  return new Command('list')
    .description('registered models: kind, licence, version, price floors, gate and manifest root')
    .option('--owner <address>', 'only those of this owner', parseAddress)
    .option('--mine', 'only your own')
    .option('--kind <kind>', 'only this kind, such as text-generation')
    .option('--limit <count>', 'at most so many', parseCount('--limit', 1, 10_000), 1_000)
    .action(
      withComputeSession((session, output, _args: [], options: ListOptions) =>
        listModels(session, output, options),
      ),
    )
}

async function listModels(session: ComputeSession, output: Output, options: ListOptions): Promise<void> {
  const { chain, signal } = session
  const owner = options.mine === true ? requireWallet(session).address : options.owner
  const models: ModelRecord[] = []
  for await (const model of eachModel(chain, { owner, signal })) {
    if (options.kind !== undefined && model.terms.kind !== options.kind) continue
    models.push(model)
    if (models.length === options.limit) break
  }
  output.result(
    { models },
    models.length === 0
      ? ['no model is registered that fits']
      : formatTable(
          ['model', 'kind', 'licence', 'version', 'floor, wei', 'gate', 'manifest root'],
          models.map(({ modelId, version, terms }) => [
            modelId,
            terms.kind,
            terms.licence,
            String(version),
            `${terms.inputFloorWei}/${terms.outputFloorWei}`,
            formatGate(terms.gate),
            terms.manifestRoot,
          ]),
        ),
  )
}

/** Every registered model, page by page. */
async function* eachModel(
  chain: ComputeChain,
  { owner, signal }: { owner: string | undefined; signal: AbortSignal },
): AsyncGenerator<ModelRecord> {
  for (let offset = 0; ; ) {
    const { models, total } = await readModelPage(chain, { offset, owner }, { signal })
    yield* models
    offset += models.length
    if (models.length === 0 || offset >= total) return
  }
}

import { readComputeBacking } from '../../sdk/chain/compute.ts'
import type { ComputeChain } from '../../sdk/chain/compute-chain.ts'
import { readModel } from '../../sdk/chain/models.ts'
import { read } from '../../sdk/chain/read.ts'
import type { Log } from '../kernel/log.ts'

type Options = {
  self: string
  publicUrl: string | undefined
  model: { id: string; root: string | undefined; owner: string | undefined }
  signal: AbortSignal
}

/** What is still missing before this provider may list its service; each with what to do. */
export async function readProblems(
  chain: ComputeChain,
  { self, publicUrl, model, signal }: Options,
): Promise<string[]> {
  const { minProviderStakeWei } = chain.computeTerms
  const [registered, backingWei, record] = await Promise.all([
    read(chain.contracts.registry.isOperator(self), { signal }),
    readComputeBacking(chain, self, { signal }),
    readModel(chain, model.id, { signal }),
  ])
  const registeredRoot = record?.terms.manifestRoot
  return [
    ...(registered ? [] : ['not registered as an operator: run `zerog agent init compute`']),
    ...(backingWei >= minProviderStakeWei
      ? []
      : [`stake of ${backingWei} wei at compute is below the ${minProviderStakeWei} of a service`]),
    ...(registeredRoot === undefined || model.root === undefined || registeredRoot === model.root
      ? []
      : [
          `${model.id} has the root ${registeredRoot} in the registry: set MODEL_ROOT to it, and start again`,
        ]),
    ...(record === undefined || record.owner.toLowerCase() === model.owner?.toLowerCase()
      ? []
      : [
          `${model.id} belongs to ${record.owner} in the registry: if that is who made it, set MODEL_OWNER to it`,
        ]),
    ...(publicUrl === undefined
      ? ['no PUBLIC_URL: the service is listed with the address it listens on']
      : []),
  ]
}

/** Says at the start what an operator should put right; nothing of it keeps the agent from running. */
export async function warnOfProblems(chain: ComputeChain, options: Options & { log: Log }): Promise<void> {
  try {
    for (const problem of await readProblems(chain, options))
      options.log.warn({ problem }, 'provider is not ready')
  } catch (error) {
    options.log.warn({ err: error }, "the provider's standing could not be read")
  }
}

import { readComputeBacking } from '../../sdk/chain/compute.ts'
import type { ComputeChain } from '../../sdk/chain/compute-chain.ts'
import { read } from '../../sdk/chain/read.ts'
import type { Log } from '../kernel/log.ts'

type Options = { self: string; publicUrl: string | undefined; signal: AbortSignal }

/** What is still missing before this provider may list its service; each with what to do. */
export async function readProblems(
  chain: ComputeChain,
  { self, publicUrl, signal }: Options,
): Promise<string[]> {
  const { minProviderStakeWei } = chain.computeTerms
  const [registered, backingWei] = await Promise.all([
    read(chain.contracts.registry.isOperator(self), { signal }),
    readComputeBacking(chain, self, { signal }),
  ])
  return [
    ...(registered ? [] : ['not registered as an operator: run `zerog agent init compute`']),
    ...(backingWei >= minProviderStakeWei
      ? []
      : [`stake of ${backingWei} wei at compute is below the ${minProviderStakeWei} of a service`]),
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

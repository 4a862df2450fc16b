import type { Chain } from '../../sdk/chain/connect.ts'
import { readOperator, readStorageProvider } from '../../sdk/chain/operators.ts'
import type { Log } from '../kernel/log.ts'

/** What is still missing before clients can find this provider and a seal may count on it; each with what to do. */
export async function readProblems(
  chain: Chain,
  { self, publicUrl, signal }: { self: string; publicUrl: string | undefined; signal: AbortSignal },
): Promise<string[]> {
  const [{ registered }, { endpoint, backingWei, needWei, suspended }] = await Promise.all([
    readOperator(chain, self, { signal }),
    readStorageProvider(chain, self, { signal }),
  ])
  const url = endpoint.replace(/\/+$/, '')
  return [
    ...(registered ? [] : ['not registered as an operator: run `zerog agent init storage`']),
    ...(registered && url === ''
      ? ['no storage endpoint in the registry: run `zerog agent init storage`']
      : []),
    ...(url !== '' && publicUrl !== undefined && url !== publicUrl
      ? [`the registry says ${url}, PUBLIC_URL is ${publicUrl}: run \`zerog agent init storage\``]
      : []),
    ...(backingWei > 0n
      ? []
      : ['no stake is allocated to storage: run `zerog stake deposit` and `zerog stake allocate`']),
    ...(needWei === undefined
      ? ['pay lies unclaimed for so long that no new custody is possible: this agent claims it by itself']
      : []),
    ...(needWei !== undefined && backingWei < needWei
      ? [`stake of ${backingWei} wei is below the ${needWei} that custody needs`]
      : []),
    ...(suspended ? ['suspended: no pay and no new custody until it is reinstated'] : []),
  ]
}

/** Says at the start what an operator should put right; nothing of it keeps the agent from running. */
export async function warnOfProblems(
  chain: Chain,
  options: Parameters<typeof readProblems>[1] & { log: Log },
): Promise<void> {
  try {
    for (const problem of await readProblems(chain, options))
      options.log.warn({ problem }, 'provider is not ready')
  } catch (error) {
    options.log.warn({ err: error }, "the provider's standing could not be read")
  }
}

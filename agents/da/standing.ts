import type { DaChain } from '../../sdk/chain/da-chain.ts'
import { readDaEndpoints, readMembership } from '../../sdk/chain/da-committee.ts'
import { read } from '../../sdk/chain/read.ts'
import type { Log } from '../kernel/log.ts'

/** What is still missing before this node attests and disperses; each with what to do. */
export async function readProblems(
  chain: DaChain,
  { self, publicUrl, signal }: { self: string; publicUrl: string | undefined; signal: AbortSignal },
): Promise<string[]> {
  const { registry, staking } = chain.contracts
  const { DaCommittee, DataAvailability } = chain.da.addresses
  const [registered, endpoints, backingWei, bondWei, { slot, isOut }] = await Promise.all([
    read(registry.isOperator(self), { signal }),
    readDaEndpoints(chain, [self], { signal }),
    read(staking.backing(self, DaCommittee), { signal }),
    read(staking.backing(self, DataAvailability), { signal }),
    readMembership(chain, self, { signal }),
  ])
  const url = (endpoints.get(self) ?? '').replace(/\/+$/, '')
  const { minStakeWei, bondWei: neededWei } = chain.daTerms
  return [
    ...(registered ? [] : ['not registered as an operator: run `zerog agent init da`']),
    ...(registered && url === '' ? ['no da endpoint in the registry: run `zerog agent init da`'] : []),
    ...(url !== '' && publicUrl !== undefined && url !== publicUrl
      ? [`the registry says ${url}, PUBLIC_URL is ${publicUrl}: run \`zerog agent init da\``]
      : []),
    ...(backingWei >= minStakeWei
      ? []
      : [`stake of ${backingWei} wei at the committee is below the ${minStakeWei} of a member`]),
    ...(bondWei >= neededWei
      ? []
      : [
          `bond of ${bondWei} wei is below the ${neededWei} of a disperser: this node attests but cannot publish`,
        ]),
    ...(slot === undefined ? ['not a member of the committee yet'] : []),
    ...(slot !== undefined && isOut
      ? ['out: the stake no longer suffices; others take the columns over']
      : []),
  ]
}

/** Says at the start what an operator should put right; nothing of it keeps the agent from running. */
export async function warnOfProblems(
  chain: DaChain,
  options: Parameters<typeof readProblems>[1] & { log: Log },
): Promise<void> {
  try {
    for (const problem of await readProblems(chain, options))
      options.log.warn({ problem }, 'node is not ready')
  } catch (error) {
    options.log.warn({ err: error }, "the node's standing could not be read")
  }
}

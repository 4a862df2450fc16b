import { z } from 'zod'
import type { ComputeChain } from '../../sdk/chain/compute-chain.ts'
import type { Child } from './child.ts'
import type { DevnetOperator } from './operators.ts'
import { waitUntil } from './wait-until.ts'

/** A model that a compute agent is to serve. */
export type ServedModel = { readonly id: string; readonly manifestRoot: string }

/** Prices of the devnet, in wei per token or row: enough to pay for a provider's gas, and for storing what a job comes to. */
const INPUT_PRICE_WEI = 20_000_000_000_000n
const OUTPUT_PRICE_WEI = 40_000_000_000_000n
const SETTLE_INTERVAL_SEC = 10

const modelList = z.object({ data: z.array(z.object({ owned_by: z.string(), ready: z.boolean() })) })

/** What a compute agent of the devnet is started with beside what every agent gets. */
export function computeVariables({ id, manifestRoot }: ServedModel): Record<string, string> {
  return {
    MODEL_ID: id,
    MODEL_ROOT: manifestRoot,
    EXECUTION_PROVIDER: 'cpu',
    THREADS: '1',
    INPUT_PRICE_WEI: String(INPUT_PRICE_WEI),
    OUTPUT_PRICE_WEI: String(OUTPUT_PRICE_WEI),
    SETTLE_INTERVAL_SEC: String(SETTLE_INTERVAL_SEC),
  }
}

/** Whether a compute agent answers for itself, and its model runs. */
export async function isServing({ url, address }: DevnetOperator): Promise<boolean> {
  const response = await fetch(`${url}/v1/models`, { signal: AbortSignal.timeout(2_000) })
  if (!response.ok) return false
  const [model] = modelList.parse(await response.json()).data
  return model?.owned_by === address && model.ready
}

/** Waits until the services of these agents are listed on chain. */
export async function waitListed(
  { compute: { inference } }: ComputeChain,
  agents: readonly (DevnetOperator & { child: Child })[],
  signal: AbortSignal,
): Promise<void> {
  for (const agent of agents) {
    await waitUntil(async () => (await inference.serviceExists(agent.address)) || undefined, {
      what: `the service of ${agent.name} (${agent.child.logFile})`,
      timeoutMs: 60_000,
      everyMs: 250,
      signal,
    })
  }
}

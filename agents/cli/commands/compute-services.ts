import { Command } from 'commander'
import {
  readInferenceAccount,
  readPendingService,
  readServicePage,
  type ServiceView,
} from '../../../sdk/chain/compute.ts'
import type { ComputeChain } from '../../../sdk/chain/compute-chain.ts'
import { parseCount } from '../amount.ts'
import { type ComputeSession, withComputeSession } from '../compute-session.ts'
import { formatTable, formatWei } from '../format.ts'
import type { Output } from '../output.ts'

type ServicesOptions = { model?: string; kind?: string; limit: number }

/** `zerog compute services`: who serves which model, at what price. */
export function servicesCommand(): Command {
  return new Command('services')
    .description('listed services: model, kind, prices, provider, URL, and your account there')
    .option('--model <id>', 'only this model')
    .option('--kind <type>', 'only this kind, such as chatbot, embedding or tensor')
    .option('--limit <count>', 'at most so many', parseCount('--limit', 1, 10_000), 1_000)
    .action(
      withComputeSession((session, output, _args: [], options: ServicesOptions) =>
        showServices(session, output, options),
      ),
    )
}

async function showServices(
  { chain, wallet, signal }: ComputeSession,
  output: Output,
  { model, kind, limit }: ServicesOptions,
): Promise<void> {
  const services: Awaited<ReturnType<typeof describe>>[] = []
  for await (const service of eachService(chain, signal)) {
    if (model !== undefined && service.model !== model) continue
    if (kind !== undefined && service.serviceType !== kind) continue
    services.push(await describe(chain, service, { user: wallet?.address, signal }))
    if (services.length === limit) break
  }
  output.result({ services }, [
    ...formatTable(
      ['model', 'kind', 'in, wei', 'out, wei', 'provider', 'yours', 'URL'],
      services.map(({ change, account, ...service }) => [
        `${service.model}${change === undefined ? '' : ' *'}`,
        service.serviceType,
        String(service.inputPriceWei),
        String(service.outputPriceWei),
        service.provider,
        account === undefined ? '-' : formatWei(account.balanceWei - account.pendingRefundWei),
        service.url,
      ]),
    ),
    ...services.flatMap(({ change, provider }) =>
      change === undefined
        ? []
        : [
            `* ${provider}: ${change.model}, ${change.inputPriceWei} in, ${change.outputPriceWei} out ` +
              `from ${new Date(Number(change.fromSec) * 1000).toISOString()}`,
          ],
    ),
    ...(services.length === 0 ? ['no service is listed that fits'] : []),
  ])
}

async function describe(
  chain: ComputeChain,
  service: ServiceView,
  { user, signal }: { user: string | undefined; signal: AbortSignal },
) {
  const { provider } = service
  const [change, account] = await Promise.all([
    readPendingService(chain, provider, { signal }),
    user === undefined ? undefined : readInferenceAccount(chain, { user, provider }, { signal }),
  ])
  return { ...service, change, account }
}

/** Every listed service, page by page. */
async function* eachService(chain: ComputeChain, signal: AbortSignal): AsyncGenerator<ServiceView> {
  for (let offset = 0; ; ) {
    const { services, total } = await readServicePage(chain, { offset }, { signal })
    yield* services
    offset += services.length
    if (services.length === 0 || offset >= total) return
  }
}

import {
  readComputeBacking,
  readPendingService,
  readService,
  type ServiceView,
} from '../../../sdk/chain/compute.ts'
import { listServiceCall, type ServiceWish } from '../../../sdk/chain/compute-calls.ts'
import type { Duty } from '../../kernel/duty.ts'
import type { ComputeContext } from '../context.ts'
import type { ModelKind } from '../model-runtime.ts'
import { submit } from '../submit.ts'

const TYPES: Readonly<Record<ModelKind, string>> = {
  'text-generation': 'chatbot',
  embedding: 'embedding',
  tensors: 'tensor',
}

/** Lists the service once the model runs and the stake is there, and announces what the configuration changes. */
export const listService: Duty<ServiceWish, ComputeContext> = {
  name: 'list-service',
  everyBlocks: 2,
  local: true,

  async due(ctx) {
    const { chain, self, signal, runtime } = ctx
    if (runtime.state().state !== 'ready') return []
    const wish = wishOf(ctx)
    const options = { blockTag: ctx.head.number, signal }
    const [service, pending, backingWei] = await Promise.all([
      readService(chain, self, options),
      readPendingService(chain, self, options),
      readComputeBacking(chain, self, options),
    ])
    if (backingWei < chain.computeTerms.minProviderStakeWei) return []
    if (service && (isSame(wish, service) || (pending && isSame(wish, pending)))) return []
    return [wish]
  },

  id: () => 'list-service',

  async perform(wish, ctx) {
    await submit(ctx, { ...listServiceCall(ctx.chain, wish), label: `list-service-${ctx.head.number}` })
    ctx.accounts.forgetService()
    ctx.log.info({ model: wish.model, url: wish.url }, 'service listed')
  },
}

function wishOf({ config, runtime, self, url }: ComputeContext): ServiceWish {
  const { kind, folder } = runtime.current()
  return {
    serviceType: config.SERVICE_TYPE ?? TYPES[kind],
    url,
    model: config.MODEL_ID,
    verifiability: config.VERIFIABILITY,
    inputPriceWei: config.INPUT_PRICE_WEI,
    outputPriceWei: config.OUTPUT_PRICE_WEI,
    additionalInfo: JSON.stringify({
      ProviderType: 'decentralized',
      kind,
      ...(folder.manifestRoot === undefined ? {} : { manifestRoot: folder.manifestRoot }),
    }),
    signer: self,
  }
}

function isSame(wish: ServiceWish, service: ServiceView): boolean {
  const texts = ['serviceType', 'url', 'model', 'verifiability', 'additionalInfo', 'signer'] as const
  return (
    texts.every((name) => wish[name] === service[name]) &&
    wish.inputPriceWei === service.inputPriceWei &&
    wish.outputPriceWei === service.outputPriceWei
  )
}

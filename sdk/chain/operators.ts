import { type ChainCall, chainCall } from './chain-call.ts'
import { type Chain, STORAGE_SERVICE } from './connect.ts'
import { unlessRevert } from './decode-error.ts'
import { at, type ReadOptions, read } from './read.ts'

/** A registered operator as storage clients see it; `endpoint` is empty when it serves no storage. */
export type StorageProvider = {
  operator: string
  endpoint: string
  /**
   * Stake that a seal may count on, and what its present custody needs of it: undefined while its pay lies unclaimed for
   * so long that no seal takes it, and until somebody claims.
   */
  backingWei: bigint
  needWei: bigint | undefined
  suspended: boolean
}

export type ProviderPage = { providers: StorageProvider[]; total: bigint; nextOffset: bigint | undefined }

const PAGE_OPERATORS = 50n

/** Whether an account is an operator, and where it serves storage, or another service. */
export async function readOperator(
  { contracts: { registry } }: Chain,
  operator: string,
  options: ReadOptions & { service?: string } = {},
): Promise<{ registered: boolean; metadataUri: string; endpoint: string }> {
  const [registered, metadataUri, endpoint] = await read(
    Promise.all([
      registry.isOperator(operator, at(options)),
      registry.metadataOf(operator, at(options)),
      registry.endpointOf(operator, options.service ?? STORAGE_SERVICE, at(options)),
    ]),
    options,
  )
  return { registered, metadataUri, endpoint }
}

/** One operator with all that a client looks at before it offers a shard. */
export async function readStorageProvider(
  { contracts: { registry, staking, streams }, book }: Chain,
  operator: string,
  options: ReadOptions = {},
): Promise<StorageProvider> {
  const [endpoint, backingWei, needWei, suspended] = await read(
    Promise.all([
      registry.endpointOf(operator, STORAGE_SERVICE, at(options)),
      staking.backing(operator, book.contracts.StorageProver.address, at(options)),
      unlessRevert(streams.needOf(operator, at(options)), 'StreamBehind'),
      streams.isSuspended(operator, at(options)),
    ]),
    options,
  )
  return { operator, endpoint, backingWei, needWei, suspended }
}

/** One page of the operators in order of registration. */
export async function readProviderPage(
  chain: Chain,
  { offset = 0n, limit = PAGE_OPERATORS }: { offset?: bigint; limit?: bigint } = {},
  options: ReadOptions = {},
): Promise<ProviderPage> {
  const { registry } = chain.contracts
  const [total, operators] = await read(
    Promise.all([registry.operatorCount(at(options)), registry.operators(offset, limit, at(options))]),
    options,
  )
  const providers = await Promise.all(
    operators.map((operator) => readStorageProvider(chain, operator, options)),
  )
  const nextOffset = offset + BigInt(operators.length)
  return { providers, total, nextOffset: operators.length > 0 && nextOffset < total ? nextOffset : undefined }
}

/** Every operator, page by page. */
export async function* eachProvider(
  chain: Chain,
  options: ReadOptions = {},
): AsyncGenerator<StorageProvider> {
  let offset: bigint | undefined = 0n
  while (offset !== undefined) {
    const page: ProviderPage = await readProviderPage(chain, { offset }, options)
    yield* page.providers
    offset = page.nextOffset
  }
}

/** Makes the sender an operator. */
export function registerCall({ contracts: { registry } }: Chain, metadataUri: string): ChainCall {
  return chainCall(registry, registry.interface.encodeFunctionData('register', [metadataUri]))
}

/** Sets where the sender serves storage, or another service; an empty URL removes it. */
export function setEndpointCall(
  { contracts: { registry } }: Chain,
  url: string,
  service: string = STORAGE_SERVICE,
): ChainCall {
  return chainCall(registry, registry.interface.encodeFunctionData('setEndpoint', [service, url]))
}

import { getAddress, isAddress } from 'ethers'
import { readComputeBacking, readServicePage, type ServiceView } from '../chain/compute.ts'
import type { ComputeChain } from '../chain/compute-chain.ts'
import { read } from '../chain/read.ts'
import { ZerogError } from '../protocol/errors.ts'
import { askProvider, jsonObject, wholeBody } from './ask-provider.ts'
import type { InferenceKind, InferenceOptions, ServiceOffer } from './inference-api.ts'
import { baseUrl } from './provider-client.ts'
import type { SpendingBook } from './spending-book.ts'

export type ServiceQuery = {
  readonly model?: string | undefined
  readonly kind?: InferenceKind | undefined
  readonly modelRoot?: string | undefined
  readonly provider?: string | undefined
  readonly measure?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** The services of the network, as one client sees them. */
export type ServiceList = {
  /** Offers that fit, the best first. Providers that lied are among them, last. */
  find(query: ServiceQuery): Promise<ServiceOffer[]>
  /** Sends a provider that just failed to the end of the list for a while. */
  avoid(provider: string): void
  /** Notes how long a provider took for its first byte. */
  heard(provider: string, firstByteMs: number): void
  /** The next look asks the chain. */
  forget(): void
}

export declare namespace createServiceList {
  type Options = {
    chain: ComputeChain
    book: SpendingBook
    user: () => Promise<string>
    fetch: typeof fetch
    options: Pick<InferenceOptions, 'maxPrice' | 'providers'>
  }
}

type Probe = {
  readonly atMs: number
  readonly latencyMs: number | undefined
  readonly isReady: boolean
  /** The manifest that it says to run: before a change is in force on chain, another than it lists. */
  readonly servedRoot?: string | undefined
}
type Listed = { readonly service: ServiceView; readonly stakeWei: bigint }

const KINDS: Readonly<Record<string, InferenceKind>> = {
  chatbot: 'chat',
  embedding: 'embedding',
  tensor: 'tensor',
}
const LIST_MS = 15_000
const PROBE_MS = 60_000
const PROBE_TIMEOUT_MS = 5000
const MAX_MODELS_BYTES = 256 * 1024
/** The cheapest are asked, so many at a time, until enough of them answer. */
const PROBES = 16
const ENOUGH = 8
const AVOID_MS = 30_000

export function createServiceList({
  chain,
  book,
  user,
  fetch,
  options,
}: createServiceList.Options): ServiceList {
  const allow = addresses(options.providers?.allow)
  const deny = addresses(options.providers?.deny) ?? new Set()
  const probes = new Map<string, Probe>()
  const avoidedUntilMs = new Map<string, number>()
  let listed: { atMs: number; services: Promise<Listed[]> } | undefined

  /** All services, from a moment ago at most. */
  async function all(signal: AbortSignal | undefined): Promise<Listed[]> {
    if (listed === undefined || performance.now() - listed.atMs > LIST_MS) {
      const services = load()
      const entry = { atMs: performance.now(), services }
      listed = entry
      services.catch(() => {
        if (listed === entry) listed = undefined
      })
    }
    // Others may wait for the same list: one that goes away ends its own waiting only.
    return read(listed.services, signal === undefined ? {} : { signal })
  }

  async function load(): Promise<Listed[]> {
    const found: ServiceView[] = []
    for (;;) {
      const { services, total } = await readServicePage(chain, { offset: found.length })
      found.push(...services)
      if (services.length === 0 || found.length >= total) break
    }
    const usable = found.filter(({ isAcknowledged, url }) => isAcknowledged && isEndpoint(url))
    return Promise.all(
      usable.map(async (service) => ({
        service,
        stakeWei: await readComputeBacking(chain, service.provider),
      })),
    )
  }

  async function probe(offer: ServiceView, signal: AbortSignal | undefined): Promise<Probe> {
    const known = probes.get(offer.provider)
    // One that was not there is asked again at the next occasion.
    if (known?.isReady && performance.now() - known.atMs < PROBE_MS) return known
    const startedMs = performance.now()
    let isReady = false
    let latencyMs: number | undefined
    let servedRoot: string | undefined
    try {
      const answer = await askProvider({
        ...{ fetch, url: offer.url, path: '/v1/models', maxBytes: MAX_MODELS_BYTES, signal },
        ...{ timeoutMs: PROBE_TIMEOUT_MS, silenceMs: PROBE_TIMEOUT_MS },
      })
      const models = jsonObject(new TextDecoder().decode(await wholeBody(answer)))
      latencyMs = performance.now() - startedMs
      // Providers of other makes do not say whether they are ready.
      const entry = entryOf(models ?? {}, offer.model)
      isReady = models !== undefined && entry?.ready !== false
      servedRoot = typeof entry?.manifest_root === 'string' ? entry.manifest_root : undefined
    } catch (error) {
      if (signal?.aborted) throw error
    }
    const found = { atMs: performance.now(), latencyMs, isReady, servedRoot }
    probes.set(offer.provider, found)
    return found
  }

  return {
    async find({ model, kind, modelRoot, provider, measure = true, signal }) {
      const wanted = provider === undefined ? undefined : addressOf(provider)
      const [services, records, self] = await Promise.all([all(signal), book.all(), user()])
      const { maxPrice } = options
      const fitting = services.filter(({ service }) => {
        const root = modelRootOf(service)
        return (
          kindOf(service) !== undefined &&
          (kind === undefined || kindOf(service) === kind) &&
          (model === undefined || service.model === model) &&
          (modelRoot === undefined || root === modelRoot.toLowerCase()) &&
          (wanted === undefined || service.provider === wanted) &&
          // The contracts refuse accounts of a provider at itself.
          service.provider !== self &&
          (allow === undefined || allow.has(service.provider)) &&
          !deny.has(service.provider) &&
          (maxPrice === undefined ||
            (service.inputPriceWei <= maxPrice.inputPriceWei &&
              service.outputPriceWei <= maxPrice.outputPriceWei))
        )
      })
      fitting.sort((a, b) => Number(priceOf(a.service) - priceOf(b.service)))
      const trusted = fitting.filter(({ service }) => records.get(service.provider)?.fault === undefined)
      for (let at = 0, ready = 0; measure && at < trusted.length && ready < ENOUGH; at += PROBES) {
        const asked = trusted.slice(at, at + PROBES).map(({ service }) => probe(service, signal))
        ready += (await Promise.all(asked)).filter(({ isReady }) => isReady).length
      }
      const offers = fitting.map(({ service, stakeWei }): ServiceOffer => {
        const { url, serviceType, inputPriceWei, outputPriceWei, signer } = service
        const record = records.get(service.provider)
        const state = probes.get(service.provider)
        return {
          ...{
            provider: service.provider,
            url,
            serviceType,
            inputPriceWei,
            outputPriceWei,
            signer,
            stakeWei,
          },
          model: service.model,
          kind: kindOf(service) ?? 'chat',
          modelRoot: modelRootOf(service),
          latencyMs: state?.latencyMs,
          isReady: state?.isReady ?? false,
          verifiedAnswers: record?.verified ?? 0,
          failedAttempts: record?.failed ?? 0,
          fault: record?.fault,
        }
      })
      const fits = ({ provider }: ServiceOffer) =>
        modelRoot === undefined ||
        (probes.get(provider)?.servedRoot ?? modelRoot).toLowerCase() === modelRoot.toLowerCase()
      const nowMs = performance.now()
      const isAvoided = ({ provider }: ServiceOffer) => (avoidedUntilMs.get(provider) ?? 0) > nowMs
      return offers
        .filter(fits)
        .sort(
          (a, b) =>
            Number(a.fault !== undefined) - Number(b.fault !== undefined) ||
            Number(isAvoided(a)) - Number(isAvoided(b)) ||
            Number(b.isReady) - Number(a.isReady) ||
            Number(priceOf(a) - priceOf(b)) ||
            reliability(b) - reliability(a) ||
            (a.latencyMs ?? Number.MAX_VALUE) - (b.latencyMs ?? Number.MAX_VALUE) ||
            (a.provider < b.provider ? -1 : 1),
        )
    },

    avoid(provider) {
      avoidedUntilMs.set(provider, performance.now() + AVOID_MS)
      probes.delete(provider)
    },

    heard(provider, firstByteMs) {
      avoidedUntilMs.delete(provider)
      const old = probes.get(provider)
      if (old === undefined)
        probes.set(provider, { atMs: performance.now(), latencyMs: firstByteMs, isReady: true })
    },

    forget() {
      listed = undefined
    },
  }
}

/** Share of attempts that gave a verified answer; one attempt more of each kind, so that newcomers get work too. In tenths. */
function reliability({ verifiedAnswers, failedAttempts }: ServiceOffer): number {
  return Math.round((10 * (verifiedAnswers + 1)) / (verifiedAnswers + failedAttempts + 1))
}

function priceOf({
  inputPriceWei,
  outputPriceWei,
}: Pick<ServiceOffer, 'inputPriceWei' | 'outputPriceWei'>): bigint {
  return inputPriceWei + outputPriceWei
}

function kindOf({ serviceType }: ServiceView): InferenceKind | undefined {
  return Object.hasOwn(KINDS, serviceType) ? KINDS[serviceType] : undefined
}

/** The manifest root that a service lists on chain, lower case. */
function modelRootOf({ additionalInfo }: ServiceView): string | undefined {
  const { manifestRoot } = jsonObject(additionalInfo) ?? {}
  return typeof manifestRoot === 'string' && /^0x[0-9a-fA-F]{64}$/.test(manifestRoot)
    ? manifestRoot.toLowerCase()
    : undefined
}

/** What `/v1/models` says of a model. */
function entryOf({ data }: Record<string, unknown>, model: string): Record<string, unknown> | undefined {
  if (!Array.isArray(data)) return undefined
  return data
    .filter((one: unknown): one is Record<string, unknown> => typeof one === 'object' && one !== null)
    .find(({ id }) => id === model)
}

function isEndpoint(url: string): boolean {
  try {
    baseUrl(url)
    return true
  } catch {
    return false
  }
}

function addresses(list: readonly string[] | undefined): Set<string> | undefined {
  return list === undefined ? undefined : new Set(list.map(addressOf))
}

function addressOf(text: string): string {
  if (isAddress(text)) return getAddress(text.toLowerCase())
  throw new ZerogError('BAD_REQUEST', `${JSON.stringify(text)} is no address`)
}

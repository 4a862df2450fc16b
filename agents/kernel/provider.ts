import { FetchRequest, type JsonRpcPayload, JsonRpcProvider, type JsonRpcResult, Network } from 'ethers'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { backoffMs, pause } from './backoff.ts'
import { post } from './post.ts'
import { readChainId, readGenesisHash } from './rpc.ts'

/** Answers that say "later": rate limit, and a proxy whose node is away. */
const RETRY_STATUS = new Set([429, 502, 503, 504])

export declare namespace connectNode {
  type Options = {
    rpcUrl: string
    /** Chain id that must be served; any when not given. */
    chainId?: bigint | undefined
    signal: AbortSignal
    /** Longest time of one request. */
    timeoutMs?: number
    /** How long a request is repeated while the node does not answer. */
    patienceMs?: number
  }
}

/** A connection to the chain whose id and genesis were read once. */
export type ChainConnection = {
  readonly provider: JsonRpcProvider
  readonly chainId: bigint
  readonly genesisHash: string
  close(): void
}

/**
 * Connects to a node and checks that it serves the expected chain.
 *
 * Requests time out, and are repeated with back-off while the node is away: reads are harmless to repeat, and a raw
 * transaction has the same hash each time. Errors: RPC_UNREACHABLE, WRONG_CHAIN, ABORTED.
 */
export async function connectNode(options: connectNode.Options): Promise<ChainConnection> {
  const bare = new RetryingProvider(options, undefined)
  const chainId = await readChainId(bare).finally(() => bare.destroy())
  if (options.chainId !== undefined && options.chainId !== chainId) {
    throw new ZerogError('WRONG_CHAIN', `the RPC serves chain ${chainId}, not ${options.chainId}`, {
      meta: { expected: String(options.chainId), actual: String(chainId) },
    })
  }
  const provider = new RetryingProvider(options, Network.from(chainId))
  const genesisHash = await readGenesisHash(provider)
  return { provider, chainId, genesisHash, close: () => provider.destroy() }
}

class RetryingProvider extends JsonRpcProvider {
  readonly #url: string
  readonly #headers: Record<string, string>
  readonly #signal: AbortSignal
  readonly #timeoutMs: number
  readonly #patienceMs: number

  constructor(options: connectNode.Options, network: Network | undefined) {
    super(new FetchRequest(options.rpcUrl), network ?? Network.from(0), {
      staticNetwork: true,
      pollingInterval: 250,
      cacheTimeout: -1,
      // One request per call: an answer that fails then fails alone.
      batchMaxCount: 1,
      batchStallTime: 0,
    })
    const url = new URL(options.rpcUrl)
    // Credentials are for nodes behind basic authentication, which get them as a header.
    const login = Buffer.from(
      `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`,
    ).toString('base64')
    this.#headers = {
      'content-type': 'application/json',
      ...(url.username === '' ? {} : { authorization: `Basic ${login}` }),
    }
    url.username = ''
    url.password = ''
    this.#url = url.href
    this.#signal = options.signal
    this.#timeoutMs = options.timeoutMs ?? 10_000
    this.#patienceMs = options.patienceMs ?? 15_000
  }

  override async _send(payload: JsonRpcPayload | JsonRpcPayload[]): Promise<JsonRpcResult[]> {
    const giveUpAt = performance.now() + this.#patienceMs
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#post(payload)
      } catch (error) {
        if (this.#signal.aborted) throw new ZerogError('ABORTED', undefined, { cause: error })
        if (!(error instanceof ZerogError) || !error.retryable) throw error
        const waitMs = backoffMs(attempt, 100, 2000)
        if (performance.now() + waitMs > giveUpAt) throw error
        await pause(waitMs, this.#signal)
      }
    }
  }

  async #post(payload: JsonRpcPayload | JsonRpcPayload[]): Promise<JsonRpcResult[]> {
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(this.#timeoutMs)])
    let status: number
    let text: string
    try {
      const request = { headers: this.#headers, body: JSON.stringify(payload), signal }
      const answer = await post(this.#url, request)
      status = answer.status
      text = answer.text
    } catch (cause) {
      throw new ZerogError('RPC_UNREACHABLE', undefined, { cause })
    }
    if (RETRY_STATUS.has(status)) {
      throw new ZerogError('RPC_UNREACHABLE', 'the chain RPC is busy or away', { meta: { status } })
    }
    try {
      const results = JSON.parse(text) as JsonRpcResult | JsonRpcResult[]
      return Array.isArray(results) ? results : [results]
    } catch (cause) {
      throw new ZerogError('RPC_UNREACHABLE', 'the chain RPC answered with something else than JSON', {
        cause,
        meta: { status },
      })
    }
  }
}

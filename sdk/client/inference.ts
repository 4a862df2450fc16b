import { getAddress } from 'ethers'
import { signerSender, type TxSender } from '../chain/send.ts'
import { ZerogError } from '../protocol/errors.ts'
import { askNetwork, type Network, type NetworkRequest } from './ask-network.ts'
import type {
  CallOptions,
  Inference,
  InferenceOptions,
  StreamOptions,
  StreamPiece,
  TextStream,
  VerifiedAnswer,
} from './inference-api.ts'
import type { InferenceContext } from './inference-context.ts'
import { createInferenceMoney } from './inference-money.ts'
import { createProviderAccounts } from './provider-account.ts'
import { createServiceList } from './service-list.ts'
import { createSessionKeys } from './session-keys.ts'
import { openSpendingBook } from './spending-book.ts'
import { memoryStateStore } from './state-store.ts'
import { embedRequest, inferRequest } from './tensor-exchange.ts'
import { textRequest } from './text-exchange.ts'
import { streamOf } from './text-stream.ts'

export type {
  AccountBalance,
  CallOptions,
  ChatRequest,
  CompletionRequest,
  EmbedRequest,
  EmbedResult,
  FailedAttempt,
  Inference,
  InferenceBalances,
  InferenceEvent,
  InferenceKind,
  InferenceOptions,
  InferRequest,
  InferResult,
  KeyChoice,
  ServiceOffer,
  StreamOptions,
  StreamPiece,
  TextResult,
  TextStream,
  UnitPrices,
  VerifiedAnswer,
  Withdrawal,
} from './inference-api.ts'

/** Opens the network of inference to one user. Throws CONFIG_INVALID without a signer. */
export function createInference(options: InferenceOptions): Inference {
  const { chain, signer = chain.signer, stateStore = memoryStateStore() } = options
  if (signer === undefined) throw new ZerogError('CONFIG_INVALID', 'inference needs a signer')
  const closing = new AbortController()
  let address: Promise<string> | undefined
  let sender: Promise<TxSender> | undefined
  const user = () => {
    address ??= signer.getAddress()
    return address
  }
  const bookKey = async () => {
    const contract = chain.compute.addresses.InferenceServing
    return `inference-${chain.chainId}-${contract}-${await user()}`.toLowerCase()
  }
  const context: InferenceContext = {
    ...{ chain, signer, options, user },
    // Called as a method, the platform's own would refuse its receiver.
    fetch: options.fetch ?? ((input, init) => fetch(input, init)),
    prices: new Map(),
    book: openSpendingBook(stateStore, bookKey),
    sender: () => {
      sender ??= options.sender === undefined ? signerSender(chain, signer) : Promise.resolve(options.sender)
      return sender
    },
    emit: (event) => options.onEvent?.(event),
  }
  const keys = createSessionKeys(context)
  const network: Network = {
    ...context,
    keys,
    services: createServiceList(context),
    accounts: createProviderAccounts(context, keys),
  }

  async function whole<T>(request: NetworkRequest<T>, call: CallOptions = {}): Promise<VerifiedAnswer & T> {
    const pieces = pieceGenerator(request, call)
    let step = await pieces.next()
    while (!step.done) step = await pieces.next()
    return step.value
  }

  function pieceGenerator<T>(
    request: NetworkRequest<T>,
    call: StreamOptions,
    cancelled?: AbortSignal,
  ): AsyncGenerator<StreamPiece, VerifiedAnswer & T> {
    const signals = [closing.signal, cancelled, call.signal].filter((one) => one !== undefined)
    return askNetwork(network, request, { ...call, signal: AbortSignal.any(signals) })
  }

  const stream = (request: ReturnType<typeof textRequest>, call: StreamOptions = {}): TextStream =>
    streamOf((cancelled) => pieceGenerator(request, call, cancelled))

  return {
    user,
    services: (query = {}) => network.services.find(query),
    chat: async (request, call) => whole(textRequest(request, false), call),
    complete: async (request, call) => whole(textRequest(request, false), call),
    streamChat: (request, call) => stream(textRequest(request, true), call),
    streamComplete: (request, call) => stream(textRequest(request, true), call),
    embed: async (request, call) => whole(embedRequest(request), call),
    infer: async (request, call) => whole(inferRequest(request), call),
    ...createInferenceMoney(context, keys),
    createKey: keys.create,
    revokeKey: keys.revoke,
    async forgive(provider) {
      const address = getAddress(provider.toLowerCase())
      await context.book.forgive(address)
      network.accounts.forget(address)
    },
    close: () => closing.abort(new ZerogError('ABORTED', 'the client was closed')),
  }
}

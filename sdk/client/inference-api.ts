import type { Signer } from 'ethers'
import type { ComputeChain } from '../chain/compute-chain.ts'
import type { TxSender } from '../chain/send.ts'
import type { ErrorCode } from '../protocol/errors.ts'
import type { Receipt } from '../protocol/receipt.ts'
import type { Tensor } from '../protocol/tensor.ts'
import type { StateStore } from './state-store.ts'

/** What a service does: `chat` also completes plain text. */
export type InferenceKind = 'chat' | 'embedding' | 'tensor'

/** Unit prices in wei: of a token, or of a row of tensors. */
export type UnitPrices = { readonly inputPriceWei: bigint; readonly outputPriceWei: bigint }

/** A listed service that can be asked, with what is known of it. */
export type ServiceOffer = UnitPrices & {
  readonly provider: string
  readonly url: string
  readonly kind: InferenceKind
  readonly serviceType: string
  readonly model: string
  /** Root of the model's manifest as the provider lists it on chain; undefined when it lists none. */
  readonly modelRoot: string | undefined
  readonly signer: string
  readonly stakeWei: bigint
  /** Round trip of its `/v1/models` now, in ms; undefined when it was not asked or did not answer. */
  readonly latencyMs: number | undefined
  /** Whether it says that its model runs. */
  readonly isReady: boolean
  /** What this state store has seen of it: answers that were verified, attempts that failed. */
  readonly verifiedAnswers: number
  readonly failedAttempts: number
  /** The code of a lie of its: it gets no work and no money until `forgive`. */
  readonly fault: ErrorCode | undefined
}

/** A body of OpenAI's `/chat/completions`; fields that are not named here are passed on as they are. */
export type ChatRequest = {
  readonly model: string
  readonly messages: readonly { readonly role: string; readonly content: unknown }[]
  /** 256 when not given: the most that an answer may cost must be known before it is asked for. */
  readonly max_tokens?: number | null
  readonly temperature?: number | null
  readonly top_p?: number | null
  readonly seed?: number | null
  readonly stop?: string | readonly string[] | null
  readonly [field: string]: unknown
}

/** A body of OpenAI's `/completions`; fields that are not named here are passed on as they are. */
export type CompletionRequest = Omit<ChatRequest, 'messages'> & {
  readonly model: string
  readonly prompt: string
  readonly max_tokens?: number | null
}

/** A body of OpenAI's `/embeddings`. */
export type EmbedRequest = { readonly model: string; readonly input: string | readonly string[] }

export type InferRequest = { readonly model: string; readonly inputs: Readonly<Record<string, Tensor>> }

export type CallOptions = {
  /** Asks this provider only. */
  readonly provider?: string | undefined
  /** Only providers that list this manifest root on chain. */
  readonly modelRoot?: string | undefined
  /** Your token of a model's ERC-721 gate, whose free units the request may use. */
  readonly gateTokenId?: bigint | undefined
  /** Ends the request here and at the provider, which bills what it has produced. */
  readonly signal?: AbortSignal | undefined
  /** For one attempt, until its last byte; 120 s by default. */
  readonly timeoutMs?: number | undefined
  /** For silence: until the first byte, and between two pieces; 30 s by default. */
  readonly silenceMs?: number | undefined
  /** Providers asked at most; 4 by default. */
  readonly attempts?: number | undefined
}

export type StreamOptions = CallOptions & {
  /** `fail` ends with an error when a stream breaks after its first text, for readers that cannot unsay; `restart` by default. */
  readonly onBreak?: 'restart' | 'fail' | undefined
}

/** An attempt at a provider that came to nothing. */
export type FailedAttempt = {
  readonly provider: string
  readonly code: ErrorCode
  readonly message: string
}

/** What every answer carries: it was checked against the bytes sent and received, or it is not returned at all. */
export type VerifiedAnswer = {
  readonly verified: true
  readonly provider: string
  readonly model: string
  readonly modelRoot: string | undefined
  readonly feeWei: bigint
  readonly usage: { readonly inputUnits: number; readonly outputUnits: number }
  readonly receipt: Receipt
  /** Id of the answer at its provider, under which the signature stays available. */
  readonly chatId: string
  readonly signature: string
  /** Providers that failed before this one. */
  readonly failures: readonly FailedAttempt[]
  readonly firstByteMs: number
  readonly totalMs: number
}

export type TextResult = VerifiedAnswer & {
  readonly text: string
  readonly finish: string
  /** OpenAI's object as the provider sent it; of a stream, undefined. */
  readonly response: Readonly<Record<string, unknown>> | undefined
}

/** One vector per input, in order. */
export type EmbedResult = VerifiedAnswer & { readonly vectors: readonly Float32Array[] }

export type InferResult = VerifiedAnswer & { readonly outputs: Readonly<Record<string, Tensor>> }

/** A piece of a stream. Text is the provider's word until the stream's `result` resolves. */
export type StreamPiece =
  | { readonly type: 'start'; readonly provider: string; readonly model: string }
  /** `chunk`: OpenAI's object as it came. Some chunks carry no text. */
  | { readonly type: 'text'; readonly text: string; readonly chunk: Readonly<Record<string, unknown>> }
  /** The provider failed; all text so far is void, and the answer begins anew at the next one. */
  | {
      readonly type: 'restart'
      readonly provider: string
      readonly code: ErrorCode
      readonly message: string
    }

/**
 * A stream of text, read once. Leaving the loop early, or `cancel`, ends the request at the provider. `result` settles after the
 * last piece: with what was verified, or with the error that the loop throws too; it need not be awaited.
 */
export type TextStream = AsyncIterable<StreamPiece> & {
  readonly result: Promise<TextResult>
  cancel(): void
}

/** What happens; for logs and progress. Nothing of it is a secret. */
export type InferenceEvent =
  | { readonly type: 'attempt'; readonly provider: string; readonly model: string }
  | {
      readonly type: 'failure'
      readonly provider: string
      readonly code: ErrorCode
      readonly message: string
    }
  | { readonly type: 'verified'; readonly provider: string; readonly feeWei: bigint }
  | { readonly type: 'deposit'; readonly amountWei: bigint }
  | { readonly type: 'top-up'; readonly provider: string; readonly amountWei: bigint }
  | { readonly type: 'release'; readonly provider: string; readonly amountWei: bigint }
  | { readonly type: 'ceiling'; readonly provider: string; readonly ceilingWei: bigint }
  | { readonly type: 'max-price'; readonly provider: string; readonly prices: UnitPrices }

/** A user's money at one provider, in wei. */
export type AccountBalance = {
  readonly provider: string
  readonly balanceWei: bigint
  readonly pendingRefundWei: bigint
  /** Highest ceiling that this client has signed or the chain knows. */
  readonly ceilingWei: bigint
  readonly settledWei: bigint
  /** Verified fees that are not settled yet. */
  readonly unsettledWei: bigint
}

export type InferenceBalances = {
  readonly walletWei: bigint
  /** Undefined without a ledger. */
  readonly ledger: { readonly availableWei: bigint; readonly totalWei: bigint } | undefined
  readonly accounts: readonly AccountBalance[]
  /** Ceilings signed, above what was settled when this state store first met each provider. */
  readonly committedWei: bigint
}

/** What a withdrawal came to. What is pending is free after `freeAtSec` (chain time): withdraw again then. */
export type Withdrawal = {
  readonly paidWei: bigint
  readonly pendingWei: bigint
  readonly freeAtSec: bigint | undefined
}

/** Which key requests carry: one of 24 hours that is made anew, or one that the chain can revoke by its number (0 to 254). */
export type KeyChoice = { readonly kind: 'session' } | { readonly kind: 'durable'; readonly tokenId: number }

export type InferenceOptions = {
  readonly chain: ComputeChain
  /** Who asks and pays; the chain's signer when not given. */
  readonly signer?: Signer | undefined
  /** What sends transactions, for the same account; the signer itself by default. */
  readonly sender?: TxSender | undefined
  /**
   * Where ceilings and verified fees are recorded. Without one that lasts, each start of the process begins to count anew.
   * One process at a time may use an account with one store.
   */
  readonly stateStore?: StateStore | undefined
  /** Carries requests; the platform's `fetch` by default. */
  readonly fetch?: typeof fetch | undefined
  /** The dearest unit prices; any price when not given. */
  readonly maxPrice?: UnitPrices | undefined
  /** The most that all ceilings of this state store together allow providers to take. */
  readonly maxSpendWei?: bigint | undefined
  /** Ceilings grow by at least this; four times the request's worst case by default. */
  readonly ceilingStepWei?: bigint | undefined
  /** From the ledger to the sub-account when that is too low: up to `targetWei`. `false`: never. */
  readonly topUp?: { readonly targetWei: bigint } | false | undefined
  /** Deposits up to this from the wallet into the ledger when the ledger is too low; 0 by default. */
  readonly depositWei?: bigint | undefined
  readonly providers?: { readonly allow?: readonly string[]; readonly deny?: readonly string[] } | undefined
  readonly key?: KeyChoice | undefined
  readonly onEvent?: ((event: InferenceEvent) => void) | undefined
}

/**
 * A user of the inference network. Every answer is verified, and in voucher mode: a provider can take no more than the
 * ceilings that were signed, and these follow what was verified.
 *
 * Errors of all that ask: INFERENCE_NO_PROVIDER with `meta.failures` when none is left; the provider's own when only one
 * could be asked; INFERENCE_LIMIT_REACHED; INSUFFICIENT_FUNDS; COMPUTE_INPUT_INVALID and BAD_REQUEST when the request
 * itself is at fault; RPC_UNREACHABLE; TIMEOUT; ABORTED.
 */
export type Inference = {
  /** Address of the account that asks and pays. */
  user(): Promise<string>
  /** Offers within the maximum price, the best first: cheapest, then reputation, then latency. */
  services(query?: {
    readonly model?: string | undefined
    readonly kind?: InferenceKind | undefined
    readonly modelRoot?: string | undefined
    /** Asks each for its latency; true by default. */
    readonly measure?: boolean | undefined
    readonly signal?: AbortSignal | undefined
  }): Promise<ServiceOffer[]>
  chat(request: ChatRequest, options?: CallOptions): Promise<TextResult>
  streamChat(request: ChatRequest, options?: StreamOptions): TextStream
  complete(request: CompletionRequest, options?: CallOptions): Promise<TextResult>
  streamComplete(request: CompletionRequest, options?: StreamOptions): TextStream
  embed(request: EmbedRequest, options?: CallOptions): Promise<EmbedResult>
  infer(request: InferRequest, options?: CallOptions): Promise<InferResult>
  /** Pays from the wallet into the ledger; with a provider, on to the sub-account there. */
  fund(amountWei: bigint, provider?: string, signal?: AbortSignal): Promise<void>
  /**
   * Takes back all that is free, of one provider or of all: at once what a provider releases, that is all that it is not owed; the
   * rest is asked back, and stays chargeable for the chain's lock time. Pays the ledger's free balance, or `amountWei` of it, to the
   * wallet.
   */
  withdraw(options?: {
    readonly provider?: string | undefined
    readonly amountWei?: bigint | undefined
    readonly signal?: AbortSignal | undefined
  }): Promise<Withdrawal>
  balances(signal?: AbortSignal): Promise<InferenceBalances>
  /**
   * A key for other tools, an `app-sk-…` secret that spends from this account at `provider`; needs a sub-account there. What they spend is not seen
   * here, and within the ceiling: `forgive` takes it over when the provider is rejected for it.
   */
  createKey(
    provider: string,
    options?: { readonly tokenId?: number | undefined; readonly expiresAtMs?: number | undefined },
  ): Promise<string>
  /** Revokes one durable key on chain; without a number, all keys and sessions. */
  revokeKey(provider: string, tokenId?: number): Promise<void>
  /** Lets a provider that lied, or lost too much, be asked again, and takes over what it counts. */
  forgive(provider: string): Promise<void>
  /** Ends all requests. */
  close(): void
}

import type { Signer } from 'ethers'
import type { ComputeChain } from '../chain/compute-chain.ts'
import type { TxSender } from '../chain/send.ts'
import type { InferenceEvent, InferenceOptions, UnitPrices } from './inference-api.ts'
import type { SpendingBook } from './spending-book.ts'

/** What the parts of an inference client share. */
export type InferenceContext = {
  readonly chain: ComputeChain
  readonly signer: Signer
  readonly options: InferenceOptions
  readonly fetch: typeof fetch
  readonly book: SpendingBook
  /** Prices of epochs that have begun, by provider and number: they do not change any more. */
  readonly prices: Map<string, UnitPrices>
  user(): Promise<string>
  sender(): Promise<TxSender>
  emit(event: InferenceEvent): void
}

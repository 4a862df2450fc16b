import { ZerogError } from '../protocol/errors.ts'
import type { Inference, InferenceOptions } from './inference-api.ts'

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
  Tensor,
  TensorData,
  TensorType,
  TextResult,
  TextStream,
  UnitPrices,
  VerifiedAnswer,
  Withdrawal,
} from './inference-api.ts'

/** Opens the network of inference to one user. Throws CONFIG_INVALID without a signer. */
export function createInference({ chain, signer = chain.signer }: InferenceOptions): Inference {
  if (signer === undefined) throw new ZerogError('CONFIG_INVALID', 'inference needs a signer')
  throw new ZerogError('INTERNAL', 'not built yet')
}

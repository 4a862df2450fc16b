/** The public surface of the SDK, safe in browsers. What needs Node.js is in `sdk/node.ts`. */
export { type AddressBook, parseAddressBook } from './chain/address-book.ts'
export type { ChainCall } from './chain/chain-call.ts'
export { type ComputeChain, connectCompute } from './chain/compute-chain.ts'
export { type Chain, type ChainTerms, connectChain } from './chain/connect.ts'
export {
  type BlobRecord,
  type BlobStatus,
  readBlobRecord,
  readDaMoney,
  readFee,
  readIsFinal,
} from './chain/da.ts'
export { refundBlobCall, withdrawDaCall } from './chain/da-calls.ts'
export { connectDa, type DaChain, type DaTerms } from './chain/da-chain.ts'
export { type Committee, readActiveEpoch, readCommittee } from './chain/da-committee.ts'
export { type DaEvent, daEventFilter, decodeDaEvent } from './chain/da-events.ts'
export { chainError, decodeRevert } from './chain/decode-error.ts'
export { decodeStorageEvent, eventFilter, type StorageEvent } from './chain/events.ts'
export { registerModelCall, updateModelCall } from './chain/model-calls.ts'
export {
  type GateReason,
  type ModelGate,
  type ModelRecord,
  type ModelTerms,
  readModel,
  readModelAccess,
  readModelPage,
  readModelQuota,
} from './chain/models.ts'
export { eachProvider, readProviderPage, type StorageProvider } from './chain/operators.ts'
export { type SendRequest, sendCall, signerSender, type TxSender } from './chain/send.ts'
export { readCredit, readDeal, readDealState, readPrice } from './chain/storage.ts'
export { refundCall, setSealerCall, withdrawCall } from './chain/storage-calls.ts'
export { awaitBlob, type BlobGoal } from './client/await-blob.ts'
export { type ByteRange, type DownloadResult, downloadFile } from './client/download.ts'
export { type FileSink, memorySink } from './client/file-sink.ts'
export { blobSource, bytesSource, type FileSource } from './client/file-source.ts'
export { type FileRef, findSealedFile, type SealedFile } from './client/find-deal.ts'
export {
  type CallOptions,
  type ChatRequest,
  type CompletionRequest,
  createInference,
  type EmbedRequest,
  type EmbedResult,
  type Inference,
  type InferenceBalances,
  type InferenceEvent,
  type InferenceOptions,
  type InferRequest,
  type InferResult,
  type ServiceOffer,
  type StreamOptions,
  type StreamPiece,
  type TextResult,
  type TextStream,
  type Withdrawal,
} from './client/inference.ts'
export { createLightClient, type LightClient, type Verdict } from './client/light-client.ts'
export { listFiles, type OwnedFile } from './client/list.ts'
export { loadBrowserKzg } from './client/load-browser-kzg.ts'
export { type PreparedFile, prepareFile } from './client/prepare.ts'
export { type DealWish, type Quote, quoteFile, quoteUpload } from './client/price.ts'
export { type PublishProgress, type PublishResult, publishBlob } from './client/publish-blob.ts'
export { type ReadBlobResult, readBlob } from './client/read-blob.ts'
export { memoryStateStore, type StateStore, webStateStore } from './client/state-store.ts'
export { type FileStatus, fileStatus, type ShardHealth } from './client/status.ts'
export { type SubmittedJob, submitJob } from './client/submit-job.ts'
export { resumeUpload, type UploadProgress, type UploadResult, uploadFile } from './client/upload.ts'
export { type FinalBlob, verifyFinal } from './client/verify-final.ts'
export { type JobResult, waitJob } from './client/wait-job.ts'
export { type BlobHeader, blobIdOf, type SignedHeader } from './protocol/blob-header.ts'
export { cellVerifier } from './protocol/cell-proof.ts'
export { ERROR_CODES, type ErrorCode, errorCode, isZerogError, ZerogError } from './protocol/errors.ts'
export type { JobAnswer, JobRequest } from './protocol/job-input.ts'
export type { KzgEngine } from './protocol/kzg-engine.ts'
export { TENSOR_TYPES, type Tensor, type TensorData, type TensorType } from './protocol/tensor.ts'

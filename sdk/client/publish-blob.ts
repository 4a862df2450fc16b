import type { Signer, TransactionReceipt } from 'ethers'
import { type BlobRecord, readBlobRecord, readFee } from '../chain/da.ts'
import { submitBlobCall } from '../chain/da-calls.ts'
import { type DaChain, daPlace } from '../chain/da-chain.ts'
import { isRevert } from '../chain/decode-error.ts'
import { read } from '../chain/read.ts'
import { sendCall, signerSender, type TxSender } from '../chain/send.ts'
import { blobCountOf } from '../protocol/blob.ts'
import {
  type BlobHeader,
  blobIdOf,
  headerToJson,
  parseSignedHeader,
  type SignedHeader,
  verifyHeader,
} from '../protocol/blob-header.ts'
import { periodAt } from '../protocol/clock.ts'
import { errorCode, ZerogError } from '../protocol/errors.ts'
import { loadHasher } from '../protocol/hasher.ts'
import { toHex } from '../protocol/hex.ts'
import type { KzgEngine } from '../protocol/kzg-engine.ts'
import { columnCount } from '../protocol/quorum.ts'
import { askDisperser } from './ask-disperser.ts'
import { awaitBlob, type BlobGoal } from './await-blob.ts'
import type { HttpTransport } from './http.ts'
import { memoryStateStore, type StateStore } from './state-store.ts'

/** How far publishing is. */
export type PublishProgress =
  | { readonly stage: 'disperse' }
  | { readonly stage: 'pay'; readonly blobId: string }
  | {
      readonly stage: 'confirm'
      readonly blobId: string
      readonly status: BlobRecord['status']
      readonly signedColumns: number
    }

/** A published blob. Seconds are wall time of each part; `feeWei` is 0 when the disperser paid, `gasUsed` that of paying. */
export type PublishResult = {
  readonly blobId: string
  readonly header: BlobHeader
  readonly record: BlobRecord
  readonly feeWei: bigint
  readonly gasUsed: bigint
  readonly seconds: { readonly disperse: number; readonly pay: number; readonly confirm: number }
  /** Whether a header of an earlier attempt was used. */
  readonly resumed: boolean
}

/** A sponsored header that an earlier attempt got should be on chain by now. */
const RESUMED_SUBMIT_MS = 30_000

/**
 * Publishes a payload: has a disperser encode and sign it, pays when the disperser does not, and waits for the quorum.
 *
 * It may be repeated after any failure or crash: with a state store that lasts, the header of the earlier attempt is used again, and one
 * header can be paid once only. What is paid but not confirmed in time returns, less a share, through `refund`.
 *
 * Errors: DA_EMPTY_PAYLOAD, DA_PAYLOAD_TOO_LARGE; those of dispersers when none takes it, with `meta.failures`; INSUFFICIENT_FUNDS;
 * DA_NOT_CONFIRMED, DA_REFUNDED, DA_CONVICTED with `meta.blobId`; TX_REVERTED; RPC_UNREACHABLE; ABORTED.
 */
export function publishBlob(options: publishBlob.Options): Promise<PublishResult> {
  return attempt(options, { mayBeLate: true })
}

/** One attempt. A fresh header that misses its epoch has cost no fee: `mayBeLate` allows another one. */
async function attempt(
  options: publishBlob.Options,
  { mayBeLate }: { mayBeLate: boolean },
): Promise<PublishResult> {
  const { chain, payload, stateStore = memoryStateStore(), until = 'final', onProgress, signal } = options
  blobCountOf(payload.length)
  const hasher = await loadHasher()
  const payloadHash = toHex(hasher.keccak256(payload))
  const context = { ...options, stateStore, hasher, payloadHash, signer: signerOf(options) }
  const key = await intentKey(context)
  const clock = stopwatch()
  const earlier = await readIntent(context, key)
  onProgress?.({ stage: 'disperse' })
  const intent = earlier ?? (await newIntent(context, key))
  const disperse = clock()
  const blobId = blobIdOf(intent.header)
  try {
    onProgress?.({ stage: 'pay', blobId })
    const paid = intent.mustPay ? await pay(context, intent) : { feeWei: 0n, gasUsed: 0n }
    const paySeconds = clock()
    const record = await awaitBlob({
      chain,
      blobId,
      until,
      signal,
      submitTimeoutMs: earlier === undefined ? undefined : RESUMED_SUBMIT_MS,
      onRecord: ({ status, columns }) =>
        onProgress?.({ stage: 'confirm', blobId, status, signedColumns: columnCount(columns) }),
    })
    await stateStore.delete(key)
    return {
      blobId,
      header: intent.header,
      record,
      ...paid,
      seconds: { disperse, pay: paySeconds, confirm: clock() },
      resumed: earlier !== undefined,
    }
  } catch (error) {
    if (!isHopeless(error)) throw error
    // The next attempt starts over; this header will never get there.
    await stateStore.delete(key)
    const isLate = mayBeLate && isRevert(error, 'WrongEpoch')
    if ((earlier === undefined && !isLate) || errorCode(error) === 'DA_NOT_CONFIRMED') throw error
    return attempt(options, { mayBeLate: mayBeLate && earlier !== undefined })
  }
}

export declare namespace publishBlob {
  type Options = {
    chain: DaChain
    payload: Uint8Array
    /** Periods, from now, that the data must be kept. */
    retentionPeriods: bigint
    /** Who asks, and pays when the disperser does not; the chain's signer when not given. */
    signer?: Signer
    /** What sends the payment, for the same account; the signer itself by default. */
    sender?: TxSender
    /** Operator to ask; any member of the committee without it. */
    disperser?: string
    /** Given an engine, the header is checked cell by cell before anything is paid. */
    kzg?: KzgEngine
    /** How far to wait; 'final' by default. */
    until?: BlobGoal
    /** Where the header is recorded; without one a crash of the process may leave a paid blob that a new attempt does not find. */
    stateStore?: StateStore
    onProgress?: (progress: PublishProgress) => void
    /** What carries requests; `fetch` by default. */
    transport?: HttpTransport | undefined
    signal?: AbortSignal | undefined
  }
}

type Context = Omit<publishBlob.Options, 'signer' | 'stateStore'> & {
  readonly signer: Signer
  readonly stateStore: StateStore
  readonly hasher: Awaited<ReturnType<typeof loadHasher>>
  readonly payloadHash: string
}

type Intent = SignedHeader & { readonly mustPay: boolean }

/** Has the payload dispersed and remembers the header before anything is paid. */
async function newIntent(context: Context, key: string): Promise<Intent> {
  const { header, signature, mustPay } = await askDisperser(context.chain, context)
  const intent = { header, signature, mustPay: mustPay === 'publisher' }
  await context.stateStore.set(
    key,
    JSON.stringify({ header: headerToJson(header), signature, mustPay: intent.mustPay }),
  )
  return intent
}

/** The header of an earlier attempt; undefined when there is none, or it is of another deployment. */
async function readIntent({ stateStore, chain }: Context, key: string): Promise<Intent | undefined> {
  const text = await stateStore.get(key)
  if (text === undefined) return undefined
  try {
    const json: unknown = JSON.parse(text)
    const signed = parseSignedHeader(json)
    verifyHeader(signed, daPlace(chain))
    return {
      ...signed,
      mustPay: typeof json === 'object' && json !== null && 'mustPay' in json && json.mustPay === true,
    }
  } catch (cause) {
    // Ignoring a damaged record could pay twice.
    throw new ZerogError('STORE_CORRUPT', `the record ${key} of a publication is damaged`, { cause })
  }
}

/** Submits the header unless it is on chain already. What the contract returns of the value is credited to the sender. */
async function pay(context: Context, signed: SignedHeader): Promise<{ feeWei: bigint; gasUsed: bigint }> {
  const { chain, signal } = context
  const limits = signal === undefined ? {} : { signal }
  const blobId = blobIdOf(signed.header)
  const nothing = { feeWei: 0n, gasUsed: 0n }
  if ((await readBlobRecord(chain, blobId, limits)) !== undefined) return nothing
  const head = await read(chain.provider.getBlockNumber(), limits)
  const { blobCount, expiresAt } = signed.header
  const retentionPeriods = expiresAt - periodAt(chain.terms, BigInt(head))
  if (retentionPeriods <= 0n) throw new ZerogError('DA_EXPIRED', 'the header has expired before it was paid')
  const feeWei = await readFee(chain, { blobCount, retentionPeriods }, limits)
  const sender = context.sender ?? (await signerSender(chain, context.signer))
  let receipt: TransactionReceipt
  try {
    const call = submitBlobCall(chain, signed, feeWei)
    receipt = await sendCall(sender, { ...call, label: `da-submit-${blobId}`, ...limits })
  } catch (error) {
    // An earlier attempt, or somebody else, was faster.
    if (isRevert(error, 'AlreadySubmitted')) return nothing
    throw error
  }
  return { feeWei, gasUsed: receipt.gasUsed }
}

/** Whether a header will never be confirmed, so that only a new one helps. */
function isHopeless(error: unknown): boolean {
  const code = errorCode(error)
  if (['WrongEpoch', 'WrongExpiry', 'NonceUsed', 'DisperserConvicted'].some((name) => isRevert(error, name)))
    return true
  if (code === 'DA_NOT_CONFIRMED') return true
  return (
    code === 'DA_UNKNOWN_BLOB' || code === 'DA_REFUNDED' || code === 'DA_EXPIRED' || code === 'DA_CONVICTED'
  )
}

function signerOf({ chain, signer }: publishBlob.Options): Signer {
  const own = signer ?? chain.signer
  if (own === undefined) throw new ZerogError('CONFIG_INVALID', 'publishing needs a signer')
  return own
}

async function intentKey({ chain, signer, payloadHash, retentionPeriods }: Context): Promise<string> {
  const address = (await signer.getAddress()).toLowerCase()
  return `publish-${chain.chainId}-${address}-${payloadHash}-${retentionPeriods}`
}

/** Seconds since the last call. */
function stopwatch(): () => number {
  let lastMs = performance.now()
  return () => {
    const nowMs = performance.now()
    const seconds = (nowMs - lastMs) / 1000
    lastMs = nowMs
    return seconds
  }
}

import type {
  DaConfirmationStruct,
  DaHeaderStruct,
} from '../../typechain-types/interfaces/IDataAvailability.js'
import { type BlobHeader, blobIdOf } from '../protocol/blob-header.ts'
import { ZerogError } from '../protocol/errors.ts'
import type { DaChain } from './da-chain.ts'
import { daEventsBackwards } from './logs.ts'
import { at, type ReadOptions, read } from './read.ts'

/** How far a blob is. */
export type BlobStatus = 'submitted' | 'soft' | 'final' | 'refunded'

/**
 * What the chain keeps of a blob. `columns` and `forfeited` have bit k for column k, `expiresAt` is a period, `confirmBy` the first block in
 * which it can no longer be confirmed; `finalAtBlock` and `convictedAtBlock` are undefined when it is not.
 */
export type BlobRecord = {
  status: BlobStatus
  disperser: string
  payer: string
  epoch: bigint
  nonce: bigint
  number: bigint
  blobCount: number
  submittedAtBlock: bigint
  confirmBy: bigint
  expiresAt: bigint
  finalAtBlock: bigint | undefined
  convictedAtBlock: bigint | undefined
  feeWei: bigint
  columns: bigint
  forfeited: bigint
  commitmentsRoot: string
  cellsRoot: string
}

/** A quorum's signature as it was confirmed. `signers` has bit i for slot i, `signature` is 256 B of hex (G2). */
export type Confirmation = {
  status: BlobStatus
  signers: bigint
  columns: bigint
  signature: string
  blockNumber: number
}

const STATUSES: readonly (BlobStatus | undefined)[] = [undefined, 'submitted', 'soft', 'final', 'refunded']

/** Reads a blob; undefined when its header was never submitted. */
export async function readBlobRecord(
  { da: { availability } }: DaChain,
  blobId: string,
  options: ReadOptions = {},
): Promise<BlobRecord | undefined> {
  const blob = await read(availability.blobOf(blobId, at(options)), options)
  const status = statusOf(blob.status)
  if (status === undefined) return undefined
  return {
    status,
    disperser: blob.disperser,
    payer: blob.payer,
    epoch: blob.epoch,
    nonce: blob.nonce,
    number: blob.number,
    blobCount: Number(blob.blobCount),
    submittedAtBlock: blob.submittedAtBlock,
    confirmBy: blob.confirmBy,
    expiresAt: blob.expiresAt,
    finalAtBlock: blob.finalAtBlock === 0n ? undefined : blob.finalAtBlock,
    convictedAtBlock: blob.convictedAtBlock === 0n ? undefined : blob.convictedAtBlock,
    feeWei: blob.feeWei,
    columns: blob.columns,
    forfeited: blob.forfeited,
    commitmentsRoot: blob.commitmentsRoot,
    cellsRoot: blob.cellsRoot,
  }
}

/**
 * The header of a submitted blob, from the event of its submission; it hashes to the id. `record` is what `readBlobRecord` gave.
 *
 * Errors: PEER_MISBEHAVED when the RPC's logs do not fit the state; RPC_UNREACHABLE; TIMEOUT; ABORTED.
 */
export async function readBlobHeader(
  chain: DaChain,
  { blobId, record }: { blobId: string; record: BlobRecord },
  options: Pick<ReadOptions, 'signal' | 'timeoutMs'> = {},
): Promise<BlobHeader> {
  const block = Number(record.submittedAtBlock)
  const query = { name: 'BlobSubmitted', indexed: [blobId], fromBlock: block, toBlock: block } as const
  for await (const { args } of daEventsBackwards(chain, { ...query, ...options })) {
    const header = plainHeader(args.header)
    if (blobIdOf(header) === blobId.toLowerCase()) return header
  }
  throw new ZerogError('PEER_MISBEHAVED', 'the RPC has no log of the submission of this blob', {
    meta: { blobId, block },
  })
}

/** The newest confirmation of a blob; undefined when there is none. Errors: RPC_UNREACHABLE, TIMEOUT, ABORTED. */
export async function readConfirmation(
  chain: DaChain,
  { blobId, record }: { blobId: string; record: BlobRecord },
  options: Pick<ReadOptions, 'signal' | 'timeoutMs'> = {},
): Promise<Confirmation | undefined> {
  if (record.status !== 'soft' && record.status !== 'final') return undefined
  const head = await read(chain.provider.getBlockNumber(), options)
  const confirmations = daEventsBackwards(chain, {
    name: 'BlobConfirmed',
    indexed: [blobId],
    fromBlock: Number(record.submittedAtBlock),
    toBlock: Math.min(Number(record.confirmBy), head),
    ...options,
  })
  for await (const { args, blockNumber } of confirmations) {
    const status = statusOf(args.status)
    if (status === undefined) continue
    const { signers, columns, signature } = args
    return { status, signers, columns, signature, blockNumber }
  }
  return undefined
}

/** Whether a blob is FINAL: quorum reached, and not convicted before it. */
export function readIsFinal(
  { da: { availability } }: DaChain,
  blobId: string,
  options: ReadOptions = {},
): Promise<boolean> {
  return read(availability.isFinal(blobId, at(options)), options)
}

/** Fee of a header, in wei. */
export function readFee(
  { da: { availability } }: DaChain,
  { blobCount, retentionPeriods }: { blobCount: number; retentionPeriods: bigint },
  options: ReadOptions = {},
): Promise<bigint> {
  return read(availability.feeOf(blobCount, retentionPeriods, at(options)), options)
}

/** How many blobs were ever submitted; they are numbered from 1. */
export function readBlobTotal({ da: { availability } }: DaChain, options: ReadOptions = {}): Promise<bigint> {
  return read(availability.blobTotal(at(options)), options)
}

/** The id of blob `number`; undefined when there is none. */
export async function readBlobAt(
  { da: { availability } }: DaChain,
  number: bigint,
  options: ReadOptions = {},
): Promise<string | undefined> {
  const blobId = await read(availability.blobAt(number, at(options)), options)
  return BigInt(blobId) === 0n ? undefined : blobId
}

/** Whether a disperser's nonce of an epoch is taken on chain. */
export function readIsNonceUsed(
  { da: { availability } }: DaChain,
  { disperser, epoch, nonce }: { disperser: string; epoch: bigint; nonce: bigint },
  options: ReadOptions = {},
): Promise<boolean> {
  return read(availability.isNonceUsed(disperser, epoch, nonce, at(options)), options)
}

/** Money of data availability, in wei: what an account may withdraw, and the pot. */
export async function readDaMoney(
  { da: { availability } }: DaChain,
  account: string,
  options: ReadOptions = {},
): Promise<{ creditWei: bigint; potWei: bigint; accountedWei: bigint }> {
  const [creditWei, potWei, accountedWei] = await read(
    Promise.all([
      availability.creditOf(account, at(options)),
      availability.potWei(at(options)),
      availability.accountedWei(at(options)),
    ]),
    options,
  )
  return { creditWei, potWei, accountedWei }
}

/** A header as the contracts take it. */
export function headerStruct(header: BlobHeader): DaHeaderStruct {
  const { version, chainId, da, disperser, epoch, nonce, blobCount, payloadBytes } = header
  const { payloadHash, commitmentsRoot, cellsRoot, expiresAt } = header
  return {
    version,
    chainId,
    da,
    disperser,
    epoch,
    nonce,
    blobCount,
    payloadBytes,
    payloadHash,
    commitmentsRoot,
    cellsRoot,
    expiresAt,
  }
}

/** A confirmation as the contract takes it. */
export type ConfirmationInput = DaConfirmationStruct

type HeaderOutput = { [K in keyof BlobHeader]: BlobHeader[K] extends number ? bigint : BlobHeader[K] }

/** A header as the contracts give it. The contract bounds blobCount and payloadBytes, so they fit a number. */
export function plainHeader(header: HeaderOutput): BlobHeader {
  return {
    version: Number(header.version),
    chainId: header.chainId,
    da: header.da,
    disperser: header.disperser,
    epoch: header.epoch,
    nonce: header.nonce,
    blobCount: Number(header.blobCount),
    payloadBytes: Number(header.payloadBytes),
    payloadHash: header.payloadHash,
    commitmentsRoot: header.commitmentsRoot,
    cellsRoot: header.cellsRoot,
    expiresAt: header.expiresAt,
  }
}

function statusOf(value: bigint): BlobStatus | undefined {
  if (value < BigInt(STATUSES.length)) return STATUSES[Number(value)]
  throw new ZerogError('WRONG_CHAIN', `the contract knows a status ${value} that we do not`)
}

import { type BlobRecord, readBlobRecord } from '../../sdk/chain/da.ts'
import { daPlace } from '../../sdk/chain/da-chain.ts'
import type { CommitteeMember } from '../../sdk/chain/da-committee.ts'
import { read } from '../../sdk/chain/read.ts'
import { blobIdOf, checkHeader, type SignedHeader, verifyHeader } from '../../sdk/protocol/blob-header.ts'
import { attestationDigest, daDomain } from '../../sdk/protocol/da-typed-data.ts'
import { errorCode, ZerogError } from '../../sdk/protocol/errors.ts'
import { bytesEqual, fromHex } from '../../sdk/protocol/hex.ts'
import { pause } from '../kernel/backoff.ts'
import type { BlobOffer } from './blob-offer.ts'
import { memberOf } from './committees.ts'
import { type DaContext, periodOf } from './context.ts'
import { readSubmittedHeader } from './submitted-header.ts'
import { checkColumns, checkCommitments } from './verify-columns.ts'

/** A header that this node may attest, and the seats it would sign for. */
export type Admission = SignedHeader & {
  readonly blobId: string
  readonly member: CommitteeMember
  /** All its columns are here already: the signature can be given again. */
  readonly isHeld: boolean
}

const PAYMENT_POLL_MS = 100

/**
 * Decides whether an offered header may be attested, before any of its data is read: signed, of this chain, unexpired, the
 * only one of its nonce, paid on chain deep enough, of an epoch that may still confirm, with seats of this node.
 *
 * Errors: DA_INVALID_BLOB, DA_WRONG_CHAIN, SIGNATURE_INVALID, DA_EQUIVOCATION, DA_EXPIRED, DA_UNPAID, DA_WRONG_EPOCH,
 * DA_NOT_COMMITTEE, DA_CONVICTED, DA_REFUNDED, DEADLINE_PASSED.
 */
export async function admit(
  ctx: DaContext,
  signed: SignedHeader,
  { signal, waitMs = ctx.config.DA_PAYMENT_WAIT_MS }: { signal: AbortSignal; waitMs?: number },
): Promise<Admission> {
  const { header } = signed
  checkHeader(header)
  verifyHeader(signed, daPlace(ctx.chain))
  const blobId = blobIdOf(header)
  await checkNonce(ctx, signed, blobId, signal)
  const member = await seatsOf(ctx, signed, signal)
  await awaitPayment(ctx, signed, { blobId, waitMs, signal })
  return { ...signed, blobId, member, isHeld: isHeld(ctx, blobId, member) }
}

/**
 * Verifies every cell of an admitted offer, stores it durably, records the promise, and signs: in this order, so that what
 * is signed can be proved until the blob expires. Returns the signature (compressed, 96 bytes).
 *
 * Errors: PROOF_INVALID, DA_CELL_INVALID, DISK_FULL, DA_EQUIVOCATION, and those of {@link admit} that time brings.
 */
export async function attest(
  ctx: DaContext,
  admission: Admission,
  { offer, signal }: { offer: BlobOffer | undefined; signal: AbortSignal },
): Promise<Uint8Array> {
  const { blobId, header, signature } = admission
  if (offer && !admission.isHeld) {
    const blob = { blobId, header, signature, commitments: offer.commitments }
    checkCommitments(ctx.hasher, blob)
    const verified = ctx.daMetrics.stepSeconds.startTimer({ step: 'verify' })
    await checkColumns(ctx, blob, { columns: offer.columns, signal })
    verified()
    await ctx.columns.put(blob, offer.columns)
    ctx.crashPoint('after-columns')
  }
  // Verifying took its time: what is promised holds at this moment.
  await awaitPayment(ctx, admission, { blobId, waitMs: ctx.config.DA_PAYMENT_WAIT_MS, signal })
  const signTime = ctx.daMetrics.stepSeconds.startTimer({ step: 'sign' })
  const promised = sign(ctx, admission)
  signTime()
  ctx.daMetrics.attested.inc()
  return promised
}

/** Runs `admit` and `attest` for a refusal counter. */
export async function counted<T>(ctx: Pick<DaContext, 'daMetrics'>, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    ctx.daMetrics.refused.inc({ code: errorCode(error) })
    throw error
  }
}

function sign(ctx: DaContext, { header, blobId }: Admission): Uint8Array {
  ctx.guard.attest(header)
  ctx.crashPoint('after-guard')
  const domain = daDomain(header.chainId, header.da)
  const bytes = ctx.bls.sign(fromHex(attestationDigest(domain, { blobId, epoch: header.epoch })))
  ctx.crashPoint('after-attestation')
  return bytes
}

/**
 * Two headers for one nonce are evidence, whether or not this node has signed one of them. Only of dispersers with a bond, on
 * its way out or not: another's header can never be paid, and signatures cost nothing.
 */
async function checkNonce(
  ctx: DaContext,
  signed: SignedHeader,
  blobId: string,
  signal: AbortSignal,
): Promise<void> {
  const attested = ctx.guard.attested(signed.header)
  const { DataAvailability } = ctx.chain.da.addresses
  const { allocationOf } = ctx.chain.contracts.staking
  const { disperser } = signed.header
  const { allocatedWei } = await read(allocationOf(disperser, DataAvailability), { signal })
  const isBonded = allocatedWei >= ctx.chain.daTerms.bondWei
  const paid = ctx.index.byNonce(signed.header)
  if (paid && paid.blobId !== blobId) {
    const other = await readSubmittedHeader(ctx.chain, paid, { signal })
    if (other) ctx.seen.put(other)
  }
  const conflict = isBonded ? ctx.seen.put(signed) : undefined
  if (conflict || (attested !== undefined && attested !== blobId))
    throw new ZerogError('DA_EQUIVOCATION', undefined, { meta: { blobId, disperser } })
  if (!isBonded && paid === undefined)
    throw new ZerogError('DA_UNPAID', 'a header of a disperser without a bond cannot be paid', {
      meta: { blobId, disperser },
    })
}

async function seatsOf(
  ctx: DaContext,
  { header }: SignedHeader,
  signal: AbortSignal,
): Promise<CommitteeMember> {
  const active = await ctx.committees.active({ signal })
  if (!active || header.epoch > active.epoch)
    throw new ZerogError('DA_WRONG_EPOCH', `epoch ${header.epoch} is not formed`)
  const committee = header.epoch === active.epoch ? active : await ctx.committees.at(header.epoch, { signal })
  const member = memberOf(committee, ctx.self)
  if (!member) throw new ZerogError('DA_NOT_COMMITTEE')
  if (bytesEqual(member.publicKey, ctx.bls.publicKeyPoint)) return member
  throw new ZerogError('DA_NOT_COMMITTEE', 'the committee has another key of this operator')
}

/** Waits a little for a payment that is on its way, `CONFIRMATIONS` deep. */
async function awaitPayment(
  ctx: DaContext,
  { header }: SignedHeader,
  { blobId, waitMs, signal }: { blobId: string; waitMs: number; signal: AbortSignal },
): Promise<BlobRecord> {
  const giveUpAt = performance.now() + waitMs
  for (;;) {
    const head = await read(ctx.provider.getBlockNumber(), { signal })
    if (periodOf(ctx, head) >= header.expiresAt) throw new ZerogError('DA_EXPIRED')
    const blockTag = Math.max(0, head - ctx.config.CONFIRMATIONS)
    const record = await readBlobRecord(ctx.chain, blobId, { blockTag, signal })
    const active = await ctx.committees.active({ signal })
    if (record) return checkRecord(record, { head, isActive: header.epoch === active?.epoch })
    // An unpaid header of an epoch that is over can never be paid.
    if (active && header.epoch !== active.epoch)
      throw new ZerogError('DA_WRONG_EPOCH', undefined, { meta: { active: active.epoch } })
    if (performance.now() >= giveUpAt) throw new ZerogError('DA_UNPAID', undefined, { meta: { blobId } })
    await pause(PAYMENT_POLL_MS, signal)
  }
}

/** A blob that was paid in its epoch may be attested until its confirmation closes, also across the epoch's end. */
function checkRecord(
  record: BlobRecord,
  { head, isActive }: { head: number; isActive: boolean },
): BlobRecord {
  if (record.convictedAtBlock !== undefined) throw new ZerogError('DA_CONVICTED')
  if (record.status === 'refunded') throw new ZerogError('DA_REFUNDED')
  if (BigInt(head) < record.confirmBy) return record
  if (!isActive) throw new ZerogError('DA_WRONG_EPOCH', 'the epoch of the header is over')
  throw new ZerogError('DEADLINE_PASSED', 'the blob can no longer be confirmed', {
    meta: { confirmBy: record.confirmBy },
  })
}

function isHeld(ctx: DaContext, blobId: string, { columns }: CommitteeMember): boolean {
  return columns.every((column) => ctx.columns.has(blobId, column))
}

import { type BlobRecord, readBlobRecord, readConfirmation } from '../../sdk/chain/da.ts'
import { confirmBlobCall } from '../../sdk/chain/da-calls.ts'
import type { Committee, CommitteeMember } from '../../sdk/chain/da-committee.ts'
import { isRevert } from '../../sdk/chain/decode-error.ts'
import { read } from '../../sdk/chain/read.ts'
import type { SignedHeader } from '../../sdk/protocol/blob-header.ts'
import { attestationDigest, daDomain } from '../../sdk/protocol/da-typed-data.ts'
import { errorCode, isZerogError, ZerogError } from '../../sdk/protocol/errors.ts'
import { fromHex } from '../../sdk/protocol/hex.ts'
import { backoffMs, pause } from '../kernel/backoff.ts'
import { admit, attest } from './attest.ts'
import { type BlobOffer, encodeOffer } from './blob-offer.ts'
import { aggregatePoint, isSignedBy } from './bls-points.ts'
import { columnBits, countBits, isSame } from './committees.ts'
import type { DaContext } from './context.ts'
import type { Dispersal } from './dispersal-journal.ts'
import type { EncodedPayload } from './encode-payload.ts'

export declare namespace collectAndConfirm {
  type Options = {
    dispersal: Dispersal
    signed: SignedHeader
    encoded: EncodedPayload
    record: BlobRecord
    /** Fires when what stands has to do. */
    enough: AbortSignal
    /** Called when the chain has each stage. */
    onStage: (stage: 'soft' | 'final') => void
  }
}

/** Tries after FINAL before a member that does not answer is left out. */
const STRAGGLER_TRIES = 3
const LOOK_MS = 250
/** How often the chain is looked at once what is missing is late. */
const LATE_LOOK_MS = 2000
const LATE_MS = 20_000
/** A confirmation needs a block or two to be mined. */
const CONFIRM_MARGIN_BLOCKS = 2n

/**
 * Sends every member its columns, collects signatures, and confirms: SOFT as soon as its quorum stands and FINAL is not at
 * hand, FINAL with its quorum, and once more for members that came later. Returns when FINAL stands and the rest had its
 * chance, or 'soft' when the time is over before FINAL or `enough` says so; every signature is on disk first.
 *
 * Errors: DA_NOT_CONFIRMED when the time is over before SOFT, DA_CONVICTED, ABORTED.
 */
export async function collectAndConfirm(
  ctx: DaContext,
  options: collectAndConfirm.Options,
): Promise<'soft' | 'final'> {
  const { dispersal, signed, encoded, enough, onStage } = options
  const { blobId, header } = dispersal
  const { softColumns, finalColumns } = ctx.chain.daTerms
  const committee = await ctx.committees.at(header.epoch, { signal: ctx.signal })
  const signatures = ctx.journal.collected(blobId)
  const over = new AbortController()
  const signal = AbortSignal.any([ctx.signal, over.signal])
  let record = options.record
  let tries = new Map<number, number>()
  let wake = Promise.withResolvers<void>()
  let softAt: number | undefined
  let tried: { signers: number; columns: bigint } | undefined
  const disperseTime = ctx.daMetrics.stepSeconds.startTimer({ step: 'disperse' })

  const missing = committee.members.filter(({ slot }) => !signatures.has(slot))
  const senders = missing.map((member) => askUntilSigned(member))

  async function askUntilSigned(member: CommitteeMember): Promise<void> {
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        const signature = await askMember(ctx, { member, signed, encoded, blobId, signal })
        ctx.journal.collect(blobId, member.slot, signature)
        signatures.set(member.slot, signature)
        ctx.crashPoint('after-collect')
        return wake.resolve()
      } catch (error) {
        if (signal.aborted) return
        tries = tries.set(member.slot, attempt)
        const code = errorCode(error)
        ctx.log.debug({ blobId, operator: member.operator, attempt, code }, 'a member did not sign')
        wake.resolve()
        await pause(backoffMs(attempt, 250, 10_000), signal).catch(() => undefined)
      }
    }
  }

  const isLeftOut = ({ slot }: CommitteeMember) =>
    signatures.has(slot) || (tries.get(slot) ?? 0) >= STRAGGLER_TRIES

  /** What a confirmation now would bring, if it would bring anything. */
  function next(): 'soft' | 'final' | undefined {
    const signers = committee.members.filter(({ slot }) => signatures.has(slot))
    const bits = columnBits(signers)
    // Others may confirm too, with signatures that were never sent here: theirs count, and ours are added to them.
    const count = countBits(bits | record.columns)
    if (count >= softColumns) softAt ??= performance.now()
    if ((bits & ~record.columns) === 0n) return undefined
    // The chain is read behind what was just sent to it: once for each state of it.
    if (tried?.signers === signatures.size && tried.columns === record.columns) return undefined
    const isComplete = committee.members.every(isLeftOut)
    if (record.status === 'final') return isComplete ? 'final' : undefined
    if (count >= finalColumns) return 'final'
    if (record.status === 'soft' || softAt === undefined) return undefined
    const isDue = isComplete || performance.now() - softAt >= ctx.config.DA_SOFT_GRACE_MS
    return isDue ? 'soft' : undefined
  }

  try {
    if (record.status !== 'submitted') onStage(record.status === 'final' ? 'final' : 'soft')
    for (;;) {
      wake = Promise.withResolvers()
      const stage = next()
      if (stage) {
        disperseTime()
        const sent = new Map(signatures)
        await confirm(ctx, { blobId, committee, signatures: sent, record })
        tried = { signers: sent.size, columns: record.columns }
        record = await freshRecord(ctx, blobId)
        if (record.status === 'soft' || record.status === 'final') onStage(record.status)
        ctx.crashPoint('after-confirm')
        continue
      }
      if (record.status === 'final' && committee.members.every(isLeftOut)) return 'final'
      if (enough.aborted && (record.status === 'soft' || record.status === 'final')) return record.status
      const head = await read(ctx.provider.getBlockNumber(), { signal })
      if (BigInt(head) + CONFIRM_MARGIN_BLOCKS >= record.confirmBy) {
        if (record.status === 'soft' || record.status === 'final') return record.status
        const columns = countBits(columnBits(committee.members.filter(({ slot }) => signatures.has(slot))))
        throw new ZerogError('DA_NOT_CONFIRMED', undefined, {
          retryable: false,
          meta: { blobId, columns, softColumns, finalColumns, status: record.status },
        })
      }
      const isLate = softAt !== undefined && performance.now() - softAt > LATE_MS
      await Promise.race([wake.promise, pause(isLate ? LATE_LOOK_MS : LOOK_MS, signal)])
      record = record.status === 'final' ? record : await freshRecord(ctx, blobId)
    }
  } finally {
    over.abort()
    await Promise.all(senders)
  }
}

/** Has a member sign: this node directly, another over HTTP. The signature is verified. */
async function askMember(
  ctx: DaContext,
  request: {
    member: CommitteeMember
    signed: SignedHeader
    encoded: EncodedPayload
    blobId: string
    signal: AbortSignal
  },
): Promise<Uint8Array> {
  const { member, signed, encoded, blobId, signal } = request
  const offer: BlobOffer = {
    commitments: encoded.commitments,
    columns: member.columns.flatMap((column) => encoded.columns[column] ?? []),
  }
  const { operator } = member
  const signature = isSame(operator, ctx.self)
    ? await attest(ctx, await admit(ctx, signed, { signal }), { offer, signal })
    : await ctx.peers.offer({ operator, blobId, body: encodeOffer(signed, offer), signal })
  const { header } = signed
  const digest = fromHex(
    attestationDigest(daDomain(header.chainId, header.da), { blobId, epoch: header.epoch }),
  )
  if (isSignedBy(member.publicKey, { digest, signature })) return signature
  ctx.daMetrics.badPeers.inc()
  throw new ZerogError('SIGNATURE_INVALID', `${operator} sent a signature that does not verify`, {
    meta: { operator, blobId },
  })
}

type Confirming = {
  blobId: string
  committee: Committee
  signatures: ReadonlyMap<number, Uint8Array>
  record: BlobRecord
}

async function confirm(ctx: DaContext, { blobId, committee, signatures, record }: Confirming): Promise<void> {
  const { signers, signature } = await aggregate(ctx, { blobId, committee, signatures, record })
  ctx.crashPoint('before-confirm')
  const confirmTime = ctx.daMetrics.stepSeconds.startTimer({ step: 'confirm' })
  try {
    await ctx.sender.submit({
      ...confirmBlobCall(ctx.chain, { blobId, epoch: committee.epoch, signers, signature }),
      label: `da-confirm-${blobId}-${signers.toString(16)}`,
      deadlineBlock: record.confirmBy - 1n,
      signal: ctx.signal,
      alreadyDone: (error) => isRevert(error, 'NothingAdded') || isRevert(error, 'NotConfirmable'),
    })
  } catch (error) {
    if (isRevert(error, 'BlobIsConvicted')) throw new ZerogError('DA_CONVICTED', undefined, { cause: error })
    if (isZerogError(error) && error.code === 'DEADLINE_PASSED')
      throw new ZerogError('DA_NOT_CONFIRMED', undefined, { cause: error, retryable: false })
    throw error
  }
  confirmTime()
}

/**
 * The signatures in hand, added to those of the last confirmation where others put signers into it that are not in hand:
 * whoever leaves one of them out is refused, so any member could stop a blob below FINAL.
 */
async function aggregate(
  ctx: DaContext,
  { blobId, committee, signatures, record }: Confirming,
): Promise<{ signers: bigint; signature: Uint8Array }> {
  const own = columnBits(committee.members.filter(({ slot }) => signatures.has(slot)))
  const isAhead = (record.columns & ~own) !== 0n
  const last = isAhead
    ? await readConfirmation(ctx.chain, { blobId, record }, { signal: ctx.signal })
    : undefined
  const before = last?.signers ?? 0n
  const added = [...signatures].filter(([slot]) => ((before >> BigInt(slot)) & 1n) === 0n)
  return {
    signers: added.reduce((bits, [slot]) => bits | (1n << BigInt(slot)), before),
    signature: aggregatePoint(
      added.map(([, signature]) => signature),
      last && fromHex(last.signature),
    ),
  }
}

async function freshRecord(ctx: DaContext, blobId: string): Promise<BlobRecord> {
  const record = await readBlobRecord(ctx.chain, blobId, { signal: ctx.signal })
  if (!record) throw new ZerogError('REORGED', 'the blob is not on chain any more')
  if (record.convictedAtBlock !== undefined) throw new ZerogError('DA_CONVICTED')
  return record
}

import type { ChainCall } from '../../../sdk/chain/chain-call.ts'
import { type BlobRecord, readBlobRecord } from '../../../sdk/chain/da.ts'
import {
  disputeCellCall,
  disputeCommitmentPointCall,
  disputeProofPointCall,
  disputeScalarCall,
} from '../../../sdk/chain/da-court-calls.ts'
import { chainError, isRevert } from '../../../sdk/chain/decode-error.ts'
import { read } from '../../../sdk/chain/read.ts'
import { COLUMNS } from '../../../sdk/protocol/cell-layout.ts'
import { HASH_BYTES } from '../../../sdk/protocol/hasher.ts'
import { badElementOf, cellEvidence } from '../../../sdk/protocol/kzg-cell.ts'
import type { Duty } from '../../kernel/duty.ts'
import { submitCaughtUp } from '../catch-up.ts'
import type { CellFault, FaultPlace } from '../cell-faults.ts'
import { type DaContext, periodOf } from '../context.ts'
import { pointFaultOf } from '../point-fault.ts'
import { isMyTurn } from '../turn.ts'

/** Takes cells to court that do not fit their commitments, once their blob is on chain, in the order of rank. */
export const disputeCells: Duty<FaultPlace, DaContext> = {
  name: 'dispute-cells',

  async due(ctx) {
    const due: FaultPlace[] = []
    const options = { blockTag: ctx.head.number, signal: ctx.signal }
    for (const place of ctx.faults.open()) {
      const record = await readBlobRecord(ctx.chain, place.blobId, options)
      // Offered and not paid for: nobody can be hurt by it yet.
      if (!record) continue
      const closesAt = record.expiresAt + ctx.chain.daTerms.disputePeriods - 1n
      if (await isJudged(ctx, place, record)) ctx.faults.settle(place, 'convicted')
      else if (periodOf(ctx, ctx.head.number) >= closesAt) ctx.faults.settle(place, 'DEADLINE_PASSED')
      else if (isMyTurn(ctx, place.blobId)) due.push(place)
    }
    return due
  },

  id: ({ blobId, column }) => `cell-${blobId}-${column}`,

  async perform(place, ctx) {
    const fault = ctx.faults.get(place)
    if (!fault) return
    const { blobId, blobIndex, column } = fault
    try {
      const won = await submitCaughtUp(ctx, {
        ...(await disputeCall(ctx, fault)),
        label: `da-dispute-${blobId}-${column}`,
        done: ['AlreadyConvicted'],
      })
      if (!won) return
      ctx.daMetrics.disputed.inc({ kind: 'cell' })
      ctx.log.warn({ blobId, blobIndex, column }, 'a wrong cell is convicted')
    } catch (error) {
      // The court is the judge: what it finds valid is not brought again.
      const isValid = ['CellIsValid', 'PointIsValid', 'ScalarIsCanonical'].some((name) =>
        isRevert(error, name),
      )
      if (isValid) ctx.faults.settle(place, 'TX_REVERTED')
      throw chainError(error)
    }
  },
}

/**
 * Whether everybody who is guilty of a fault has been convicted. Another fault of the same blob convicts its disperser and the
 * attesters of another column: those who signed this one must not get away by it.
 */
async function isJudged(
  { chain, head, signal }: DaContext,
  { blobId, column }: FaultPlace,
  { convictedAtBlock, columns }: BlobRecord,
): Promise<boolean> {
  if (convictedAtBlock === undefined) return false
  const isAttested = ((columns >> BigInt(column)) & 1n) !== 0n
  if (!isAttested) return true
  const { court } = chain.da
  const blockTag = head.number
  const verdicts = [column, COLUMNS].map(async (place) =>
    court.verdictOf(await court.faultIdOf(blobId, place), { blockTag }),
  )
  const found = await read(Promise.all(verdicts), { signal })
  return found.some(({ reporter }) => BigInt(reporter) !== 0n)
}

/** The dispute that fits what is wrong: an element, a point, or else the cell as a whole. */
async function disputeCall(ctx: DaContext, fault: CellFault): Promise<ChainCall> {
  const { chain, kzg, signal } = ctx
  const { blobId, blobIndex, column, cell, proof } = fault
  const leaf = { blobId, blobIndex, column, cell, proof, path: hashesOf(fault.path) }
  const commitment = { commitment: fault.commitment, path: hashesOf(fault.commitmentPath) }
  const element = badElementOf(cell)
  if (element !== undefined) return disputeScalarCall(chain, { leaf, element })
  const proofFault = pointFaultOf(proof)
  if (proofFault) return disputeProofPointCall(chain, { leaf, ...proofFault })
  const commitmentFault = pointFaultOf(fault.commitment)
  if (commitmentFault)
    return disputeCommitmentPointCall(chain, { blobId, blobIndex, commitment, ...commitmentFault })
  const evidence = await cellEvidence(kzg, fault, signal)
  return disputeCellCall(chain, { leaf, commitment, evidence })
}

function hashesOf(path: Uint8Array): Uint8Array[] {
  return Array.from({ length: path.length / HASH_BYTES }, (_, i) =>
    path.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES),
  )
}

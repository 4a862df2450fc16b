import type { ChainCall } from '../../../sdk/chain/chain-call.ts'
import { readBlobRecord } from '../../../sdk/chain/da.ts'
import {
  disputeCellCall,
  disputeCommitmentPointCall,
  disputeProofPointCall,
  disputeScalarCall,
} from '../../../sdk/chain/da-court-calls.ts'
import { chainError, isRevert } from '../../../sdk/chain/decode-error.ts'
import { HASH_BYTES } from '../../../sdk/protocol/hasher.ts'
import { badElementOf, cellEvidence } from '../../../sdk/protocol/kzg-cell.ts'
import type { Duty } from '../../kernel/duty.ts'
import { submitCaughtUp } from '../catch-up.ts'
import type { CellFault } from '../cell-faults.ts'
import { type DaContext, periodOf } from '../context.ts'
import { pointFaultOf } from '../point-fault.ts'
import { isMyTurn } from '../turn.ts'

type Dispute = { blobId: string }

/** Takes cells to court that do not fit their commitments, once their blob is on chain, in the order of rank. */
export const disputeCells: Duty<Dispute, DaContext> = {
  name: 'dispute-cells',

  async due(ctx) {
    const due: Dispute[] = []
    const options = { blockTag: ctx.head.number, signal: ctx.signal }
    for (const { blobId } of ctx.faults.open()) {
      const record = await readBlobRecord(ctx.chain, blobId, options)
      // Offered and not paid for: nobody can be hurt by it yet.
      if (!record) continue
      const closesAt = record.expiresAt + ctx.chain.daTerms.disputePeriods - 1n
      if (record.convictedAtBlock !== undefined) ctx.faults.settle(blobId, 'convicted')
      else if (periodOf(ctx, ctx.head.number) >= closesAt) ctx.faults.settle(blobId, 'DEADLINE_PASSED')
      else if (isMyTurn(ctx, blobId)) due.push({ blobId })
    }
    return due
  },

  id: ({ blobId }) => `cell-${blobId}`,

  async perform({ blobId }, ctx) {
    const fault = ctx.faults.get(blobId)
    if (!fault) return
    const { blobIndex, column } = fault
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
      if (isValid) ctx.faults.settle(blobId, 'TX_REVERTED')
      throw chainError(error)
    }
  },
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

import type {
  DaCellEvidenceStruct,
  DaCommitmentLeafStruct,
  DaDoubleAttestationStruct,
  DaLeafStruct,
} from '../../typechain-types/interfaces/IDaCourt.js'
import type { SignedHeader } from '../protocol/blob-header.ts'
import { type ChainCall, chainCall } from './chain-call.ts'
import { headerStruct } from './da.ts'
import type { DaChain } from './da-chain.ts'

/** A published leaf, as the court takes it. */
export type LeafInput = DaLeafStruct
/** A published commitment with its path. */
export type CommitmentInput = DaCommitmentLeafStruct
/** What shows that a cell does not fit its commitment. */
export type CellEvidenceInput = DaCellEvidenceStruct

/** What can be wrong with a compressed point. */
export type PointFault = 'not-canonical' | 'not-on-curve' | 'not-in-subgroup'

const POINT_FAULTS: readonly PointFault[] = ['not-canonical', 'not-on-curve', 'not-in-subgroup']

/** Convicts a cell that does not fit its commitment. */
export function disputeCellCall(
  { da: { court } }: DaChain,
  evidence: { leaf: LeafInput; commitment: CommitmentInput; evidence: CellEvidenceInput },
): ChainCall {
  const data = court.interface.encodeFunctionData('disputeCell', [
    evidence.leaf,
    evidence.commitment,
    evidence.evidence,
  ])
  return chainCall(court, data)
}

/** Convicts a cell with an element that is not below the field order. */
export function disputeScalarCall(
  { da: { court } }: DaChain,
  { leaf, element }: { leaf: LeafInput; element: number },
): ChainCall {
  return chainCall(court, court.interface.encodeFunctionData('disputeScalar', [leaf, element]))
}

/** Convicts a leaf whose proof is no point of the group. `y` (64 B) only for 'not-in-subgroup'. */
export function disputeProofPointCall(
  { da: { court } }: DaChain,
  { leaf, fault, y = new Uint8Array() }: { leaf: LeafInput; fault: PointFault; y?: Uint8Array },
): ChainCall {
  const data = court.interface.encodeFunctionData('disputeProofPoint', [leaf, POINT_FAULTS.indexOf(fault), y])
  return chainCall(court, data)
}

/** Convicts a header with a commitment that is no point of the group. `y` (64 B) only for 'not-in-subgroup'. */
export function disputeCommitmentPointCall(
  { da: { court } }: DaChain,
  request: {
    blobId: string
    blobIndex: number
    commitment: CommitmentInput
    fault: PointFault
    y?: Uint8Array
  },
): ChainCall {
  const { blobId, blobIndex, commitment, fault, y = new Uint8Array() } = request
  const data = court.interface.encodeFunctionData('disputeCommitmentPoint', [
    blobId,
    blobIndex,
    commitment,
    POINT_FAULTS.indexOf(fault),
    y,
  ])
  return chainCall(court, data)
}

/** Convicts a disperser that signed two headers for one nonce. */
export function disputeHeadersCall(
  { da: { court } }: DaChain,
  [a, b]: readonly [SignedHeader, SignedHeader],
): ChainCall {
  const data = court.interface.encodeFunctionData('disputeHeaders', [
    headerStruct(a.header),
    a.signature,
    headerStruct(b.header),
    b.signature,
  ])
  return chainCall(court, data)
}

/** Convicts the members that attested two headers of one nonce. */
export function disputeAttestationsCall(
  { da: { court } }: DaChain,
  evidence: DaDoubleAttestationStruct,
): ChainCall {
  return chainCall(court, court.interface.encodeFunctionData('disputeAttestations', [evidence]))
}

/** Carries a verdict out for at most `maxOperators` of the guilty. */
export function punishCall(
  { da: { court } }: DaChain,
  { faultId, maxOperators }: { faultId: string; maxOperators: number },
): ChainCall {
  return chainCall(court, court.interface.encodeFunctionData('punish', [faultId, maxOperators]))
}

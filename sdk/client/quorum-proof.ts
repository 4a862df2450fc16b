import type { Confirmation } from '../chain/da.ts'
import { type DaChain, daPlace } from '../chain/da-chain.ts'
import type { Committee } from '../chain/da-committee.ts'
import { verifyAttestation } from '../protocol/attestation.ts'
import { attestationDigest, daDomain } from '../protocol/da-typed-data.ts'
import { ZerogError } from '../protocol/errors.ts'
import { fromHex } from '../protocol/hex.ts'
import { columnCount, quorumLevel } from '../protocol/quorum.ts'

/** A quorum's signature that was checked here: `columns` has bit k for each column whose holder signed. */
export type QuorumProof = { readonly level: 'soft' | 'final'; readonly columns: bigint }

/**
 * Checks the confirmation of a blob against the committee's keys: the aggregate signature over this very blob, and the columns of those who
 * signed.
 *
 * Errors: DA_NOT_CONFIRMED when there is no confirmation or the columns reach no quorum; SIGNATURE_INVALID when it does not verify, which
 * the contract would not have taken: the RPC does not tell the truth.
 */
export function verifyQuorum(
  chain: DaChain,
  {
    blobId,
    committee,
    confirmation,
  }: { blobId: string; committee: Committee; confirmation: Confirmation | undefined },
): QuorumProof {
  const meta = { blobId }
  if (confirmation === undefined) throw new ZerogError('DA_NOT_CONFIRMED', undefined, { meta })
  const { signers, signature } = confirmation
  const signed = committee.members.filter(({ slot }) => (signers >> BigInt(slot)) & 1n)
  const { chainId, da } = daPlace(chain)
  const digest = attestationDigest(daDomain(chainId, da), { blobId, epoch: committee.epoch })
  const isSigned = verifyAttestation({
    publicKeys: signed.map(({ publicKey }) => publicKey),
    digest,
    signature: fromHex(signature),
  })
  if (!isSigned || signed.length !== slotCount(signers))
    throw new ZerogError('SIGNATURE_INVALID', 'the quorum signature does not verify', { meta })
  const columns = signed
    .flatMap((member) => member.columns)
    .reduce((bits, column) => bits | (1n << BigInt(column)), 0n)
  const level = quorumLevel(columns, quorumsOf(chain))
  if (level === 'none')
    throw new ZerogError('DA_NOT_CONFIRMED', undefined, {
      meta: { ...meta, signedColumns: columnCount(columns) },
    })
  return { level, columns }
}

function quorumsOf({ daTerms }: DaChain) {
  return {
    soft: { columns: daTerms.softColumns, adversary: daTerms.softAdversary },
    final: { columns: daTerms.finalColumns, adversary: daTerms.finalAdversary },
  }
}

/** Slots named by the bitmap; one without a seat would be a signer that the key set does not know. */
function slotCount(signers: bigint): number {
  return signers.toString(2).replaceAll('0', '').length
}

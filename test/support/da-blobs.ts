import { keccak256 } from 'ethers'
import { loadNodeKzg } from '../../sdk/client/kzg-node.ts'
import { blobCountOf, encodeBlob } from '../../sdk/protocol/blob.ts'
import { type BlobHeader, blobIdOf, type SignedHeader, signHeader } from '../../sdk/protocol/blob-header.ts'
import { commitmentLevels, treePath, treeRoot } from '../../sdk/protocol/cell-tree.ts'
import { type Column, cellPathOf, columnsOf } from '../../sdk/protocol/column.ts'
import { loadHasher } from '../../sdk/protocol/hasher.ts'
import { toHex } from '../../sdk/protocol/hex.ts'
import { signTogether } from './bls-keys.ts'
import type { TestSigner } from './chain.ts'
import { at, randomBytes } from './content.ts'
import type { DaSystem, Member } from './da-fixture.ts'
import { currentPeriod } from './storage-fixture.ts'

const hasher = await loadHasher()

/** KZG blobs that are really encoded; further ones repeat them, as encoding is slow and contracts see only trees. */
const MOST_ENCODED = 4

/** An encoded payload: what a header commits to, and what a node stores. */
export type EncodedBlob = Pick<
  BlobHeader,
  'blobCount' | 'payloadBytes' | 'payloadHash' | 'commitmentsRoot' | 'cellsRoot'
> & {
  commitments: Uint8Array[]
  columns: Column[]
  commitmentPath(blobIndex: number): string[]
}

/** Random payload with real commitments, cells and proofs. */
export async function encodeRandom(payloadBytes: number, seed = 1): Promise<EncodedBlob> {
  const engine = await loadNodeKzg()
  const payload = randomBytes(payloadBytes, seed)
  const blobCount = blobCountOf(payloadBytes)
  const encoded: Awaited<ReturnType<typeof engine.encode>>[] = []
  for (let b = 0; b < Math.min(blobCount, MOST_ENCODED); b++) {
    encoded.push(await engine.encode(encodeBlob(payload, b)))
  }
  const blobs = Array.from({ length: blobCount }, (_, b) => at(encoded, b % encoded.length))
  const commitments = blobs.map(({ commitment }) => commitment)
  const levels = commitmentLevels(hasher, commitments)
  const { columns, cellsRoot } = columnsOf(hasher, blobs)
  return {
    blobCount,
    payloadBytes,
    payloadHash: keccak256(payload),
    commitmentsRoot: toHex(treeRoot(levels)),
    cellsRoot: toHex(cellsRoot),
    commitments,
    columns,
    commitmentPath: (blobIndex) => treePath(levels, blobIndex).map(toHex),
  }
}

/** Cell ‖ proof, cell and proof apart, and the path of cell (blobIndex, column), as the contracts take them. */
export function cellOf(
  { columns }: EncodedBlob,
  { blobIndex, column }: { blobIndex: number; column: number },
) {
  const { cell, proof } = at(at(columns, column).cells, blobIndex)
  return {
    cell: toHex(cell),
    proof: toHex(proof),
    cellAndProof: toHex(Buffer.concat([cell, proof])),
    path: cellPathOf(hasher, at(columns, column), blobIndex).map(toHex),
  }
}

/** A header of the disperser for the active epoch with an unused nonce; each field open to a test's own version. */
export async function draftHeader(
  system: DaSystem,
  encoded: EncodedBlob,
  changes: Partial<BlobHeader> = {},
): Promise<BlobHeader> {
  const { da, committee, disperser, chainId, params } = system
  const earliest = (await currentPeriod(system)) + params.minRetentionPeriods + 1n
  const bucket = params.bucketPeriods
  return {
    version: 1,
    chainId,
    da: await da.getAddress(),
    disperser: disperser.address,
    epoch: await committee.activeEpoch(),
    nonce: (await da.blobTotal()) + 1n,
    blobCount: encoded.blobCount,
    payloadBytes: encoded.payloadBytes,
    payloadHash: encoded.payloadHash,
    commitmentsRoot: encoded.commitmentsRoot,
    cellsRoot: encoded.cellsRoot,
    expiresAt: ((earliest + bucket - 1n) / bucket) * bucket,
    ...changes,
  }
}

/** A blob on chain. */
export type Submitted = SignedHeader & { blobId: string; encoded: EncodedBlob }

/** Signs, pays and submits a header for `encoded`. */
export async function submitBlob(
  system: DaSystem,
  encoded: EncodedBlob,
  {
    changes = {},
    payer = system.publisher,
    valueWei,
  }: { changes?: Partial<BlobHeader>; payer?: TestSigner; valueWei?: bigint } = {},
): Promise<Submitted> {
  const signed = await signHeader(system.disperser, await draftHeader(system, encoded, changes))
  const { header } = signed
  const value = valueWei ?? (await feeOf(system, header))
  await system.da.connect(payer).submit(header, signed.signature, { value })
  return { ...signed, blobId: blobIdOf(header), encoded }
}

/** The fee of a header submitted in the next block. */
export async function feeOf(system: DaSystem, { blobCount, expiresAt }: BlobHeader): Promise<bigint> {
  const { chain, clock, da } = system
  const period = ((await chain.head()) + 1n - clock.startBlock) / clock.periodBlocks
  return da.feeOf(blobCount, expiresAt - period)
}

/** A confirmation of the blob by these members, each field open to a test's own version. */
export async function draftConfirmation(
  { da, committee, chainId }: DaSystem,
  { blobId, header }: Pick<Submitted, 'blobId' | 'header'>,
  members: readonly Member[],
) {
  let signers = 0n
  for (const { address } of members) signers |= 1n << (await committee.slotOf(address)).slot
  const digest = await da.attestationDigest(blobId, header.epoch)
  const signature = signTogether(
    members.map(({ key }) => key),
    digest,
  )
  return { chainId, epoch: header.epoch, blobId, signers, signature }
}

/** Submits `encoded` and confirms it with the signatures of these members. */
export async function publishBlob(
  system: DaSystem,
  encoded: EncodedBlob,
  {
    members = system.members,
    ...options
  }: { members?: readonly Member[] } & Parameters<typeof submitBlob>[2] = {},
): Promise<Submitted> {
  const submitted = await submitBlob(system, encoded, options)
  await system.da.confirm(await draftConfirmation(system, submitted, members))
  return submitted
}

/** The columns that these members hold in an epoch. */
export async function columnsHeld(
  { committee }: DaSystem,
  epoch: bigint,
  members: readonly Member[],
): Promise<bigint> {
  let columns = 0n
  for (const { address } of members) {
    columns |= await committee.columnsOf(epoch, (await committee.slotOf(address)).slot)
  }
  return columns
}

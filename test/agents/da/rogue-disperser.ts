import { type BlobOffer, encodeOffer } from '../../../agents/da/blob-offer.ts'
import { aggregatePoint } from '../../../agents/da/bls-points.ts'
import { encodePayload } from '../../../agents/da/encode-payload.ts'
import { readFee } from '../../../sdk/chain/da.ts'
import { confirmBlobCall, submitBlobCall } from '../../../sdk/chain/da-calls.ts'
import { type Committee, readActiveEpoch, readCommittee } from '../../../sdk/chain/da-committee.ts'
import { loadNodeKzg } from '../../../sdk/client/kzg-node.ts'
import {
  type BlobHeader,
  blobIdOf,
  type SignedHeader,
  signHeader,
} from '../../../sdk/protocol/blob-header.ts'
import { commitmentsRoot } from '../../../sdk/protocol/cell-tree.ts'
import { type Column, columnsOf } from '../../../sdk/protocol/column.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { fromHex, toHex } from '../../../sdk/protocol/hex.ts'
import { at } from '../../support/content.ts'
import type { DaWorld, WorldNode } from './da-world.ts'

const hasher = await loadHasher()
const kzg = await loadNodeKzg()
const RETENTION_PERIODS = 6n

/** Cells, proofs and commitments by KZG blob, to be tampered with before the roots are made of them. */
export type Draft = {
  payload: Uint8Array
  commitments: Uint8Array[]
  cells: Uint8Array[][]
  proofs: Uint8Array[][]
}

export type Crafted = SignedHeader & {
  readonly blobId: string
  readonly committee: Committee
  readonly offer: BlobOffer
}

export declare namespace craft {
  type Options = {
    nonce: bigint
    tamper?: (draft: Draft) => void
    change?: (header: BlobHeader) => BlobHeader
    epoch?: bigint
  }
}

/** A blob made by hand, as a disperser that keeps to no rules would. */
export async function craft(
  world: DaWorld,
  { wallet }: WorldNode,
  { nonce, payload, tamper, change = (header) => header, epoch }: craft.Options & { payload: Uint8Array },
): Promise<Crafted> {
  const encoded = await encodePayload({ hasher, kzg }, payload, { signal: AbortSignal.timeout(60_000) })
  const { blobCount, payloadBytes, payloadHash } = encoded
  const blobIndexes = Array.from({ length: blobCount }, (_, b) => b)
  const draft: Draft = {
    payload,
    commitments: encoded.commitments.map((commitment) => commitment.slice()),
    cells: blobIndexes.map((b) => encoded.columns.map(({ cells }) => at(cells, b).cell.slice())),
    proofs: blobIndexes.map((b) => encoded.columns.map(({ cells }) => at(cells, b).proof.slice())),
  }
  tamper?.(draft)
  const { columns, cellsRoot } = columnsOf(
    hasher,
    blobIndexes.map((b) => ({ cells: at(draft.cells, b), proofs: at(draft.proofs, b) })),
  )
  const { chain } = world
  const active = epoch ?? (await readActiveEpoch(chain)) ?? 0n
  const { bucketPeriods } = await chain.da.availability.params()
  const least = (await world.period()) + 1n + RETENTION_PERIODS
  const header = change({
    version: 1,
    chainId: chain.chainId,
    da: chain.da.addresses.DataAvailability,
    disperser: wallet.address,
    epoch: active,
    nonce,
    ...{ blobCount, payloadBytes, payloadHash },
    commitmentsRoot: toHex(commitmentsRoot(hasher, draft.commitments)),
    cellsRoot: toHex(cellsRoot),
    expiresAt: ((least + bucketPeriods - 1n) / bucketPeriods) * bucketPeriods,
  })
  const signed = await signHeader(wallet, header)
  const committee = await readCommittee(chain, active)
  return {
    ...signed,
    committee,
    blobId: blobIdOf(header),
    offer: { commitments: draft.commitments, columns },
  }
}

/** Puts a crafted header on chain and pays its fee. */
export async function pay(world: DaWorld, node: WorldNode, { header, signature }: Crafted): Promise<void> {
  const retentionPeriods = header.expiresAt - (await world.period())
  const feeWei = await readFee(world.chain, { blobCount: header.blobCount, retentionPeriods })
  await world.send(node.wallet, submitBlobCall(world.chain, { header, signature }, feeWei))
}

/** The columns of one node's seats. */
export function seatsOf({ committee, offer }: Crafted, { wallet }: WorldNode): Column[] {
  const member = committee.members.find(({ operator }) => operator === wallet.address)
  return (member?.columns ?? []).map((column) => at(offer.columns, column))
}

/** Offers a crafted blob to a node, with its own columns unless told otherwise. */
export async function offerTo(
  node: WorldNode,
  crafted: Crafted,
  columns: readonly Column[] = seatsOf(crafted, node),
): Promise<{ status: number; code: string | undefined; signature: string | undefined }> {
  return putRaw(node, crafted.blobId, encodeOffer(crafted, { ...crafted.offer, columns }))
}

/** Sends any bytes as an offer, at once or as they come. */
export async function putRaw(node: WorldNode, blobId: string, body: Uint8Array | ReadableStream<Uint8Array>) {
  const response = await fetch(`${node.url}/da/blobs/${blobId}/columns`, {
    method: 'PUT',
    headers: { 'content-type': 'application/octet-stream' },
    body: body instanceof Uint8Array ? Buffer.from(body) : body,
    ...(body instanceof Uint8Array ? {} : { duplex: 'half' as const }),
    signal: AbortSignal.timeout(60_000),
  })
  const json = (await response.json()) as { signature?: string; error?: { code: string } }
  return { status: response.status, code: json.error?.code, signature: json.signature }
}

/** Confirms a crafted blob with what some nodes signed. */
export async function confirm(
  world: DaWorld,
  by: WorldNode,
  crafted: Crafted,
  signatures: ReadonlyMap<WorldNode, string>,
): Promise<void> {
  const slots = [...signatures.keys()].map(
    ({ wallet }) => crafted.committee.members.find(({ operator }) => operator === wallet.address)?.slot ?? 0,
  )
  const signers = slots.reduce((bits, slot) => bits | (1n << BigInt(slot)), 0n)
  const signature = aggregatePoint([...signatures.values()].map((hex) => fromHex(hex)))
  const { epoch } = crafted.header
  await world.send(
    by.wallet,
    confirmBlobCall(world.chain, { blobId: crafted.blobId, epoch, signers, signature }),
  )
}

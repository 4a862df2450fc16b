import assert from 'node:assert/strict'
import type { Wallet } from 'ethers'
import { decodeStorageEvent } from '../../../sdk/chain/events.ts'
import { readPrice, readSubmissionTerms } from '../../../sdk/chain/storage.ts'
import { configureCall, sealCall, submitCall } from '../../../sdk/chain/storage-calls.ts'
import { custodyLeaf, custodyRoot } from '../../../sdk/protocol/custody.ts'
import { referenceErasure } from '../../../sdk/protocol/erasure.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import { fromHex, toHex } from '../../../sdk/protocol/hex.ts'
import { fileLayout, shardBytes, shardRange } from '../../../sdk/protocol/layout.ts'
import { joinNodes, merkleRoot } from '../../../sdk/protocol/merkle.ts'
import { formatPermission, type Permission, permissionText } from '../../../sdk/protocol/permission.ts'
import { fileTree, type Submission } from '../../../sdk/protocol/submission.ts'
import { at, randomBytes } from '../../support/content.ts'
import { OWNER, type StorageWorld, type WorldProvider } from './storage-world.ts'

const hasher = await loadHasher()
export const PARITY = 8
export const CHAIN_ID = 31_337n
const VALID_SEC = 600

/** A file in shards, as a client prepares it. */
export type Prepared = { submission: Submission; shards: Uint8Array[]; roots: string[]; sectors: number }

/** Cuts bytes into data and parity shards. */
export function prepare(data: Uint8Array, parity = PARITY): Prepared {
  const layout = fileLayout(data.length)
  const length = shardBytes(layout)
  const dataShards = Array.from({ length: layout.dataShards }, (_, index) => {
    const { start, end } = shardRange(layout, index)
    const shard = new Uint8Array(length)
    shard.set(data.subarray(start, end))
    return shard
  })
  const shards = [...dataShards, ...referenceErasure.encode(dataShards, parity)]
  const roots = shards.map((shard) => toHex(merkleRoot(hasher, shard)))
  const dataRoots = roots.slice(0, layout.dataShards).map((root) => fromHex(root))
  const { submission } = fileTree(hasher, layout, joinNodes(dataRoots))
  return { submission, shards, roots, sectors: layout.paddedSectors }
}

/** Random bytes in shards. */
export const prepareRandom = (byteLength: number, seed = 1) => prepare(randomBytes(byteLength, seed))

/** Submits a prepared file, with a term of `termPeriods` if given, and returns its txSeq. */
export async function submit(
  world: StorageWorld,
  { submission, sectors }: Prepared,
  termPeriods?: bigint,
): Promise<bigint> {
  const { chain, owner, send } = world
  const { perSectorWei } = await readPrice(chain)
  const receipt = await send(
    owner,
    submitCall(chain, {
      submission: { ...submission, byteLength: BigInt(submission.byteLength) },
      submitter: owner.address,
      valueWei: BigInt(sectors) * perSectorWei,
    }),
  )
  const txSeq = receipt.logs
    .map((log) => decodeStorageEvent(chain.book, log))
    .flatMap((event) => (event?.name === 'Submit' ? [event.args.submissionIndex] : []))[0]
  if (txSeq === undefined) throw new Error('the receipt has no Submit event')
  if (termPeriods !== undefined) {
    await send(owner, configureCall(chain, { txSeq, parityShards: PARITY, termPeriods, valueWei: 0n }))
  }
  return txSeq
}

/** Who keeps which shard: round-robin over the providers. */
export function assign(prepared: Prepared, providers: readonly WorldProvider[]): WorldProvider[] {
  return prepared.shards.map((_, index) => at(providers, index % providers.length))
}

export const shardUrl = (provider: WorldProvider, txSeq: bigint, index: number): string =>
  `${provider.url}/v1/shards/${txSeq}/${index}`

/** The Authorization header for what `wallet` permits, from now on for ten minutes unless told otherwise. */
export async function permit(
  wallet: Wallet,
  permission: Permission,
  validUntilSec = Math.floor(Date.now() / 1000) + VALID_SEC,
): Promise<string> {
  const signature = await wallet.signMessage(permissionText(permission, validUntilSec))
  return formatPermission({ address: wallet.address, validUntilSec, signature })
}

/** The header that lets the owner write to a submission. */
export const ownerPermit = (txSeq: bigint): Promise<string> =>
  permit(OWNER, { action: 'write', chainId: CHAIN_ID, txSeq })

/** Sends bytes [start, end) of a shard, as the owner. */
export async function putChunk(
  provider: WorldProvider,
  { txSeq, index, root, shard }: { txSeq: bigint; index: number; root: string; shard: Uint8Array },
  range: { start: number; end: number } = { start: 0, end: shard.length },
): Promise<Response> {
  return fetch(`${shardUrl(provider, txSeq, index)}?root=${root}`, {
    method: 'PUT',
    headers: {
      authorization: await ownerPermit(txSeq),
      'content-type': 'application/octet-stream',
      'content-range': `bytes ${range.start}-${range.end - 1}/${shard.length}`,
    },
    body: Buffer.from(shard.subarray(range.start, range.end)),
  })
}

/** Sends every shard to its keeper. */
export async function putShards(
  txSeq: bigint,
  prepared: Prepared,
  keepers: readonly WorldProvider[],
): Promise<void> {
  await Promise.all(
    prepared.shards.map(async (shard, index) => {
      const shardRef = { txSeq, index, root: at(prepared.roots, index), shard }
      const response = await putChunk(at(keepers, index), shardRef)
      assert.equal(response.status, 200, await response.clone().text())
      const answer = (await response.json()) as { complete: boolean }
      assert.equal(answer.complete, true)
    }),
  )
}

/** The proposal that a client sends to each custodian. */
export function proposalOf(prepared: Prepared, keepers: readonly WorldProvider[]) {
  const shards = prepared.roots.map((root, index) => ({
    index,
    provider: at(keepers, index).wallet.address,
    root,
  }))
  const leaves = shards.map(({ index, provider, root }) => custodyLeaf({ index, provider, shardRoot: root }))
  return {
    byteLength: String(prepared.submission.byteLength),
    nodes: prepared.submission.nodes,
    custodyRoot: custodyRoot(leaves),
    shards,
  }
}

/** Proposes a custody to a provider, as the owner. */
export const propose = (provider: WorldProvider, txSeq: bigint, proposal: unknown): Promise<Response> =>
  sendJson(`${provider.url}/v1/deals/${txSeq}/custody`, 'PUT', { txSeq, body: proposal })

/** Asks a provider for its signature, as the owner. */
export const askToSign = (provider: WorldProvider, txSeq: bigint, custodyRoot: string): Promise<Response> =>
  sendJson(`${provider.url}/v1/deals/${txSeq}/sign`, 'POST', { txSeq, body: { custodyRoot } })

async function sendJson(
  url: string,
  method: 'PUT' | 'POST',
  { txSeq, body }: { txSeq: bigint; body: unknown },
): Promise<Response> {
  const headers = { authorization: await ownerPermit(txSeq), 'content-type': 'application/json' }
  return fetch(url, { method, headers, body: JSON.stringify(body) })
}

export type Signed = {
  provider: string
  shardBitmap: string
  ratePerPeriod: string
  validUntil: string
  expiresAt: string
  signature: string
}

/** Proposes to every custodian, then asks each for its signature. */
export async function collectSignatures(
  txSeq: bigint,
  proposal: ReturnType<typeof proposalOf>,
  keepers: readonly WorldProvider[],
): Promise<Signed[]> {
  const custodians = [...new Set(keepers)]
  await Promise.all(
    custodians.map(async (provider) => {
      const response = await propose(provider, txSeq, proposal)
      assert.equal(response.status, 200, await response.text())
    }),
  )
  return Promise.all(
    custodians.map(async (provider) => {
      const response = await askToSign(provider, txSeq, proposal.custodyRoot)
      assert.equal(response.status, 200, await response.clone().text())
      return (await response.json()) as Signed
    }),
  )
}

/** Seals with collected signatures. */
export async function seal(
  world: StorageWorld,
  txSeq: bigint,
  prepared: Prepared,
  signed: readonly Signed[],
) {
  const custodians = signed
    .map((offer) => ({
      provider: offer.provider,
      shardBitmap: BigInt(offer.shardBitmap),
      ratePerPeriod: BigInt(offer.ratePerPeriod),
      validUntil: BigInt(offer.validUntil),
      signature: offer.signature,
    }))
    .sort((a, b) => (BigInt(a.provider) < BigInt(b.provider) ? -1 : 1))
  return world.send(
    world.owner,
    sealCall(world.chain, {
      txSeq,
      byteLength: BigInt(prepared.submission.byteLength),
      nodes: prepared.submission.nodes,
      shardRoots: prepared.roots,
      custodians,
    }),
  )
}

/** The whole way from bytes to a sealed deal, over the providers' real HTTP. */
export async function makeDeal(
  world: StorageWorld,
  prepared: Prepared,
  options: { providers?: readonly WorldProvider[]; termPeriods?: bigint } = {},
) {
  const keepers = assign(prepared, options.providers ?? world.providers)
  const txSeq = await submit(world, prepared, options.termPeriods)
  const { expiresAt } = await readSubmissionTerms(world.chain, txSeq)
  await putShards(txSeq, prepared, keepers)
  const proposal = proposalOf(prepared, keepers)
  const signed = await collectSignatures(txSeq, proposal, keepers)
  await seal(world, txSeq, prepared, signed)
  return { txSeq, keepers, proposal, signed, expiresAt }
}

import type { Chain } from '../chain/connect.ts'
import type { SubmitArgs } from '../chain/events.ts'
import { eventsBackwards, numberTopic } from '../chain/logs.ts'
import { type ReadOptions, read } from '../chain/read.ts'
import {
  type DealRecord,
  type DealState,
  readDeal,
  readDealState,
  readSubmission,
  type SubmissionRecord,
} from '../chain/storage.ts'
import { custodyLeaf, custodyRoot } from '../protocol/custody.ts'
import { ZerogError } from '../protocol/errors.ts'
import { HASH_BYTES, loadHasher } from '../protocol/hasher.ts'
import { fromHex } from '../protocol/hex.ts'
import { type FileLayout, fileLayout } from '../protocol/layout.ts'
import { foldsToNodes } from '../protocol/merkle.ts'
import {
  type SubmissionNode,
  submissionDigest,
  submissionIdentity,
  submissionRoot,
} from '../protocol/submission.ts'

export type ShardCustody = { readonly index: number; readonly provider: string; readonly root: string }

/** Who keeps what of a deal by its newest custody; checked against the custody root in state. */
export type DealCustody = {
  readonly custodyRoot: string
  readonly shards: readonly ShardCustody[]
  readonly sealedAtBlock: number
}

/** A sealed deal with all that reading it needs; everything here is checked against chain state. */
export type SealedFile = {
  readonly txSeq: bigint
  readonly root: string
  readonly state: DealState
  readonly owner: string
  readonly layout: FileLayout
  readonly nodes: readonly SubmissionNode[]
  readonly deal: DealRecord
  readonly custody: DealCustody
}

type Limits = Pick<ReadOptions, 'signal' | 'timeoutMs'>

/** States of a deal whose term is over or that has none, the likeliest to be readable first. */
const PREFERENCE: readonly DealState[] = ['sealed', 'ended', 'submitted', 'refunded', 'none']

/** What `txSeq` or `root` names. */
export type FileRef = { readonly txSeq: bigint } | { readonly root: string }

/**
 * Finds a sealed file. By root, the newest deal that still runs wins, then the newest that has ended (its shards may still
 * be there).
 *
 * Errors: UNKNOWN_ROOT; UNKNOWN_DEAL; NOT_SEALED; DEAL_REFUNDED; BAD_HEX; PEER_MISBEHAVED when the RPC's logs do not fit
 * the state.
 */
export async function findSealedFile(chain: Chain, ref: FileRef, limits: Limits = {}): Promise<SealedFile> {
  return sealedFile(chain, await findFile(chain, ref, limits), limits)
}

/**
 * Finds a submission. By root, the newest whose deal runs wins, then the newest that was sealed, then one that may yet be.
 *
 * Errors: UNKNOWN_ROOT; UNKNOWN_DEAL; BAD_HEX; PEER_MISBEHAVED.
 */
export async function findFile(chain: Chain, ref: FileRef, limits: Limits = {}): Promise<FoundSubmission> {
  if ('txSeq' in ref) return findSubmission(chain, ref.txSeq, limits)
  const root = ref.root.toLowerCase()
  fromHex(root, HASH_BYTES)
  let best: { found: FoundSubmission; rank: number } | undefined
  for await (const found of submissionsOfRoot(chain, root, limits)) {
    const state = await readDealState(chain, found.txSeq, limits)
    if (state === 'sealed' && (await isRunning(chain, found.txSeq, limits))) return found
    const rank = PREFERENCE.indexOf(state)
    if (best === undefined || rank < best.rank) best = { found, rank }
  }
  if (best === undefined) throw new ZerogError('UNKNOWN_ROOT', undefined, { meta: { root } })
  return best.found
}

/** A submission with its nodes, checked against the digest in state. */
export type FoundSubmission = {
  readonly txSeq: bigint
  readonly root: string
  readonly byteLength: number
  readonly nodes: readonly SubmissionNode[]
  readonly record: SubmissionRecord
}

/** The submission number `txSeq`. Errors: UNKNOWN_DEAL, PEER_MISBEHAVED. */
export async function findSubmission(
  chain: Chain,
  txSeq: bigint,
  limits: Limits = {},
): Promise<FoundSubmission> {
  const record = await readSubmission(chain, txSeq, limits)
  if (record === undefined) throw new ZerogError('UNKNOWN_DEAL', undefined, { meta: { txSeq: `${txSeq}` } })
  const block = Number(record.submittedAt)
  for await (const { args } of eventsBackwards(chain, {
    name: 'Submit',
    fromBlock: block,
    toBlock: block,
    ...limits,
  })) {
    if (args.submissionIndex === txSeq) return checkedSubmission(args, record)
  }
  throw new ZerogError('LOG_GAP', `the RPC has no Submit event of ${txSeq} in block ${block}`)
}

/** Who keeps which shard of a sealed deal, from its events, checked against the custody roots in state. */
export async function dealCustody(
  chain: Chain,
  { txSeq, submittedAt, ...limits }: Limits & { txSeq: bigint; submittedAt: bigint },
): Promise<DealCustody> {
  const head = await read(chain.provider.getBlockNumber(), limits)
  const deal = await readDeal(chain, txSeq, { ...limits, blockTag: head })
  if (deal === undefined) throw new ZerogError('NOT_SEALED', undefined, { meta: { txSeq: `${txSeq}` } })
  const indexed = [numberTopic(txSeq)]
  const lastSeal = Math.min(head, Number(submittedAt + chain.terms.sealDeadlineBlocks))
  const seals = eventsBackwards(chain, {
    name: 'Sealed',
    indexed,
    fromBlock: Number(submittedAt),
    toBlock: lastSeal,
    ...limits,
  })
  const first = await seals.next()
  if (first.done) throw new ZerogError('LOG_GAP', `the RPC has no Sealed event of ${txSeq}`)
  const sealed = first.value
  const { providers, shardBitmaps, shardRoots } = sealed.args
  const keepers = shardRoots.map((_, index) =>
    providers.find((_provider, i) => (((shardBitmaps[i] ?? 0n) >> BigInt(index)) & 1n) === 1n),
  )
  const changes = []
  const handOvers = eventsBackwards(chain, {
    name: 'CustodyHandedOver',
    indexed,
    fromBlock: sealed.blockNumber,
    toBlock: head,
    ...limits,
  })
  // Without a change the search over all blocks since the seal is not needed.
  if (deal.nextCustodyFrom !== 0n) for await (const { args } of handOvers) changes.unshift(args)
  for (const { shardIndex, to } of changes) keepers[Number(shardIndex)] = to
  const shards = shardRoots.map((root, index) => ({ index, provider: keepers[index] ?? '', root }))
  const newest = deal.nextCustodyFrom === 0n ? deal.custodyRoot : deal.nextCustodyRoot
  if (shards.some(({ provider }) => provider === '') || rootOf(shards) !== newest)
    throw new ZerogError('PEER_MISBEHAVED', `the custody events of ${txSeq} do not fit the state`, {
      retryable: true,
    })
  return { custodyRoot: newest, shards, sealedAtBlock: sealed.blockNumber }
}

async function sealedFile(chain: Chain, found: FoundSubmission, limits: Limits): Promise<SealedFile> {
  const { txSeq, root, nodes, record, byteLength } = found
  const meta = { txSeq: `${txSeq}`, root }
  const [state, deal] = await Promise.all([
    readDealState(chain, txSeq, limits),
    readDeal(chain, txSeq, limits),
  ])
  if (state === 'refunded') throw new ZerogError('DEAL_REFUNDED', undefined, { meta })
  if (deal === undefined) throw new ZerogError('NOT_SEALED', undefined, { meta })
  const custody = await dealCustody(chain, { txSeq, submittedAt: record.submittedAt, ...limits })
  const layout = fileLayout(byteLength)
  const dataRoots = custody.shards.slice(0, deal.dataShards).map((shard) => fromHex(shard.root, HASH_BYTES))
  const folds = foldsToNodes(
    await loadHasher(),
    { roots: dataRoots, height: deal.shardHeight },
    nodes.map((node) => ({ root: fromHex(node.root, HASH_BYTES), height: node.height })),
  )
  // The market has checked both; an RPC that answers otherwise must not decide what we read.
  if (!folds || layout.dataShards !== deal.dataShards || layout.shardSectors !== 2 ** deal.shardHeight)
    throw new ZerogError('PEER_MISBEHAVED', 'the shards of the deal are not those of the file', { meta })
  return { txSeq, root, state, owner: record.owner, layout, nodes, deal, custody }
}

/** Submissions of a file root, newest first. A root of several nodes is not in any topic, so all are looked at. */
async function* submissionsOfRoot(
  chain: Chain,
  root: string,
  limits: Limits,
): AsyncGenerator<FoundSubmission> {
  const toBlock = await read(chain.provider.getBlockNumber(), limits)
  const search = { name: 'Submit', fromBlock: chain.book.deployedAtBlock, toBlock, ...limits } as const
  const single = submissionIdentity([{ root, height: 0 }])
  let isFound = false
  for await (const { args } of eventsBackwards(chain, { ...search, indexed: [null, single] })) {
    const found = await checkedOrNone(chain, args, { root, limits })
    if (found === undefined) continue
    isFound = true
    yield found
  }
  // A root belongs to one list of nodes: its height follows from the length.
  if (isFound) return
  for await (const { args } of eventsBackwards(chain, search)) {
    const found = await checkedOrNone(chain, args, { root, limits })
    if (found !== undefined) yield found
  }
}

async function checkedOrNone(
  chain: Chain,
  args: SubmitArgs,
  { root, limits }: { root: string; limits: Limits },
): Promise<FoundSubmission | undefined> {
  if (submissionRoot(nodesOf(args)) !== root) return undefined
  const record = await readSubmission(chain, args.submissionIndex, limits)
  return record === undefined ? undefined : checkedSubmission(args, record)
}

function checkedSubmission(args: SubmitArgs, record: SubmissionRecord): FoundSubmission {
  const nodes = nodesOf(args)
  const byteLength = Number(args.submission.length)
  if (submissionDigest({ byteLength, nodes }) !== record.digest)
    throw new ZerogError('PEER_MISBEHAVED', 'the Submit event does not fit the digest in state', {
      retryable: true,
    })
  return { txSeq: args.submissionIndex, root: submissionRoot(nodes), byteLength, nodes, record }
}

function nodesOf({ submission }: SubmitArgs): SubmissionNode[] {
  return submission.nodes.map(({ root, height }) => ({ root, height: Number(height) }))
}

async function isRunning(chain: Chain, txSeq: bigint, limits: Limits): Promise<boolean> {
  const [deal, period] = await Promise.all([
    readDeal(chain, txSeq, limits),
    read(chain.contracts.beacon.currentPeriod(), limits),
  ])
  return deal !== undefined && period < deal.endPeriod
}

function rootOf(shards: readonly ShardCustody[]): string {
  return custodyRoot(
    shards.map(({ index, provider, root }) => custodyLeaf({ index, provider, shardRoot: root })),
  )
}

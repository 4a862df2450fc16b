import { randomInt } from 'node:crypto'
import { custodyLeaf, custodyRoot } from '../../sdk/protocol/custody.ts'
import { errorCode, ZerogError } from '../../sdk/protocol/errors.ts'
import { bytesEqual, fromHex } from '../../sdk/protocol/hex.ts'
import { foldsToNodes } from '../../sdk/protocol/merkle.ts'
import { submissionDigest } from '../../sdk/protocol/submission.ts'
import type { StorageParts } from './context.ts'
import type { Proposal } from './custody-book.ts'
import { chunksAtOnce } from './request.ts'
import type { SubmissionView } from './submission-view.ts'

/** Chunks of other providers that are on their way at the same time during one check. */
const PARALLEL = 16

type Parts = Pick<StorageParts, 'chain' | 'config' | 'hasher' | 'erasure' | 'shards' | 'peers'> & {
  readonly self: string
}

/** The shards of a proposal that `self` shall keep. */
export function ownShards(proposal: Proposal, self: string) {
  return proposal.shards.filter(({ provider }) => provider === self.toLowerCase())
}

/**
 * Checks a proposal against the chain and the shards held here.
 *
 * Errors: BAD_REQUEST (shards not 0..n-1 in order, or none for us), ROOT_MISMATCH (digest, node roots or custody root
 * do not follow), CUSTODY_REFUSED (over the fault limit), SHARD_UNKNOWN, SHARD_INCOMPLETE.
 */
export function checkProposal(
  { chain, hasher, shards, self }: Parts,
  view: SubmissionView,
  proposal: Proposal,
): void {
  const roots = proposal.shards.map(({ root }) => root)
  if (proposal.shards.length !== view.shards || proposal.shards.some(({ index }, i) => index !== i)) {
    throw new ZerogError('BAD_REQUEST', `shards must be 0 to ${view.shards - 1}, in order`)
  }
  if (submissionDigest(proposal).toLowerCase() !== view.digest.toLowerCase()) {
    throw new ZerogError('ROOT_MISMATCH', 'length and nodes are not those submitted')
  }
  const data = roots.slice(0, view.dataShards).map((root) => fromHex(root))
  const nodes = proposal.nodes.map(({ root, height }) => ({ root: fromHex(root), height }))
  if (!foldsToNodes(hasher, { roots: data, height: view.shardHeight }, nodes)) {
    throw new ZerogError('ROOT_MISMATCH', 'the data shard roots do not hash up to the nodes')
  }
  const leaves = proposal.shards.map(({ index, provider, root }) =>
    custodyLeaf({ index, provider, shardRoot: root }),
  )
  if (custodyRoot(leaves) !== proposal.custodyRoot) {
    throw new ZerogError('ROOT_MISMATCH', 'the custody root does not follow from the shards')
  }
  const own = ownShards(proposal, self)
  if (own.length === 0) throw new ZerogError('BAD_REQUEST', 'the proposal gives this provider no shard')
  const limit = Math.floor(view.parityShards / Number(chain.terms.faultTolerance))
  const counts = new Map<string, number>()
  for (const { provider } of proposal.shards) counts.set(provider, (counts.get(provider) ?? 0) + 1)
  for (const [provider, count] of counts) {
    if (count > limit) {
      throw new ZerogError(
        'CUSTODY_REFUSED',
        `${provider} would keep ${count} shards, over the limit of ${limit}`,
        {
          meta: { provider, shards: count, limit },
        },
      )
    }
  }
  checkHeld({ shards, self }, view, proposal)
}

/** Checks that this provider has its shards of a proposal. Errors: SHARD_UNKNOWN, SHARD_INCOMPLETE, ROOT_MISMATCH. */
export function checkHeld(
  { shards, self }: Pick<Parts, 'shards' | 'self'>,
  { txSeq }: SubmissionView,
  proposal: Proposal,
): void {
  for (const { index, root } of ownShards(proposal, self)) {
    const held = shards.info({ txSeq, index })
    const meta = { txSeq: txSeq.toString(), index }
    if (!held) throw new ZerogError('SHARD_UNKNOWN', `shard ${index} has not arrived`, { meta })
    if (held.state !== 'complete') throw new ZerogError('SHARD_INCOMPLETE', undefined, { meta })
    if (held.root !== root) {
      throw new ZerogError('ROOT_MISMATCH', `shard ${index} is held with another root`, { meta })
    }
  }
}

/**
 * Computes random sectors of every parity shard kept here from the data shards, and compares.
 *
 * Errors: PARITY_WRONG (meta.index, meta.sector), PEER_UNREACHABLE when a data sector cannot be read.
 */
export async function checkParity(
  { config, erasure, shards, peers, self }: Parts,
  view: SubmissionView,
  { proposal, signal }: { proposal: Proposal; signal: AbortSignal },
): Promise<void> {
  const parity = ownShards(proposal, self).filter(({ index }) => index >= view.dataShards)
  if (parity.length === 0) return
  const sectors = sampleSectors(2 ** view.shardHeight, config.PARITY_SAMPLES)

  /** The sampled sectors of one shard. */
  async function readSectors(index: number): Promise<Uint8Array[]> {
    const shard = proposal.shards[index]
    if (!shard) throw new ZerogError('BAD_REQUEST', `there is no shard ${index}`)
    const key = { txSeq: view.txSeq, index }
    if (shard.provider === self.toLowerCase()) {
      return (await shards.chunks(key, 0, sectors)).map(({ bytes }) => bytes)
    }
    const request = {
      provider: shard.provider,
      key,
      root: shard.root,
      shardHeight: view.shardHeight,
      height: 0,
      signal,
    }
    const bytes: Uint8Array[] = []
    const atOnce = chunksAtOnce(view.shardHeight)
    for (let at = 0; at < sectors.length; at += atOnce) {
      bytes.push(...(await peers.chunks({ ...request, indexes: sectors.slice(at, at + atOnce) })))
    }
    return bytes
  }

  const data: Uint8Array[][] = []
  let next = 0
  const reader = async () => {
    for (let index = next++; index < view.dataShards; index = next++) {
      try {
        data[index] = await readSectors(index)
      } catch (error) {
        // A co-custodian that sends wrong bytes is as useless for the check as one that sends none.
        if (errorCode(error) !== 'PEER_MISBEHAVED') throw error
        throw new ZerogError('PEER_UNREACHABLE', 'a co-custodian cannot show its data shard', {
          cause: error,
          meta: { provider: proposal.shards[index]?.provider },
        })
      }
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, reader))
  const own = await Promise.all(parity.map(({ index }) => readSectors(index)))

  for (const [i, sector] of sectors.entries()) {
    const column = data.map((shard) => shard[i] ?? new Uint8Array())
    const expected = erasure.encode(column, view.parityShards)
    for (const [j, { index }] of parity.entries()) {
      const [actual, wantedBytes] = [own[j]?.[i], expected[index - view.dataShards]]
      if (actual && wantedBytes && bytesEqual(actual, wantedBytes)) continue
      throw new ZerogError(
        'PARITY_WRONG',
        `shard ${index} is not the parity of the data at sector ${sector}`,
        {
          meta: { txSeq: view.txSeq.toString(), index, sector },
        },
      )
    }
  }
}

/** Distinct sectors that nobody can foresee; all of them when there are no more than `count`. */
function sampleSectors(shardSectors: number, count: number): number[] {
  if (shardSectors <= count) return Array.from({ length: shardSectors }, (_, sector) => sector)
  const chosen = new Set<number>()
  // randomInt takes ranges below 2^48, far beyond any shard.
  while (chosen.size < count) chosen.add(randomInt(shardSectors))
  return [...chosen]
}

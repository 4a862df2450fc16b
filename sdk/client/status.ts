import type { Chain } from '../chain/connect.ts'
import { readOperator } from '../chain/operators.ts'
import { type ReadOptions, read } from '../chain/read.ts'
import {
  type DealState,
  readDeal,
  readDealState,
  readEscrow,
  readIsSuspended,
  readSubmissionTerms,
} from '../chain/storage.ts'
import { periodAt, periodStart } from '../protocol/clock.ts'
import { errorCode } from '../protocol/errors.ts'
import { dealGeometry } from '../protocol/layout.ts'
import { dealCustody, type FileRef, findFile, type ShardCustody } from './find-deal.ts'
import { createProviderClient } from './provider-client.ts'

/** One shard as its holder says that it has it. `code` tells why it counts as missing. */
export type ShardHealth = ShardCustody & {
  readonly endpoint: string
  readonly isPresent: boolean
  readonly code: string | undefined
}

/** A deal as chain and holders show it now. */
export type FileStatus = {
  readonly txSeq: bigint
  readonly root: string
  readonly byteLength: number
  readonly owner: string
  readonly state: DealState
  /** Whether it is paid for in the present period. */
  readonly isLive: boolean
  readonly dataShards: number
  readonly parityShards: number
  readonly escrowWei: bigint
  readonly sealDeadlineBlock: bigint
  readonly expiresAt: bigint
  /** Estimated from the time of recent blocks. */
  readonly secondsLeft: number
  readonly shards: readonly ShardHealth[]
  /** Shards that no holder shows; up to `parityShards` of them can be rebuilt. */
  readonly degraded: number
  readonly isReadable: boolean
  readonly suspended: readonly string[]
}

/** Blocks over which the time of a block is measured. */
const SAMPLE_BLOCKS = 64

/**
 * State of a file, and which holders answer for their shards now (a HEAD request each).
 *
 * Errors: UNKNOWN_ROOT, UNKNOWN_DEAL, BAD_HEX, RPC_UNREACHABLE, ABORTED.
 */
export async function fileStatus(
  chain: Chain,
  ref: FileRef,
  limits: Pick<ReadOptions, 'signal' | 'timeoutMs'> = {},
): Promise<FileStatus> {
  const found = await findFile(chain, ref, limits)
  const { txSeq } = found
  const [state, deal, terms, escrowWei, head] = await Promise.all([
    readDealState(chain, txSeq, limits),
    readDeal(chain, txSeq, limits),
    readSubmissionTerms(chain, txSeq, limits),
    readEscrow(chain, txSeq, limits),
    read(chain.provider.getBlockNumber(), limits),
  ])
  const period = periodAt(chain.terms, BigInt(head))
  const isSealed = deal !== undefined
  const shards = isSealed
    ? (await dealCustody(chain, { txSeq, submittedAt: found.record.submittedAt, ...limits })).shards
    : []
  const health = await shardHealth(chain, { txSeq, shards, limits })
  const operators = [...new Set(shards.map(({ provider }) => provider))]
  const standing = await Promise.all(operators.map((operator) => readIsSuspended(chain, operator, limits)))
  const expiresAt = deal?.endPeriod ?? terms.expiresAt
  const blocksLeft = periodStart(chain.terms, expiresAt) - BigInt(head)
  const { dataShards } = dealGeometry(Number(found.record.sectors))
  const degraded = health.filter(({ isPresent }) => !isPresent).length
  return {
    txSeq,
    root: found.root,
    byteLength: found.byteLength,
    owner: found.record.owner,
    state,
    isLive: deal !== undefined && period >= deal.startPeriod && period < deal.endPeriod,
    dataShards,
    parityShards: terms.parityShards,
    escrowWei,
    sealDeadlineBlock: terms.sealDeadline,
    expiresAt,
    secondsLeft: Math.max(0, Math.round(Number(blocksLeft) * (await blockSeconds(chain, head, limits)))),
    shards: health,
    degraded,
    isReadable: isSealed && health.length - degraded >= dataShards,
    suspended: operators.filter((_, i) => standing[i]),
  }
}

async function shardHealth(
  chain: Chain,
  { txSeq, shards, limits }: { txSeq: bigint; shards: readonly ShardCustody[]; limits: ReadOptions },
): Promise<ShardHealth[]> {
  const operators = [...new Set(shards.map(({ provider }) => provider))]
  const endpoints = new Map(
    await Promise.all(
      operators.map(
        async (operator): Promise<[string, string]> => [
          operator,
          (await readOperator(chain, operator, limits)).endpoint,
        ],
      ),
    ),
  )
  return Promise.all(
    shards.map(async (shard): Promise<ShardHealth> => {
      const endpoint = endpoints.get(shard.provider) ?? ''
      const code = await askHolder(endpoint, { txSeq, shard, limits })
      return { ...shard, endpoint, isPresent: code === undefined, code }
    }),
  )
}

/** Undefined when the holder shows the whole shard under its root, else the reason why not. */
async function askHolder(
  endpoint: string,
  { txSeq, shard, limits }: { txSeq: bigint; shard: ShardCustody; limits: ReadOptions },
): Promise<string | undefined> {
  if (endpoint === '') return 'NO_ENDPOINT'
  try {
    const held = await createProviderClient(endpoint).progress({ txSeq, index: shard.index }, limits)
    if (held === undefined) return 'SHARD_UNKNOWN'
    if (!held.complete) return 'SHARD_INCOMPLETE'
    return held.root === undefined || held.root === shard.root ? undefined : 'ROOT_MISMATCH'
  } catch (error) {
    if (limits.signal?.aborted) throw error
    return errorCode(error)
  }
}

async function blockSeconds({ provider }: Chain, head: number, limits: ReadOptions): Promise<number> {
  const from = Math.max(0, head - SAMPLE_BLOCKS)
  if (from === head) return 0
  const [first, last] = await read(Promise.all([provider.getBlock(from), provider.getBlock(head)]), limits)
  if (first === null || last === null) return 0
  return (last.timestamp - first.timestamp) / (head - from)
}

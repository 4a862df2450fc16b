import { keccak256, solidityPacked } from 'ethers'
import type { Chain } from '../chain/connect.ts'
import { eachProvider, type StorageProvider } from '../chain/operators.ts'
import { type ErrorCode, errorCode } from '../protocol/errors.ts'
import type { HttpTransport } from './http.ts'
import { createProviderClient, type ProviderClient, type ProviderInfo } from './provider-client.ts'

/** A provider that takes shards of this deal, with room for `capacityShards` of them. */
export type Candidate = {
  readonly operator: string
  readonly client: ProviderClient
  readonly capacityShards: number
  readonly chunkBytes: number
  readonly minPriceWei: bigint
  readonly latencyMs: number
}

/** Why a provider is not asked; for the error that lists them. */
export type Rejection = {
  readonly operator: string
  readonly code: ErrorCode | 'NO_ENDPOINT' | 'NO_STAKE' | 'PAY_UNCLAIMED' | 'WRONG_NETWORK'
}

/** All shards are read in pieces that the pickiest provider takes: one that wants crumbs would slow down the others. */
const MIN_CHUNK_BYTES = 64 * 1024

/** What a provider said when it was asked, and after how long; or why it counts for nothing. */
export type ProviderAnswer =
  | Rejection
  | {
      readonly operator: string
      readonly endpoint: string
      readonly backingWei: bigint
      readonly info: ProviderInfo
      readonly latencyMs: number
    }

type AskOptions = { transport?: HttpTransport | undefined; signal?: AbortSignal }

/** Asks every staked, unsuspended provider whether it is there and what it takes. Errors: those of the RPC; ABORTED. */
export async function askProviders(chain: Chain, options: AskOptions = {}): Promise<ProviderAnswer[]> {
  const { signal } = options
  const answers: Promise<ProviderAnswer>[] = []
  for await (const provider of eachProvider(chain, signal === undefined ? {} : { signal })) {
    answers.push(askProvider(chain, provider, options))
  }
  return Promise.all(answers)
}

async function askProvider(
  chain: Chain,
  { operator, endpoint, backingWei, needWei, suspended }: StorageProvider,
  { transport, signal }: AskOptions,
): Promise<ProviderAnswer> {
  if (suspended) return { operator, code: 'SUSPENDED' }
  if (endpoint === '') return { operator, code: 'NO_ENDPOINT' }
  if (needWei === undefined) return { operator, code: 'PAY_UNCLAIMED' }
  if (backingWei === 0n || backingWei < needWei) return { operator, code: 'NO_STAKE' }
  const startedMs = performance.now()
  try {
    const info = await createProviderClient(endpoint, { transport }).info(
      signal === undefined ? {} : { signal },
    )
    const latencyMs = performance.now() - startedMs
    const isOurs =
      info.operator === operator &&
      info.chainId === chain.chainId &&
      info.market === chain.book.contracts.StorageMarket.address
    return isOurs ? { operator, endpoint, backingWei, info, latencyMs } : { operator, code: 'WRONG_NETWORK' }
  } catch (error) {
    if (signal?.aborted) throw error
    return { operator, code: errorCode(error) }
  }
}

/**
 * Picks of the answers those with room for a shard that take the price and have the stake for it, and ranks them: cheaper first, then nearer, then
 * by a hash of deal and address, so that deals spread over equals.
 */
export function findCandidates(
  answers: readonly ProviderAnswer[],
  options: {
    txSeq: bigint
    shardBytes: number
    sectorPriceWei: bigint
    /** Stake without which no seal takes a custodian; who has less would waste an attempt, and costs nothing to make. */
    leastStakeWei?: bigint
    transport?: HttpTransport | undefined
    /** What makes the candidates' clients fit to write to the deal. */
    authorize?: () => Promise<string>
  },
): { candidates: Candidate[]; rejections: Rejection[] } {
  const { txSeq } = options
  const judged = answers.map((answer) => judge(answer, options))
  const rank = (operator: string) => keccak256(solidityPacked(['uint256', 'address'], [txSeq, operator]))
  const candidates = judged
    .filter((one) => 'client' in one)
    .map((candidate) => ({
      candidate,
      rank: rank(candidate.operator),
      near: latencyClass(candidate.latencyMs),
    }))
    .sort(
      (a, b) =>
        compare(a.candidate.minPriceWei, b.candidate.minPriceWei) ||
        compare(a.near, b.near) ||
        compare(a.rank, b.rank),
    )
    .map(({ candidate }) => candidate)
  return { candidates, rejections: judged.filter((one) => 'code' in one) }
}

function judge(
  answer: ProviderAnswer,
  {
    shardBytes,
    sectorPriceWei,
    leastStakeWei = 0n,
    transport,
    authorize,
  }: Parameters<typeof findCandidates>[1],
): Candidate | Rejection {
  if ('code' in answer) return answer
  const { operator, endpoint, backingWei, info, latencyMs } = answer
  const { chunkBytes, minPriceWei } = info
  if (backingWei < leastStakeWei) return { operator, code: 'NO_STAKE' }
  if (chunkBytes < Math.min(shardBytes, MIN_CHUNK_BYTES)) return { operator, code: 'BODY_TOO_LARGE' }
  if (minPriceWei > sectorPriceWei) return { operator, code: 'PRICE_TOO_LOW' }
  const capacityShards = info.maxShardBytes < shardBytes ? 0 : Math.floor(info.freeBytes / shardBytes)
  if (capacityShards === 0) return { operator, code: 'DISK_FULL' }
  const client = createProviderClient(endpoint, { transport, authorize })
  return { operator, client, capacityShards, chunkBytes, minPriceWei, latencyMs }
}

/** Latencies within a factor of four count as equal: one sample says no more. */
function latencyClass(ms: number): number {
  return Math.floor(Math.log2(Math.max(ms, 8)) / 2)
}

function compare<T extends bigint | number | string>(a: T, b: T): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

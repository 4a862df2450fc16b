import { keccak256, solidityPacked } from 'ethers'
import type { Chain } from '../chain/connect.ts'
import { eachProvider, type StorageProvider } from '../chain/operators.ts'
import { type ErrorCode, errorCode } from '../protocol/errors.ts'
import type { HttpTransport } from './http.ts'
import { createProviderClient, type ProviderClient } from './provider-client.ts'

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
  readonly code: ErrorCode | 'NO_ENDPOINT' | 'NO_STAKE' | 'WRONG_NETWORK'
}

/**
 * Asks every staked, unsuspended provider whether it is there, has room and takes the price, and ranks them: cheaper
 * first, then nearer, then by a hash of deal and address, so that deals spread over equals.
 */
export async function findCandidates(
  chain: Chain,
  options: {
    txSeq: bigint
    shardBytes: number
    sectorPriceWei: bigint
    transport?: HttpTransport | undefined
    /** What makes the candidates' clients fit to write to the deal. */
    authorize?: () => Promise<string>
    signal?: AbortSignal
  },
): Promise<{ candidates: Candidate[]; rejections: Rejection[] }> {
  const { txSeq, signal } = options
  const found: Promise<Candidate | Rejection>[] = []
  for await (const provider of eachProvider(chain, signal === undefined ? {} : { signal })) {
    found.push(askProvider(chain, provider, options))
  }
  const answers = await Promise.all(found)
  const rank = (operator: string) => keccak256(solidityPacked(['uint256', 'address'], [txSeq, operator]))
  const candidates = answers
    .filter((answer) => 'client' in answer)
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
  return { candidates, rejections: answers.filter((answer) => 'code' in answer) }
}

async function askProvider(
  chain: Chain,
  { operator, endpoint, backingWei, needWei, suspended }: StorageProvider,
  { shardBytes, sectorPriceWei, transport, authorize, signal }: Parameters<typeof findCandidates>[1],
): Promise<Candidate | Rejection> {
  if (suspended) return { operator, code: 'SUSPENDED' }
  if (endpoint === '') return { operator, code: 'NO_ENDPOINT' }
  if (backingWei === 0n || backingWei < needWei) return { operator, code: 'NO_STAKE' }
  const startedMs = performance.now()
  try {
    const client = createProviderClient(endpoint, { transport, authorize })
    const info = await client.info(signal === undefined ? {} : { signal })
    const latencyMs = performance.now() - startedMs
    const isOurs =
      info.operator === operator &&
      info.chainId === chain.chainId &&
      info.market === chain.book.contracts.StorageMarket.address
    if (!isOurs) return { operator, code: 'WRONG_NETWORK' }
    if (info.minPriceWei > sectorPriceWei) return { operator, code: 'PRICE_TOO_LOW' }
    const capacityShards = info.maxShardBytes < shardBytes ? 0 : Math.floor(info.freeBytes / shardBytes)
    if (capacityShards === 0) return { operator, code: 'DISK_FULL' }
    const { chunkBytes, minPriceWei } = info
    return { operator, client, capacityShards, chunkBytes, minPriceWei, latencyMs }
  } catch (error) {
    if (signal?.aborted) throw error
    return { operator, code: errorCode(error) }
  }
}

/** Latencies within a factor of four count as equal: one sample says no more. */
function latencyClass(ms: number): number {
  return Math.floor(Math.log2(Math.max(ms, 8)) / 2)
}

function compare<T extends bigint | number | string>(a: T, b: T): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

import type { JsonRpcProvider } from 'ethers'
import { z } from 'zod'
import { ZerogError } from '../../sdk/protocol/errors.ts'

/** Blocks below the head whose state every node has; older ones only archives keep for sure. */
export const RECENT_BLOCKS = 100

const hex = z.string().regex(/^0x[0-9a-fA-F]*$/)
const quantity = hex.transform(Number)
const block = z.object({
  number: quantity,
  hash: hex,
  parentHash: hex,
  timestamp: quantity,
  baseFeePerGas: hex.optional(),
})
const log = z.object({
  address: hex,
  topics: z.array(hex),
  data: hex,
  blockNumber: quantity,
  blockHash: hex,
  transactionHash: hex,
  transactionIndex: quantity,
  logIndex: quantity,
  removed: z.boolean().optional(),
})

/** One block at the tip, read once and used for every read of a tick. */
export type Head = {
  readonly number: number
  readonly hash: string
  readonly parentHash: string
  readonly timestampSec: number
}

/** A log as the chain gave it; addresses in lower case, numbers plain. */
export type ChainLog = {
  readonly address: string
  readonly topics: readonly string[]
  readonly data: string
  readonly blockNumber: number
  readonly blockHash: string
  readonly transactionHash: string
  readonly transactionIndex: number
  readonly logIndex: number
}

/** A block header with what agents use of it. */
export type Block = Head & { readonly baseFeeWei: bigint }

/** Reads a block by number or tag; undefined when the node does not have it. */
export async function readBlock(
  provider: JsonRpcProvider,
  at: number | 'latest',
): Promise<Block | undefined> {
  const tag = typeof at === 'number' ? `0x${at.toString(16)}` : at
  const answer: unknown = await provider.send('eth_getBlockByNumber', [tag, false])
  if (answer === null) return undefined
  const { timestamp, baseFeePerGas, ...rest } = parse(block, answer, 'eth_getBlockByNumber')
  return { ...rest, timestampSec: timestamp, baseFeeWei: BigInt(baseFeePerGas ?? '0x0') }
}

export type LogFilter = {
  address: readonly string[]
  topics?: readonly (string | readonly string[] | null)[]
}

/** Reads the logs of a block range or of one block by its hash, in the order and number the node gave. */
export async function readLogs(
  provider: JsonRpcProvider,
  filter: LogFilter,
  at: { fromBlock: number; toBlock: number } | { blockHash: string },
): Promise<ChainLog[]> {
  const range =
    'blockHash' in at
      ? at
      : { fromBlock: `0x${at.fromBlock.toString(16)}`, toBlock: `0x${at.toBlock.toString(16)}` }
  const answer: unknown = await provider.send('eth_getLogs', [{ ...filter, ...range }])
  return parse(z.array(log), answer, 'eth_getLogs')
    .filter((entry) => entry.removed !== true)
    .map(({ removed: _, ...entry }) => ({ ...entry, address: entry.address.toLowerCase() }))
}

export async function readChainId(provider: JsonRpcProvider): Promise<bigint> {
  return BigInt(parse(hex, await provider.send('eth_chainId', []), 'eth_chainId'))
}

export async function readGenesisHash(provider: JsonRpcProvider): Promise<string> {
  const genesis = await readBlock(provider, 0)
  if (!genesis) throw new ZerogError('RPC_UNREACHABLE', 'the chain RPC does not have the genesis block')
  return genesis.hash
}

function parse<T>(schema: z.ZodType<T>, answer: unknown, method: string): T {
  const result = schema.safeParse(answer)
  if (result.success) return result.data
  throw new ZerogError('RPC_UNREACHABLE', 'the chain RPC answered against its specification', {
    cause: result.error,
    meta: { method },
  })
}

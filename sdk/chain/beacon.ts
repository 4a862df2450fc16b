import { encodeRlp, keccak256, toBeHex } from 'ethers'
import { ZerogError } from '../protocol/errors.ts'
import type { Chain } from './connect.ts'
import { at, type ReadOptions, read } from './read.ts'

/** A block as eth_getBlockByNumber returns it. */
export type RpcBlock = Readonly<Record<string, unknown>>

type Field = { name: string; kind: 'bytes' | 'number' }

const field = (kind: Field['kind']) => (name: string) => ({ name, kind })
const [bytes, number] = [field('bytes'), field('number')]

/** Header fields in RLP order (yellow paper; EIP-1559, 4895, 4844, 4788, 7685). Later ones came one fork at a time. */
const BASE_FIELDS: readonly Field[] = [
  bytes('parentHash'),
  bytes('sha3Uncles'),
  bytes('miner'),
  bytes('stateRoot'),
  bytes('transactionsRoot'),
  bytes('receiptsRoot'),
  bytes('logsBloom'),
  number('difficulty'),
  number('number'),
  number('gasLimit'),
  number('gasUsed'),
  number('timestamp'),
  bytes('extraData'),
  bytes('mixHash'),
  bytes('nonce'),
]
const FORK_FIELDS: readonly Field[] = [
  number('baseFeePerGas'),
  bytes('withdrawalsRoot'),
  number('blobGasUsed'),
  number('excessBlobGas'),
  bytes('parentBeaconBlockRoot'),
  bytes('requestsHash'),
]

/**
 * The RLP header of a block from its JSON, checked against the block's hash.
 *
 * Errors: PEER_MISBEHAVED when a field is missing or the header does not hash to `hash`: a chain whose headers are not
 * Ethereum's needs a Beacon that uses block hashes.
 */
export function headerRlp(block: RpcBlock): string {
  const missing = FORK_FIELDS.findIndex(({ name }) => block[name] === undefined || block[name] === null)
  const fields = [...BASE_FIELDS, ...FORK_FIELDS.slice(0, missing === -1 ? undefined : missing)]
  const rlp = encodeRlp(fields.map((entry) => fieldBytes(block, entry)))
  const hash = keccak256(rlp)
  if (hash === block.hash) return rlp
  throw new ZerogError('PEER_MISBEHAVED', 'the header of the block does not hash to the block hash', {
    meta: { number: block.number, expected: block.hash, got: hash },
  })
}

/** The RLP header of block `blockNumber` from the chain's RPC. Errors: those of {@link headerRlp}, RPC_UNREACHABLE. */
export async function readHeaderRlp(
  { provider }: Chain,
  blockNumber: bigint,
  options: ReadOptions = {},
): Promise<string> {
  if (!('send' in provider) || typeof provider.send !== 'function')
    throw new ZerogError('CONFIG_INVALID', 'reading headers needs a JSON-RPC provider')
  const pending: Promise<RpcBlock | null> = provider.send('eth_getBlockByNumber', [
    `0x${blockNumber.toString(16)}`,
    false,
  ])
  const block = await read(pending, options)
  if (block === null)
    throw new ZerogError('NOT_FOUND', `there is no block ${blockNumber} yet`, { retryable: true })
  return headerRlp(block)
}

/** The seed of a period; undefined while it is not pinned. */
export async function readSeed(
  { contracts: { beacon } }: Chain,
  period: bigint,
  options: ReadOptions = {},
): Promise<string | undefined> {
  const seed = await read(beacon.seedOf(period, at(options)), options)
  return BigInt(seed) === 0n ? undefined : seed
}

function fieldBytes(block: RpcBlock, { name, kind }: Field): string {
  const value = block[name]
  if (typeof value !== 'string' || !/^0x[0-9a-fA-F]*$/.test(value))
    throw new ZerogError('PEER_MISBEHAVED', `the block has no ${name}`, {
      meta: { number: block.number, name },
    })
  if (kind === 'bytes') return value
  // RLP numbers have no leading zeros, and zero is the empty string.
  return BigInt(value) === 0n ? '0x' : toBeHex(BigInt(value))
}

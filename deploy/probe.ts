import { type Block, dataLength, type Provider } from 'ethers'
import { ZerogError } from '../sdk/protocol/errors.ts'
import type { Measured, NetworkParams } from './deploy-params.ts'

/** What a chain is and can do, found without sending a transaction. */
export type Probe = Measured & {
  chainId: number
  genesisHash: string
  head: number
  gasPriceWei: bigint
  /** EIP-2935: whether hashes of blocks older than 256 can be read; without it seeds must be pinned within 256 blocks. */
  hasHistory: boolean
}

const HISTORY_STORAGE = '0x0000F90827F1C53a10cb7A02335B175320002935'
const SAMPLE_BLOCKS = 200
const RANDAO_SAMPLES = 4

/** NUMBER PUSH0 MSTORE PUSH1 32 PUSH0 RETURN: creation code whose result is the block number it ran in. */
const READ_BLOCK_NUMBER = '0x435f5260205ff3'
/** TSTORE(0, 1), then TLOAD(0): what every chain since Cancun answers with 1. */
const READ_TRANSIENT = '0x60015f5d5f5c5f5260205ff3'

const refused = (why: string) => new ZerogError('NETWORK_REFUSED', why)

async function blockAt(provider: Provider, number: number): Promise<Block> {
  const block = await provider.getBlock(number)
  if (block === null) throw new ZerogError('RPC_UNREACHABLE', `the RPC does not know its own block ${number}`)
  return block
}

/** On rollups `block.number` may count another chain's blocks, where our clock would not match what agents see. */
async function requireOwnBlockNumbers(provider: Provider, head: number): Promise<void> {
  for (const number of new Set([head, Math.max(0, head - 3)])) {
    const answered = BigInt(await provider.call({ data: READ_BLOCK_NUMBER, blockTag: number }))
    // Some nodes execute calls in the block after the one that is named.
    if (answered === BigInt(number) || answered === BigInt(number) + 1n) continue
    throw refused(`block.number is ${answered} in block ${number}: it does not count this chain's own blocks`)
  }
}

async function requireCancun(provider: Provider): Promise<void> {
  const answer = await provider.call({ data: READ_TRANSIENT }).catch(() => '0x')
  if (dataLength(answer) !== 32 || BigInt(answer) !== 1n) {
    throw refused('the EVM is older than Cancun: transient storage is missing')
  }
}

async function hasHistory(provider: Provider, head: number): Promise<boolean> {
  if (head < 2) return (await provider.getCode(HISTORY_STORAGE)) !== '0x'
  const number = Math.max(1, head - 300)
  const data = `0x${number.toString(16).padStart(64, '0')}`
  const answer = await provider.call({ to: HISTORY_STORAGE, data }).catch(() => '0x')
  return answer === (await blockAt(provider, number)).hash
}

/**
 * Looks at the chain before anything is sent to it.
 *
 * Errors: WRONG_CHAIN when it is not `network`'s; NETWORK_REFUSED when the contracts cannot work there; RPC_UNREACHABLE.
 */
export async function probeChain(provider: Provider, network: NetworkParams): Promise<Probe> {
  const chainId = Number((await provider.getNetwork()).chainId)
  if (chainId !== network.chainId) {
    throw new ZerogError(
      'WRONG_CHAIN',
      `the RPC serves chain ${chainId}; ${network.name} is ${network.chainId}`,
      {
        meta: { expected: network.chainId, got: chainId },
      },
    )
  }
  const head = await provider.getBlockNumber()
  await requireOwnBlockNumbers(provider, head)
  await requireCancun(provider)

  const latest = await blockAt(provider, head)
  const earlier = await blockAt(provider, Math.max(0, head - SAMPLE_BLOCKS))
  const genesis = await blockAt(provider, 0)
  const samples = await Promise.all(
    Array.from({ length: Math.min(RANDAO_SAMPLES, head) }, (_, index) => blockAt(provider, head - index)),
  )
  const mixes = new Set(samples.map((block) => block.prevRandao))
  const fees = await provider.getFeeData()
  return {
    chainId,
    genesisHash: genesis.hash ?? '0x',
    head,
    blockSec: head === 0 ? 0 : (latest.timestamp - earlier.timestamp) / (head - earlier.number),
    // With one block or none there is nothing to compare: a fresh development chain, whose blocks do differ.
    prevRandaoVaries: samples.length < 2 || mixes.size > 1,
    gasPriceWei: fees.maxFeePerGas ?? fees.gasPrice ?? 0n,
    hasHistory: await hasHistory(provider, head),
  }
}
